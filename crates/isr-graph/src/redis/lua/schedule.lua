-- Revalidations that wait for their time; `rs` has them by it. ARGV: 2 'add' with 3 an id, 4 its receipt,
-- 5 its time in milliseconds, 6 the most jobs, 7 and 8 how far ahead the time has to be at least and may be
-- at most; 'due' with 3 at most how many; or 'cancel' with 3 an id, also of one that is held, 4 its receipt
-- when it is called off, 5 how many seconds that is kept.
-- 'add' answers with 1, when it was made and nothing more when it is stored; 0, and what is known where it
-- was known already; -1 when the queue is full; -2, and the time, when it is too far ahead; or 2 when there
-- is nothing to wait for. 'due' answers with receipts, 'cancel' with one at the most.
local BYTES = 262144
local what = ARGV[2]

if what == 'due' then
  local answer, bytes = {}, 0
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'rs', '-inf', milliseconds, 'LIMIT', 0, ARGV[3])) do
    local known = receipt_get(id)
    if known then
      answer[#answer + 1], bytes = known, bytes + #known[1]
    else
      -- This only happens when keys were deleted by hand.
      call('ZREM', P .. 'rs', id)
    end
    if bytes > BYTES then break end
  end
  return answer
end

local id = ARGV[3]
if what == 'cancel' then
  if call('ZREM', P .. 'rs', id) + call('ZREM', P .. 'rh', id) > 0 then
    call('HSET', P .. 'r:' .. id, 'receipt', ARGV[4])
    receipt_ended(id, tonumber(ARGV[5]))
  end
  return { receipt_get(id) }
end

local known = receipt_get(id)
if known then return { 0, known[1], known[2], known[3] } end
local ahead = tonumber(ARGV[5]) - milliseconds
if ahead > tonumber(ARGV[8]) then return { -2, '', '', milliseconds } end
if ahead < tonumber(ARGV[7]) then return { 2, '', '', 0 } end
if is_full(tonumber(ARGV[6])) then return { -1, '', '', 0 } end
call('HSET', P .. 'r:' .. id, 'receipt', ARGV[4])
call('ZADD', P .. 'ri', milliseconds, id)
call('ZADD', P .. 'rs', ARGV[5], id)
return { 1, '', '', milliseconds }
