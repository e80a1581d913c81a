-- Most binds are of the current number, and need nothing of what follows up to `judge_end`. It is
-- wrapped in a function because even to make functions that nobody calls takes time.
local function needed_for_judging()
