-- KEYS: list and waiting entries, brand by brand. Returns the length of each list.
if not current_epoch() then return no_epoch() end
local depths = {}
for i = 1, #KEYS, 2 do
  table.insert(depths, redis.call('LLEN', KEYS[i]))
end
return depths
