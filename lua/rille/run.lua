-- SPDX-License-Identifier: MIT
--
-- Running queries. The engine is stepped from here, so that functions written in Lua are called from Lua and may yield
-- (where this Lua lets pcall be yielded across: LuaJIT, 5.2 and later).

local core = require "rille.core"
local backend = require "rille.backend"
local check = require "rille.check"
local compat = require "rille.compat"
local edn = require "rille.edn"
local operation = require "rille.operation"
local Q = require "rille.query"
local tables = require "rille.tables"

local M = {}

local unpack, raise, clock_us = compat.unpack, core.raise, core.clock_us
local query_methods, op_methods = core.methods.query, core.methods.op
local start_op, step_op, run_op = query_methods._start, op_methods._step, op_methods._run
local run_now = query_methods._run

-- ---- options ----

local options_meta = { __name = "rille.options" }
local OPTIONS = { timeout_ms = "number", memory_bytes = "number", limit = "number", offset = "number" }

---Options of one run, passed after the inputs.
---@param options {timeout_ms: number?, memory_bytes: number?, limit: integer?, offset: integer?}
---@return rille.Options
function M.options(options)
  options = check.options("rille.options", options, OPTIONS)
  local copy = {}
  for name, value in pairs(options) do
    local is_part = (name == "limit" or name == "offset") and value % 1 ~= 0 and value ~= math.huge
    if value < 0 or value ~= value or is_part then
      raise(("rille.options: option %q must be a non-negative %s, got %s"):format(name,
        is_part and "integer" or "number", tostring(value)))
    end
    copy[name] = value
  end
  return setmetatable(copy, options_meta)
end

-- ---- functions of Lua ----

local functions = core.functions -- by name; they belong to the Lua state

---Lets query text call a Lua function: `[(name ?x ?y) ?z]`, or `[(name ?x)]` as a predicate. It gets the values of one
---row and returns a value. nil drops the row, and so does false where the call is a predicate. Where its result is
---bound, false is a value. The function stays registered for this Lua state.
---@param name string
---@param f fun(...): any
function M.fn(name, f)
  if type(name) ~= "string" then raise("rille.fn: expected a name, got " .. check.kind(name)) end
  if type(f) ~= "function" then raise("rille.fn: expected a function, got " .. check.kind(f)) end
  core.add_function(name)
  functions[name] = f
end

local function call_rows(op, f, rows)
  for _ = 1, rows do
    while core.far_seen and op:_lacks() do -- a long value
      local ok, message, code = operation.ask(op, "need")
      if not ok then return nil, message, code end
    end
    local ok, message, code = op:_give(f(op:_args()))
    if not ok then return nil, message, code end
  end
  return true
end

-- Answers the call that an operation waits for.
local function answer_call(op)
  local name, rows = op:_call()
  local fine, ok, message, code = pcall(call_rows, op, functions[name], rows)
  if not fine and compat.is_interrupt(ok) then error(ok, 0) end
  if not fine then
    message = ("function %s: %s"):format(name, compat.error_text(ok))
    op:_fail(message)
    return nil, message, "FUNCTION"
  end
  return ok, message, code
end

-- ---- queries ----

local CACHE_MAX = 256
local cache, cached = {}, 0 -- parsed queries by text

local function parse(query)
  if type(query) == "string" then return core.parse(query) end
  if Q.is_query(query) then
    local fine, form = pcall(query.to_edn, query)
    if not fine then return nil, tostring(form), "QUERY" end
    return core.parse_form(form)
  end
  if type(query) == "table" then
    tables.check(query)
    local fine, form = pcall(tables.form, query)
    if not fine then return nil, tostring(form), "QUERY" end
    return core.parse_form(form)
  end
  raise(("expected a query (EDN text, a query of rille.query, or a table), got %s (pass the inputs after the query)"
    ):format(type(query) == "userdata" and tostring(query) or check.kind(query)))
end

local function is_prepared(query)
  return type(query) == "userdata" and query ~= core.null and query.run == query_methods.run
end

