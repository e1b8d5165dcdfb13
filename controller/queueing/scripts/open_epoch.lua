-- PROTOCOL 11. KEYS: list and waiting entries, brand by brand. 1 if an epoch was opened, 0 if this server is in one.
-- Heartbeats hold the epoch they began in, so those of before, restored ones too, count no more. Locks stay: each is replaced by a
-- later attempt or expires.
if current_epoch() then return 0 end
redis.call('UNLINK', unpack(KEYS))
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local time = redis.call('TIME')
redis.call('SET', 'epoch', string.format('%s|%.0f', run_id, time[1] * 1000 + math.floor(time[2] / 1000)))
return 1
