-- SPDX-License-Identifier: MIT
--
-- The words of the command line: commands, their options and their help; arguments become options and the rest.

local check = require "rille.check"
local csv = require "rille.csv"

local M = {}

M.FAILED, M.USAGE = 1, 2

-- ---- failures ----

-- Failures travel as errors with this metatable, so that one place reports them.
M.stop_meta = {}

---Ends the command with an exit code.
---@param code integer
---@param message string a format, if anything follows
function M.stop(code, message, ...)
  local text = select("#", ...) > 0 and message:format(...) or message
  error(setmetatable({ code = code, message = text }, M.stop_meta), 0)
end

local stop, USAGE = M.stop, M.USAGE

-- ---- options ----

-- kind: a flag, one value, a list of values (the option can be repeated), a count (an integer) or a number.
-- into: the list that options share.
local OPTIONS = {
  format = { "value", "FORMAT", "table, json, csv or edn (default: table on a terminal, otherwise csv)" },
  arg = { "list", "EDN", "value of the next input that is not a source; can be repeated" },
  ["arg-string"] = { "list", "TEXT", "the same as text, without EDN's quotes: --arg-string SKU-001", into = "arg" },
  types = { "list", "COL=TYPE,...", "types of the columns of CSV files (default: string)" },
  empty = { "value", "EDN", "value of empty cells in columns that --types names (default: an error)" },
  rules = { "value", "FILE", "rules for the input %, from an EDN file" },
  ["as-of"] = { "value", "POINT", "use an earlier version: transaction id, instant or commit id" },
  branch = { "value", "NAME", "use branch NAME (default: main)" },
  limit = { "count", "N", "print at most N rows" },
  offset = { "count", "N", "skip the first N rows" },
  timeout = { "number", "MS", "stop after MS milliseconds" },
  explain = { "flag", nil, "show the plan instead of the rows" },
  create = { "flag", nil, "create the database if it does not exist" },
  help = { "flag", nil, "show this help (also -h)" },
  version = { "flag", nil, "show the version (also -v)" },
}

local SHORT = { ["-h"] = "help", ["-v"] = "version" }

-- ---- commands ----

-- Each with its arguments, what it does, its options, and examples.
local COMMANDS = {
  q = {
    args = "QUERY [SOURCE...]",
    summary = "run a query on databases and CSV files",
    options = { "arg", "arg-string", "rules", "types", "empty", "as-of", "branch", "limit", "offset", "timeout",
      "explain", "format" },
    about = [=[
QUERY is EDN text, @FILE, or @- for standard input. Sources and --arg values
go to the inputs of :in in order. A SOURCE is the URL of a database or a file
NAME.csv, whose cells are strings unless --types gives the type of their column:
]=] .. "  " .. check.sorted(csv.types) .. [=[


With several CSV files, a type applies to each file that has the column. A
column can also be a number: --types 2=long.

examples
  rille q '[:find ?name :where [_ :product/name ?name]]' file:shop
  rille q '[:find ?p . :in $ ?sku :where [?p :product/sku ?sku]]' file:shop --arg-string SKU-001
  rille q '[:find (sum ?qty) . :with ?sku :where [?sku ?qty]]' orders.csv --types qty=long
]=],
  },
  transact = {
    args = "URL FILE",
    summary = "commit the transactions of an EDN file",
    options = { "create", "branch", "format" },
    about = [[
FILE is EDN text, or - for standard input. It contains one or more
transactions, such as
  [{:product/sku "A1" :product/name "Bolt"}]
Each is committed separately; rille stops at the first failure and reports it.

example
  rille transact file:shop shop.edn --create

To load a CSV file whose attributes are in the schema, use "rille run" with
  local conn = assert(rille.connect "file:shop")
  local orders = {}
  for i, row in ipairs(assert(rille.csv("orders.csv", { types = { qty = "long" } }))) do
    orders[i] = { ["order/sku"] = row[1], ["order/qty"] = row[2] }
  end
  assert(conn:transact(orders))
]],
  },
  stat = {
    args = "URL",
    summary = "show what a database contains",
    options = { "as-of", "branch", "format" },
    about = [[
example
  rille stat file:shop --as-of 2026-11-22
]],
  },
  verify = {
    args = "URL",
    summary = "read all of a database and check it",
    options = { "branch", "format" },
    about = [[
example
  rille verify lmdb:stock
]],
  },
  run = {
    args = "SCRIPT [ARG...]",
    summary = "run a Lua script that can use rille",
    options = {},
    about = [[
The script finds rille in the global variable rille, and its arguments in arg.

example
  rille run report.lua file:shop
]],
  },
}
M.commands = COMMANDS

local ORDER = { "q", "transact", "stat", "verify", "run" }

-- How to go on where there is no database.
M.remedies = {
  transact = "; --create creates the database",
  all = '; "rille transact URL FILE --create" creates a database',
}

---A word as a shell takes it.
---@param text string
---@return string
function M.quoted(text)
  if text:find "^[%w@%%_+=:,./-]+$" then return text end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- ---- help ----

