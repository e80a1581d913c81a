-- How the history came to begin. ARGV: 2 empty to ask, or the epoch whose beginning has been dealt with.
-- Answers with 'new', 'lost', or '' when it has been dealt with.
local M = P .. 'm'
if ARGV[2] == EPOCH then call('HDEL', M, 'beginning') end
return call('HGET', M, 'beginning') or ''
