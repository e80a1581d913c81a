-- A receipt as it stands, its numbers once it has any, and when it was made; nothing when it is not known.
local function receipt_get(id)
  local known = call('HMGET', P .. 'r:' .. id, 'receipt', 'numbers')
  if not known[1] then return nil end
  return { known[1], known[2] or '', tonumber(call('ZSCORE', P .. 'ri', id) or 0) }
end

-- Notes that nobody is going to work on it any more: it is kept for so many seconds.
local function receipt_ended(id, kept)
  call('EXPIRE', P .. 'r:' .. id, kept)
  call('ZADD', P .. 'rf', seconds + kept, id)
end

-- Whether there is no room for one more revalidation: those that wait for their time or are held count.
local function is_full(most)
  return call('ZCARD', P .. 'jr:due') + call('ZCARD', P .. 'rs') + call('ZCARD', P .. 'rh') >= most
end
