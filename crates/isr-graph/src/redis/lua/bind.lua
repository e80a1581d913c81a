-- Binds pages to tags. ARGV from 2 on, for each page: its id and its path; its origin, empty when it is
-- that of the page before; packed in one string the number of the response's generation (6 bytes, all
-- ones when it is of another history), for how many seconds a copy may be kept (4), to how many seconds
-- that may be rounded up (4), how many tags there are and how many of them have a name (2 each), and
-- the tags' ids; then each tag's name.
-- Answers with the current number, and one letter a page: b bound, s superseded softly, h superseded
-- hard, c not done because two names share an id.

-- Of each tag's id that was met in this call the name when it was new, else the tag; and the tags that
-- pages join, which are written once for all pages of the call.
local met, extended = {}, {}

-- Adds a page to a tag; false when the id stands for another name.
local function attach(id, name, page)
  local tag = met[id]
  if not tag then
    if insert(TAGS, id, struct.pack('<I1I2', 0, #name) .. name .. page) then
      met[id] = name
      if name ~= '' then S.tags = S.tags + 1 end
      if S.least < 1 then offer({ id = id, name = name }, 0, 1) end
      return true
    end
    tag = tag_read(id)
    met[id] = tag
  elseif type(tag) == 'string' then
    if tag ~= name then return false end
    tag = tag_read(id)
    met[id] = tag
  end
  if tag.name ~= name then return false end
  if tag.joining then
    tag.joining = tag.joining .. page
  else
    tag.joining, extended[#extended + 1] = page, tag
  end
  return true
end

-- Adds tags to a page that is known, or has more tags than fit one group. False when an id stands for
-- something else.
local function change_page(bind, record, pieces, finish, first_name)
  local order, ends = page_pairs(record)
  local known_before, named_before = known_pairs(order, ends)
  local generation = struct.unpack('<I6', record, 3)
  local changed = bind.number > generation
  for i = 1, #bind.ids / 8 do
    local id = sub(bind.ids, i * 8 - 7, i * 8)
    local before = ends[id]
    if not before then
      if not attach(id, ARGV[first_name + i], bind.id) then return false end
      order[#order + 1] = id
    end
    if not before or before < finish then ends[id], changed = finish, true end
  end
  if not changed then return true end
  local _, named = known_pairs(order, ends)
  if known_before == 0 then S.pages = S.pages + 1 end
  S.edges = S.edges + named - named_before
  PAGES.changed = true
  generation = max(generation, bind.number)
  write(PAGES, bind.id, page_record(bind.origin, generation, order, ends, bind.path), pieces)
  return true
end

-- The most common cases, a new page and an unchanged one, are told by one command and one comparison;
-- all others are for `change_page`. False when an id stands for something else.
local function add_tags(id, path, origin, number, finish, ids, named, first_name)
  local count, origin_at = #ids / 8, origin_number(origin)
  if number < 0 then number = 0 end
  local body = struct.pack('<I1I4I1', 1, finish, count) .. ids .. path
  if count < 256 then
    local pieces = insert(PAGES, id, struct.pack('<I2I6', origin_at, number) .. body)
    if pieces then
      for i = 1, count do
        if not attach(sub(ids, i * 8 - 7, i * 8), ARGV[first_name + i], id) then
          -- Where the page has joined already, the garbage collection finds that it is not there.
          remove_pieces(PAGES, id, 1, pieces)
          return false
        end
      end
      S.pages, S.edges = S.pages + 1, S.edges + named
      return true
    end
  end
  local record, pieces = read(PAGES, id)
  if record then
    local known_origin, known_number = struct.unpack('<I2I6', record)
    if sub(record, 9) == body and known_origin == origin_at and number <= known_number then return true end
    if page_url(record) ~= origin .. path then return false end
  else
    record = page_record(origin_at, number, {}, {}, path)
  end
  local bind = { id = id, path = path, origin = origin_at, number = number, ids = ids }
  return change_page(bind, record, pieces, finish, first_name)
end

local OTHER_HISTORY = 281474976710655
local results, at, last, origin = {}, 2, #ARGV, nil
while at <= last do
  local head, packed_bind = ARGV[at], ARGV[at + 2]
  if ARGV[at + 1] ~= '' then origin = ARGV[at + 1] end
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
if #extended > 0 or PAGES.changed or TAGS.changed then
  for i = 1, #extended do tag_extend(extended[i], extended[i].joining) end
  save_records()
end
return { S.number, table.concat(results) }
