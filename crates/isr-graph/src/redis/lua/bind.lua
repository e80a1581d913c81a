-- Binds pages to tags. ARGV from 2 on holds one string for each page: the number of the response's
-- generation (6 bytes, all ones when it is of another history), for how many seconds a copy may be kept
-- (4), to how many seconds that may be rounded up (4), how long the origin is (2; 0 when it is that of
-- the page before), how long the path is, how many tags there are, and how many of them have a name (2
-- each); the page's id, its origin, its path, and the tags' ids; then of each tag how long its name is
-- (2), its id and its name.
-- Answers with the current number, and one letter a page: b bound, s superseded softly, h superseded
-- hard, c not done because two names share an id.

-- Of each tag that was met in this call, by its id and name, `true` when it was new, else the tag; and
-- the tags that pages join, which are written once for all pages of the call.
local met, extended = {}, {}

-- The pages' records by their ids, all read at once, and whether the numbers have changed.
local known_pages, save = {}, false
local function put(id, record)
  known_pages[id] = record
  page_write(id, record)
end

-- Adds a page to a tag, given by its id and name; false when the id stands for another name.
local function attach(id_and_name, page)
  local tag = met[id_and_name]
  if tag == nil then
    local id, name = sub(id_and_name, 1, 8), sub(id_and_name, 9)
    if insert(TAGS, id, struct.pack('<I1I2', 0, #name) .. name .. page) then
      met[id_and_name] = true
      if name ~= '' then S.tags = S.tags + 1 end
      if S.least < 1 then offer({ id = id, name = name }, 0, 1) end
      return true
    end
  end
  if tag == nil or tag == true then
    tag = tag_read(sub(id_and_name, 1, 8))
    if tag.name ~= sub(id_and_name, 9) then return false end
    met[id_and_name] = tag
  end
  local joining = tag.joining
  if joining then
    joining[#joining + 1] = page
  else
    tag.joining, extended[#extended + 1] = { page }, tag
  end
  return true
end

-- The tags behind `at`, each as its id and name.
local function tags_at(bind, at, count)
  local tags = {}
  for i = 1, count do
    local low, high = byte(bind, at, at + 1)
    local stop = at + 9 + low + high * 256
    tags[i] = sub(bind, at + 2, stop)
    at = stop + 1
  end
  return tags
end

-- Adds tags to a page that is known, or has more tags than fit one group. False when an id stands for
-- something else.
local function change_page(bind, record, finish)
  local order, ends = page_pairs(record)
  local known_before, named_before = known_pairs(order, ends)
  local generation = struct.unpack('<I6', record, 3)
  local changed = bind.number > generation
  for _, tag in ipairs(bind.tags) do
    local id = sub(tag, 1, 8)
    local before = ends[id]
    if not before then
      if not attach(tag, bind.id) then return false end
      order[#order + 1] = id
    end
    if not before or before < finish then ends[id], changed = finish, true end
  end
  if not changed then return true end
  local _, named = known_pairs(order, ends)
  if known_before == 0 then S.pages = S.pages + 1 end
  S.edges = S.edges + named - named_before
  save, generation = true, max(generation, bind.number)
  put(bind.id, page_record(bind.origin, generation, order, ends, bind.path))
  return true
end

-- The most common cases, a new page and an unchanged one, are told by one comparison; all others are
-- for `change_page`. False when an id stands for something else.
local function add_tags(id, path, origin, number, finish, ids, named, text, tags_from)
  local count, origin_at = #ids / 8, origin_number(origin)
  if number < 0 then number = 0 end
  local record = known_pages[id]
  local body = struct.pack('<I1I4I1', 1, finish, count) .. ids .. path
  if record then
    local known_origin, known_number = struct.unpack('<I2I6', record)
    if sub(record, 9) == body and known_origin == origin_at and number <= known_number then return true end
    if page_url(record) ~= origin .. path then return false end
  end
  local tags = tags_at(text, tags_from, count)
  if record or count > 255 then
    record = record or page_record(origin_at, number, {}, {}, path)
    local bind = { id = id, path = path, origin = origin_at, number = number, tags = tags }
    return change_page(bind, record, finish)
  end
  for i = 1, count do
    -- Where the page has joined some tags already, the garbage collection finds that it is not there.
    if not attach(tags[i], id) then return false end
  end
  save, S.pages, S.edges = true, S.pages + 1, S.edges + named
  put(id, struct.pack('<I2I6', origin_at, number) .. body)
  return true
end

local OTHER_HISTORY = 281474976710655
local HEAD = '<I6I4I4I2I2I2I2'
local ID_AT = 23
local function read_pages()
  local ids, keys = {}, {}
  for at = 2, #ARGV do
    local id = sub(ARGV[at], ID_AT, ID_AT + 7)
    ids[at - 1], keys[at - 1] = id, page_key(id)
  end
  for i, record in ipairs(call('MGET', unpack(keys))) do known_pages[ids[i]] = record end
end

local results, origin = {}, nil
if #ARGV > 1 then read_pages() end
for at = 2, #ARGV do
  local text = ARGV[at]
  local number, lifetime, step, origin_length, path_length, count, named = struct.unpack(HEAD, text)
  local path_at = ID_AT + 8 + origin_length
  local ids_at = path_at + path_length
  local tags_from = ids_at + count * 8
  local id, path = sub(text, ID_AT, ID_AT + 7), sub(text, path_at, ids_at - 1)
  local ids = sub(text, ids_at, tags_from - 1)
  if origin_length > 0 then origin = sub(text, ID_AT + 8, path_at - 1) end
  -- A number that was never given out is of no history that is known here.
  if number == OTHER_HISTORY or number > S.number then number = -1 end
  -- Rounded up, so that binding again soon changes nothing and writes nothing.
  local finish = seconds
  if lifetime > 0 then finish = ceil((seconds + 1 + lifetime) / step) * step end
  if finish > 4294967295 then finish = 4294967295 end
  local result = 'b'
  if not add_tags(id, path, origin, number, finish, ids, named, text, tags_from) then
    result = 'c'
  elseif number ~= S.number then
    result = judge(origin, path, number, tags_at(text, tags_from, named))
    if result ~= 'b' then queue_superseded(origin .. path) end
  end
  results[at - 1] = result
end
for i = 1, #extended do tag_extend(extended[i], table.concat(extended[i].joining)) end
if save or TAGS.changed then save_records() end
return { S.number, table.concat(results) }
