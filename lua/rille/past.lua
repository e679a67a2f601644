-- SPDX-License-Identifier: MIT
--
-- Database values by URL, at a point in time; from the cache alone where it knows enough.

local M = {}

-- The value that a connection has just read, or that value as of a point. The fourth result: is that only what the
-- cache had, although the storage may know it better?
local function value_at(open, options, point)
  local conn, message, code = open(options)
  if not conn then return nil, message, code end
  local db = conn:_seen() -- it was read to open
  local kept = conn:_is_kept()
  conn:close()
  if db == nil or point == nil then return db end
  local newest = db
  local settled = newest:_settles(point)
  db, message, code = newest:as_of(point)
  newest:close()
  return db, message, code, kept and not (db and settled)
end

local function with_any_age(options)
  local copy = {}
  for name, value in pairs(options) do copy[name] = value end
  copy.max_staleness_ms = math.huge
  return copy
end

---The past does not change, so whatever the cache has of the branch will do if the point is in it.
---@param open fun(options: table): rille.Conn?, string?, string?
---@param options table of rille.db, checked
---@param point any? nil: the newest value
---@return rille.Db? db
---@return string? message
---@return string? code
function M.at(open, options, point)
  local tries_cache = point ~= nil and options.cache ~= nil
  local db, message, code, unsure = value_at(open, tries_cache and with_any_age(options) or options, point)
  if unsure then
    if db then db:close() end
    db, message, code = value_at(open, options, point)
  end
  return db, message, code
end

return M
