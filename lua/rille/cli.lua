-- SPDX-License-Identifier: MIT
--
-- The command `rille`. Exit codes: 0 done, 1 it failed, 2 the command line is wrong. Results go to the standard output,
-- everything else to the standard error.

local rille = require "rille"
local core = require "rille.core"
local check = require "rille.check"
local compat = require "rille.compat"
local format = require "rille.format"

local M = {}

local FAILED, USAGE = 1, 2

local HELP = [[
rille - an embedded database of immutable values, queried with Datalog

usage: rille COMMAND [OPTION...] [ARGUMENT...]

  run SCRIPT [ARG...]      run a Lua script; rille is there as a global
  q QUERY [SOURCE...]      run a query; its sources, in the order of :in, are URLs of databases and CSV files
  transact URL FILE        commit the transactions of an EDN file (- is the standard input)
  stat URL                 show what a database holds
  verify URL               read everything and check it

options
  --format table|json|csv|edn   how to print (a table on a terminal, else csv)
  --arg EDN                     q: the next input that is no source; may be repeated
  --rules FILE                  q: rules for % from an EDN file
  --as-of POINT                 q, stat: an earlier value: transaction id, instant or commit id
  --branch NAME                 another branch than main
  --limit N, --offset N         q: a part of the rows
  --timeout MS                  q: give up after so many milliseconds
  --explain                     q: show the plan instead of the rows
  --create                      transact: make the database if it is missing
  --help, --version

QUERY is EDN text, or @FILE. Exit codes: 0 done, 1 failed, 2 wrong usage.
]]

-- Failures travel as errors with this metatable, so that finally is one place.
local stop_meta = {}

local function stop(code, message, ...)
  error(setmetatable({ code = code, message = select("#", ...) > 0 and message:format(...) or message }, stop_meta), 0)
end

local function must(value, message, code)
  if value == nil then stop(FAILED, "%s%s", message, code and (" [" .. code .. "]") or "") end
  return value
end

-- ---- the command line ----

local OPTIONS = {
  format = "value", arg = "list", rules = "value", ["as-of"] = "value", branch = "value", limit = "number",
  offset = "number", timeout = "number", explain = "flag", create = "flag", help = "flag", version = "flag",
}

local function take_value(name, inline, args, i)
  if inline then return inline, i end
  if args[i + 1] == nil then stop(USAGE, "option --%s wants a value", name) end
  return args[i + 1], i + 1
end

local function set_option(options, name, inline, args, i)
  local kind = OPTIONS[name]
  if not kind then stop(USAGE, "there is no option --%s%s", name, check.hint(name, OPTIONS, "--")) end
  if kind == "flag" then
    if inline then stop(USAGE, "option --%s takes no value", name) end
    options[name] = true
    return i
  end
  local value
  value, i = take_value(name, inline, args, i)
  if kind == "list" then
    options[name] = options[name] or {}
    table.insert(options[name], value)
  elseif kind == "number" then
    options[name] = tonumber(value)
    local number = options[name]
    local fits = number and number >= 0 and (name == "timeout" or number % 1 == 0)
    if not fits then
      stop(USAGE, "option --%s wants a %snumber from 0 on, not %q", name, name == "timeout" and "" or "whole ", value)
    end
  else
    options[name] = value
  end
  return i
end

