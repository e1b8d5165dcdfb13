-- PROTOCOL 12. KEYS: list and waiting entries, brand by brand. ARGV: (brand number, job id, attempt, message) for each job.
-- Returns how many were new. May be repeated: what waits, is taken or is barred with this attempt or a later one is skipped.
if not current_epoch() then return no_epoch() end
local messages_of, entries_of, chosen, added = {}, {}, {}, 0
for i = 1, #ARGV, 4 do
  local brand, id, attempt = tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 2])
  local waiting = chosen[id] or tonumber(redis.call('HGET', KEYS[2 * brand], id) or 0)
  local _, held = lock_holder(plant_of(id))
  if waiting < attempt and (held or 0) < attempt then
    messages_of[brand] = messages_of[brand] or {}
    entries_of[brand] = entries_of[brand] or {}
    table.insert(messages_of[brand], ARGV[i + 3])
    table.insert(entries_of[brand], id)
    table.insert(entries_of[brand], ARGV[i + 2])
    chosen[id] = attempt
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
