-- DOMAIN 2. KEYS: requests, jobs, average. ARGV: token, requests set aside, requests made.
-- Those that were made have ended by now and count for another minute; the others are free again. May be repeated.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reserved, made = tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 1, reserved do
  local member = ARGV[1] .. '|' .. i
  if i <= made then
    -- The millisecond that was rounded off the one clock or the other is given to the vendor.
    redis.call('ZADD', KEYS[1], now + 60001, member)
  else
    redis.call('ZREM', KEYS[1], member)
  end
end
redis.call('ZREM', KEYS[2], ARGV[1])
if made > 0 then
  if redis.call('PTTL', KEYS[1]) < 60001 then redis.call('PEXPIRE', KEYS[1], 60001) end
  local average = tonumber(redis.call('GET', KEYS[3]) or made)
  redis.call('SET', KEYS[3], string.format('%.3f', 0.9 * average + 0.1 * made), 'EX', 86400)
end
return made
