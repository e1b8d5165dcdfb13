-- DOMAIN 2. KEYS: requests, jobs. ARGV: token, requests wanted, requests a minute (0: any), jobs at once (0: any), hold in ms.
-- `requests` holds each request of the last minute and each one set aside, scored with the instant from which it counts no more; `jobs`
-- the jobs that may talk to the vendor now, scored with the instant at which their hold ends. 1 if the limits admit the job, else 0.
local time = redis.call('TIME')
local now, hold = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[5])
local wanted, per_minute, at_once = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if at_once > 0 and redis.call('ZCARD', KEYS[2]) >= at_once then return 0 end
if per_minute > 0 then
  if redis.call('ZCARD', KEYS[1]) + wanted > per_minute then return 0 end
  -- Until the worker says when they ended, they count as if they ended with the hold.
  for i = 1, wanted do
    redis.call('ZADD', KEYS[1], now + hold + 60000, ARGV[1] .. '|' .. i)
  end
  redis.call('PEXPIRE', KEYS[1], hold + 60000)
end
redis.call('ZADD', KEYS[2], now + hold, ARGV[1])
redis.call('PEXPIRE', KEYS[2], hold)
return 1
