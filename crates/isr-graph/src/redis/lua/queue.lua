-- Jobs of two kinds, 'p' for pages and 'r' for revalidations. `j<kind>:job` holds every job by its
-- key, packed by MessagePack: work, due, attempt; worker, token and till while it is held; again and
-- again_due for what is queued behind it; dead, with the reason. `j<kind>:due` is when each job that
-- is not dead may be claimed, `j<kind>:dead` lists the others. Of pages queued as in flight, `jp:now`
-- and `jp:again` hold the oldest number that waits for the work, and for that behind it.
local function queue_key(kind, name)
  return P .. 'j' .. kind .. ':' .. name
end

local function job_get(kind, key)
  local packed_job = call('HGET', queue_key(kind, 'job'), key)
  return packed_job and cmsgpack.unpack(packed_job) or nil
end

-- A page's work is `<epoch> <number> <oldest number> <reason>`, the reason f for in flight or s for
-- superseded.
local function work_read(work)
  local epoch, number, oldest, reason = string.match(work, '^(%x+) (%d+) (%d+) (%a)$')
  return { epoch = epoch, number = tonumber(number), oldest = tonumber(oldest), reason = reason }
end

local function work_write(work)
  return string.format('%s %.0f %.0f %s', work.epoch, work.number, work.oldest, work.reason)
end

local function index(name, key, text)
  local work = text and work_read(text)
  if work and work.epoch == EPOCH and work.reason == 'f' then
    call('ZADD', queue_key('p', name), work.oldest, key)
  else
    call('ZREM', queue_key('p', name), key)
  end
end

-- The one place where jobs change, so that the indexes always agree with them.
local function job_put(kind, key, job)
  if kind == 'p' then
    index('now', key, job and job.work)
    index('again', key, job and job.again)
  end
  if job then
    call('HSET', queue_key(kind, 'job'), key, cmsgpack.pack(job))
  else
    call('HDEL', queue_key(kind, 'job'), key)
  end
  if job and not job.dead then
    call('ZADD', queue_key(kind, 'due'), job.till or job.due, key)
  else
    call('ZREM', queue_key(kind, 'due'), key)
  end
  if job and job.dead then
    call('ZADD', queue_key(kind, 'dead'), milliseconds, key)
  else
    call('ZREM', queue_key(kind, 'dead'), key)
  end
end

-- What remains to be done when `later` is queued while `before` waits; see `PageWork::merge`.
local function merge(kind, before, later)
  if kind == 'r' then return later end
  local one, other = work_read(before), work_read(later)
  if one.reason == 'f' then other.reason = 'f' end
  if one.epoch == other.epoch then
    other.number, other.oldest = max(one.number, other.number), min(one.oldest, other.oldest)
  end
  return work_write(other)
end

local function waiting(work, due)
  return { work = work, due = due, attempt = 0 }
end

-- Tells idle workers that there is something to do: `w` is a channel, and no key. Not every user may
-- publish, and nothing rests on it.
local told = false
local function tell()
  if not told then redis.pcall('PUBLISH', P .. 'w', '') end
  told = true
end

-- Queues a job so that nothing is worked on before it is due; see `JobStore::queue_pages`.
local function push(kind, key, work, due)
  local job = job_get(kind, key)
  if not job then
    job = waiting(work, due)
  elseif job.dead then
    job = waiting(merge(kind, job.work, work), due)
  elseif not job.till and due <= max(job.due, milliseconds) then
    job.work = merge(kind, job.work, work)
  else
    job.again_due = max(job.again_due or due, due)
    job.again = job.again and merge(kind, job.again, work) or work
  end
  job_put(kind, key, job)
  if not job.till and job.due <= milliseconds then tell() end
end

local function release(kind, key, job)
  call('SREM', queue_key(kind, 'held:' .. job.worker), key)
  job.worker, job.token, job.till = nil, nil, nil
end

-- Lets a claim last for `lease` milliseconds from now. False when it is lost.
local function renew(kind, key, token, lease)
  local job = job_get(kind, key)
  if not job or job.token ~= token then return false end
  job.till = milliseconds + lease
  job_put(kind, key, job)
  return true
end

-- Ends a claim: `done`; `later` after `delay` milliseconds; `failed`, which is later and counts; or
-- `dead`. False when the claim is lost.
local function leave(kind, key, token, how, delay, reason)
  local job = job_get(kind, key)
  if not job or job.token ~= token then return false end
  release(kind, key, job)
  if how == 'done' then
    job = job.again and waiting(job.again, job.again_due)
  elseif how == 'dead' and job.again then
    job = waiting(merge(kind, job.work, job.again), job.again_due)
  elseif how == 'dead' then
    job.dead = reason
  else
    job.due = milliseconds + delay
    if how == 'later' then job.attempt = 0 end
  end
  job_put(kind, key, job)
  return true
end

local function claim(kind, worker, limit, lease)
  local keys = call('ZRANGEBYSCORE', queue_key(kind, 'due'), '-inf', milliseconds, 'LIMIT', 0, limit)
  local jobs = {}
  for _, key in ipairs(keys) do
    local job = job_get(kind, key)
    if job.till then release(kind, key, job) end
    S.token = S.token + 1
    job.attempt, job.worker, job.token = job.attempt + 1, worker, S.token
    job.till = milliseconds + lease
    job_put(kind, key, job)
    call('SADD', queue_key(kind, 'held:' .. worker), key)
    jobs[#jobs + 1] = { key = key, job = job }
  end
  if #keys > 0 then save_state() end
  return jobs
end
