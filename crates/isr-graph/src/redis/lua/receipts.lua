-- Receipts. ARGV: 2 'one' with 3 an id; 'list' with 3 how many, 4 the time in milliseconds up to which they
-- were made, or nothing, 5 and 6 the last one looked at and when it was made, or nothing; or 'collect' with
-- 3 how many.
-- 'one' answers with a receipt at the most; 'list' with receipts, newest first, the last one looked at, when it
-- was made, and 1 when there are more; 'collect' with how many were removed, and how many of those had been
-- given up on.
local BYTES = 262144
if ARGV[2] == 'one' then return { receipt_get(ARGV[3]) } end

if ARGV[2] == 'collect' then
  local given_up = 0
  local ended = call('ZRANGEBYSCORE', P .. 'rf', '-inf', seconds, 'LIMIT', 0, ARGV[3])
  for _, id in ipairs(ended) do
    -- With what was given up on goes its job, the dead letter.
    if call('ZSCORE', queue_key('r', 'dead'), id) then
      job_put('r', id, nil)
      given_up = given_up + 1
    end
    call('DEL', P .. 'r:' .. id)
    call('ZREM', P .. 'ri', id)
    call('ZREM', P .. 'rf', id)
  end
  return { #ended, given_up }
end

local set, limit, from = P .. 'ri', tonumber(ARGV[3]), 0
if ARGV[5] ~= '' then
  from = place_after(set, 'ZREVRANK', ARGV[5], ARGV[6])
elseif ARGV[4] ~= '' then
  from = call('ZCOUNT', set, '(' .. ARGV[4], '+inf')
end
local found, bytes, last, made = {}, 0, '', ''
local some = call('ZREVRANGE', set, from, from + limit - 1, 'WITHSCORES')
for i = 1, #some, 2 do
  if bytes > BYTES then break end
  last, made, from = some[i], some[i + 1], from + 1
  local known = receipt_get(last)
  -- Of one that has ended there may be nothing left but its place.
  if known then found[#found + 1], bytes = known, bytes + #known[1] end
end
return { found, last, made, from < call('ZCARD', set) and 1 or 0 }