local function usage_line(name)
  local command = COMMANDS[name]
  return ("rille %s %s%s"):format(name, command.args, #command.options > 0 and " [OPTION...]" or "")
end

---The help of one command, or of all.
---@param name string?
---@return string
function M.help(name)
  local out = {}
  local function add(text, ...) out[#out + 1] = select("#", ...) > 0 and text:format(...) or text end
  if name then
    local command = COMMANDS[name]
    add("usage: %s\n\nrille %s: %s\n\n", usage_line(name), name, command.summary)
    for i, option in ipairs(command.options) do
      local known = OPTIONS[option]
      local word = "--" .. option .. (known[2] and " " .. known[2] or "")
      add("%s  %-24s %s\n", i == 1 and "options\n" or "", word, known[3])
    end
    add(#command.options > 0 and "\n" or "")
    add(command.about)
    return table.concat(out)
  end
  add "rille: an embedded Datalog database; every version stays queryable\n\n"
  add "usage: rille COMMAND [OPTION...] [ARGUMENT...]\n\ncommands\n"
  for _, each in ipairs(ORDER) do add("  %-24s %s\n", each .. " " .. COMMANDS[each].args, COMMANDS[each].summary) end
  add [=[

example
  rille q '[:find ?name :where [_ :product/name ?name]]' file:shop

rille COMMAND --help (-h) shows the options of a command and examples; rille --version (-v) shows the version.
Exit codes: 0 success, 1 failure, 2 wrong usage; Ctrl-C ends a command as the signal SIGINT does (130 in a shell).
]=]
  return table.concat(out)
end

---Ends with what is wrong and the usage of the command.
---@param name string
---@param message string
function M.misused(name, message, ...)
  stop(USAGE, "%s; usage: %s", select("#", ...) > 0 and message:format(...) or message, usage_line(name))
end

---Checks the number of arguments. what: the names of those that are needed.
---@param name string
---@param args string[]
---@param ... string
function M.check_args(name, args, ...)
  local wanted = { ... }
  if #args < #wanted then M.misused(name, "missing %s", wanted[#args + 1]) end
  if #args > #wanted then
    M.misused(name, "rille %s takes one %s, got %d arguments (%s)", name, table.concat(wanted, " and one "), #args,
      table.concat(args, " "))
  end
end

-- ---- reading the command line ----

local function take_value(name, inline, args, i)
  if inline then return inline, i end
  if args[i + 1] == nil then stop(USAGE, "option --%s requires a value: --%s %s", name, name, OPTIONS[name][2]) end
  return args[i + 1], i + 1
end

local function number_of(name, kind, text)
  local number = tonumber(text)
  local fits = number and number >= 0 and (kind == "number" or number % 1 == 0)
  if not fits then
    stop(USAGE, "option --%s expects a non-negative %s, got %q", name, kind == "count" and "integer" or "number", text)
  end
  return number
end

local function set_option(options, name, inline, args, i)
  local known = OPTIONS[name]
  if not known then stop(USAGE, "unknown option --%s%s", name, check.hint(name, OPTIONS, "--")) end
  local kind = known[1]
  if kind == "flag" then
    if inline then stop(USAGE, "option --%s does not take a value", name) end
    options[name] = true
    return i
  end
  local value
  value, i = take_value(name, inline, args, i)
  if kind == "list" then
    local list = known.into or name
    options[list] = options[list] or {}
    table.insert(options[list], { option = name, text = value })
  elseif kind == "value" then
    options[name] = value
  else
    options[name] = number_of(name, kind, value)
  end
  return i
end

---Options can be anywhere; everything after `run SCRIPT`, or after --, is left alone.
---@param args string[]
---@return table options
---@return string[] rest
function M.parse(args)
  local options, rest = {}, {}
  local i = 1
  while args[i] ~= nil do
    local item = args[i]
    local name, inline = item:match "^%-%-([%w-]+)=(.*)$"
    name = name or item:match "^%-%-([%w-]+)$" or SHORT[item]
    if item == "--" or (rest[1] == "run" and #rest == 2) then
      for j = item == "--" and i + 1 or i, #args do rest[#rest + 1] = args[j] end
      break
    elseif name then
      i = set_option(options, name, inline, args, i)
    elseif item:find "^%-." then
      stop(USAGE, "unknown option %s", item)
    else
      rest[#rest + 1] = item
    end
    i = i + 1
  end
  return options, rest
end

---Ends with a message for an option that the command does not have.
---@param name string
---@param options table
function M.check_options(name, options)
  local taken = {}
  for _, option in ipairs(COMMANDS[name].options) do taken[option] = true end
  local others = {}
  for option in pairs(options) do
    if not taken[option] then others[#others + 1] = option end
  end
  table.sort(others)
  if others[1] then M.misused(name, "rille %s does not accept --%s", name, others[1]) end
end

---What a command line's option --types says: types by column.
---@param list {text: string}[]?
---@return table<string, string> types
function M.types(list)
  local types = {}
  for _, item in ipairs(list or {}) do
    for part in item.text:gmatch "[^,]+" do
      local column, name = part:match "^%s*(.-)%s*=%s*([^=]-)%s*$"
      if not column or column == "" or name == "" then
        stop(USAGE, "--types %s: expected COLUMN=TYPE, such as qty=long, got %q", item.text, part)
      end
      if not csv.types[name] then
        stop(USAGE, "--types %s: unknown type %q%s; valid types: %s", item.text, name, check.hint(name, csv.types),
          check.sorted(csv.types))
      end
      if types[column] then stop(USAGE, "--types: duplicate column %s", column) end
      types[column] = name
    end
  end
  return types
end

return M
