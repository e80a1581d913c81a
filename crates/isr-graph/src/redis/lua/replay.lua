-- Queues dead jobs again with a clean slate. ARGV: 2 the kind, then keys. Answers with how many were.
local kind, count = ARGV[2], 0
for i = 3, #ARGV do
  local job = job_get(kind, ARGV[i])
  if job and job.dead then
    job.dead, job.attempt, job.due = nil, 0, milliseconds
    job_put(kind, ARGV[i], job)
    if kind == 'r' then call('ZREM', P .. 'rf', ARGV[i]) end
    count = count + 1
  end
end
return count
