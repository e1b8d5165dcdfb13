-- PROTOCOL 15. KEYS: list and waiting entries, brand by brand. ARGV: lease in ms, TTL of a barrier in ms, then (brand number, job id,
-- attempt) for each job. Returns WAITING, RUNNING, LOST or UNKNOWN for each.
local epoch = current_epoch()
if not epoch then return no_epoch() end
local time = redis.call('TIME')
local age = time[1] * 1000 + time[2] / 1000 - tonumber(string.match(epoch, '|(%d+)$'))
-- A job that was taken before this epoch has left no trace here; its worker's lease may still hold.
local too_young = age < tonumber(ARGV[1])

local function whereabouts(brand, id, attempt)
  if too_young then return 'UNKNOWN' end
  if redis.call('HGET', KEYS[2 * brand], id) == attempt then return 'WAITING' end
  local number, plant_id = tonumber(attempt), plant_of(id)
  local holder, held = lock_holder(plant_id)
  if holder and held == number and redis.call('GET', 'worker:' .. holder) == epoch then return 'RUNNING' end
  -- A barrier keeps a late enqueue or return out. A foreign lock is not ours to replace, a later attempt's must stay.
  if holder ~= false and (held or 0) <= number then
    redis.call('SET', lock_key(plant_id), 'barrier|' .. attempt, 'PX', ARGV[2])
  end
  return 'LOST'
end

local found = {}
for i = 3, #ARGV, 3 do
  table.insert(found, whereabouts(tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]))
end
return found
