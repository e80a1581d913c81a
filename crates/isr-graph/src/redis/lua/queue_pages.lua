-- Queues pages. ARGV: 2 the delay in milliseconds, 3 the most jobs, 4 how many are to be queued, those
-- of later calls included, then of each page its URL and its work. Answers with 0 when there is no room
-- for all; none is queued then.
local due = milliseconds + tonumber(ARGV[2])
if call('ZCARD', P .. 'jp:due') + tonumber(ARGV[4]) > tonumber(ARGV[3]) then return 0 end
for i = 5, #ARGV, 2 do push('p', ARGV[i], ARGV[i + 1], due) end
return 1
