-- Begins every script. KEYS[1] is `<prefix>c`, the numbers of one partition; every other key of the
-- partition begins with the same prefix, and so lies in the same slot. ARGV[1] is the epoch that the
-- caller knows, and the beginning of the lineage of the server's data: whatever it computed from another
-- history's salt would be wrong here, and a server of another lineage has to be looked at first.
local call, byte, char, sub, find = redis.call, string.byte, string.char, string.sub, string.find
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local P = sub(KEYS[1], 1, -2)
local EPOCH = sub(ARGV[1], 1, 16)

-- While a cluster moves the slot, keys that are elsewhere already would be taken for missing. In a command
-- with two keys that nobody ever has, both the server they come from and the one they go to say so.
if type(redis.pcall('EXISTS', P .. '!', P .. '!!')) == 'table' then
  return redis.error_reply('TRYAGAIN the slot is being moved')
end

-- A server takes another lineage when it starts, and when it takes the place of another; one that has become a
-- replica would go on answering from what it had.
local replication = call('INFO', 'replication')
if not find(replication, 'role:master', 1, true) then
  return redis.error_reply('READONLY the server has become a replica')
end
if not find(replication, 'master_replid:' .. sub(ARGV[1], 17), 1, true) then
  return redis.error_reply('ISREPOCH the server is another one')
end

-- Fourteen numbers in one string: one read and one write a script, where a hash would cost a search
-- for each of them.
local FORMAT = '<dddddddddddddd'
local packed = call('GET', KEYS[1])
if not packed or sub(packed, 1, 24) ~= ARGV[1] then
  return redis.error_reply('ISREPOCH the store has another history')
end
local S = {}
S.number, S.stale_floor, S.expired_floor, S.widest, S.logged,
  S.tag_buckets, S.tag_fields,
  S.pages, S.tags, S.edges, S.token, S.gc_bucket, S.gc_segment, S.least = struct.unpack(FORMAT, packed, 25)

local function save_state()
  call('SET', KEYS[1], ARGV[1] .. struct.pack(FORMAT,
    S.number, S.stale_floor, S.expired_floor, S.widest, S.logged,
    S.tag_buckets, S.tag_fields,
    S.pages, S.tags, S.edges, S.token, S.gc_bucket, S.gc_segment, S.least))
end

-- The store's clock, which alone decides what is due, alive or ended.
local time = call('TIME')
local seconds = tonumber(time[1])
local milliseconds = seconds * 1000 + floor(tonumber(time[2]) / 1000)
