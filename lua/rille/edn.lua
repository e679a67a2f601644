-- SPDX-License-Identifier: MIT
--
-- EDN as Lua data. Every form survives decode and encode:
--
--   nil           rille.null                  vector  an array
--   1 1.5 1N 1M   numbers, bigint, bigdec     list    edn.list{...}
--   "s" true      strings, booleans           set     edn.set{...}: an array without duplicates
--   \c            edn.char "c"                map     edn.map{[key] = value}; keywords as keys are rille.kw values
--   :k sym        rille.kw "k", rille.sym     #tag x  edn.tagged("tag", x): {tag = , value = }
--
-- Lua 5.1, 5.2 and LuaJIT have one kind of number: there 1.0 comes back as 1.

local core = require "rille.core"

---@class rille.edn
local M = {}

local meta = core.form_meta

---Reads exactly one form.
---@param text string
---@return any value rille.null for nil
---@return string? message
---@return string? code "SYNTAX", "LIMIT"
M.decode = core.edn.decode

---Reads all forms of a text.
---@param text string
---@return any[]? values
---@return string? message
---@return string? code
M.decode_all = core.edn.decode_all

---The texts of all forms of a text, unread.
---@param text string
---@return string[]? texts
---@return string? message
---@return string? code
M.split = core.edn.split

---The EDN text of Lua data. Entries of maps come in the order of their keys.
---@param value any
---@return string? text
---@return string? message
---@return string? code "TYPE" for what has no EDN form, "LIMIT" for data nested too deep or within itself
M.encode = core.edn.encode

---A character: `edn.char "é"`.
---@param text string
---@return rille.Value
M.char = core.char

local function marker(name)
  local mt = meta[name]
  mt.__name = "rille.edn." .. name
  mt.__tostring = function(self)
    return (core.edn.encode(self)) or mt.__name
  end
  return mt
end

local list_meta, set_meta, map_meta, tagged_meta = marker "list", marker "set", marker "map", marker "tagged"

---Marks an array as a list: `edn.list{rille.sym "+", 1, 2}` is `(+ 1 2)`.
---@param items any[]
---@return any[]
function M.list(items) return setmetatable(items, list_meta) end

---Marks an array as a set.
---@param items any[]
---@return any[]
function M.set(items) return setmetatable(items, set_meta) end

---Marks a table as a map; needed for an empty one, and for one with the key 1.
---@param entries table
---@return table
function M.map(entries) return setmetatable(entries, map_meta) end

---A tagged literal.
---@param tag string
---@param value any
---@return {tag: string, value: any}
function M.tagged(tag, value) return setmetatable({ tag = tag, value = value }, tagged_meta) end

local names = { [list_meta] = "list", [set_meta] = "set", [map_meta] = "map", [tagged_meta] = "tagged" }

---What EDN form a Lua value is: "list", "set", "map", "tagged", "vector" (a plain array), "nil", "keyword", "symbol",
---"string", "boolean", "number" ...
---@param value any
---@return string
function M.type(value)
  local kind = type(value)
  if kind == "table" then
    local name = names[getmetatable(value)]
    if name then return name end
    return (value[1] ~= nil or next(value) == nil) and "vector" or "map"
  end
  if value == core.null then return "nil" end
  return core.value_type(value) or kind
end

return M
