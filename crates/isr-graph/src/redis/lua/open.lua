-- Finds or makes one partition of a store. KEYS[1] is `<prefix>m`. ARGV: 1 the layout, 2 the number of
-- partitions, 3 the epoch and 4 the salt for a store that is new; 5 'adopt' to bring a partition that
-- has another epoch over to this one, 'renew' to begin this epoch where the one in ARGV[6] was.
-- Answers with layout, partitions, epoch and salt as they are stored, and 1 when the partition's
-- history begins here.
local call = redis.call
local M = KEYS[1]
local C = string.sub(M, 1, -2) .. 'c'
local epoch, mode = ARGV[3], ARGV[5]
local known = call('HMGET', M, 'layout', 'partitions', 'epoch', 'salt')
local begun = 0

if not known[1] then
  call('HSET', M, 'layout', ARGV[1], 'partitions', ARGV[2], 'epoch', epoch, 'salt', ARGV[4])
  known = { ARGV[1], ARGV[2], epoch, ARGV[4] }
elseif tonumber(known[1]) > tonumber(ARGV[1]) or known[2] ~= ARGV[2] then
  return { known[1], known[2], known[3], known[4], 0 }
end

local numbers = call('GET', C)
local lost = not numbers
if lost then
  -- So many buckets of tags that most sites never split one; those without anything in them take no
  -- room. Everything else begins at 0.
  local buckets = 8192
  numbers = known[3] .. struct.pack('<dddddddddddddd', 0, 0, 0, 0, 0, buckets, 0, 0, 0, 0, 0, 0, 0, 0)
  begun = 1
end
local take = mode == 'adopt' or (mode == 'renew' and known[3] == ARGV[6])
if take and known[3] ~= epoch then
  known[3] = epoch
  call('HSET', M, 'epoch', epoch)
end
if lost or string.sub(numbers, 1, 16) ~= known[3] then
  call('SET', C, known[3] .. string.sub(numbers, 17))
end
return { known[1], known[2], known[3], known[4], begun }
