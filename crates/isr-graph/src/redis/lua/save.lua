-- Saves a revalidation under a claim. ARGV: 2 its id, 3 the token, 4 the receipt, 5 what becomes of
-- the claim: 'renew' for 6 milliseconds, or as in `leave` after 6 milliseconds with 7 the reason, or 'held',
-- which is done with until it is released;
-- 8 how many seconds the receipt of a finished one is kept, 9 that of one given up on. Answers with 0 when the claim is lost.
local id, token, how, delay = ARGV[2], tonumber(ARGV[3]), ARGV[5], tonumber(ARGV[6])
local key = P .. 'r:' .. id
if how == 'renew' then
  if not renew('r', id, token, delay) then return 0 end
elseif not leave('r', id, token, how == 'held' and 'done' or how, delay, ARGV[7]) then
  return 0
end
call('HSET', key, 'receipt', ARGV[4])
if how == 'done' then
  receipt_ended(id, tonumber(ARGV[8]))
elseif how == 'held' then
  call('ZADD', P .. 'rh', milliseconds, id)
elseif how == 'dead' then
  -- Not by itself: its job goes with it.
  call('ZADD', P .. 'rf', seconds + tonumber(ARGV[9]), id)
end
return 1
