-- The size of this partition's graph: pages, tags, pairs, the current number, and the candidates for
-- the tags with the most pages, each with its pages counted again.
local largest = {}
for _, id in ipairs(call('ZRANGE', P .. 'x', 0, -1)) do
  local tag = tag_read(id)
  if tag then
    local size = tag_size(tag)
    largest[#largest + 1] = { tag.name, size }
    call('ZADD', P .. 'x', size, id)
  end
end
return { S.pages, S.tags, S.edges, S.number, largest }
