-- PROTOCOL 21. KEYS: heartbeat. ARGV: 'first' | 'next', TTL in ms.
-- Only the first beat creates the key: one that has vanished means that the jobs may have been found lost.
local epoch = current_epoch()
if not epoch then return no_epoch() end
if ARGV[1] == 'first' then
  if redis.call('SET', KEYS[1], epoch, 'NX', 'PX', ARGV[2]) then return 1 end
  return redis.error_reply('RETIRED this incarnation has begun before')
end
if redis.call('GET', KEYS[1]) ~= epoch then return redis.error_reply('RETIRED the heartbeat has vanished') end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
