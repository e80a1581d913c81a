  return judge, push, work_write
end

local judge_fully, push_page, write_page_work

-- Whether a response may be kept.
local function judge(origin, path, number, tags)
  if not judge_fully then
    judge_fully, push_page, write_page_work = needed_for_judging()
  end
  return judge_fully(origin, path, number, tags)
end

-- Queues a page whose response was just found superseded.
local function queue_superseded(url)
  local work = { epoch = EPOCH, number = S.number, oldest = S.number, reason = 's' }
  push_page('p', url, write_page_work(work), milliseconds)
end
