-- A page's record, under `p` and its id: origin's number (2 bytes), the newest bind's generation (6),
-- how many groups of tags (1); for each group the second in which its pairs end (4), how many tags (1),
-- their ids (8 each); and the path with its query. All numbers little-endian. Tags of one render end
-- together, so a page has one group unless it lost a tag or gained one.
--
-- Every page is bound to the tag without a name as well, whose id is zero: so the walk over all pages
-- is that over a tag, and pages without tags end like others.
--
-- A pair that ends in second 0 was forgotten by an unbind, but its id stands in a segment still.
local GROUPS = 10

local function page_key(id) return P .. 'p' .. id end
local function page_read(id) return call('GET', page_key(id)) end
local function page_write(id, record) call('SET', page_key(id), record) end
local function page_remove(id) call('DEL', page_key(id)) end

local function page_path(record)
  local at = GROUPS
  for _ = 1, byte(record, 9) do at = at + 5 + byte(record, at + 4) * 8 end
  return sub(record, at)
end

-- When the pair of this page and a tag ends; nil when there is none. Found by the fast plain search,
-- and believed only where an id begins.
local function pair_end(record, tag)
  local at = GROUPS
  for _ = 1, byte(record, 9) do
    local ids = at + 5
    local stop = ids + byte(record, at + 4) * 8
    local found = find(record, tag, ids, true)
    while found and found < stop do
      if (found - ids) % 8 == 0 then return (struct.unpack('<I4', record, at)) end
      found = find(record, tag, found + 1, true)
    end
    at = stop
  end
end

-- The tags' ids in order, and when each pair ends.
local function page_pairs(record)
  local order, ends, at = {}, {}, GROUPS
  for _ = 1, byte(record, 9) do
    local finish = struct.unpack('<I4', record, at)
    local ids = at + 5
    at = ids + byte(record, at + 4) * 8
    for i = ids, at - 8, 8 do
      local tag = sub(record, i, i + 7)
      order[#order + 1], ends[tag] = tag, finish
    end
  end
  return order, ends
end

local function page_record(origin, generation, order, ends, path)
  local groups, by_end = {}, {}
  for _, tag in ipairs(order) do
    local finish = ends[tag]
    local group = by_end[finish]
    if not group or #group == 255 then
      group = { finish = finish }
      by_end[finish], groups[#groups + 1] = group, group
    end
    group[#group + 1] = tag
  end
  -- More groups than one byte counts: the shorter lives become as long as the longest of all.
  if #groups > 255 then
    local longest = 0
    for _, group in ipairs(groups) do longest = max(longest, group.finish) end
    for _, tag in ipairs(order) do ends[tag] = longest end
    return page_record(origin, generation, order, ends, path)
  end
  local parts = { struct.pack('<I2I6I1', origin, generation, #groups) }
  for _, group in ipairs(groups) do
    parts[#parts + 1] = struct.pack('<I4I1', group.finish, #group)
    for _, tag in ipairs(group) do parts[#parts + 1] = tag end
  end
  parts[#parts + 1] = path
  return table.concat(parts)
end

-- How many pairs a page has that were not forgotten, not counting that with the nameless tag.
local NAMELESS = string.rep(char(0), 8)
local function known_pairs(order, ends)
  local known, named = 0, 0
  for _, tag in ipairs(order) do
    if ends[tag] > 0 then
      known = known + 1
      if tag ~= NAMELESS then named = named + 1 end
    end
  end
  return known, named
end

-- Origins by number and numbers by origin, in one hash: there are few.
local origins = {}
local function origin_number(origin)
  local known = origins[origin]
  if known then return known end
  local number = call('HGET', P .. 'o', origin)
  if not number then
    number = call('HLEN', P .. 'o') / 2
    call('HSET', P .. 'o', origin, number, '#' .. number, origin)
  end
  origins[origin] = tonumber(number)
  return origins[origin]
end

local function origin_text(number)
  local known = origins[number]
  if not known then
    known = call('HGET', P .. 'o', '#' .. number)
    origins[number] = known
  end
  return known
end

local function page_url(record)
  return origin_text(byte(record, 1) + byte(record, 2) * 256) .. page_path(record)
end
