-- Finds or makes one partition of a store. KEYS[1] is `<prefix>m`. ARGV: 1 the layout, 2 the number of
-- partitions, 3 the epoch and 4 the salt for a store that is new; of the server that has the partition, 5 the
-- process, 6 the lineage, and 7 what it keeps; 8 how many replicas have a change before it counts;
-- 9 'adopt' to bring a partition that has another epoch over to this one, 'renew' to begin this epoch where
-- the one in ARGV[10] was, or 'find'; 11 how a history that begins here comes to begin: 'new' or 'lost'.
-- Answers with layout, partitions, epoch and salt as they are stored.
local call = redis.call
local M = KEYS[1]
local P = string.sub(M, 1, -2)
local C = P .. 'c'
local epoch, mode = ARGV[3], ARGV[9]

local moving = redis.pcall('EXISTS', P .. '!', P .. '!!')
if type(moving) == 'table' then return redis.error_reply('TRYAGAIN the slot is being moved') end

if not string.find(call('INFO', 'replication'), 'master_replid:' .. ARGV[6], 1, true) then
  return redis.error_reply('ISREPOCH the server is another one')
end

local known = call('HMGET', M, 'layout', 'partitions', 'epoch', 'salt')
if not known[1] then
  call('HSET', M, 'layout', ARGV[1], 'partitions', ARGV[2], 'epoch', epoch, 'salt', ARGV[4], 'beginning', ARGV[11])
  known = { ARGV[1], ARGV[2], epoch, ARGV[4] }
elseif tonumber(known[1]) > tonumber(ARGV[1]) or known[2] ~= ARGV[2] then
  return known
end
if mode == 'adopt' or (mode == 'renew' and known[3] == ARGV[10]) then
  if known[3] ~= epoch then
    known[3] = epoch
    call('HSET', M, 'epoch', epoch, 'beginning', 'lost')
  end
end
local time = call('TIME')
call('HSET', M, 'run', ARGV[5], 'lineage', ARGV[6], 'keeps', ARGV[7], 'replicas', ARGV[8],
  'seen', time[1] * 1000 + math.floor(time[2] / 1000))

local stamp = known[3] .. string.sub(ARGV[6], 1, 8)
local numbers = call('GET', C)
if not numbers or string.sub(numbers, 1, 16) ~= known[3] then
  -- What was revalidated in another history says nothing in this one, and nobody waits for it any more.
  call('UNLINK', P .. 'gs', P .. 'ge', P .. 'h', P .. 'jp:now', P .. 'jp:again')
end
if not numbers then
  -- So many buckets of tags that most sites never split one; those without anything in them take no
  -- room. Everything else begins at 0.
  local buckets = 8192
  call('SET', C, stamp .. struct.pack('<dddddddddddddd', 0, 0, 0, 0, 0, buckets, 0, 0, 0, 0, 0, 0, 0, 0))
elseif string.sub(numbers, 1, 16) ~= known[3] then
  -- No page was bound under this number, so it tells those of this history from others.
  local since = struct.unpack('<d', numbers, 25) + 1
  call('SET', C, stamp .. struct.pack('<ddddd', since, 0, 0, 0, 0) .. string.sub(numbers, 65))
  call('HSET', M, 'since', since)
elseif string.sub(numbers, 1, 24) ~= stamp then
  call('SET', C, stamp .. string.sub(numbers, 25))
end
return known
