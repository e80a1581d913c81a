-- Dead jobs, the longest dead first. ARGV: 2 the kind, 3 at most how many, 4 and 5 the last one looked at and
-- since when it was dead, or nothing. Answers with key, attempts, reason and since when of each, and 1 when
-- there are more.
local set, limit = queue_key(ARGV[2], 'dead'), tonumber(ARGV[3])
local from = place_after(set, 'ZRANK', ARGV[4], ARGV[5])
local some, answer = call('ZRANGE', set, from, from + limit - 1, 'WITHSCORES'), {}
for i = 1, #some, 2 do
  local job = job_get(ARGV[2], some[i])
  answer[#answer + 1] = { some[i], job.attempt, job.dead, some[i + 1] }
end
return { answer, from + #answer < call('ZCARD', set) and 1 or 0 }
