-- Makes a revalidation in this partition, or answers with what is known of it.
-- ARGV: 2 its id, 3 'soft' or 'hard', 4 revalidations remembered, 5 what to tell those who follow,
-- 6 the receipt, empty outside the home partition, 7 the most jobs, or 'due' for one that is scheduled, from
-- 8 on the targets' keys.
-- Answers with its number here and when it was made; or with 0, its receipt, its numbers and when it was
-- made where it was known already, and is not to begin now; or with -1 when the queue is full. Its numbers are an epoch, a space, and the number in the home
-- partition, once known followed by those in all others, with commas in between.
local TRIM = 100
local id, remembered, receipt = ARGV[2], tonumber(ARGV[4]), ARGV[6]
local targets = #ARGV - 7
local is_home = receipt ~= ''
local begins, made = ARGV[7] == 'due', 0

if is_home then
  local known = receipt_get(id)
  -- Taking it out of what is scheduled is what lets it happen once.
  local at = begins and tonumber(call('ZSCORE', P .. 'rs', id) or 'inf')
  if begins and at <= milliseconds then
    call('ZREM', P .. 'rs', id)
  elseif begins or known then
    known = known or { '', '', 0 }
    return { 0, known[1], known[2], known[3] }
  elseif is_full(tonumber(ARGV[7])) then
    return { -1, '', '', 0 }
  end
else
  local known = call('GET', P .. 'b:' .. id)
  if known then return { tonumber(known), '', '', 0 } end
end

S.number = S.number + 1
local set, floor_name = 'gs', 'stale_floor'
if ARGV[3] == 'hard' then set, floor_name = 'ge', 'expired_floor' end
local marks = {}
for i = 8, #ARGV do
  marks[#marks + 1], marks[#marks + 2] = S.number, ARGV[i]
  if find(ARGV[i], '^[ph*]') then S.widest = S.number end
end
-- Lua passes some thousands of arguments at most.
for i = 1, #marks, 1000 do
  call('ZADD', P .. set, unpack(marks, i, min(i + 999, #marks)))
end
local excess = min(call('ZCARD', P .. set) - remembered, targets + TRIM)
if excess > 0 then
  local forgotten = call('ZPOPMIN', P .. set, excess)
  S[floor_name] = max(S[floor_name], tonumber(forgotten[#forgotten]))
end

-- Those who follow read the history; its oldest entries go when there are too many, or when their
-- targets are too many in all.
call('RPUSH', P .. 'h', string.format('%d %s', targets, ARGV[5]))
S.logged = S.logged + targets
for _ = 1, TRIM do
  if call('LLEN', P .. 'h') <= remembered and S.logged <= 4 * remembered then break end
  S.logged = S.logged - tonumber(string.match(call('LPOP', P .. 'h'), '^%d+'))
end

if is_home then
  call('HSET', P .. 'r:' .. id, 'receipt', receipt, 'numbers', EPOCH .. ' ' .. S.number)
  if begins then
    made = tonumber(call('ZSCORE', P .. 'ri', id) or milliseconds)
  else
    made = milliseconds
    call('ZADD', P .. 'ri', made, id)
  end
  push('r', id, '', milliseconds)
else
  -- The home partition remembers the numbers for as long as the receipt; this is for the time until then.
  call('SET', P .. 'b:' .. id, S.number, 'EX', 3600)
end
save_state()
return { S.number, '', '', made }
