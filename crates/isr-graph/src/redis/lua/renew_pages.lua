-- Lets claims on pages last longer. ARGV: 2 for how many milliseconds; from 3 on, of each, its URL and
-- the token. A claim that was lost is passed over.
for i = 3, #ARGV, 2 do
  renew('p', ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[2]))
end
return 1
