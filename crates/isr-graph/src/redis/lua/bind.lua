-- Binds pages to tags. ARGV from 2 on, for each page: its id and its path; its origin; the number
-- of the response's generation, -1 when it is of another history; for how many seconds a copy may be
-- kept; to how many seconds that may be rounded up; how many tags; each tag's id and name.
-- Answers with the current number, and one letter a page: b bound, s superseded softly, h superseded
-- hard, c not done because two names share an id.
local known_tags, extended, order_of_tags = {}, {}, {}

local function tag_for(id, name)
  local tag = known_tags[id]
  if tag == nil then
    tag = tag_read(id) or { id = id, pieces = 0, name = name, inline = '', new = true }
    known_tags[id] = tag
  end
  return tag.name == name and tag
end

local function attach(id, page)
  local tag, list = known_tags[id], extended[id]
  if tag.new then
    tag.new = false
    if tag.name ~= '' then S.tags = S.tags + 1 end
  end
  if not list then
    list = {}
    extended[id], order_of_tags[#order_of_tags + 1] = list, id
  end
  list[#list + 1] = page
end

local function new_page(bind, finish)
  local order, ends = bind.tags, {}
  for _, tag in ipairs(order) do
    ends[tag] = finish
    attach(tag, bind.id)
  end
  S.pages, S.edges = S.pages + 1, S.edges + bind.named
  local generation = max(bind.number, 0)
  write(PAGES, bind.id, page_record(origin_number(bind.origin), generation, order, ends, bind.path), 0)
end

local function known_page(bind, finish, record, pieces)
  local order, ends = page_pairs(record)
  local known_before, named_before = known_pairs(order, ends)
  local generation = struct.unpack('<I6', record, 3)
  local changed = bind.number > generation
  for _, tag in ipairs(bind.tags) do
    local before = ends[tag]
    if not before then
      attach(tag, bind.id)
      order[#order + 1] = tag
    end
    if not before or before < finish then ends[tag], changed = finish, true end
  end
  if not changed then return end
  local known, named = known_pairs(order, ends)
  if known_before == 0 and known > 0 then S.pages = S.pages + 1 end
  S.edges = S.edges + named - named_before
  local origin = origin_number(bind.origin)
  PAGES.changed = true
  write(PAGES, bind.id, page_record(origin, max(generation, bind.number), order, ends, bind.path), pieces)
end

-- False when an id stands for something else already; nothing has been written then.
local function add_tags(bind, finish)
  local record, pieces = read(PAGES, bind.id)
  if record and page_url(record) ~= bind.origin .. bind.path then return false end
  for i, id in ipairs(bind.tags) do
    if not (record and pair_end(record, id)) and not tag_for(id, bind.names[i]) then return false end
  end
  if record then known_page(bind, finish, record, pieces) else new_page(bind, finish) end
  return true
end

local results, at = {}, 2
while at <= #ARGV do
  local head, count = ARGV[at], tonumber(ARGV[at + 5])
  local bind = {
    id = sub(head, 1, 8), path = sub(head, 9), origin = ARGV[at + 1], number = tonumber(ARGV[at + 2]),
    tags = {}, names = {}, named = count,
  }
  local lifetime, step = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  for i = 1, count do
    local tag = ARGV[at + 5 + i]
    bind.tags[i], bind.names[i] = sub(tag, 1, 8), sub(tag, 9)
  end
  if count == 0 then bind.tags[1], bind.names[1] = NAMELESS, '' end
  at = at + 6 + count
  -- Rounded up, so that binding again soon changes nothing and writes nothing.
  local finish = lifetime == 0 and seconds or ceil((seconds + 1 + lifetime) / step) * step
  if not add_tags(bind, min(finish, 4294967295)) then
    results[#results + 1] = 'c'
  else
    local verdict = judge(bind)
    if verdict ~= 'b' then
      local work = { epoch = EPOCH, number = S.number, oldest = S.number, reason = 's' }
      push('p', bind.origin .. bind.path, work_write(work), milliseconds)
    end
    results[#results + 1] = verdict
  end
end
local changed = PAGES.changed or #order_of_tags > 0
for _, id in ipairs(order_of_tags) do tag_extend(known_tags[id], table.concat(extended[id])) end
if changed then save_records() end
return { S.number, table.concat(results) }
