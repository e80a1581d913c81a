-- Dead jobs, the longest dead first. ARGV: 2 the kind, 3 at most how many.
-- Answers with key, attempts and reason of each.
local answer = {}
for _, key in ipairs(call('ZRANGE', queue_key(ARGV[2], 'dead'), 0, ARGV[3] - 1)) do
  local job = job_get(ARGV[2], key)
  answer[#answer + 1] = { key, job.attempt, job.dead }
end
return answer
