-- SPDX-License-Identifier: MIT
--
-- The command `rille`. Exit codes: 0 success, 1 failure, 2 wrong usage. Results go to the standard output, everything
-- else to the standard error. Ctrl-C ends every command but `run` at once, by the default action of the signal. That is
-- safe: a transaction is either committed or absent, whenever the process ends.

local rille = require "rille"
local core = require "rille.core"
local check = require "rille.check"
local compat = require "rille.compat"
local csv = require "rille.csv"
local format = require "rille.format"
local operation = require "rille.operation"
local usage = require "rille.usage"

local M = {}

local SLICE_US = 50000 -- after so long, a call of a script lets Lua see a Ctrl-C

local FAILED, USAGE, INTERRUPTED = usage.FAILED, usage.USAGE, 130
local stop = usage.stop

local function must(value, message, code)
  if value == nil then stop(FAILED, "%s%s", message, code and (" [" .. code .. "]") or "") end
  return value
end

-- ---- for the commands ----

local function read_file(path)
  if path == "-" then return io.read "*a" end
  local file, why = io.open(path, "rb")
  if not file then stop(FAILED, "%s", why) end
  local text = file:read "*a"
  file:close()
  if not text then stop(FAILED, "cannot read %s", path) end
  return text
end

-- What rille.connect or rille.db returned. A missing database gets the remedy of the command line, not that of Lua.
local function must_open(url, options, value, message, code)
  if value then return value end
  for _, remedy_of_lua in ipairs { check.CREATE, check.BRANCHES } do
    if message:sub(-#remedy_of_lua) == remedy_of_lua then message = message:sub(1, -#remedy_of_lua - 1) end
  end
  local remedy = ""
  if code == "NOTFOUND" and not options.branch and not options.create and not url:find "^https?:" then
    remedy = usage.remedies[options.command] or usage.remedies.all
  end
  local branches = code == "NOTFOUND" and options.branch and rille.branches(url)
  if branches and branches[1] then
    table.sort(branches)
    remedy = ("; it has %s %s"):format(branches[2] and "the branches" or "only the branch",
      table.concat(branches, ", "))
  end
  stop(FAILED, "%s [%s]%s", message, code, remedy)
end

local function connect(url, options)
  return must_open(url, options, rille.connect(url, { branch = options.branch, create = options.create }))
end

-- A number of more than four digits is a transaction id; fewer are a year.
local function point_of(text)
  local t = text:match "^%d+$" and #text > 4 and tonumber(text)
  if t then return t end
  if not (#text == 64 and text:find "^%x+$") and not pcall(rille.instant, text) then
    stop(USAGE, "--as-of %s: expected a transaction id, a commit id, or an instant such as 2026-11-22 or "
      .. "2026-11-22T10:30:00Z (UTC unless it has an offset such as +02:00)", text)
  end
  return text
end

local function open_db(url, options, conn)
  local point = options["as-of"] and point_of(options["as-of"])
  local db = conn and must(conn:db()) or must_open(url, options, rille.db(url, { branch = options.branch }))
  if point then
    local value, message, code = db:as_of(point)
    if value == nil then stop(FAILED, "--as-of %s: %s [%s]", options["as-of"], message, code) end
    db = value
  end
  return db
end

local function is_csv(source)
  return source:lower():find "%.csv$" ~= nil and not source:find "^%a+:"
end

-- Rows of a CSV file. The types of its columns are those of --types by name or number; used: which of them it has.
local function open_csv(path, types, options, used)
  local text, why, why_code = csv.slurp(path)
  if not text then stop(FAILED, "%s [%s]", why, why_code) end
  local names, here = csv.header(text), {}
  for i, name in ipairs(names) do
    for _, key in ipairs { name, tostring(i) } do
      if types[key] and not here[i] then here[i], used[key] = types[key], true end
    end
    used.columns[name] = true
  end
  used.files[#used.files + 1] = ("%s has %s"):format(path, table.concat(names, ", "))
  local empty, empty_why, empty_code
  if options.empty then
    empty, empty_why, empty_code = rille.edn.decode(options.empty)
    if empty == nil then stop(USAGE, "--empty %s: %s [%s]", options.empty, empty_why, empty_code) end
    if empty == rille.null then stop(USAGE, "--empty %s: nil is not a value, expected one such as 0", options.empty) end
  end
  local rows, message, code = csv.parse(text, { types = here, empty = empty })
  if not rows then
    stop(FAILED, "%s:%s [%s]", path, (message:gsub("the option empty gives", "--empty gives")), code)
  end
  return rows
end

-- Opens the sources of a query: CSV files and databases.
local function opener(options)
  local types = usage.types(options.types)
  local used = { columns = {}, files = {} }
  local function open(source)
    if is_csv(source) then return open_csv(source, types, options, used) end
    if not source:find(":", 1, true) then
      local _, message, code = rille.exists(source)
      stop(FAILED, "%s; a source can also be a file NAME.csv [%s]", message, code)
    end
    return open_db(source, options)
  end
  local function check_types()
    for column in pairs(types) do
      if not used[column] then
        stop(USAGE, "--types: unknown column %s%s; %s", column, check.hint(column, used.columns),
          used.files[1] and table.concat(used.files, "; ") or "no source is a CSV file")
      end
    end
    if options.empty and not options.types then stop(USAGE, "--empty needs --types: strings may be empty") end
  end
  return open, check_types
end

local function pick_format(options)
  local name = options.format or (core.isatty(1) and "table" or "csv")
  local writer = format.formats[name]
  if not writer then
    stop(USAGE, "unknown format %q%s; use one of: %s", name, check.hint(name, format.formats),
      check.sorted(format.formats))
  end
  return writer
end

local function check_output(ok, why)
  if not ok then stop(FAILED, "cannot write output: %s", why) end
end

local function write_out(text) check_output(io.stdout:write(text)) end

-- What write_out left in the buffer. A failure here is the last chance to report that the reader misses something.
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

-- Rows of what the query returns, by the shape that it asks for: a tuple looks like a row, or a list.
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

-- The value of an --arg or --arg-string.
local function arg_value(arg)
  if arg.option == "arg-string" then return arg.text end
  local value, message, code = rille.edn.decode(arg.text)
  if value == nil then
    local date = arg.text:find "^%d%d%d%d%-%d%d" and ("; for an instant, --arg '#inst \"%s\"'"):format(arg.text) or ""
    stop(USAGE, "--arg %s: %s [%s]; for text, use --arg-string %s%s", arg.text, message, code,
      usage.quoted(arg.text), date)
  end
  return value
end

-- What only databases have must be given to one.
local function check_versions(labels, prepared, options)
  local csv_file
  for i, input in ipairs(prepared:inputs()) do
    if input.kind == "source" then
      if not is_csv(labels[i]) then return end
      csv_file = csv_file or labels[i]
    end
  end
  for _, name in ipairs { "as-of", "branch" } do
    if options[name] then
      stop(USAGE, "--%s %s applies to databases, but no source is one%s", name, options[name],
        csv_file and (": %s is a CSV file"):format(csv_file) or "")
    end
  end
end

-- The inputs of a query, their number, and what each of them is on the command line.
local function query_inputs(prepared, sources, options)
  local inputs, labels, n = {}, {}, 0
  local next_source, next_arg, has_rules = 1, 1, false
  local args = options.arg or {}
  local open, check_types = opener(options)
  for _, input in ipairs(prepared:inputs()) do
    n = n + 1
    if input.kind == "source" then
      local source = sources[next_source]
      if not source then stop(USAGE, "missing source for %s: pass a database URL or a CSV file", input.name) end
      inputs[n], labels[n] = open(source), source
      next_source = next_source + 1
    elseif input.kind == "rules" then
      if not options.rules then stop(USAGE, "the query uses rules: pass --rules FILE") end
      has_rules = true
      inputs[n], labels[n] = read_file(options.rules), "--rules " .. options.rules
    else
      local arg = args[next_arg]
      if not arg then stop(USAGE, "missing value for %s: pass --arg EDN or --arg-string TEXT", input.name) end
      inputs[n], labels[n] = arg_value(arg), ("--%s %s"):format(arg.option, arg.text)
      next_arg = next_arg + 1
    end
  end
  if sources[next_source] then stop(USAGE, "too many sources: the query does not use %s", sources[next_source]) end
  if options.rules and not has_rules then
    stop(USAGE, "the query does not use --rules %s: add %% to :in", options.rules)
  end
  if args[next_arg] then
    stop(USAGE, "too many inputs: the query does not use --%s %s", args[next_arg].option, args[next_arg].text)
  end
  check_types()
  check_versions(labels, prepared, options)
  return inputs, labels, n
end

local function used_csv(labels)
  for _, label in pairs(labels) do
    if is_csv(label) then return true end
  end
  return false
end

-- A cell of a CSV file that is not text: the file, the row and the name of its column instead of input and number.
local function not_utf8(labels, inputs, message)
  local input, row, column, byte = message:match "^input (%d+) .*row (%d+): column (%d+): .*not valid UTF%-8 (%b())"
  local label = input and labels[tonumber(input)]
  if not label or not is_csv(label) then return nil end
  local name = inputs[tonumber(input)].columns[tonumber(column)] or column
  return ("%s: row %s, column %s: the text is not valid UTF-8 %s; convert the file, for example with "
    .. '"iconv -f ISO-8859-1 -t UTF-8"'):format(label, row, name, byte)
end

local AS_OF = "; the database value is as of " -- what the engine adds; the command line says why

-- What a query's failure means on this command line.
local function fail_query(options, labels, inputs, message, code)
  local more = ""
  local unreadable = not_utf8(labels, inputs, message)
  if unreadable then stop(FAILED, "%s [%s]", unreadable, code) end
  local input = tonumber(message:match "^input (%d+)%f[%D]")
  if input and labels[input] then more = ("; input %d is %s"):format(input, labels[input]) end
  local version = code == "ATTRIBUTE" and options["as-of"] and message:match(AS_OF .. "(%S+ %b())")
  if version then
    message = message:gsub(AS_OF .. "%S+ %b()", "")
    more = more .. ("; --as-of %s selects the version of %s, in which attributes added later are unknown"):format(
      options["as-of"], version)
  end
  for i, label in pairs(labels) do
    local only = code == "QUERY" and is_csv(label) and #inputs[i].columns == 1 and inputs[i].columns[1]
    if only and only:find "[;\t|]" then
      more = more .. ("; %s has one column, %q: the command expects commas between fields, and rille.csv in a script "
        .. "takes the option separator"):format(label, only)
    end
  end
  if code == "TYPE" and used_csv(labels) and not options.types then
    more = more .. "; the cells of CSV files are strings unless --types names a type, such as --types qty=long"
  end
  stop(FAILED, "%s [%s]%s", message, code, more)
end

-- Forms that may have been meant as text.
local WORDS = { symbol = true, number = true, boolean = true, ["nil"] = true }

-- What an --arg was read as, and how to write it as text; nil when it must have been meant as it is.
local function misread(text)
  local form = rille.edn.decode(text)
  local kind = rille.edn.type(form)
  if WORDS[kind] then
    local name = kind == "nil" and "" or "the " .. kind .. " "
    return ("was read as %s%s"):format(name, rille.edn.encode(form)),
      ("--arg-string %s or --arg '\"%s\"'"):format(usage.quoted(text), text)
  end
  for _, item in ipairs(kind == "vector" and form or {}) do
    if rille.edn.type(item) == "symbol" then
      return ("contains the symbol %s"):format(item.text), ('"%s" with quotes'):format(item.text)
    end
  end
  return nil
end

-- A word without quotes is EDN, too, and often silently matches nothing.
local function note_misread(options)
  for _, arg in ipairs(options.arg or {}) do
    local what, remedy
    if arg.option == "arg" then what, remedy = misread(arg.text) end
    if what then
      io.stderr:write(("rille: no rows; note that --arg %s %s (for text, use %s)\n"):format(arg.text, what, remedy))
    end
  end
end

-- A keyword in a pattern on a CSV file is compared with a column, and equal to no cell that is text.
local function note_attributes(prepared, labels, inputs, options)
  local files = {}
  for i, input in ipairs(prepared:inputs()) do
    if input.kind == "source" and is_csv(labels[i]) then files[input.name] = { labels[i], inputs[i].columns } end
  end
  if options.types or next(files) == nil then return end
  local where = false
  for _, clause in ipairs(rille.edn.decode(prepared:text()) or {}) do
    if rille.edn.type(clause) == "keyword" then where = clause.text == "where" end
    local first = where and rille.edn.type(clause) == "vector" and clause[1]
    local named = rille.edn.type(first) == "symbol" and first.text:sub(1, 1) == "$"
    local file = files[named and first.text or "$"]
    local attribute = first and clause[named and 3 or 2]
    if file and rille.edn.type(attribute) == "keyword" then
      io.stderr:write(("rille: no rows; note that CSV files have columns instead of attributes: a pattern on %s is "
        .. "[?%s], in this order, and :%s matches only that keyword\n"):format(file[1],
        table.concat(file[2], " ?"), attribute.text))
      return
    end
  end
end

function commands.q(args, options)
  if #args < 1 then usage.misused("q", "missing query") end
  local writer = pick_format(options)
  local file = args[1]:match "^@(.*)$"
  local prepared, message, code = rille.prepare(file and read_file(file) or args[1])
  if not prepared then stop(FAILED, "%s%s [%s]", file and file .. ":" or "query: ", message, code) end
  local inputs, labels, n = query_inputs(prepared, { compat.unpack(args, 2) }, options)
  inputs[n + 1] = rille.options { limit = options.limit, offset = options.offset, timeout_ms = options.timeout }
  local value
  if options.explain then
    value, message, code = prepared:explain(compat.unpack(inputs, 1, n + 1))
    if value == nil then fail_query(options, labels, inputs, message, code) end
    return write_out((value:gsub("%s*$", "\n")))
  end
  value, message, code = prepared:run(compat.unpack(inputs, 1, n + 1))
  if value == nil and message then fail_query(options, labels, inputs, message, code) end
  local columns, rows = rows_of(prepared, value)
  writer(columns, rows, write_out)
  if #rows == 0 and options.limit ~= 0 then
    note_misread(options)
    note_attributes(prepared, labels, inputs, options)
  end
end

local EXPECTS_EDN = 'transact expects EDN such as [{:product/sku "A1"}]; "rille transact --help" shows a script that '
  .. "loads CSV files"

local function check_transact(args)
  usage.check_args("transact", args, "URL", "FILE")
  if not args[1]:find(":", 1, true) and args[2]:find "^%a+:" then
    usage.misused("transact", "the URL comes first: rille transact %s %s", args[2], args[1])
  end
  if is_csv(args[2]) then stop(USAGE, "%s is a CSV file: %s", args[2], EXPECTS_EDN) end
end

-- For text that does not begin like transactions.
local function edn_hint(text)
  return text:find "^%s*[%[{(#;]" and "" or "; " .. EXPECTS_EDN
end

-- Ends with why transaction i of a file was not committed.
local function fail_transaction(file, i, text, message, code)
  local hint = code == "TX_SYNTAX" and edn_hint(text) or ""
  stop(FAILED, "%s: transaction %d failed: %s [%s] (%d earlier transaction%s committed)%s", file, i, message, code,
    i - 1, i == 2 and " was" or "s were", hint)
end

function commands.transact(args, options)
  check_transact(args)
  local writer = pick_format(options)
  local all = read_file(args[2])
  local texts, split_why, split_code = rille.edn.split(all)
  if not texts then stop(FAILED, "%s:%s [%s]%s", args[2], split_why, split_code, edn_hint(all)) end
  local conn = connect(args[1], options)
  local shown = progress()
  local datoms, last = 0, nil
  for i, text in ipairs(texts) do
    local report, message, code = conn:transact(text)
    if not report then
      shown.done()
      fail_transaction(args[2], i, text, message, code)
    end
    datoms, last = datoms + core.report_size(report), report
    shown.tell("%d of %d transactions", i, #texts)
  end
  shown.done()
  conn:close()
  io.stderr:write(("%d transaction%s, %d datom%s\n"):format(#texts, #texts == 1 and "" or "s", datoms,
    datoms == 1 and "" or "s"))
  if last then
    writer({ "tx", "instant", "commit" }, { { last.tx, last.instant, last.commit } }, write_out)
  end
end

function commands.stat(args, options)
  usage.check_args("stat", args, "URL")
  local writer = pick_format(options)
  local conn = connect(args[1], options)
  local db = open_db(args[1], options, conn)
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
  }
  local size = conn:stats().size_bytes
  if size > 0 then rows[#rows + 1] = { "size_bytes", size } end -- buckets and web servers do not say
  local branches, message, code = rille.branches(args[1])
  if code ~= "UNSUPPORTED" then -- by a web server
    rows[#rows + 1] = { "branches", table.concat(must(branches, message, code), " ") }
  end
  conn:close()
  writer({ "what", "value" }, rows, write_out)
end

function commands.verify(args, options)
  usage.check_args("verify", args, "URL")
  local writer = pick_format(options)
  local conn = connect(args[1], options)
  local report = must(conn:verify())
  conn:close()
  local rows = {}
  for _, name in ipairs { "branches", "transactions", "datoms", "nodes", "blobs", "bytes" } do
    rows[#rows + 1] = { name, report[name] }
  end
  writer({ "what", "checked" }, rows, write_out)
end

function commands.run(args)
  if #args < 1 then usage.misused("run", "missing script") end
  local chunk, why = compat.loadfile(args[1])
  if not chunk then stop(FAILED, "%s", why) end
  local script_args = { [0] = args[1], compat.unpack(args, 2) }
  rawset(_G, "arg", script_args)
  rawset(_G, "rille", rille)
  operation.run_in_slices(SLICE_US)
  local fine, message = xpcall(function() return chunk(compat.unpack(script_args)) end, function(e)
    if type(e) == "table" and getmetatable(e) == usage.stop_meta or compat.is_interrupt(e) then return e end
    return debug.traceback(compat.error_text(e), 2)
  end)
  if not fine and compat.is_interrupt(message) then error(message, 0) end
  if not fine then stop(FAILED, "%s", compat.error_text(message)) end
end

-- ---- all of it ----

local ALIASES = { query = "q", import = "transact", load = "transact", info = "stat", check = "verify", exec = "run" }

local function command_of(name)
  if usage.commands[name] then return name end
  local meant = ALIASES[name] and (" (did you mean %s?)"):format(ALIASES[name]) or check.hint(name, usage.commands)
  stop(USAGE, "unknown command %s%s; run rille --help for a list", name, meant)
end

local function dispatch(args)
  local options, rest = usage.parse(args)
  if options.version then
    write_out(("rille %s (%s)\n"):format(rille._VERSION, rawget(_G, "jit") and rawget(_G, "jit").version or _VERSION))
    return flush_out()
  end
  local name = table.remove(rest, 1)
  if name == "help" then
    options.help, name = true, rest[1]
  end
  if options.help then
    write_out(usage.help(name and command_of(name)))
    return flush_out()
  end
  if not name then stop(USAGE, "missing command\n\n%s", usage.help():gsub("%s*$", "")) end
  command_of(name)
  usage.check_options(name, options)
  options.command = name
  if name ~= "run" then core.end_on_interrupt() end -- a script may clean up: there Ctrl-C is an error of Lua's
  commands[name](rest, options)
  if name ~= "run" then flush_out() end -- a script prints at its own risk
end

---Runs a command line and returns the exit code.
---@param args string[]
---@return integer code
function M.run(args)
  local fine, failure = pcall(dispatch, args)
  if fine then
    io.stdout:flush()
    return 0
  end
  if type(failure) == "table" and getmetatable(failure) == usage.stop_meta then
    io.stderr:write("rille: ", failure.message, "\n")
    return failure.code
  end
  if compat.is_interrupt(failure) then return INTERRUPTED end
  io.stderr:write("rille: ", compat.error_text(failure), "\n")
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
