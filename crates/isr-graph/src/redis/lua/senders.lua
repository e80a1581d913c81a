-- Those who send responses: `nr` holds their reports, `ne` when their leases end. ARGV: 2 'report'
-- with 3 an id, 4 its report and 5 its lease in milliseconds; 'dismiss' with 3 an id; or 'list'.
-- 'list' answers with each report, 1 when its lease still runs, and when that ends.
local FORGOTTEN_AFTER = 3600000
local reports, leases = P .. 'nr', P .. 'ne'

if ARGV[2] == 'report' then
  call('HSET', reports, ARGV[3], ARGV[4])
  call('ZADD', leases, milliseconds + tonumber(ARGV[5]), ARGV[3])
  -- Workers dismiss the dead once their revalidations have been made good for. When there is none left
  -- to make good for, and so perhaps no worker, the long dead go by themselves.
  if call('EXISTS', P .. 'jr:job') == 0 then
    local dead = call('ZRANGEBYSCORE', leases, '-inf', milliseconds - FORGOTTEN_AFTER, 'LIMIT', 0, 64)
    for _, id in ipairs(dead) do
      call('HDEL', reports, id)
      call('ZREM', leases, id)
    end
  end
elseif ARGV[2] == 'dismiss' then
  call('HDEL', reports, ARGV[3])
  call('ZREM', leases, ARGV[3])
else
  local answer = {}
  for _, id in ipairs(call('ZRANGE', leases, 0, -1)) do
    local ends = tonumber(call('ZSCORE', leases, id))
    answer[#answer + 1] = { call('HGET', reports, id), ends > milliseconds and 1 or 0, ends }
  end
  return answer
end
return 1
