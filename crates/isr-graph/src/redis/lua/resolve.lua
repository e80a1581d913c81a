-- Some of a tag's pages. ARGV: 2 the tag's id, 3 its name, 4 the segment, 5 how many of its ids are
-- left to look at (-1 for all), 6 how many ids to look at in this call.
-- Answers with the next segment (-1 at the end), what is left of it, the second it is, and the ids of
-- pages. Whether their pairs with the tag have ended is told by the pages' records, which the caller
-- reads by plain commands: in Lua that would take most of the time.
--
-- A segment is walked from its end, and ids are only ever taken out of it or added behind it, so what
-- has not been looked at never moves to where it would be missed. Segments are walked upwards, and the
-- garbage collection moves ids into the last one only.
local EMPTY_SEGMENTS = 64
local tag = tag_read(ARGV[2])
if not tag or tag.name ~= ARGV[3] then return { -1, -1, seconds, '' } end

local number, left, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if tag.inline then return { -1, -1, seconds, tag.inline } end

local ids = ''
if number < tag.first then number, left = tag.first, -1 end
for _ = 1, EMPTY_SEGMENTS do
  ids = call('GET', segment_key(tag.id, number)) or ''
  if ids ~= '' or number >= tag.last then break end
  number, left = number + 1, -1
end
left = left < 0 and #ids / 8 or min(left, #ids / 8)
local from = max(0, left - limit)
ids = sub(ids, from * 8 + 1, left * 8)
if from > 0 then return { number, from, seconds, ids } end
if number >= tag.last then return { -1, -1, seconds, ids } end
return { number + 1, -1, seconds, ids }
