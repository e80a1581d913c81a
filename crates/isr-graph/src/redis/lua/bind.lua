-- Binds pages to tags. ARGV from 2 on, for each page: its id and its path; its origin; packed in one
-- string the number of the response's generation (6 bytes, all ones when it is of another history),
-- for how many seconds a copy may be kept (4), to how many seconds that may be rounded up (4), how many
-- tags there are and how many of them have a name (2 each), and the tags' ids; then each tag's name.
-- Answers with the current number, and one letter a page: b bound, s superseded softly, h superseded
-- hard, c not done because two names share an id.
local known_tags, extended = {}, {}

-- Notes that a page joins a tag. What joins is written once for all pages of the call.
local function attach(id, page)
  local tag = known_tags[id]
  if tag.joining then
    tag.joining = tag.joining .. page
    return
  end
  if tag.pieces == 0 and tag.name ~= '' then S.tags = S.tags + 1 end
  tag.joining, extended[#extended + 1] = page, tag
end

-- False when the id stands for another name.
local function find_tag(id, name)
  local tag = known_tags[id]
  if not tag then
    tag = tag_read(id) or { id = id, pieces = 0, name = name, inline = '' }
    known_tags[id] = tag
  end
  return tag.name == name
end

local function change_page(bind, record, pieces, finish)
  local order, ends = page_pairs(record)
  local known_before, named_before = known_pairs(order, ends)
  local generation = struct.unpack('<I6', record, 3)
  local changed = bind.number > generation
  for at = 1, #bind.ids, 8 do
    local id = sub(bind.ids, at, at + 7)
    local before = ends[id]
    if not before then
      attach(id, bind.id)
      order[#order + 1] = id
    end
    if not before or before < finish then ends[id], changed = finish, true end
  end
  if not changed then return end
  local _, named = known_pairs(order, ends)
  if known_before == 0 then S.pages = S.pages + 1 end
  S.edges = S.edges + named - named_before
  PAGES.changed = true
  generation = max(generation, bind.number)
  write(PAGES, bind.id, page_record(bind.origin, generation, order, ends, bind.path), pieces)
end

-- The most common cases are told by comparing strings; all others are for `change_page`. False when
-- an id stands for something else already; nothing has been written then.
local function add_tags(id, path, origin, number, finish, ids, named, first_name)
  local record, pieces = read(PAGES, id)
  local count = #ids / 8
  local origin_at = origin_number(origin)
  if number < 0 then number = 0 end
  if record then
    local same = sub(record, 9) == struct.pack('<I1I4I1', 1, finish, count) .. ids .. path
    if same and origin_at == struct.unpack('<I2', record) and number <= struct.unpack('<I6', record, 3) then
      return true
    end
    if page_url(record) ~= origin .. path then return false end
  end
  for i = 1, count do
    local tag = sub(ids, i * 8 - 7, i * 8)
    if not (record and pair_end(record, tag)) and not find_tag(tag, ARGV[first_name + i]) then
      return false
    end
  end
  if record or count > 255 then
    record = record or page_record(origin_at, number, {}, {}, path)
    local bind = { id = id, path = path, origin = origin_at, number = number, ids = ids }
    change_page(bind, record, pieces, finish)
    return true
  end
  for i = 1, #ids, 8 do attach(sub(ids, i, i + 7), id) end
  S.pages, S.edges = S.pages + 1, S.edges + named
  write(PAGES, id, struct.pack('<I2I6I1I4I1', origin_at, number, 1, finish, count) .. ids .. path, 0)
  return true
end

local OTHER_HISTORY = 281474976710655
local results, at, last = {}, 2, #ARGV
while at <= last do
  local head, origin, packed_bind = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local number, lifetime, step, count, named, ids_at = struct.unpack('<I6I4I4I2I2', packed_bind)
  local id, path, ids = sub(head, 1, 8), sub(head, 9), sub(packed_bind, ids_at)
  if number == OTHER_HISTORY then number = -1 end
  -- Rounded up, so that binding again soon changes nothing and writes nothing.
  local finish = seconds
  if lifetime > 0 then finish = ceil((seconds + 1 + lifetime) / step) * step end
  if finish > 4294967295 then finish = 4294967295 end
  local result = 'b'
  if not add_tags(id, path, origin, number, finish, ids, named, at + 2) then
    result = 'c'
  elseif number ~= S.number then
    local names = {}
    for i = 1, named do names[i] = ARGV[at + 2 + i] end
    result = judge(origin, path, number, names)
    if result ~= 'b' then queue_superseded(origin .. path) end
  end
  results[#results + 1] = result
  at = at + 3 + count
end
if #extended > 0 or PAGES.changed then
  for i = 1, #extended do tag_extend(extended[i], extended[i].joining) end
  save_records()
end
return { S.number, table.concat(results) }
