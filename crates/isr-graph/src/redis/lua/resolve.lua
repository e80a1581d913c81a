-- Some of a tag's pages. ARGV: 2 the tag's id, 3 its name, 4 the segment, 5 how many of its ids are
-- left to look at (-1 for all), 6 how many ids to look at in this call, 7 what a URL must begin with.
-- Answers with the next segment (-1 at the end), what is left of it, and the paths of pages, each after
-- its origin when that is not the same as before.
--
-- A segment is walked from its end, and ids are only ever taken out of it or added behind it, so what
-- has not been looked at never moves to where it would be missed. Segments are walked upwards, and the
-- garbage collection moves ids into the last one only.
local EMPTY_SEGMENTS, SLICE, BYTES_A_CALL = 64, 64, 262144
local prefix = ARGV[7]
local tag = tag_read(ARGV[2])
if not tag or tag.name ~= ARGV[3] then return { -1, -1, {} } end

local number, left, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local ids = tag.inline
if ids then
  left, limit = #ids / 8, #ids / 8
else
  if number < tag.first then number, left = tag.first, -1 end
  for _ = 1, EMPTY_SEGMENTS do
    ids = call('GET', segment_key(tag.id, number)) or ''
    if ids ~= '' or number >= tag.last then break end
    number, left = number + 1, -1
  end
  left = left < 0 and #ids / 8 or min(left, #ids / 8)
end

local id, paths, origin_before = tag.id, {}, nil
local function add(origin, path)
  if prefix ~= '' and sub(origin_text(origin) .. path, 1, #prefix) ~= prefix then return end
  if origin ~= origin_before then
    paths[#paths + 1], origin_before = origin_text(origin), origin
  end
  paths[#paths + 1] = path
end

-- Adds a page, unless its pair with the tag has ended. Nearly all records have one group.
local function look_at(record)
  local low, high, _, _, _, _, _, _, groups, a, b, c, d, count = byte(record, 1, 14)
  if groups == 1 then
    local path_at = 15 + count * 8
    local found = find(record, id, 15, true)
    if found and found < path_at and (found - 15) % 8 == 0 then
      if a + b * 256 + c * 65536 + d * 16777216 > seconds then
        add(low + high * 256, sub(record, path_at))
      end
      return
    end
  end
  local finish = pair_end(record, id)
  if finish and finish > seconds then add(low + high * 256, page_path(record)) end
end

local looked_at, bytes = 0, 0
while left > 0 and looked_at < limit and bytes < BYTES_A_CALL do
  local keys, count = {}, min(left, limit - looked_at, SLICE)
  for i = 1, count do
    keys[i] = page_key(sub(ids, (left - i) * 8 + 1, (left - i) * 8 + 8))
  end
  for _, record in ipairs(call('MGET', unpack(keys))) do
    if record then
      look_at(record)
      bytes = bytes + #record
    end
  end
  left, looked_at = left - count, looked_at + count
end
if left > 0 then return { number, left, paths } end
if tag.inline or number >= tag.last then return { -1, -1, paths } end
return { number + 1, -1, paths }
