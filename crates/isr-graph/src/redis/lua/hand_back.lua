-- Gives up claims of a worker, at most 256 of each kind; the jobs are due at once. ARGV: 2 the worker.
-- Answers with how many there were.
local count = 0
for _, kind in ipairs({ 'p', 'r' }) do
  local held = queue_key(kind, 'held:' .. ARGV[2])
  for _, key in ipairs(call('SRANDMEMBER', held, 256)) do
    local job = job_get(kind, key)
    call('SREM', held, key)
    if job and job.worker == ARGV[2] then
      release(kind, key, job)
      job.attempt, job.due = max(job.attempt - 1, 0), milliseconds
      job_put(kind, key, job)
    end
    count = count + 1
  end
end
return count