-- Options may stand anywhere; all that follows `run SCRIPT`, or --, is left alone.
local function parse_args(args)
  local options, rest = {}, {}
  local i = 1
  while args[i] ~= nil do
    local item = args[i]
    local name, inline = item:match "^%-%-([%w-]+)=(.*)$"
    name = name or item:match "^%-%-([%w-]+)$"
    if item == "--" or (rest[1] == "run" and #rest == 2) then
      for j = item == "--" and i + 1 or i, #args do rest[#rest + 1] = args[j] end
      break
    elseif item == "-h" then
      options.help = true
    elseif name then
      i = set_option(options, name, inline, args, i)
    elseif item:find "^%-." then
      stop(USAGE, "there is no option %s", item)
    else
      rest[#rest + 1] = item
    end
    i = i + 1
  end
  return options, rest
end

-- The options of each command; run leaves all to its script.
local TAKES = {
  q = { "format", "arg", "rules", "as-of", "branch", "limit", "offset", "timeout", "explain" },
  transact = { "format", "branch", "create" },
  stat = { "format", "branch", "as-of" },
  verify = { "format", "branch" },
  run = {},
}

local function check_taken(command, options)
  local taken = {}
  for _, name in ipairs(TAKES[command]) do taken[name] = true end
  local others = {}
  for name in pairs(options) do
    if not taken[name] then others[#others + 1] = name end
  end
  table.sort(others)
  if others[1] then stop(USAGE, "%s takes no option --%s", command, others[1]) end
end

-- ---- help for the commands ----

local function read_file(path)
  if path == "-" then return io.read "*a" end
  local file, why = io.open(path, "rb")
  if not file then stop(FAILED, "%s", why) end
  local text = file:read "*a"
  file:close()
  if not text then stop(FAILED, "%s cannot be read", path) end
  return text
end

local function point_of(text)
  local t = text:match "^%d+$" and #text > 4 and tonumber(text)
  return t or text
end

local function open_db(url, options)
  local db = must(rille.db(url, { branch = options.branch }))
  if options["as-of"] then
    local fine, value, message, code = pcall(db.as_of, db, point_of(options["as-of"]))
    if not fine then stop(USAGE, "%s", value) end
    db = must(value, message, code)
  end
  return db
end

-- A CSV file (its fields are strings), or a database.
local function open_source(source, options)
  if source:find "%.csv$" and not source:find "^%a+:" then return must(rille.csv(source)) end
  if not source:find(":", 1, true) then
    local _, message, code = rille.exists(source)
    stop(FAILED, "%s; a source may also be a file NAME.csv [%s]", message, code)
  end
  return open_db(source, options)
end

local function pick_format(options)
  local name = options.format or (core.isatty(1) and "table" or "csv")
  local writer = format.formats[name]
  if not writer then
    stop(USAGE, "there is no format %q%s; there are %s", name, check.hint(name, format.formats),
      check.sorted(format.formats))
  end
  return writer
end

local function check_output(ok, why)
  if not ok then stop(FAILED, "the output cannot be written: %s", why) end
end

local function write_out(text) check_output(io.stdout:write(text)) end

-- What write_out left in the buffer. A failure here is the last chance to tell that the reader misses something.
local function flush_out() check_output(io.stdout:flush()) end

-- Lines on the standard error while something takes long; only when somebody may look.
local function progress()
  local shown, last = core.isatty(2), core.clock_us()
  local self = {}
  function self.tell(text, ...)
    local now = core.clock_us()
    if shown and now - last > 200000 then
      io.stderr:write("\r", text:format(...), "\27[K")
      self.open, last = true, now
    end
  end
  function self.done()
    if self.open then io.stderr:write "\r\27[K" end
  end
  return self
end

-- ---- commands ----

local commands = {}

-- A row as an array; with :keys it is a map.
local function array_of(row, columns)
  if row[1] ~= nil then return row end
  local list = {}
  for c, name in ipairs(columns) do list[c] = row[name] end
  return list
end

-- Rows of what the query gives, by the shape that it asks for: a tuple looks like a row, or a list.
local function rows_of(prepared, value)
  local columns, shape = prepared:columns(), prepared:_shape()
  local rows = {}
  if shape == "rows" then
    for i = 1, #value do rows[i] = array_of(value[i], columns) end
  elseif shape == "list" then
    for i, item in ipairs(value) do rows[i] = { item } end
  elseif value ~= nil then
    rows[1] = shape == "row" and array_of(value, columns) or { value }
  end
  return columns, rows
end

local function query_inputs(prepared, sources, options)
  local inputs, n = {}, 0
  local next_source, next_arg = 1, 1
  local args = options.arg or {}
  for _, input in ipairs(prepared:inputs()) do
    n = n + 1
    if input.kind == "source" then
      local source = sources[next_source]
      if not source then stop(USAGE, "the query wants a URL or a CSV file for %s", input.name) end
      inputs[n] = open_source(source, options)
      next_source = next_source + 1
    elseif input.kind == "rules" then
      if not options.rules then stop(USAGE, "the query wants --rules FILE") end
      inputs[n] = read_file(options.rules)
    else
      if not args[next_arg] then stop(USAGE, "the query wants --arg EDN for %s", input.name) end
      inputs[n] = must(rille.edn.decode(args[next_arg]))
      next_arg = next_arg + 1
    end
  end
  if sources[next_source] then stop(USAGE, "the query has no source for %s", sources[next_source]) end
  if args[next_arg] then stop(USAGE, "the query has no input for --arg %s", args[next_arg]) end
  return inputs, n
end

function commands.q(args, options)
  if #args < 1 then stop(USAGE, "q wants a query") end
  local writer = pick_format(options)
  local text = args[1]:sub(1, 1) == "@" and read_file(args[1]:sub(2)) or args[1]
  local prepared = must(rille.prepare(text))
  local inputs, n = query_inputs(prepared, { compat.unpack(args, 2) }, options)
  inputs[n + 1] = rille.options { limit = options.limit, offset = options.offset, timeout_ms = options.timeout }
  if options.explain then
    write_out((must(prepared:explain(compat.unpack(inputs, 1, n + 1))):gsub("%s*$", "\n")))
    return
  end
  local value, message, code = prepared:run(compat.unpack(inputs, 1, n + 1))
  if value == nil and message then stop(FAILED, "%s [%s]", message, code) end
  local columns, rows = rows_of(prepared, value)
  writer(columns, rows, write_out)
end

function commands.transact(args, options)
  if #args ~= 2 then stop(USAGE, "transact wants a URL and a file") end
  local writer = pick_format(options)
  local texts = must(rille.edn.split(read_file(args[2])))
  local conn, why, why_code = rille.connect(args[1], { branch = options.branch, create = options.create })
  if not conn then
    stop(FAILED, "%s [%s]%s", why, why_code, why_code == "NOTFOUND" and "; --create makes it" or "")
  end
  local shown = progress()
  local datoms, last = 0, nil
  for i, text in ipairs(texts) do
    local report, message, code = conn:transact(text)
    if not report then
      shown.done()
      stop(FAILED, "%s, transaction %d: %s [%s]; %d before it were committed", args[2], i, message, code, i - 1)
    end
    datoms, last = datoms + core.report_size(report), report
    shown.tell("%d of %d transactions", i, #texts)
  end
  shown.done()
  conn:close()
  io.stderr:write(("%d transaction%s, %d datoms\n"):format(#texts, #texts == 1 and "" or "s", datoms))
  if last then
    writer({ "tx", "instant", "commit" }, { { last.tx, last.instant, last.commit } }, write_out)
  end
end

function commands.stat(args, options)
  if #args ~= 1 then stop(USAGE, "stat wants a URL") end
  local writer = pick_format(options)
  local conn = must(rille.connect(args[1], { branch = options.branch }))
  local db = open_db(args[1], options)
  local basis, attributes = db:basis(), 0
  for _ in pairs(db:schema()) do attributes = attributes + 1 end
  local rows = {
    { "url", args[1] },
    { "branch", basis.branch },
    { "tx", basis.t },
    { "instant", basis.instant },
    { "commit", basis.commit },
    { "attributes", attributes },
    { "datoms", must(db:count("eavt")) },
    { "size_bytes", conn:stats().size_bytes },
    { "branches", table.concat(must(rille.branches(args[1])), " ") },
  }
  conn:close()
  writer({ "what", "value" }, rows, write_out)
end

function commands.verify(args, options)
  if #args ~= 1 then stop(USAGE, "verify wants a URL") end
  local writer = pick_format(options)
  local conn = must(rille.connect(args[1], { branch = options.branch }))
  local report = must(conn:verify())
  conn:close()
  local rows = {}
  for _, name in ipairs { "branches", "transactions", "datoms", "nodes", "blobs", "bytes" } do
    rows[#rows + 1] = { name, report[name] }
  end
  writer({ "what", "checked" }, rows, write_out)
end

function commands.run(args)
  if #args < 1 then stop(USAGE, "run wants a script") end
  local chunk, why = compat.loadfile(args[1])
  if not chunk then stop(FAILED, "%s", why) end
  local script_args = { [0] = args[1], compat.unpack(args, 2) }
  rawset(_G, "arg", script_args)
  rawset(_G, "rille", rille)
  local fine, message = xpcall(function() return chunk(compat.unpack(script_args)) end, function(e)
    if type(e) == "table" and getmetatable(e) == stop_meta then return e end
    return debug.traceback(tostring(e), 2)
  end)
  if not fine then stop(FAILED, "%s", tostring(message)) end
end

-- ---- all of it ----

local function dispatch(args)
  local options, rest = parse_args(args)
  if options.version then
    write_out(("rille %s (%s)\n"):format(rille._VERSION, rawget(_G, "jit") and rawget(_G, "jit").version or _VERSION))
    return flush_out()
  end
  if options.help or rest[1] == "help" then
    write_out(HELP)
    return flush_out()
  end
  local name = table.remove(rest, 1)
  if not name then stop(USAGE, "a command is missing; rille --help lists them") end
  local command = commands[name]
  if not command then
    stop(USAGE, "there is no command %s%s; rille --help lists them", name, check.hint(name, commands))
  end
  check_taken(name, options)
  command(rest, options)
  if name ~= "run" then flush_out() end -- what a script prints is its own affair
end

---Runs a command line and gives the exit code.
---@param args string[]
---@return integer code
function M.run(args)
  local fine, failure = pcall(dispatch, args)
  if fine then
    io.stdout:flush()
    return 0
  end
  if type(failure) == "table" and getmetatable(failure) == stop_meta then
    io.stderr:write("rille: ", failure.message, "\n")
    return failure.code
  end
  io.stderr:write("rille: ", tostring(failure), "\n")
  return FAILED
end

---Runs the program's command line and ends the program.
---@param args string[]
function M.main(args)
  local code = M.run(args)
  if code ~= 0 then
    io.stdout:flush()
    compat.exit(code)
  end
end

return M
