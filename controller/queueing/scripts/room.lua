-- DOMAIN 2. KEYS: list, requests, average. ARGV: requests a minute (0: any), jobs at once (0: any), requests a job as long as none is
-- known, jobs that may wait for each of those at once. Returns how many more jobs the limits admit: what waits will use them, too.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local per_minute, at_once = tonumber(ARGV[1]), tonumber(ARGV[2])
local room = math.huge
if per_minute > 0 then
  local free = per_minute - redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf')
  room = math.floor(free / math.max(1, tonumber(redis.call('GET', KEYS[3]) or ARGV[3])))
end
if at_once > 0 then room = math.min(room, at_once * tonumber(ARGV[4])) end
return math.max(0, room - redis.call('LLEN', KEYS[1]))
