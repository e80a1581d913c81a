-- One step of garbage collection: either a bucket of tags, with the pages of its small tags, or one
-- segment of a large tag. Answers with the pairs looked at, the pairs and pages removed, and 1 when
-- the walk has come to its end. `q` holds the ids of large tags found in the bucket.
local EMPTY_BUCKETS, SPARSE = 1024, SEGMENT / 4
local looked_at, pairs_gone, pages_gone = 0, 0, 0

-- Whether the pair lives on; takes an ended one out of the page's record, and removes a page
-- without pairs.
local function keep(tag)
  return function(page)
    looked_at = looked_at + 1
    local record = page_read(page)
    local finish = record and pair_end(record, tag)
    if not finish then return false end
    if finish > seconds then return true end
    local order, ends = page_pairs(record)
    local left, known_before = {}, known_pairs(order, ends)
    for _, id in ipairs(order) do
      if id ~= tag then left[#left + 1] = id end
    end
    if finish > 0 and tag ~= NAMELESS then S.edges, pairs_gone = S.edges - 1, pairs_gone + 1 end
    if known_before > 0 and known_pairs(left, ends) == 0 then
      S.pages, pages_gone = S.pages - 1, pages_gone + 1
    end
    if #left == 0 then
      page_remove(page)
    else
      local origin, generation = struct.unpack('<I2I6', record)
      page_write(page, page_record(origin, generation, left, ends, page_path(record)))
    end
    return false
  end
end

local function collect_small(tag)
  local ids = filter_ids(tag.inline, keep(tag.id))
  if ids == '' then return tag_remove(tag) end
  if ids ~= tag.inline then
    tag.inline = ids
    tag_write(tag)
  end
end

-- True when the tag is done with.
local function collect_segment(tag, number)
  local key = segment_key(tag.id, number)
  local before = call('GET', key) or ''
  local after = filter_ids(before, keep(tag.id))
  local is_last = number == tag.last
  if not is_last and #after <= SPARSE then
    -- What is left of a sparse segment joins the last one.
    call('DEL', key)
    tag.closed = tag.closed - #before / 8
    if number == tag.first then tag.first = number + 1 end
    tag_write(tag)
    if after ~= '' then tag_extend(tag, after) end
  elseif after == '' then
    call('DEL', key)
    if tag.first == tag.last then tag_remove(tag) end
  elseif after ~= before then
    call('SET', key, after)
    if not is_last then
      tag.closed = tag.closed - (#before - #after) / 8
      tag_write(tag)
    end
  end
  return is_last
end

local function collect_bucket(number)
  local all, large = call('HGETALL', bucket_key(TAGS, number)), {}
  for i = 1, #all, 2 do
    local tag = #all[i] == 8 and tag_read(all[i])
    if tag and tag.inline then collect_small(tag) elseif tag then large[#large + 1] = tag.id end
  end
  if #large > 0 then call('SET', P .. 'q', table.concat(large)) end
  return #all > 0
end

local waiting = call('GET', P .. 'q')
if waiting then
  local tag = tag_read(sub(waiting, 1, 8))
  local is_large = tag and not tag.inline
  local number = is_large and max(S.gc_segment, tag.first) or 0
  if is_large and number <= tag.last and not collect_segment(tag, number) then
    S.gc_segment = number + 1
  else
    S.gc_segment = 0
    if #waiting > 8 then call('SET', P .. 'q', sub(waiting, 9)) else call('DEL', P .. 'q') end
  end
else
  for _ = 1, EMPTY_BUCKETS do
    local found = S.gc_bucket < TAGS.buckets and collect_bucket(S.gc_bucket)
    S.gc_bucket = S.gc_bucket + 1
    if found or S.gc_bucket >= TAGS.buckets then break end
  end
end
local at_end = S.gc_bucket >= TAGS.buckets and call('EXISTS', P .. 'q') == 0
if at_end then S.gc_bucket = 0 end
save_records()
return { looked_at, pairs_gone, pages_gone, at_end and 1 or 0 }
