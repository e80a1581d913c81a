-- Gives claims on pages up. ARGV from 2 on, of each: its URL, the token, how, the delay in
-- milliseconds, the reason; see `leave`. A claim that was lost is passed over.
for i = 2, #ARGV, 5 do
  leave('p', ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4])
end
return 1
