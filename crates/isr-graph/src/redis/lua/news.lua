-- Revalidations after a number. ARGV: 2 the number, 3 at most how many.
-- Answers with the current number, the number before the oldest one remembered, and the entries.
local BATCH, BYTES = 16, 262144
local after, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local oldest = S.number - call('LLEN', P .. 'h')
local entries, bytes = {}, 0
if after < oldest or after >= S.number then return { S.number, oldest, entries } end
local at = after - oldest
while limit > 0 and bytes < BYTES do
  local some = call('LRANGE', P .. 'h', at, at + min(BATCH, limit) - 1)
  for _, entry in ipairs(some) do
    entries[#entries + 1], bytes = entry, bytes + #entry
  end
  if #some < BATCH then break end
  at, limit = at + #some, limit - #some
end
return { S.number, oldest, entries }
