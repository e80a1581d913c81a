-- Receipts. ARGV: 2 an id, or 'newest' and 3 how many, or 'collect' and 3 how many.
-- Answers with receipts; 'collect' with how many were removed.
if ARGV[2] == 'collect' then
  local ended = call('ZRANGEBYSCORE', P .. 'rf', '-inf', seconds, 'LIMIT', 0, ARGV[3])
  for _, id in ipairs(ended) do
    call('DEL', P .. 'r:' .. id)
    call('ZREM', P .. 'ri', id)
    call('ZREM', P .. 'rf', id)
  end
  return #ended
end
local ids = { ARGV[2] }
if ARGV[2] == 'newest' then ids = call('ZREVRANGE', P .. 'ri', 0, ARGV[3] - 1) end
local answer = {}
for _, id in ipairs(ids) do
  answer[#answer + 1] = receipt_get(id)
end
return answer
