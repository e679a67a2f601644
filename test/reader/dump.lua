-- SPDX-License-Identifier: MIT
--
-- Prints the current datoms of a database in a directory, one a line, exactly as rille_format.py does: two programs
-- that share nothing must print the same.
-- usage: rille run test/reader/dump.lua DIR
local rille = require "rille"

local db = assert(rille.db("file:" .. arg[1]))
local types = {}
for name, attr in pairs(db:schema()) do types[name] = attr.type end

local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

local objects = {
  keyword = function(v) return ":" .. v.text end,
  symbol = function(v) return v.text end,
  uuid = function(v) return "#uuid " .. v.text end,
  instant = function(v) return ("#inst %d"):format(v.ms) end,
  bytes = function(v) return "#bytes " .. hex(v.text) end,
  bigint = function(v) return v.text:gsub("N$", "") .. "N" end,
  bigdec = function(v) return v.text:gsub("M$", "") .. "M" end,
}

local show

local function show_array(values, type)
  local parts = {}
  for i, value in ipairs(values) do parts[i] = type == "floats" and ("%.9g"):format(value) or show(value) end
  return (type == "floats" and "#floats [" or "[") .. table.concat(parts, " ") .. "]"
end

local plain = {
  string = function(v)
    return '"' .. v:gsub('[%z\1-\31\127"\\]', function(c) return ("\\x%02x"):format(c:byte()) end) .. '"'
  end,
  number = function(v)
    return math.type(v) == "float" and ("d%.17g"):format(v) or ("%d"):format(v) -- luacheck: ignore 143
  end,
  boolean = tostring,
  table = show_array,
}

function show(value, type_name)
  if value == rille.null then return "nil" end
  local object = objects[rille.value_type(value)]
  if object then return object(value) end
  return plain[type(value)](value, type_name)
end

for e, a, v, tx in db:datoms("eavt") do
  io.write(("%d %s %s %d\n"):format(e, a, show(v, (types[a] or ""):gsub("^:?db.type/", "")), tx))
end
