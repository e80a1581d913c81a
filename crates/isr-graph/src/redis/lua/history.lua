-- Revalidations before a number, the newest first. ARGV: 2 the number, or nothing, 3 at most how many.
-- Answers with the number of the first, and the entries.
local BATCH, BYTES = 16, 262144
local last = call('LLEN', P .. 'h') - 1
local at = last
if ARGV[2] ~= '' then at = min(last, last - (S.number - tonumber(ARGV[2])) - 1) end
local first, entries, bytes = S.number - (last - at), {}, 0
local left = tonumber(ARGV[3])
while at >= 0 and left > 0 and bytes < BYTES do
  local some = call('LRANGE', P .. 'h', max(0, at - min(BATCH, left) + 1), at)
  for i = #some, 1, -1 do
    entries[#entries + 1], bytes = some[i], bytes + #some[i]
  end
  at, left = at - #some, left - #some
end
return { first, entries }
