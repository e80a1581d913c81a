-- Some of all pages. ARGV: 2 the bucket to go on with, 3 how many records to look at, 4 what a URL
-- must begin with. Answers with the next bucket (-1 at the end), and the URLs.
--
-- Buckets are walked upwards, and a split moves records upwards only, so none is missed.
local EMPTY_BUCKETS = 1024
local bucket, limit, prefix = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

local function is_alive(record)
  local at = GROUPS
  for _ = 1, byte(record, 9) do
    if struct.unpack('<I4', record, at) > seconds then return true end
    at = at + 5 + byte(record, at + 4) * 8
  end
  return false
end

local urls, looked_at, empty = {}, 0, 0
while bucket < PAGES.buckets and looked_at < limit and empty < EMPTY_BUCKETS do
  local all, fields = call('HGETALL', bucket_key(PAGES, bucket)), {}
  for i = 1, #all, 2 do fields[all[i]] = all[i + 1] end
  for id, head in pairs(fields) do
    if #id == 8 then
      local record = sub(head, 2)
      for i = 2, byte(head, 1) do record = record .. fields[id .. char(i)] end
      local url = is_alive(record) and page_url(record)
      if url and sub(url, 1, #prefix) == prefix then urls[#urls + 1] = url end
      looked_at = looked_at + 1
    end
  end
  if #all == 0 then empty = empty + 1 end
  bucket = bucket + 1
end
return { bucket < PAGES.buckets and bucket or -1, urls }