---A query parsed once, to be run often. Its methods: run, rows, start, explain, text, columns, inputs, close.
---@param query string|rille.Builder|table
---@return rille.Query? prepared
---@return string? message
---@return string? code "SYNTAX", "QUERY", "LIMIT"
function M.prepare(query)
  if is_prepared(query) then raise "the query is already prepared: run it as it is" end
  return parse(query)
end

-- For one run: text is parsed once and kept.
local function prepared_of(query)
  if type(query) == "string" then
    local known = cache[query]
    if known then return known end
    local prepared, message, code = core.parse(query)
    if not prepared then return nil, message, code end
    if cached >= CACHE_MAX then cache, cached = {}, 0 end
    cache[query], cached = prepared, cached + 1
    return prepared
  end
  if is_prepared(query) then return query end
  return parse(query)
end

local function start_with(prepared, options, inputs, n)
  return start_op(prepared, options.timeout_ms, options.memory_bytes, options.limit, options.offset,
    unpack(inputs, 1, n))
end

-- The outcome of a start; with a hint when the last input looks like options that rille.options did not make.
local function with_hint(last, op, message, code)
  if op ~= nil or getmetatable(last) ~= nil then return op, message, code end
  for _, name in ipairs { "limit", "memory_bytes", "offset", "timeout_ms" } do
    if last[name] ~= nil then
      return nil, ("%s; if the last input is for options, pass rille.options{%s = ...}"):format(message, name), code
    end
  end
  return op, message, code
end

local function start(prepared, ...)
  local n = select("#", ...)
  local last = n > 0 and (select(n, ...)) or nil
  if type(last) ~= "table" then return start_op(prepared, nil, nil, nil, nil, ...) end
  if getmetatable(last) == options_meta then return start_with(prepared, last, { ... }, n - 1) end
  return with_hint(last, start_op(prepared, nil, nil, nil, nil, ...))
end

---Begins to run a prepared query; to be stepped by hosts with an event loop.
---@param ... any inputs in the order of :in, then maybe rille.options
---@return rille.Op? op
---@return string? message
---@return string? code
function query_methods:start(...) return start(self, ...) end

-- A query runs in slices of time. Between them Lua calls its hooks, and so an interpreter can end it at Ctrl-C.
local SLICE_US = 50000
local function nothing() end

local run = compat.interpreted(function(op)
  while true do
    local budget_us = operation.budget()
    local ok, value, code = run_op(op, budget_us)
    while ok == "again" or ok == "need" do
      if budget_us or ok == "need" then ok, value, code = operation.ask(op, ok) end
      if ok then ok, value, code = run_op(op, budget_us) end
    end
    if ok == "call" then
      local fine
      fine, value, code = answer_call(op)
      if not fine then
        op:close()
        return nil, value, code
      end
    else
      op:close()
      if ok then return value end
      return nil, value, code
    end
  end
end)

---Runs a prepared query to its end.
---@param ... any inputs
---@return rille.Result|any result nil, too, for `?x .` that finds nothing
---@return string? message
---@return string? code
function query_methods:run(...)
  if not operation.budget() then
    local done, value = run_now(self, ...)
    if done then return value end
  end
  local op, message, code = start(self, ...)
  if not op then return nil, message, code end
  return run(op)
end

local next_row = compat.interpreted(function(op)
  while op:count() == 0 do
    local budget_us = operation.budget()
    local state, message = step_op(op, budget_us or SLICE_US)
    if state == "done" then
      op:close()
      return nil
    elseif state == "need" or (budget_us and state == "again") then
      state, message = operation.ask(op, state)
    elseif state == "call" then
      state, message = answer_call(op)
    end
    if not state then
      op:close()
      raise(message)
    end
  end
  return op:_next()
end)

---Iterates over the rows of a prepared query while it runs: several values a row, no table. Raises errors.
---@param ... any inputs
function query_methods:rows(...)
  local op, message = start(self, ...)
  if not op then raise(message) end
  if next(functions) == nil and not operation.budget() and not backend.used then
    return op:_iterate(nothing), nil, nil, op
  end
  return next_row, op, nil, op
