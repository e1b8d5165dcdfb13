-- PROTOCOL 14, RETURN. KEYS: list, waiting entries. ARGV: incarnation, then (job id, attempt, message) in the order they were taken.
-- Back to the front of the queue, where the lock is still mine. Returns how many. May be repeated.
if not current_epoch() then return no_epoch() end
local messages, entries = {}, {}
for i = #ARGV - 2, 2, -3 do
  local id, attempt = ARGV[i], ARGV[i + 1]
  local plant_id = plant_of(id)
  if holds(plant_id, ARGV[1] .. '|' .. attempt) then
    redis.call('DEL', lock_key(plant_id))
    -- An entry that is there already belongs to another attempt, which must not be lost for this one.
    if redis.call('HEXISTS', KEYS[2], id) == 0 then
      table.insert(messages, ARGV[i + 2])
      table.insert(entries, id)
      table.insert(entries, attempt)
    end
  end
end
if #messages > 0 then
  redis.call('RPUSH', KEYS[1], unpack(messages))
  redis.call('HSET', KEYS[2], unpack(entries))
end
return #messages
