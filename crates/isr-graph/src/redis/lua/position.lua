-- The current number.
return S.number