end

-- Runs a query for what is known of it afterwards.
local explain = compat.interpreted(function(how, ...)
  local op, message, code = start(...)
  if not op then return nil, message, code end
  local state
  repeat
    local budget_us = operation.budget()
    state, message, code = step_op(op, budget_us or SLICE_US)
    if state == "need" or (budget_us and state == "again") then
      state, message, code = operation.ask(op, state)
    elseif state == "call" then
      state, message, code = answer_call(op)
    end
  until state == "done" or not state
  local explained
  if state then explained, message, code = how(op) end
  op:close()
  if not explained then return nil, message, code end
  return explained
end)

---The plan of a query, with the rows it expected and had, and what it asked of each database: it is run for that.
---@param ... any inputs
---@return string? text
---@return string? message
---@return string? code
function query_methods:explain(...) return explain(op_methods.explain, self, ...) end

---The same as data.
---@param ... any inputs
---@return rille.Explained? explained
---@return string? message
---@return string? code
function query_methods:explain_data(...) return explain(op_methods.explain_data, self, ...) end

-- ---- operations ----

---Goes on for about so many microseconds. nil or 0: until something happens; what is less than 1, also negative, is 1,
---so that a budget that was spent never becomes none.
---@param budget_us number?
---rows: see rows(). need: fetch(), or wanted() and supply(). again: the budget is used up.
---@return "rows"|"need"|"again"|"done"|nil state
---@return string? message
---@return string? code
function op_methods:step(budget_us)
  local ends_at = type(budget_us) == "number" and budget_us ~= 0 and clock_us() + budget_us
  while true do
    local state, message, code = step_op(self, budget_us)
    if not state then return nil, message, code end
    if state ~= "call" then return state end
    local fine
    fine, message, code = answer_call(self)
    if not fine then return nil, message, code end
    if ends_at then -- one budget for all the steps and calls; a call answered is progress
      budget_us = ends_at - clock_us()
      if budget_us <= 0 then return "again" end
    end
  end
end

---Iterates over the rows of the last "rows" step.
function op_methods:rows()
  return self._next, self
end

---What is left of the rows, as a result; the same as run.
function op_methods:result()
  return run(self)
end

---Runs to the end, fetching by itself (or by the driver), and closes the operation. Rows that a step gave and nobody
---took belong to it.
---@return rille.Result|any result
---@return string? message
---@return string? code
function op_methods:run()
  return run(self)
end

-- ---- by any form of query ----

---Runs a query.
---@param query string|rille.Builder|table|rille.Query
---@param ... any inputs in the order of :in, then maybe rille.options
---@return rille.Result|any result
---@return string? message
---@return string? code
function M.q(query, ...)
  local prepared, message, code = prepared_of(query)
  if not prepared then return nil, message, code end
  return prepared:run(...)
end

---Iterates over the rows of a query while it runs: several values a row, no table. Raises errors.
---@param query string|rille.Builder|table|rille.Query
---@param ... any inputs
function M.rows(query, ...)
  local prepared, message = prepared_of(query)
  if not prepared then raise(message) end
  return prepared:rows(...)
end

---The plan of a query as text.
---@param query string|rille.Builder|table|rille.Query
---@param ... any inputs
---@return string? text
---@return string? message
---@return string? code
function M.explain(query, ...)
  local prepared, message, code = prepared_of(query)
  if not prepared then return nil, message, code end
  return prepared:explain(...)
end

---The same as data.
---@param query string|rille.Builder|table|rille.Query
---@param ... any inputs
---@return rille.Explained? explained
---@return string? message
---@return string? code
function M.explain_data(query, ...)
  local prepared, message, code = prepared_of(query)
  if not prepared then return nil, message, code end
  return prepared:explain_data(...)
end

-- ---- rules ----

local rules_meta = { __name = "rille.rules" }
local shown_rules = setmetatable({}, { __mode = "k" }) -- of those that Lua wrote: the form to show
rules_meta.__tostring = function(self)
  local plain = {}
  for i, branch in ipairs(shown_rules[self] or self) do plain[i] = branch end
  return (edn.encode(plain))
