-- PROTOCOL 12. KEYS: list and waiting entries, brand by brand. ARGV: (brand number, job id, attempt, message) for each job.
-- Returns how many were new. May be repeated: what waits, is taken or is barred with this attempt or a later one is skipped.
if not current_epoch() then return no_epoch() end
local messages, entries, chosen, added = {}, {}, {}, 0
for i = 1, #ARGV, 4 do
  local brand, id, attempt = tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 2])
  local waiting = chosen[id] or tonumber(redis.call('HGET', KEYS[2 * brand], id) or 0)
  local _, held = lock_holder(plant_of(id))
  if waiting < attempt and (held or 0) < attempt then
    messages[brand] = messages[brand] or {}
    entries[brand] = entries[brand] or {}
    table.insert(messages[brand], ARGV[i + 3])
    table.insert(entries[brand], id)
    table.insert(entries[brand], ARGV[i + 2])
    chosen[id] = attempt
    added = added + 1
  end
end
for brand, list in pairs(messages) do
  -- The messages first: a message without its entry is dropped and found lost, an entry without its message would wait for ever.
  redis.call('LPUSH', KEYS[2 * brand - 1], unpack(list))
  redis.call('HSET', KEYS[2 * brand], unpack(entries[brand]))
end
return added
