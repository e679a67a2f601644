-- SPDX-License-Identifier: MIT
--
-- CSV files as rows of a query: RFC 4180 (quotes, doubled quotes, line ends within quotes), any separator.

local core = require "rille.core"
local check = require "rille.check"
local compat = require "rille.compat"

local M = {}

local raise = core.raise

local LONG_DIGITS_MAX = 15 -- exact in every Lua

local LONG_LEAST, LONG_GREATEST = core.bigint "-9223372036854775808", core.bigint "9223372036854775807"

-- Converters by type name. They get the text of a cell that is not empty, and return nil or raise an error if it does
-- not fit.
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

---The names of the types, as keys.
M.types = converters

-- What a cell of the type looks like, for messages.
local EXAMPLES = {
  long = "an integer such as -12", double = "a number such as 1.5 or 2e-3",
  boolean = "true, yes or 1, or false, no or 0", keyword = "a name such as red or colour/red",
  symbol = "a name such as red", uuid = "32 hexadecimal digits with hyphens",
  instant = "a date or time such as 2026-11-22 or 2026-11-22T10:30:00Z",
  bigint = "an integer such as -12", bigdec = "a decimal number such as 1.50",
}

local CODES = { [1] = "PERMISSION", [2] = "NOTFOUND", [13] = "PERMISSION", [20] = "NOTFOUND" } -- by errno

local OPTIONS = { header = "boolean", types = "table", separator = "string", empty = "any" }

-- "2:5", the line and the column of a byte; lines end with LF, CR LF or CR.
local function position(text, pos)
  local line, start = 1, 1
  local at = text:find("[\r\n]", 1)
  while at and at < pos do
    if text:sub(at, at + 1) == "\r\n" then at = at + 1 end
    line, start = line + 1, at + 1
    at = text:find("[\r\n]", start)
  end
  return ("%d:%d"):format(line, pos - start + 1)
end

