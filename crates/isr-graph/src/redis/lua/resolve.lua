-- Some of a tag's pages. ARGV: 2 the tag's id, 3 its name, 4 the segment, 5 how many of its ids are
-- left to look at (-1 for all), 6 how many ids to look at in this call.
-- Answers with the next segment (-1 at the end), what is left of it, and the URLs.
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

-- The URL of a page whose pair with the tag has not ended.
local id, unpack_group = tag.id, struct.unpack
local function living_url(record)
  if byte(record, 9) == 1 then
    -- One group, as nearly all pages have: its end, the tags' ids, the path.
    local finish, count = unpack_group('<I4I1', record, GROUPS)
    local path_at = GROUPS + 5 + count * 8
    local found = finish > seconds and find(record, id, GROUPS + 5, true)
    if found and found < path_at and (found - GROUPS - 5) % 8 == 0 then
      return origin_text(byte(record, 1) + byte(record, 2) * 256) .. sub(record, path_at)
    end
  end
  local finish = pair_end(record, id)
  return finish and finish > seconds and page_url(record)
end

local urls, looked_at, cost = {}, 0, 0
while left > 0 and looked_at < limit and cost < PIECES_A_CALL do
  local record, pieces = read(PAGES, sub(ids, left * 8 - 7, left * 8))
  local url = record and living_url(record)
  if url then urls[#urls + 1] = url end
  left, looked_at, cost = left - 1, looked_at + 1, cost + pieces
end
if left > 0 then return { number, left, urls } end
if tag.inline or number >= tag.last then return { -1, -1, urls } end
return { number + 1, -1, urls }
