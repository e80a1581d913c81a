-- What is to be done for a page. ARGV: 2 its URL. Answers with its work, what it is at (`w` waiting, `c` claimed,
-- `d` dead), milliseconds until it is due or the claim ends, why it is dead, how often it was tried, and 1 when
-- more is queued behind it; with nothing when there is nothing to do.
local job = job_get('p', ARGV[2])
if not job then return false end
local state, left = 'w', job.due - milliseconds
if job.dead then state, left = 'd', 0 elseif job.till then state, left = 'c', job.till - milliseconds end
return { job.work, state, max(left, 0), job.dead or '', job.attempt, job.again and 1 or 0 }
