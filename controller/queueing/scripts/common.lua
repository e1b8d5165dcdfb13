-- Stands in front of every other script.

-- The epoch as stored, or nil where it is missing or another server's (PROTOCOL 11).
local function current_epoch()
  local stored = redis.pcall('GET', 'epoch')
  if type(stored) ~= 'string' then return nil end
  local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  if string.sub(stored, 1, #run_id + 1) ~= run_id .. '|' then return nil end
  return stored
end

local function no_epoch()
  return redis.error_reply('EPOCH missing or foreign')
end

local function lock_key(plant_id)
  return 'lock:plant:' .. plant_id
end

-- The holder and the attempt in a lock; holder false where it is not in our format: then it is somebody else's.
local function parsed_lock(token)
  local holder, attempt = string.match(token, '^([^|]+)|(%d+)$')
  if not holder or #attempt > 16 then return false, nil end
  return holder, tonumber(attempt)
end

-- Who holds a plant, and for which attempt. Nothing for a free one; somebody else's lock stays, whatever its type.
local function lock_holder(plant_id)
  local token = redis.pcall('GET', lock_key(plant_id))
  if token == false then return nil, nil end
  if type(token) ~= 'string' then return false, nil end
  return parsed_lock(token)
end

local function holds(plant_id, token)
  return redis.pcall('GET', lock_key(plant_id)) == token
end

local function plant_of(job_id)
  return string.match(job_id, '^%l+:plant:(%x+%-%x+%-%x+%-%x+%-%x+):')
end
