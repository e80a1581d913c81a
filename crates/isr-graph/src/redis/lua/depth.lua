-- How much is waiting. ARGV: 2 the number up to which pages are counted, -1 for all of them, whatever
-- they wait for. Answers with the jobs of revalidations and of pages, the dead ones, for how many
-- milliseconds the oldest one due has been waiting (-1 for none), the count of pages, and the revalidations
-- that wait for their time, and those that are held.
local function size(kind, name) return call('ZCARD', queue_key(kind, name)) end

local oldest = -1
for _, key in ipairs({ queue_key('p', 'due'), queue_key('r', 'due'), P .. 'rs' }) do
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if first[2] then oldest = max(oldest, milliseconds - tonumber(first[2])) end
end

local number, outstanding = tonumber(ARGV[2]), nil
if number < 0 then
  outstanding = call('HLEN', queue_key('p', 'job'))
else
  outstanding = call('ZCOUNT', queue_key('p', 'now'), '-inf', number)
    + call('ZCOUNT', queue_key('p', 'again'), '-inf', number)
end
return {
  size('r', 'due'), size('p', 'due'), size('r', 'dead') + size('p', 'dead'), oldest, outstanding,
  call('ZCARD', P .. 'rs'), call('ZCARD', P .. 'rh'),
}
