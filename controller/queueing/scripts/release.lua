-- PROTOCOL 14. ARGV: holder, then (plant id, attempt) for each job. Deletes the locks that are the holder's; returns how many.
if not current_epoch() then return no_epoch() end
local released = 0
for i = 2, #ARGV, 2 do
  if holds(ARGV[i], ARGV[1] .. '|' .. ARGV[i + 1]) then
    released = released + redis.call('DEL', lock_key(ARGV[i]))
  end
end
return released
