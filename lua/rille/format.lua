-- SPDX-License-Identifier: MIT
--
-- Results as text: aligned tables for people; JSON, CSV and EDN for programs.

local core = require "rille.core"
local edn = require "rille.edn"

local M = {}

local CELL_CHARS_MAX = 80

local CHARACTER = "[%z\1-\127\194-\244][\128-\191]*"

-- First and last code points of characters that take no column of a terminal, and of those that take two (Unicode's
-- marks, and East Asian Width W and F, in broad blocks).
local NARROW = { { 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a }, { 0x64b, 0x65f },
  { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200f }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f },
  { 0xfe20, 0xfe2f } }
local WIDE = { { 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0x4dbf }, { 0x4e00, 0xa4cf }, { 0xac00, 0xd7a3 },
  { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f },
  { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd } }

local function is_in(code, ranges)
  for _, range in ipairs(ranges) do
    if code <= range[2] then return code >= range[1] end
  end
  return false
end

local function columns_of(char)
  local lead = char:byte()
  if lead < 0xcc then return 1 end -- below U+0300
  local code = lead % (lead < 0xe0 and 0x20 or lead < 0xf0 and 0x10 or 0x08)
  for i = 2, #char do code = code * 64 + char:byte(i) % 64 end
  return is_in(code, NARROW) and 0 or is_in(code, WIDE) and 2 or 1
end

-- Columns that a terminal needs for UTF-8 text.
local function width_of(text)
  if not text:find "[\204-\244]" then return #text - select(2, text:gsub("[\128-\191]", "")) end
  local sum = 0
  for char in text:gmatch(CHARACTER) do sum = sum + columns_of(char) end
  return sum
end

local function cut(text)
  if width_of(text) <= CELL_CHARS_MAX then return text end
  local out, sum = {}, 0
  for char in text:gmatch(CHARACTER) do
    sum = sum + columns_of(char)
    if sum >= CELL_CHARS_MAX then break end
    out[#out + 1] = char
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
  local text = plain(value):gsub("%c", " "):gsub("\194[\128-\159]", " ") -- C1: terminals obey them, too
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
  local widths, numeric, cells, heads = {}, {}, {}, {}
  for c, name in ipairs(columns) do
    heads[c] = cell(name)
    widths[c], numeric[c] = width_of(heads[c]), #rows > 0
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
  line(heads)
  line(rules)
  for _, items in ipairs(cells) do line(items) end
  write(("(%d row%s)\n"):format(#rows, #rows == 1 and "" or "s"))
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function json_string(text)
  text = text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end)
  return '"' .. text:gsub("\194([\128-\159])", function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

---A value as JSON: numbers, strings, booleans and arrays; everything else as a string. JSON has no infinity and no NaN:
---they are the strings of EDN, "##Inf", "##-Inf" and "##NaN", because null would be another value.
function M.json_value(value)
  local kind = type(value)
  if kind == "boolean" then return tostring(value) end
  if is_number(value) then
    local text = edn.encode(value)
    return text:find("^##") and json_string(text) or (text:gsub("^%-0%.0$", "0"))
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
