-- PROTOCOL 16. KEYS: list, waiting entries, promotions of this second, promotions ahead. ARGV: most a second, most ahead, then
-- (job id, attempt, message) for each job. Moves waiting jobs to the front; returns PROMOTED, ABSENT (it does not wait) or LATER for each.
-- `ahead` is what the others are owed: two for each promotion, paid back with each job that is taken (take.lua). So in the long run at
-- least every second job that is taken is one that came in its turn.
if not current_epoch() then return no_epoch() end
local a_second, most_ahead = tonumber(ARGV[1]), tonumber(ARGV[2])

local function promoted(id, attempt, message)
  if redis.call('HGET', KEYS[2], id) ~= attempt then return 'ABSENT' end
  if tonumber(redis.call('GET', KEYS[3]) or 0) >= a_second then return 'LATER' end
  if tonumber(redis.call('GET', KEYS[4]) or 0) >= 2 * most_ahead then return 'LATER' end
  -- New ones lie at the left. A message that says the same in other bytes stays where it is, and is dropped there without its entry.
  redis.call('LREM', KEYS[1], 1, message)
  redis.call('RPUSH', KEYS[1], message)
  if redis.call('INCR', KEYS[3]) == 1 then redis.call('PEXPIRE', KEYS[3], 1000) end
  redis.call('INCRBY', KEYS[4], 2)
  redis.call('PEXPIRE', KEYS[4], 60000)
  return 'PROMOTED'
end

local found = {}
for i = 3, #ARGV, 3 do
  table.insert(found, promoted(ARGV[i], ARGV[i + 1], ARGV[i + 2]))
end
return found
