-- SPDX-License-Identifier: MIT
--
-- CSV files as rows of a query: RFC 4180 (quotes, doubled quotes, line ends within quotes), any separator.

local core = require "rille.core"
local check = require "rille.check"

local M = {}

local raise = core.raise

local LONG_DIGITS_MAX = 15 -- exact in every Lua

local LONG_LEAST, LONG_GREATEST = core.bigint "-9223372036854775808", core.bigint "9223372036854775807"

-- Converters by type name. They get the text of a field that is not empty; nil: it does not fit.
local converters = {
  string = function(text) return text end,
  long = function(text)
    local sign, digits = text:match "^([+-]?)(%d+)$"
    if not digits then return nil end
    if #digits <= LONG_DIGITS_MAX then return tonumber(sign == "-" and "-" .. digits or digits) end
    local n = core.bigint(sign == "-" and "-" .. digits or digits)
    return n >= LONG_LEAST and n <= LONG_GREATEST and n or nil
  end,
  double = function(text) -- not all that tonumber takes: that is 0x10 everywhere, and "inf" or "0b1" in some Luas
    local number = text:match "^[+-]?([%d.]+)$" or text:match "^[+-]?([%d.]+)[eE][+-]?%d+$"
    if not number or not number:find "^%d+%.?%d*$" and not number:find "^%.%d+$" then return nil end
    local n = tonumber((text:gsub("^%+", "")))
    if not n or n == math.huge or n == -math.huge then return nil end
    return n + 0.0
  end,
  boolean = function(text)
    local lower = text:lower()
    if lower == "true" or lower == "1" or lower == "yes" then return true end
    if lower == "false" or lower == "0" or lower == "no" then return false end
    return nil
  end,
  keyword = function(text) return core.kw(text) end,
  symbol = function(text) return core.sym(text) end,
  uuid = function(text) return core.uuid(text) end,
  instant = function(text) return core.instant(text) end,
  bigint = function(text) return core.bigint(text) end,
  bigdec = function(text) return core.bigdec(text) end,
}

local CODES = { [1] = "PERMISSION", [2] = "NOTFOUND", [13] = "PERMISSION", [20] = "NOTFOUND" } -- by errno

local OPTIONS = { header = "boolean", types = "table", separator = "string", empty = "any" }

