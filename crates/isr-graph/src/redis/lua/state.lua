-- Begins every script. KEYS[1] is `<prefix>c`, the numbers of one partition; every other key of the
-- partition begins with the same prefix, and so lies in the same slot. ARGV[1] is the epoch that the
-- caller knows: whatever it computed from another history's salt would be wrong here.
local call, byte, char, sub, find = redis.call, string.byte, string.char, string.sub, string.find
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local P = sub(KEYS[1], 1, -2)
local EPOCH = ARGV[1]

-- Fourteen numbers in one string: one read and one write a script, where a hash would cost a search
-- for each of them.
local FORMAT = '<dddddddddddddd'
local packed = call('GET', KEYS[1])
if not packed or sub(packed, 1, 16) ~= EPOCH then
  return redis.error_reply('ISREPOCH the store has another history')
end
local S = {}
S.number, S.stale_floor, S.expired_floor, S.widest, S.logged,
  S.tag_buckets, S.tag_fields,
  S.pages, S.tags, S.edges, S.token, S.gc_bucket, S.gc_segment, S.least = struct.unpack(FORMAT, packed, 17)

local function save_state()
  call('SET', KEYS[1], EPOCH .. struct.pack(FORMAT,
    S.number, S.stale_floor, S.expired_floor, S.widest, S.logged,
    S.tag_buckets, S.tag_fields,
    S.pages, S.tags, S.edges, S.token, S.gc_bucket, S.gc_segment, S.least))
end

-- The store's clock, which alone decides what is due, alive or ended.
local time = call('TIME')
local seconds = tonumber(time[1])
local milliseconds = seconds * 1000 + floor(tonumber(time[2]) / 1000)
