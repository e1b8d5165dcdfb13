-- PROTOCOL 12. KEYS: list and waiting entries, brand by brand. ARGV: (brand number, job id, attempt, message) for each job.
-- Returns how many were new. May be repeated: what waits, is taken or is barred with this attempt or a later one is skipped.
if not current_epoch() then return no_epoch() end
-- What is known of all jobs is asked at once: a call for each would cost more than everything else here.
local ids_of, lock_keys, waiting = {}, {}, {}
for i = 1, #ARGV, 4 do
  local brand, id = tonumber(ARGV[i]), ARGV[i + 1]
  ids_of[brand] = ids_of[brand] or {}
  table.insert(ids_of[brand], id)
  table.insert(lock_keys, lock_key(plant_of(id)))
end
for brand, ids in pairs(ids_of) do
  for i, attempt in ipairs(redis.call('HMGET', KEYS[2 * brand], unpack(ids))) do
    waiting[ids[i]] = tonumber(attempt or 0)
  end
end
-- Nothing, too, for a lock of another type: it is somebody else's, and TAKE will see it.
local tokens = redis.call('MGET', unpack(lock_keys))

local messages_of, entries_of, added = {}, {}, 0
for i = 1, #ARGV, 4 do
  local brand, id, attempt = tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 2])
  local token = tokens[(i + 3) / 4]
  local _, held = parsed_lock(token or '')
  if waiting[id] < attempt and (held or 0) < attempt then
    messages_of[brand] = messages_of[brand] or {}
    entries_of[brand] = entries_of[brand] or {}
    table.insert(messages_of[brand], ARGV[i + 3])
    table.insert(entries_of[brand], id)
    table.insert(entries_of[brand], ARGV[i + 2])
    waiting[id] = attempt
    added = added + 1
  end
end
for brand, messages in pairs(messages_of) do
  local entries = entries_of[brand]
  -- The messages first: a message without its entry is dropped and found lost, an entry without its message would wait for ever.
  redis.call('LPUSH', KEYS[2 * brand - 1], unpack(messages))
  redis.call('HSET', KEYS[2 * brand], unpack(entries))
end
return added
