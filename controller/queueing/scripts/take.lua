-- PROTOCOL 13. KEYS: list, waiting entries, heartbeat, promotions ahead. ARGV: incarnation, how many, name of the task,
-- 1 for promoted jobs only.
-- Returns {malformed, stale, overtaken, message, 'HELD' | 'LOCKED', message, ...} in the order of the list.
local epoch = current_epoch()
if not epoch then return no_epoch() end
if redis.call('GET', KEYS[3]) ~= epoch then return redis.error_reply('RETIRED no heartbeat of this epoch') end

local function is_count(value)
  return type(value) == 'number' and value >= 1 and value < 9007199254740992 and value == math.floor(value)
end

-- The fields of a message that says everything it must, else nothing.
local function parsed(message)
  local ok, task = pcall(cjson.decode, message)
  if not ok or type(task) ~= 'table' or task.name ~= ARGV[3] or type(task.id) ~= 'string' or type(task.args) ~= 'table' then return nil end
  local plant_id, attempt, ttl, alone = task.args[1], task.args[2], task.args[3], task.args[4]
  if type(plant_id) ~= 'string' or plant_of(task.id) ~= plant_id or not is_count(attempt) or not is_count(ttl) then return nil end
  return task.id, plant_id, attempt, ttl, alone == true
end

local found = {0, 0, 0}
local MALFORMED, STALE, OVERTAKEN = 1, 2, 3
local function drop(reason)
  found[reason] = found[reason] + 1
end

-- A job that is to run alone is the whole of a batch (PROTOCOL 20): the rest of what was popped stays in front, in its order.
local function put_back(messages, from)
  local rest = {}
  for i = #messages, from, -1 do
    table.insert(rest, messages[i])
  end
  if #rest > 0 then redis.call('RPUSH', KEYS[1], unpack(rest)) end
end

local ahead, limit = tonumber(redis.call('GET', KEYS[4]) or 0), tonumber(ARGV[2])
if ARGV[4] == '1' then limit = math.min(limit, math.ceil(ahead / 2)) end
local messages = limit > 0 and redis.call('RPOP', KEYS[1], limit) or {}
for i, message in ipairs(messages) do
  local id, plant_id, attempt, ttl, alone = parsed(message)
  if alone and #found > 3 then
    put_back(messages, i)
    break
  end
  if not id then
    drop(MALFORMED)
  elseif tonumber(redis.call('HGET', KEYS[2], id) or 0) ~= attempt then
    drop(STALE)
  else
    redis.call('HDEL', KEYS[2], id)
    local holder, held = lock_holder(plant_id)
    if holder == false then
      table.insert(found, message)
      table.insert(found, 'LOCKED')
    elseif held and held >= attempt then
      drop(OVERTAKEN)
    else
      -- A lock of an older attempt is replaced: that attempt is closed, and a closed one has no exchange running (PROTOCOL 3).
      redis.call('SET', lock_key(plant_id), string.format('%s|%.0f', ARGV[1], attempt), 'PX', string.format('%.0f', ttl * 1000))
      table.insert(found, message)
      table.insert(found, 'HELD')
    end
  end
  if alone and #found > 3 then
    put_back(messages, i + 1)
    break
  end
end
if ahead > 0 then
  local owed = ahead - (#found - 3) / 2
  if owed > 0 then redis.call('SET', KEYS[4], string.format('%.0f', owed), 'KEEPTTL') else redis.call('DEL', KEYS[4]) end
end
return found