-- The field that begins at `pos`: its text, the position after it, the character there ("" at the end), whether it
-- was quoted; or nil, why, where.
local function read_field(text, pos, separator)
  if text:sub(pos, pos) ~= '"' then
    local stop = text:find("[" .. separator .. "\r\n]", pos) or #text + 1
    return text:sub(pos, stop - 1), stop, text:sub(stop, stop), false
  end
  local parts = {}
  local from = pos + 1
  while true do
    local quote = text:find('"', from, true)
    if not quote then return nil, "unterminated quoted field", pos end
    parts[#parts + 1] = text:sub(from, quote - 1)
    if text:sub(quote + 1, quote + 1) ~= '"' then
      local after = text:sub(quote + 1, quote + 1)
      if after ~= "" and not after:find("[" .. separator .. "\r\n]") then
        return nil, "unexpected text after a quoted field", quote + 1
      end
      return table.concat(parts), quote + 1, after, true
    end
    parts[#parts + 1] = '"'
    from = quote + 2
  end
end

-- One row of fields from `pos`, and the position of the next one; or nil, why, where. into.quoted: were they quoted?
local function read_line(text, pos, separator, into)
  local n = 0
  while true do
    local field, stop, after, quoted = read_field(text, pos, separator)
    if not field then return nil, stop, after end
    n = n + 1
    into[n] = field
    into.quoted[n] = quoted
    if after == "\r" and text:sub(stop + 1, stop + 1) == "\n" then stop = stop + 1 end
    if after ~= separator then
      for i = #into, n + 1, -1 do into[i] = nil end
      return stop + 1
    end
    pos = stop + 1
  end
end

-- Where field i of the row at `pos` begins.
local function field_start(text, pos, separator, i)
  for _ = 2, i do
    local _, stop = read_field(text, pos, separator)
    pos = stop + 1
  end
  return pos
end

local function converter_of(types, columns, i)
  local name = types[i] or (columns[i] and types[columns[i]]) or "string"
  local converter = converters[name]
  if not converter then
    raise(("rille.csv: unknown type %q%s; valid types: %s"):format(tostring(name), check.hint(name, converters),
      check.sorted(converters)))
  end
  return converter, name
end

local function convert(converter, text)
  local ok, value = pcall(converter, text)
  if ok then return value end
  if compat.is_interrupt(value) then error(value, 0) end
  return nil
end

-- Fields of one line as a row of values; or nil, why, the number of the field that is wrong.
local function to_row(fields, plan)
  local row = {}
  if #fields ~= #plan then
    return nil, ("expected %d field%s, got %d"):format(#plan, #plan == 1 and "" or "s", #fields), 1
  end
  for i = 1, #plan do
    local text, column = fields[i], plan[i]
    local value
    if text == "" and column.name ~= "string" then
      value = column.empty
    else
      value = convert(column.converter, text)
    end
    if value == nil then
      local what = text == "" and ("empty field, expected a %s (the option empty gives it a value)"):format(column.name)
        or ("%q is not a %s, expected %s"):format(text, column.name, EXAMPLES[column.name])
      return nil, ("column %s: %s"):format(column.label, (what:gsub("%f[%w]a (instant)", "an %1"))), i
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
      local names = #columns > 0 and table.concat(columns, ", ") or ("1 to %d"):format(width)
      raise(("rille.csv: option types: unknown column %s%s; the columns are: %s"):format(
        type(name) == "string" and ("%q"):format(name) or tostring(name), check.hint(name, known), names))
    end
  end
  for i = 1, width do
    local converter, name = converter_of(options.types or {}, columns, i)
    plan[i] = { converter = converter, name = name, label = columns[i] or tostring(i), empty = options.empty }
  end
  return plan
end

local function separator_of(options)
  local separator = options.separator or ","
  if #separator ~= 1 or separator:find '[%^%]%-"%%\r\n]' then
    raise(("rille.csv: option separator must be one character such as \",\", \";\" or a tab, got %q"):format(separator))
  end
  return separator
end

local function begin_of(text)
  return text:sub(1, 3) == "\239\187\191" and 4 or 1 -- after a byte order mark
end

---The fields of the first line, which are the names of the columns; none if it cannot be read.
---@param text string
---@return string[]
function M.header(text)
  local fields = { quoted = {} }
  if #text == 0 or not read_line(text, begin_of(text), ",", fields) then return {} end
  fields.quoted = nil
  return fields
end

---Rows of CSV text, for a query's source or relation. `columns` of the result has the names.
---@param text string
---@param options? {header: boolean?, types: table<string|integer, string>?, separator: string?, empty: any}
---@return any[][]? rows
---@return string? message
---@return string? code "SYNTAX"
function M.parse(text, options)
  if type(text) ~= "string" then raise("rille.csv_parse: expected text, got " .. check.kind(text)) end
  options = check.options("rille.csv", options, OPTIONS)
  local separator = separator_of(options)
  local rows, columns, plan = {}, {}, nil
  local fields = { quoted = {} }
  local pos, row_count = begin_of(text), 0
  local function fail(why, where) return nil, ("%s: %s"):format(position(text, where), why), "SYNTAX" end
  while pos <= #text do
    local after, message, where = read_line(text, pos, separator, fields)
    row_count = row_count + 1
    if not after then return fail(message, where) end
    local blank = #fields == 1 and fields[1] == "" and not fields.quoted[1]
    if row_count == 1 and options.header ~= false then
      for i = 1, #fields do columns[i] = fields[i] end
      plan = make_plan(options, columns, #columns)
    elseif not (blank and plan and #plan > 1) then
      plan = plan or make_plan(options, columns, #fields)
      local row, why, i = to_row(fields, plan)
      if not row then return fail(why, field_start(text, pos, separator, i)) end
      rows[#rows + 1] = row
    end
    pos = after
  end
  rows.columns = columns
  return rows
end

---The content of a file.
---@param path string
---@return string? text
---@return string? message
---@return string? code "NOTFOUND", "PERMISSION", "IO"
function M.slurp(path)
  local file, why, errnum = io.open(path, "rb")
  if not file then return nil, why, CODES[errnum] or "IO" end
  local text, read_why = file:read "*a"
  file:close()
  if not text then return nil, ("%s: %s"):format(path, read_why), "IO" end
  return text
end

---Rows of a CSV file.
---@param path string
---@param options? {header: boolean?, types: table<string|integer, string>?, separator: string?, empty: any}
---@return any[][]? rows
---@return string? message
---@return string? code "NOTFOUND", "PERMISSION", "IO", "SYNTAX"
function M.read(path, options)
  if type(path) ~= "string" then raise("rille.csv: expected a path, got " .. check.kind(path)) end
  local text, why, why_code = M.slurp(path)
  if not text then return nil, why, why_code end
  local rows, message, code = M.parse(text, options)
  if not rows then return nil, ("%s:%s"):format(path, message), code end
  return rows
end

return M
