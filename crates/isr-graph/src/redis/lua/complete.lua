-- Notes the numbers that a revalidation has in all partitions, once. ARGV: 2 its id, 3 the numbers.
-- Answers with its receipt as it stands then.
local key = P .. 'r:' .. ARGV[2]
local known = call('HGET', key, 'numbers')
if known and not find(known, ',', 1, true) then call('HSET', key, 'numbers', ARGV[3]) end
return receipt_get(ARGV[2])