end

---Rules for a query's `%`: from EDN text, or an array of Q.define branches or tables.
---@param rules string|table
---@return table? rules
---@return string? message
---@return string? code "SYNTAX"
function M.rules(rules)
  if type(rules) == "string" then
    local form, message, code = edn.decode(rules)
    if form == nil then return nil, message, code end
    if edn.type(form) ~= "vector" then
      return nil, ("expected a vector of rules, such as [[(name ?a ?b) clause ...] ...], got a %s"):format(
        edn.type(form)), "SYNTAX"
    end
    return setmetatable(form, rules_meta)
  end
  if type(rules) ~= "table" then raise("rille.rules: expected text or a table, got " .. check.kind(rules)) end
  local fine, form = pcall(Q.rules_form, rules)
  if not fine then raise("rille.rules: " .. tostring(form)) end
  shown_rules[form] = Q.rules_form(rules, true)
  return setmetatable(form, rules_meta)
end

-- ---- methods of the builder ----

local Builder = Q.methods

-- Inputs by name, in the order of :in.
local function by_name(builder, args)
  local form, wanted = builder:to_edn(args)
  local key = edn.encode(form)
  local prepared = cache[key]
  if not prepared then
    local message, code
    prepared, message, code = core.parse_form(form)
    if not prepared then return nil, message, code end
    if cached >= CACHE_MAX then cache, cached = {}, 0 end
    cache[key], cached = prepared, cached + 1
  end
  local inputs = {}
  for i, input in ipairs(wanted) do
    local value = args[input.name]
    if value == nil and input.name == "rules" then value = builder.rule_set end
    if value == nil then
      local remedy = ("pass inputs by name, such as {%s = ...}"):format(input.name)
      if input.variable then remedy = ("bind ?%s in a clause, or pass {%s = ...}"):format(input.name, input.name) end
      return nil, ("missing input %q%s: %s"):format(input.name, check.hint(input.name, args), remedy), "INPUT"
    end
    inputs[i] = value
  end
  return prepared, inputs, #wanted
end

local function begin(builder, args, options)
  if type(args) ~= "table" then
    raise("expected inputs by name, such as {cat = db, min = 10}, got " .. check.kind(args))
  end
  if options ~= nil and getmetatable(options) ~= options_meta then options = M.options(options) end
  local fine, prepared, inputs, n = pcall(by_name, builder, args)
  if not fine then
    if type(prepared) == "table" then raise(prepared.misuse) end
    return nil, tostring(prepared), "QUERY"
  end
  if not prepared then return nil, inputs, n end
  if options then
    n = n + 1
    inputs[n] = options
  end
  return prepared, inputs, n
end

---Runs the query with inputs by name: `{cat = db, stock = db2, min = 10}`; one source without a name is `db`.
---@param args table<string, any>
---@param options table? as of rille.options
---@return rille.Result|any result
---@return string? message
---@return string? code
function Builder:run(args, options)
  local prepared, inputs, n = begin(self, args, options)
  if not prepared then return nil, inputs, n end
  return prepared:run(unpack(inputs, 1, n))
end

---Iterates over the rows. Raises errors.
---@param args table<string, any>
---@param options table?
function Builder:rows(args, options)
  local prepared, inputs, n = begin(self, args, options)
  if not prepared then raise(inputs) end
  return prepared:rows(unpack(inputs, 1, n))
end

---The plan as text.
---@param args table<string, any>
---@return string? text
---@return string? message
---@return string? code
function Builder:explain(args)
  local prepared, inputs, n = begin(self, args)
  if not prepared then return nil, inputs, n end
  return prepared:explain(unpack(inputs, 1, n))
end

---The same as data.
---@param args table<string, any>
---@return rille.Explained? explained
---@return string? message
---@return string? code
function Builder:explain_data(args)
  local prepared, inputs, n = begin(self, args)
  if not prepared then return nil, inputs, n end
  return prepared:explain_data(unpack(inputs, 1, n))
end

return M
