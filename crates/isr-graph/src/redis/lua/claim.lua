-- Claims jobs that are due. ARGV: 2 the kind, 3 the worker, 4 at most how many, 5 the lease in
-- milliseconds. Answers with 1 when revalidations wait whose time has come; and with key, work, attempt and
-- token of each job; for a revalidation the work is its receipt, and its numbers and when it was made follow.
local kind, answer = ARGV[2], {}
local due = kind == 'r' and #call('ZRANGEBYSCORE', P .. 'rs', '-inf', milliseconds, 'LIMIT', 0, 1) or 0
for _, claimed in ipairs(claim(kind, ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))) do
  local work, numbers, made = claimed.job.work, '', 0
  if kind == 'r' then
    work, numbers, made = unpack(receipt_get(claimed.key) or {})
  end
  if work then
    answer[#answer + 1] = { claimed.key, work, claimed.job.attempt, claimed.job.token, numbers, made }
  else
    -- Without a receipt nobody knows what it was; this only happens when keys were deleted by hand.
    job_put(kind, claimed.key, nil)
  end
end
return { due, answer }
