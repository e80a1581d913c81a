-- The tags' records by their ids of eight bytes, in hashes small enough that Redis keeps them as one packed block
-- each (a listpack). A hash has about FILL fields; the number of hashes grows one split at a time
-- (linear hashing), so no call ever has to move more than one of them.
--
-- Redis gives a hash up to its slower and larger form when a value has more than 64 bytes, so a
-- longer record is cut in pieces: the first, under the id, begins with the number of pieces, and the
-- others are under the id and their number.
local FILL, PIECE, PIECES = 40, 63, 254

local function records(letter, buckets, fields)
  local wide = 256
  while wide < buckets do wide = wide * 2 end
  return {
    prefix = P .. letter, buckets = buckets, fields = fields, wide = wide, heads = {}, changed = false,
  }
end

-- A bucket's key ends in the three bytes of its number, the lowest last: to write a number as text
-- would take longer than to read a record. `high` is the number without its lowest byte; there are so
-- few of them that what goes before the last byte is made once for many records.
local function key_head(t, high)
  local head = t.heads[high]
  if not head then
    local middle = high % 256
    head = t.prefix .. char((high - middle) / 256, middle)
    t.heads[high] = head
  end
  return head
end

local function bucket_key(t, at)
  local low = at % 256
  return key_head(t, (at - low) / 256) .. char(low)
end

-- A record's place is the number of its id's first four bytes, modulo `wide`, or half of `wide` less
-- when there is no such bucket yet. The lowest byte is that of the id in any case.
local function bucket_of(t, id)
  if id == t.last_id then return t.last_key end
  local a, b, c, d = byte(id, 1, 4)
  local high = (b + c * 256 + d * 65536) % (t.wide / 256)
  if high * 256 + a >= t.buckets then high = high - t.wide / 512 end
  local key = (t.heads[high] or key_head(t, high)) .. sub(id, 1, 1)
  t.last_id, t.last_key = id, key
  return key
end

local function hash(id)
  local a, b, c, d = byte(id, 1, 4)
  return a + b * 256 + c * 65536 + d * 16777216
end

-- The record and how many pieces it has; nil when there is none.
local function read(t, id)
  local key = bucket_of(t, id)
  local head = call('HGET', key, id)
  if not head then return nil, 0 end
  local pieces = byte(head, 1)
  if pieces == 1 then return sub(head, 2), 1 end
  local fields = {}
  for i = 2, pieces do fields[i - 1] = id .. char(i) end
  return sub(head, 2) .. table.concat(call('HMGET', key, unpack(fields))), pieces
end

local function remove_pieces(t, id, from, to)
  local key = bucket_of(t, id)
  for i = from, to do call('HDEL', key, i == 1 and id or id .. char(i)) end
  t.fields, t.changed = t.fields - (to - from + 1), true
end

-- Writes a record that has had `before` pieces so far, and says how many it has now.
local function write(t, id, record, before)
  local pieces = 1
  if #record <= PIECE then
    call('HSET', bucket_of(t, id), id, char(1) .. record)
  else
    local size = max(PIECE, ceil(#record / PIECES))
    pieces = ceil(#record / size)
    local list = { id, char(pieces) .. sub(record, 1, size) }
    for i = 2, pieces do
      list[#list + 1] = id .. char(i)
      list[#list + 1] = sub(record, (i - 1) * size + 1, i * size)
    end
    call('HSET', bucket_of(t, id), unpack(list))
  end
  if pieces > before then
    t.fields, t.changed = t.fields + pieces - before, true
  elseif pieces < before then
    remove_pieces(t, id, pieces + 1, before)
  end
  return pieces
end

-- Writes a record unless there is one, in one step less than `read` and `write`. Says how many pieces
-- it has now; nil when there was one.
local function insert(t, id, record)
  if #record > PIECE then
    if call('HEXISTS', bucket_of(t, id), id) == 1 then return nil end
    return write(t, id, record, 0)
  end
  if call('HSETNX', bucket_of(t, id), id, char(1) .. record) == 0 then return nil end
  t.fields, t.changed = t.fields + 1, true
  return 1
end

local function split(t)
  if t.buckets == t.wide then t.wide = t.wide * 2 end
  local from, to = t.buckets - t.wide / 2, t.buckets
  local source, target = bucket_key(t, from), bucket_key(t, to)
  local all, moved, gone = call('HGETALL', source), {}, {}
  for i = 1, #all, 2 do
    if hash(all[i]) % t.wide == to then
      moved[#moved + 1], moved[#moved + 2], gone[#gone + 1] = all[i], all[i + 1], all[i]
    end
  end
  -- Lua passes some thousands of arguments at most.
  for i = 1, #gone, 500 do
    call('HSET', target, unpack(moved, 2 * i - 1, min(2 * i + 998, #moved)))
    call('HDEL', source, unpack(gone, i, min(i + 499, #gone)))
  end
  t.buckets = to + 1
end

-- Called last, when no key of a bucket is remembered any more. What one call leaves to be split is
-- split by those that follow.
local function grow(t)
  for _ = 1, 8 do
    if t.fields <= t.buckets * FILL then return end
    split(t)
    t.last_id = nil
  end
end

local TAGS = records('t', S.tag_buckets, S.tag_fields)

local function save_records()
  grow(TAGS)
  S.tag_buckets, S.tag_fields = TAGS.buckets, TAGS.fields
  save_state()
end
