-- The server's clock, in milliseconds.
return milliseconds
