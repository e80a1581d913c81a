-- A tag's record: its kind (1 byte), how long its name is (2), its name; then, of kind 0, the ids of
-- its pages, at most INLINE of them; of kind 1, the number of its first and of its last segment, and
-- how many ids are in all but the last (4 each). A segment is a string of page ids. Only the last one grows, and a page's own record tells
-- whether it stands in some segment, so that a bind never searches any.
local INLINE, SEGMENT = 4 * 8, 192 * 8
local CANDIDATES = 64

local function segment_key(id, number)
  return P .. 's' .. id .. number
end

local function tag_read(id)
  local record, pieces = read(TAGS, id)
  if not record then return nil end
  local rest = 4 + byte(record, 2) + byte(record, 3) * 256
  local tag = { id = id, pieces = pieces, name = sub(record, 4, rest - 1) }
  if byte(record, 1) == 0 then
    tag.inline = sub(record, rest)
  else
    tag.first, tag.last, tag.closed = struct.unpack('<I4I4I4', record, rest)
  end
  return tag
end

local function tag_write(tag)
  local rest = tag.inline or struct.pack('<I4I4I4', tag.first, tag.last, tag.closed)
  local head = struct.pack('<I1I2', tag.inline and 0 or 1, #tag.name)
  tag.pieces = write(TAGS, tag.id, head .. tag.name .. rest, tag.pieces)
end

local function tag_remove(tag)
  remove_pieces(TAGS, tag.id, 1, tag.pieces)
  if tag.name ~= '' then
    S.tags = S.tags - 1
    if call('ZREM', P .. 'x', tag.id) == 1 then S.least = 0 end
  end
end

-- Tags with many pages are candidates for the statistics, which count the pages of each again. A
-- tag is offered when its size has grown by about a tenth, so that most binds offer nothing.
-- `S.least` is the size of the smallest candidate once there are enough.
local function offer(tag, before, after)
  if after <= S.least or tag.name == '' then return end
  local function step(n) return n == 0 and -1 or floor(8 * math.log(n)) end
  if step(before) == step(after) then return end
  call('ZADD', P .. 'x', after, tag.id)
  local count = call('ZCARD', P .. 'x')
  if count > CANDIDATES then call('ZPOPMIN', P .. 'x') end
  if count >= CANDIDATES then
    S.least = tonumber(call('ZRANGE', P .. 'x', 0, 0, 'WITHSCORES')[2])
  end
end

-- Adds the ids of pages that are not among the tag's yet.
local function tag_extend(tag, ids)
  if tag.inline then
    local before = #tag.inline
    tag.inline = tag.inline .. ids
    offer(tag, before / 8, #tag.inline / 8)
    if #tag.inline <= INLINE then return tag_write(tag) end
    ids, tag.inline, tag.first, tag.last, tag.closed = tag.inline, nil, 0, 0, 0
    call('SET', segment_key(tag.id, 0), ids)
    return tag_write(tag)
  end
  local key = segment_key(tag.id, tag.last)
  local length = call('APPEND', key, ids)
  local size = tag.closed + length / 8
  offer(tag, size - #ids / 8, size)
  if length >= SEGMENT then
    -- Written anew, a string loses the room that Redis gave it to grow.
    call('SET', key, call('GET', key))
    tag.last, tag.closed = tag.last + 1, size
    tag_write(tag)
  end
end

local function tag_size(tag)
  if tag.inline then return #tag.inline / 8 end
  return tag.closed + call('STRLEN', segment_key(tag.id, tag.last)) / 8
end

-- `ids` without those for which `keep` says no.
local function filter_ids(ids, keep)
  local kept = {}
  for at = 1, #ids, 8 do
    local id = sub(ids, at, at + 7)
    if keep(id) then kept[#kept + 1] = id end
  end
  return table.concat(kept)
end
