-- The numbers of the newest soft (`gs`) and the newest hard (`ge`) revalidation of every target,
-- each a sorted set from the target's key to the number. What was trimmed is behind the floors.
local function newest(set, keys, floor_number)
  local number = floor_number
  for _, score in ipairs(call('ZMSCORE', P .. set, unpack(keys))) do
    if score then number = max(number, tonumber(score)) end
  end
  return number
end

-- Adds the keys of what is aimed at many pages: every prefix that ends where a path segment ends,
-- with and without the slash; the host; everything.
local function add_wide_keys(keys, origin, path)
  path = string.match(path, '^[^?]*')
  local at = 1
  while at do
    if at > 1 and sub(path, at - 1, at - 1) ~= '/' then
      keys[#keys + 1] = 'p:' .. origin .. sub(path, 1, at - 1)
    end
    keys[#keys + 1] = 'p:' .. origin .. sub(path, 1, at)
    at = find(path, '/', at + 1, true)
  end
  if sub(path, -1) ~= '/' then keys[#keys + 1] = 'p:' .. origin .. path end
  keys[#keys + 1] = 'h:' .. string.match(origin, '^%a+://(.*)$')
  keys[#keys + 1] = '*'
end

-- Whether a response may be kept, by what was revalidated after its generation. Each of `tags` is an id
-- and a name.
local function judge(origin, path, number, tags)
  -- A number that was never given out says nothing about what the response has seen.
  if number < 0 or number > S.number then return 'h' end
  local keys = { 'u:' .. origin .. path }
  for _, tag in ipairs(tags) do keys[#keys + 1] = 't:' .. sub(tag, 9) end
  if number < S.widest then add_wide_keys(keys, origin, path) end
  if number < newest('ge', keys, S.expired_floor) then return 'h' end
  if number < newest('gs', keys, S.stale_floor) then return 's' end
  return 'b'
end
