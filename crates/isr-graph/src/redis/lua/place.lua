-- The rank from which a walk over a sorted set goes on behind a member that had a score, also when it has
-- gone since, or has another score now: it is put back for a moment. `rank` is 'ZRANK' or 'ZREVRANK'.
local function place_after(set, rank, member, score)
  if member == '' then return 0 end
  local now = call('ZSCORE', set, member)
  if now and tonumber(now) == tonumber(score) then return call(rank, set, member) + 1 end
  call('ZADD', set, score, member)
  local place = call(rank, set, member)
  if now then
    call('ZADD', set, now, member)
    -- Where it stands now, it takes a place before this one, or none.
    local is_before = tonumber(now) < tonumber(score)
    if is_before == (rank == 'ZRANK') then place = place + 1 end
  else
    call('ZREM', set, member)
  end
  return place
end
