-- SPDX-License-Identifier: MIT
--
-- Results as text: aligned tables for people; JSON, CSV and EDN for programs.

local core = require "rille.core"
local edn = require "rille.edn"

local M = {}

local CELL_CHARS_MAX = 80

-- Characters of UTF-8 text, counted without their continuation bytes.
local function width_of(text)
  local _, continuation = text:gsub("[\128-\191]", "")
  return #text - continuation
end

local function cut(text)
  if width_of(text) <= CELL_CHARS_MAX then return text end
  local out, n = {}, 0
  for char in text:gmatch "[%z\1-\127\194-\244][\128-\191]*" do
    n = n + 1
    if n == CELL_CHARS_MAX then break end
    out[n] = char
  end
  return table.concat(out) .. "…"
end

-- Numbers, and the 64-bit integers of LuaJIT.
local function is_number(value)
  local kind = type(value)
  return kind == "number" or kind == "cdata"
end

-- Strings as they are, everything else as EDN.
local function plain(value)
  if type(value) == "string" then return value end
  return edn.encode(value) or tostring(value)
end

local function cell(value)
  local text = plain(value):gsub("[%c]", " ")
  return cut(text)
end

local function pad(text, width, to_the_right)
  local blanks = (" "):rep(width - width_of(text))
  return to_the_right and blanks .. text or text .. blanks
end

---@param columns string[]
---@param rows any[][]
---@param write fun(text: string)
function M.table(columns, rows, write)
  local widths, numeric, cells = {}, {}, {}
  for c, name in ipairs(columns) do
    widths[c], numeric[c] = width_of(name), #rows > 0
  end
  for r, row in ipairs(rows) do
    cells[r] = {}
    for c = 1, #columns do
      local text = cell(row[c])
      cells[r][c] = text
      if not is_number(row[c]) then numeric[c] = false end
      if width_of(text) > widths[c] then widths[c] = width_of(text) end
    end
  end
  local function line(items)
    local out = {}
    for c = 1, #columns do out[c] = pad(items[c], widths[c], numeric[c]) end
    write((table.concat(out, "  "):gsub("%s+$", "")) .. "\n")
  end
  local rules = {}
  for c = 1, #columns do rules[c] = ("-"):rep(widths[c]) end
  line(columns)
  line(rules)
  for _, items in ipairs(cells) do line(items) end
  write(("(%d row%s)\n"):format(#rows, #rows == 1 and "" or "s"))
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function json_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

---A value as JSON: numbers that JSON can hold, strings, booleans, arrays; the rest as strings.
function M.json_value(value)
  local kind = type(value)
  if kind == "boolean" then return tostring(value) end
  if is_number(value) then
    if value ~= value or value == math.huge or value == -math.huge then return "null" end
    return (edn.encode(value):gsub("^%-0%.0$", "0"))
  end
  if kind == "string" then return json_string(value) end
  if kind == "table" then
    local items = {}
    for i, item in ipairs(value) do items[i] = M.json_value(item) end
    return "[" .. table.concat(items, ",") .. "]"
  end
  if value == core.null or value == nil then return "null" end
  local name = core.value_type(value)
  if name == "bigint" or name == "bigdec" then return value.text end
  if name == "keyword" or name == "symbol" or name == "uuid" then return json_string(value.text) end
  return json_string(name == "bytes" and M.hex(value.text) or tostring(value))
end

function M.hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

---An array with an object a row.
function M.json(columns, rows, write)
  local names = {}
  for c, name in ipairs(columns) do names[c] = json_string(name) .. ":" end
  write("[")
  for r, row in ipairs(rows) do
    local fields = {}
    for c = 1, #columns do fields[c] = names[c] .. M.json_value(row[c]) end
    write((r > 1 and ",\n " or "") .. "{" .. table.concat(fields, ",") .. "}")
  end
  write("]\n")
end

local function csv_field(value)
  local text = plain(value)
  if core.value_type(value) == "instant" or core.value_type(value) == "uuid" then text = value.text end
  if text:find '[",\r\n]' or text:find "^%s" or text:find "%s$" then return '"' .. text:gsub('"', '""') .. '"' end
  return text
end

function M.csv(columns, rows, write)
  local function line(items)
    local out = {}
    for c = 1, #columns do out[c] = csv_field(items[c]) end
    write(table.concat(out, ",") .. "\n")
  end
  line(columns)
  for _, row in ipairs(rows) do line(row) end
end

---A vector a row, one on each line.
function M.edn(_, rows, write)
  for _, row in ipairs(rows) do write(assert(edn.encode(row)) .. "\n") end
end

M.formats = { table = M.table, json = M.json, csv = M.csv, edn = M.edn }

return M
