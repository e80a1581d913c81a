-- Claims jobs that are due. ARGV: 2 the kind, 3 the worker, 4 at most how many, 5 the lease in
-- milliseconds. Answers with key, work, attempt and token of each; for a revalidation the work is its
-- receipt, and its numbers follow.
local kind, answer = ARGV[2], {}
for _, claimed in ipairs(claim(kind, ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))) do
  local work, numbers = claimed.job.work, ''
  if kind == 'r' then
    local known = call('HMGET', P .. 'r:' .. claimed.key, 'receipt', 'numbers')
    work, numbers = known[1], known[2]
  end
  if work then
    answer[#answer + 1] = { claimed.key, work, claimed.job.attempt, claimed.job.token, numbers }
  else
    -- Without a receipt nobody knows what it was; this only happens when keys were deleted by hand.
    job_put(kind, claimed.key, nil)
  end
end
return answer
