-- Forgets pages. ARGV from 2 on: their ids. Answers with how many were known.
--
-- A pair is removed from both sides at once where that takes one short step; in a tag of several
-- segments, nobody knows in which the page stands, so the pair is marked as forgotten and left to the
-- garbage collection.
local function detach(tag, page)
  if not tag then return true end
  local function others(id) return id ~= page end
  if tag.inline then
    tag.inline = filter_ids(tag.inline, others)
    if tag.inline == '' then tag_remove(tag) else tag_write(tag) end
    return true
  end
  if tag.first < tag.last then return false end
  local key = segment_key(tag.id, tag.last)
  local ids = filter_ids(call('GET', key) or '', others)
  if ids == '' then
    call('DEL', key)
    tag_remove(tag)
  else
    call('SET', key, ids)
  end
  return true
end

local forgotten = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local record = page_read(id)
  if record then
    local order, ends = page_pairs(record)
    local known, named = known_pairs(order, ends)
    if known > 0 then
      forgotten, S.pages, S.edges = forgotten + 1, S.pages - 1, S.edges - named
    end
    local left = {}
    for _, tag in ipairs(order) do
      if not detach(tag_read(tag), id) then left[#left + 1], ends[tag] = tag, 0 end
    end
    if #left == 0 then
      page_remove(id)
    else
      local origin, generation = struct.unpack('<I2I6', record)
      page_write(id, page_record(origin, generation, left, ends, page_path(record)))
    end
  end
end
if #ARGV > 1 then save_records() end
return forgotten
