-- Some of a tag's pages. ARGV: 2 the tag's id, 3 its name, 4 the segment, 5 how many of its ids are
-- left to look at (-1 for all), 6 how many ids to look at in this call.
-- Answers with the next segment (-1 at the end), what is left of it, and the paths of pages, each after
-- its origin when that is not the same as before.
--
-- A segment is walked from its end, and ids are only ever taken out of it or added behind it, so what
-- has not been looked at never moves to where it would be missed. Segments are walked upwards, and the
-- garbage collection moves ids into the last one only.
local EMPTY_SEGMENTS, PIECES_A_CALL = 64, 1024
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

-- Adds the page, unless its pair with the tag has ended.
local id, urls, origin_before = tag.id, {}, nil
local function add(record)
  local groups, a, b, c, d, count = byte(record, 9, 14)
  local path_at, finish = GROUPS + 5 + count * 8, nil
  local found = groups == 1 and find(record, id, GROUPS + 5, true)
  if found and found < path_at and (found - GROUPS - 5) % 8 == 0 then
    -- One group, as nearly all pages have.
    finish = a + b * 256 + c * 65536 + d * 16777216
  else
    finish, path_at = pair_end(record, id), #record + 1 - #page_path(record)
  end
  if not finish or finish <= seconds then return end
  local low, high = byte(record, 1, 2)
  local origin = low + high * 256
  if origin ~= origin_before then
    urls[#urls + 1], origin_before = origin_text(origin), origin
  end
  urls[#urls + 1] = sub(record, path_at)
end

local looked_at, cost = 0, 0
while left > 0 and looked_at < limit and cost < PIECES_A_CALL do
  local record, pieces = read(PAGES, sub(ids, left * 8 - 7, left * 8))
  if record then add(record) end
  left, looked_at, cost = left - 1, looked_at + 1, cost + pieces
end
if left > 0 then return { number, left, urls } end
if tag.inline or number >= tag.last then return { -1, -1, urls } end
return { number + 1, -1, urls }