-- The field that begins at `pos`: its text, the position behind it, the character there ("" at the end), whether it
-- was quoted.
local function read_field(text, pos, separator)
  if text:sub(pos, pos) ~= '"' then
    local stop = text:find("[" .. separator .. "\r\n]", pos) or #text + 1
    return text:sub(pos, stop - 1), stop, text:sub(stop, stop), false
  end
  local parts = {}
  local from = pos + 1
  while true do
    local quote = text:find('"', from, true)
    if not quote then return nil, "a quoted field has no end" end
    parts[#parts + 1] = text:sub(from, quote - 1)
    if text:sub(quote + 1, quote + 1) ~= '"' then
      local after = text:sub(quote + 1, quote + 1)
      if after ~= "" and not after:find("[" .. separator .. "\r\n]") then
        return nil, "there is text behind the end of a quoted field"
      end
      return table.concat(parts), quote + 1, after, true
    end
    parts[#parts + 1] = '"'
    from = quote + 2
  end
end

-- One row of fields from `pos`; the position of the next one. into.line_count: the lines it takes.
local function read_line(text, pos, separator, into)
  local n = 0
  into.line_count = 1
  while true do
    local field, stop, after, quoted = read_field(text, pos, separator)
    if not field then return nil, stop end
    n = n + 1
    into[n] = field
    into.quoted[n] = quoted
    if quoted then into.line_count = into.line_count + select(2, field:gsub("\n", "")) end
    if after == "\r" and text:sub(stop + 1, stop + 1) == "\n" then stop = stop + 1 end
    if after ~= separator then
      for i = #into, n + 1, -1 do into[i] = nil end
      return stop + 1
    end
    pos = stop + 1
  end
end

local function converter_of(types, columns, i)
  local name = types[i] or (columns[i] and types[columns[i]]) or "string"
  local converter = converters[name]
  if not converter then
    raise(("rille.csv: there is no type %q%s"):format(tostring(name), check.hint(name, converters)))
  end
  return converter, name
end

local function convert(converter, text)
  local ok, value = pcall(converter, text)
  if ok then return value end
  return nil
end

-- Fields of one line as a row of values.
local function to_row(fields, plan, line)
  local row = {}
  if #fields ~= #plan then
    return nil, ("line %d has %d fields, expected %d"):format(line, #fields, #plan)
  end
  for i = 1, #plan do
    local text = fields[i]
    local value
    if text == "" and plan[i].name ~= "string" then
      value = plan[i].empty
    else
      value = convert(plan[i].converter, text)
    end
    if value == nil then
      local what = text == "" and "is empty" or ("%q is no %s"):format(text, plan[i].name)
      return nil, ("line %d, column %s: %s"):format(line, plan[i].label, what)
    end
    row[i] = value
  end
  return row
end

local function make_plan(options, columns, width)
  local plan, known = {}, {}
  for i = 1, width do
    known[i] = true
    if columns[i] then known[columns[i]] = true end
  end
  for name in pairs(options.types or {}) do
    if not known[name] then
      raise(("rille.csv: types names a column %s that is not there%s"):format(
        type(name) == "string" and ("%q"):format(name) or tostring(name), check.hint(name, known)))
    end
  end
  for i = 1, width do
    local converter, name = converter_of(options.types or {}, columns, i)
    plan[i] = { converter = converter, name = name, label = columns[i] or tostring(i), empty = options.empty }
  end
  return plan
end

---Rows of CSV text, for a query's source or relation. `columns` of the result has the names.
---@param text string
---@param options? {header: boolean?, types: table<string|integer, string>?, separator: string?, empty: any}
---@return any[][]? rows
---@return string? message
---@return string? code "SYNTAX"
function M.parse(text, options)
  if type(text) ~= "string" then raise("rille.csv_parse: text was expected, but there is a " .. type(text)) end
  options = check.options("rille.csv", options, OPTIONS)
  local separator = options.separator or ","
  if #separator ~= 1 or separator:find '[%^%]%-"%%\r\n]' then
    raise("rille.csv: the separator must be one character such as \",\", \";\" or a tab")
  end
  local rows, columns, plan = {}, {}, nil
  local fields = { quoted = {} }
  local pos, line, row_count = 1, 1, 0
  if text:sub(1, 3) == "\239\187\191" then pos = 4 end -- a byte order mark
  while pos <= #text do
    local after, message = read_line(text, pos, separator, fields)
    row_count = row_count + 1
    if not after then return nil, ("line %d: %s"):format(line, message), "SYNTAX" end
    local blank = #fields == 1 and fields[1] == "" and not fields.quoted[1]
    if row_count == 1 and options.header ~= false then
      for i = 1, #fields do columns[i] = fields[i] end
      plan = make_plan(options, columns, #columns)
    elseif not (blank and plan and #plan > 1) then
      plan = plan or make_plan(options, columns, #fields)
      local row, why = to_row(fields, plan, line)
      if not row then return nil, why, "SYNTAX" end
      rows[#rows + 1] = row
    end
    pos = after
    line = line + fields.line_count
  end
  rows.columns = columns
  return rows
end

---Rows of a CSV file.
---@param path string
---@param options? {header: boolean?, types: table<string|integer, string>?, separator: string?, empty: any}
---@return any[][]? rows
---@return string? message
---@return string? code "NOTFOUND", "PERMISSION", "IO", "SYNTAX"
function M.read(path, options)
  if type(path) ~= "string" then raise("rille.csv: a path was expected, but there is a " .. type(path)) end
  local file, why, errnum = io.open(path, "rb")
  if not file then return nil, why, CODES[errnum] or "IO" end
  local text, read_why = file:read "*a"
  file:close()
  if not text then return nil, ("%s: %s"):format(path, read_why), "IO" end
  local rows, message, code = M.parse(text, options)
  if not rows then return nil, ("%s: %s"):format(path, message), code end
  return rows
end

return M
