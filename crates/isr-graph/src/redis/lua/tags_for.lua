-- What a page is bound to. ARGV: 2 its id. Answers with nothing when it is not known; else with the
-- generation of its newest bind, and of each pair that has not ended the tag and its seconds to live.
local record = page_read(ARGV[2])
if not record then return false end
local order, ends = page_pairs(record)
if known_pairs(order, ends) == 0 then return false end
local bound = {}
for _, id in ipairs(order) do
  local tag = ends[id] > seconds and id ~= NAMELESS and tag_read(id)
  if tag then
    bound[#bound + 1] = { tag.name, ends[id] - seconds }
  end
end
local generation = struct.unpack('<I6', record, 3)
-- Under no generation of this history.
if generation < tonumber(call('HGET', P .. 'm', 'since') or 0) then generation = 0 end
return { generation, bound }
