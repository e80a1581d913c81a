-- A token bucket as the one moment at which it is full again, in microseconds by the server's clock.
-- KEYS[1] is the bucket. ARGV: 1 how long one token takes to come back, in microseconds; 2 tokens in a
-- full bucket; then 3 'take', 4 tokens, 5 the longest wait in microseconds; or 3 'pause', 4 for how long.
-- 'take' answers with 1, or 0 when nothing was taken, and the wait in microseconds. `isr_core::Bucket` is
-- the same in Rust.
local interval, burst, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full_at = tonumber(redis.call('GET', KEYS[1]) or 0)

local function keep(moment)
  local left = math.ceil((moment - now) / 1000)
  redis.call('SET', KEYS[1], string.format('%.3f', moment), 'PX', math.max(left, 1))
end

if ARGV[3] == 'pause' then
  keep(math.max(full_at, now + amount + interval * (burst - 1)))
  return { 1, 0 }
end

local full_after = math.max(full_at, now) + interval * amount
local wait = math.max(0, full_after - interval * math.max(burst, amount) - now)
if wait > tonumber(ARGV[5]) then return { 0, math.ceil(wait) } end
keep(full_after)
return { 1, math.ceil(wait) }
