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

local urls, looked_at, cost = {}, 0, 0
while left > 0 and looked_at < limit and cost < PIECES_A_CALL do
  local record, pieces = read(PAGES, sub(ids, left * 8 - 7, left * 8))
  local finish = record and pair_end(record, tag.id)
  if finish and finish > seconds then urls[#urls + 1] = page_url(record) end
  left, looked_at, cost = left - 1, looked_at + 1, cost + pieces
end
if left > 0 then return { number, left, urls } end
if tag.inline or number >= tag.last then return { -1, -1, urls } end
return { number + 1, -1, urls }
