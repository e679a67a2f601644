-- SPDX-License-Identifier: MIT
--
-- Checks of what callers pass: options by name and type, with a hint when a name is nearly right.

local core = require "rille.core"

local raise = core.raise

local M = {}

-- What a message about a database that is not there ends with.
M.CREATE = "; rille.connect(url, {create = true}) creates a database"
M.PUBLISH = "; check the URL: its path is that of the directory which contains heads/ and packs/"
-- The same for a branch.
M.BRANCHES = "; rille.branches(url) lists the branches"

---The known name that was probably meant by a wrong one, or nil when none is near.
---@type fun(name: string, known: table<string, any>): string?
M.nearest = core.nearest

---" (did you mean x?)", with a prefix such as "--" before the name; or ""
---@param name any
---@param known table<string, any>
---@param prefix string?
---@return string
function M.hint(name, known, prefix)
  local nearest = type(name) == "string" and M.nearest(name, known)
  return nearest and (" (did you mean %s%s?)"):format(prefix or "", nearest) or ""
end

---What a value is, for "expected X, got Y": "nil", "a table", "the symbol ?x", "rille database file:shop t=5".
---@param value any
---@return string
function M.kind(value)
  if value == nil then return "nil" end
  if type(value) ~= "userdata" then return "a " .. type(value) end
  if value == core.null then return "null" end
  local of_query = { symbol = "the symbol ", keyword = "the keyword " }
  return (of_query[core.value_type(value)] or "") .. tostring(value)
end

---The names in alphabetical order, as text.
---@param known table<string, any>
---@return string
function M.sorted(known)
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

---Fails for a key that is not a position, and for a hole, because a reader of the elements would pass over both.
---@param items table
---@param what string "a clause"
function M.array(items, what)
  local count, keys = #items, 0
  for key in pairs(items) do
    if type(key) ~= "number" or key < 1 or key % 1 ~= 0 then
      error(("%s is an array, but this one has the key %s"):format(what,
        type(key) == "string" and ("%q"):format(key) or tostring(key)), 0)
    end
    count, keys = math.max(count, key), keys + 1
  end
  if keys == count then return end
  local gap = 1
  while items[gap] ~= nil do gap = gap + 1 end
  error(("%s is an array, but element %d of this one is nil"):format(what, gap), 0)
end

local function fits(value, wanted)
  if type(wanted) == "table" then return wanted[value] == true end
  if wanted == "amount" then return type(value) == "number" and value >= 0 end
  return wanted == "any" or type(value) == wanted
end

local function expected(wanted)
  if type(wanted) ~= "table" then return wanted == "amount" and "a non-negative number" or "a " .. wanted end
  local names = {}
  for name in pairs(wanted) do names[#names + 1] = ("%q"):format(name) end
  table.sort(names)
  local last = table.remove(names)
  return table.concat(names, ", ") .. " or " .. last
end

---Raises an error at the line that called rille: for an unknown option, or one of the wrong type.
---@param where string the public function, for the message
---@param options table?
---@param known table<string, string|table<string, boolean>> a type name, "any", "amount", or the values allowed
---@return table options an empty table for nil
function M.options(where, options, known)
  if options == nil then return {} end
  if type(options) ~= "table" then
    raise(("%s: options must be a table, got %s"):format(where, M.kind(options)))
  end
  for name, value in pairs(options) do
    local wanted = known[name]
    if not wanted then
      raise(("%s: unknown option %q%s; valid options: %s"):format(where, tostring(name), M.hint(name, known),
        M.sorted(known)))
    end
    if not fits(value, wanted) then
      raise(("%s: option %q must be %s, got %s"):format(where, name, expected(wanted),
        type(value) == "string" and ("%q"):format(value) or type(value) == "number" and tostring(value)
          or M.kind(value)))
    end
  end
  return options
end

return M
