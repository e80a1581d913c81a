-- The newest revalidations of targets. ARGV from 2 on: their keys. Answers with the current number, the floors,
-- and of each target the numbers of the newest soft and the newest hard one, 0 for none.
local keys, marks = {}, {}
for i = 2, #ARGV do keys[i - 1] = ARGV[i] end
local stale = call('ZMSCORE', P .. 'gs', unpack(keys))
local expired = call('ZMSCORE', P .. 'ge', unpack(keys))
for i = 1, #keys do marks[i] = { tonumber(stale[i] or 0), tonumber(expired[i] or 0) } end
return { S.number, S.stale_floor, S.expired_floor, marks }
