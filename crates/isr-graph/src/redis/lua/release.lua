-- Queues a revalidation again that is held; `rh` has those. ARGV: 2 its id, 3 its receipt when it is released.
-- Answers with its receipt as it then stands.
local id = ARGV[2]
if call('ZREM', P .. 'rh', id) == 1 then
  call('HSET', P .. 'r:' .. id, 'receipt', ARGV[3])
  push('r', id, '', milliseconds)
end
return { receipt_get(id) }
