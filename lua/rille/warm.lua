-- SPDX-License-Identifier: MIT
--
-- db:warm: which ranges of which indexes its options mean.

local core = require "rille.core"
local check = require "rille.check"
local operation = require "rille.operation"

local M = {}

local raise = core.raise

local INDEXES = { eavt = true, aevt = true, avet = true, vaet = true }
local WARM = { attributes = "table", index = INDEXES, from = "any", to = "any", max_nodes = "amount",
  max_bytes = "amount" }

-- The ranges that options of warm mean: {index, from = components, to = components or nil, optional}
local function warm_ranges(where, options)
  local ranges, attributes = {}, options.attributes
  local has_ends = options.from ~= nil or options.to ~= nil
  if not attributes then
    for _, name in ipairs { "from", "to" } do
      local value = options[name]
      if value ~= nil and not (type(value) == "table" and options.index) then
        raise(where .. ": " .. name .. " needs one attribute, or an index and components of it as an array")
      end
    end
    for _, index in ipairs(options.index and { options.index } or { "eavt", "aevt", "avet", "vaet" }) do
      ranges[#ranges + 1] = { index, from = options.from or {}, to = options.to }
    end
    return ranges
  end
  if has_ends and (#attributes ~= 1 or (options.index or "avet") ~= "avet") then
    raise(where .. ": from and to are values of one attribute, in the index avet")
  end
  for _, attr in ipairs(attributes) do
    if has_ends or options.index then
      ranges[#ranges + 1] = { options.index or "avet", from = { attr, options.from },
        to = options.to ~= nil and { attr, options.to } or nil, through = { attr } }
    else
      ranges[#ranges + 1] = { "aevt", from = { attr }, through = { attr } }
      ranges[#ranges + 1] = { "avet", from = { attr }, through = { attr }, optional = true }
    end
  end
  return ranges
end

---Begins to read a part of the database into the cache.
---@param where string the public function, for messages
---@param db rille.Db
---@param options rille.Warm?
---@return rille.Op op
function M.start(where, db, options)
  options = check.options(where, options, WARM)
  local ranges = warm_ranges(where, options)
  local warming, message, code = core.warm_new(db, options.max_nodes, options.max_bytes)
  if not warming then return operation.failed(message, code) end
  local calls = {}
  local function add(part, parts, name)
    calls[#calls + 1] = { f = core.warm_end, n = 8, db, part[1], parts[1], parts[2], parts[3], warming, name,
      part.optional }
  end
  for _, part in ipairs(ranges) do
    add(part, part.from, "from")
    add(part, part.to or part.through or {}, part.to and "to" or "through")
  end
  calls[#calls + 1] = { f = core.warm_run, n = 1, warming }
  return operation.start_calls(calls)
end

return M
