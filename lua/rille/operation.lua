-- SPDX-License-Identifier: MIT
--
-- Operations besides queries, and drivers.
--
-- An operation is a task of the core, and a function with its arguments that each step runs in it until it ends. A
-- driver is a function of the program that ordinary calls ask whenever an operation needs storage or has used up its
-- budget; with one, they are started, stepped and closed here.

local core = require "rille.core"
local backend = require "rille.backend"
local check = require "rille.check"
local compat = require "rille.compat"

local M = {}

local raise, pack, unpack = core.raise, compat.pack, compat.unpack
local methods = core.methods.task
local run_in_task, scan_batch, far = methods._run, core.scan_batch, core.far

local BUDGET_US = 2000

-- op -> {f =, n =, [1..n], finish = function or nil, step = function}; once it ended: {results = {n =, ...}}
local plans = setmetatable({}, { __mode = "k" })

---What core has under this name, whatever has taken its place since (core stays when these files are loaded again).
---@param methods_of table
---@param name string
---@return function f
function M.original(methods_of, name)
  local key = "_original_" .. name
  methods_of[key] = methods_of[key] or methods_of[name]
  return methods_of[key]
end

-- ---- steps ----

local function fail(plan, message, code)
  plan.results = { n = 3, nil, message, code }
  return nil, message, code
end

local function step_call(op, plan, budget)
  local out = pack(run_in_task(op, budget, plan.f, unpack(plan, 1, plan.n)))
  if out[1] ~= "done" then return out[1] end
  if out[2] == nil and out.n > 2 then
    if plan.hint then out[3] = plan.hint(out[3], out[4]) end
    return fail(plan, out[3], out[4])
  end
  plan.results = { n = out.n - 1, unpack(out, 2, out.n) }
  if plan.begun then plan.begun(out[2]) end
  if plan.finish then plan.finish(out[2]) end -- it may raise, and is done all the same
  return "done"
end

local function step_rows(op, plan, budget)
  if not plan.scan then
    local state, iterate, message, code, scan = run_in_task(op, budget, plan.f, unpack(plan, 1, plan.n))
    if state ~= "done" then return state end
    if not iterate then return fail(plan, message, code) end
    plan.iterate, plan.scan = iterate, scan
  end
  local state, more, message, code = run_in_task(op, budget, scan_batch, plan.scan)
  if state ~= "done" then return state end
  if more == nil then return fail(plan, message, code) end
  if more then return "rows" end
  plan.results = { n = 0 }
  return "done"
end

local function start(step, f, ...)
  local op = core.task()
  local plan = { step = step, f = f, n = select("#", ...), ... }
  plans[op] = plan
  return op, plan
end

---Begins a call of a function of the core.
---@param f function
---@param ... any
---@return rille.Op op
---@return table plan
function M.start(f, ...) return start(step_call, f, ...) end

-- Several calls, one after the other; the result is that of the last one.
local function step_calls(op, plan, budget)
  while plan.at < #plan.calls do
    local call = plan.calls[plan.at]
    local state, value, message, code = run_in_task(op, budget, call.f, unpack(call, 1, call.n))
    if state ~= "done" then return state end
    if value == nil then return fail(plan, message, code) end
    plan.at = plan.at + 1
  end
  local last = plan.calls[plan.at]
  plan.f, plan.n = last.f, last.n
  for i = 1, last.n do plan[i] = last[i] end
  return step_call(op, plan, budget)
end

---Begins calls of functions of the core: {f =, n =, [1..n] = arguments}.
---@param calls table[]
---@return rille.Op op
function M.start_calls(calls)
  local op, plan = start(step_calls)
  plan.calls, plan.at = calls, 1
  return op
end

---An operation that has failed before it began.
---@param message string
---@param code string
---@return rille.Op op
function M.failed(message, code)
  local op, plan = start(step_call)
  fail(plan, message, code)
  return op
end

---Begins the reading of a range of datoms.
---@param f function
---@param ... any
---@return rille.Op op
function M.start_rows(f, ...) return (start(step_rows, f, ...)) end

local function plan_of(op)
  local plan = plans[op]
  if not plan then raise "bad self: expected an operation (call it as op:method())" end
  return plan
end

---Goes on until something happens, or the budget is used up.
---@param budget number?
---@return "rows"|"need"|"again"|"done"|nil state
---@return string? message
---@return string? code
function methods:step(budget)
  local plan = plan_of(self)
  local results = plan.results
  if not results then return plan.step(self, plan, budget) end
  self:_check()
  if results[1] == nil and results.n == 3 then return nil, results[2], results[3] end
  return "done"
end

---Iterates over the rows of the last "rows" step.
function methods:rows()
  local plan = plan_of(self)
  if plan.step ~= step_rows then raise "rows: the operation has no rows (use result)" end
  self:_check()
  if not plan.iterate then raise "rows: the operation has no rows yet (step until it says \"rows\")" end
  return plan.iterate
end

---What the ordinary call gives, once a step said "done" or failed.
function methods:result()
  local results = plan_of(self).results
  self:_check()
  if not results then raise "result: the operation has not ended (step until it says \"done\")" end
  return unpack(results, 1, results.n)
end

---Runs to the end, fetching by itself, and gives the result.
function methods:run()
  if plan_of(self).step == step_rows then
    raise "run: the operation gives rows, which run would lose: step it, and read op:rows() after each \"rows\""
  end
  local state
  repeat
    state = self:step()
    if state == "need" then
      local fine, message, code = self:fetch()
      if not fine then
        self:close()
        return nil, message, code
      end
    end
  until state == "done" or not state
  local results = plan_of(self).results
  self:close()
  return unpack(results, 1, results.n)
end

-- What a backend written in Lua holds is got by its functions, whoever asks for it.
for _, class in ipairs { methods, core.methods.op } do
  for _, name in ipairs { "fetch", "poll" } do
    local in_c = M.original(class, name)
    class[name] = function(self)
      if backend.used then
        local all, message, code = backend.answer(self)
        if all ~= false then return all, message, code end
      end
      return in_c(self)
    end
  end
end

-- ---- drivers ----

local driver, budget_us -- of this Lua state
local slice_us -- of long calls where there is no driver

-- PUC 5.1 cannot yield out of what a C function calls, nor out of an iterator of `for`.
local function is_yieldable_51()
  local level = 2
  while true do
    local info = debug.getinfo(level, "Sn")
    if not info then return true end
    if info.what == "C" or info.name == "(for generator)" then return false end
    level = level + 1
  end
end

local isyieldable = coroutine.isyieldable -- luacheck: ignore 143

local function is_yieldable()
  if isyieldable then return isyieldable() end
  local co, is_main = coroutine.running()
  if co == nil or is_main then return false end
  return _VERSION == "Lua 5.1" and (compat.is_jit or is_yieldable_51())
end

backend.is_yieldable = is_yieldable

local OUTSIDE = "the driver yielded, but this code does not run in a coroutine: run the script in one "
  .. "(coroutine.wrap), or remove the driver with rille.driver(nil)"
local ACROSS = "the driver yielded, but this Lua cannot yield here. "
  .. (_VERSION == "Lua 5.1" and not compat.is_jit
      and "Lua 5.1 cannot yield inside pcall and iterators of for: move the call out of pcall, read rows with "
        .. "start_datoms or rille.q, or use LuaJIT or Lua 5.2. " or "")
  .. "No Lua can yield inside a callback of C, such as the function passed to table.sort: make the call before it"

-- Blocks, but lets hooks run meanwhile: a server may take its time.
local function fetch(op)
  while true do
    local there, message, code = op:poll()
    if there ~= false then return there, message, code end
    op:_wait()
  end
end

-- true; or false, message, code: there is no driver any more, and fetching in its place failed.
local function ask(op, state)
  if state == "need" and backend.used then
    local all, message, code = backend.answer(op)
    if all then return true end
    if all == nil then return false, message, code end
  end
  if not driver then
    if state ~= "need" then return true end
    local fine, message, code = fetch(op)
    return fine or false, message, code
  end
  if is_yieldable() then
    driver(op, state)
    return true
  end
  local fine, why = pcall(driver, op, state) -- Lua 5.2 yields across it, where it can; elsewhere a yield is an error
  if fine then return true end
  if type(why) == "string" and why:find "attempt to yield" then
    local co, is_main = coroutine.running()
    raise((co == nil or is_main) and OUTSIDE or ACROSS)
  end
  error(why, 0)
end

---The driver's part: op needs storage, or its budget is used up.
---@type fun(op: rille.Op, state: string): boolean, string?, string?
M.ask = ask

---The budget of a step, or nil where there is no driver.
---@return number? budget_us
function M.budget() return driver and budget_us end

---The same for a call that may be long: without a driver, what run_in_slices says.
---@return number? budget_us
function M.slice() return driver and budget_us or slice_us end

---Is it a connection or database of a backend that is written in Lua? Its calls are always stepped.
---@param handle any
---@return boolean
function M.is_hosted(handle) return backend.used and type(far(handle)) == "number" end

local SHORT = 1000 -- items of transaction data, or bytes of text

---What a transaction is to be stepped with, or nil: the operation would cost more than a short one itself.
---@param tx_data any
---@return number? budget_us
function M.slice_for(tx_data)
  if driver or not slice_us then return M.budget() end
  local kind = type(tx_data)
  return (kind == "string" or kind == "table") and #tx_data > SHORT and slice_us or nil
end

---Steps an operation to its end by the driver. Gives its result.
---@param op rille.Op
M.drive = compat.interpreted(function(op)
  while true do
    local state, message, code = op:step(M.slice())
    if state == "done" then
      local results = plan_of(op).results
      op:close()
      return unpack(results, 1, results.n)
    elseif not state then
      op:close()
      return nil, message, code
    end
    state, message, code = ask(op, state)
    if not state then
      op:close()
      return nil, message, code
    end
  end
end)

-- Steps to the next rows: an iterator over them; nil at the end.
local function next_rows(op)
  while true do
    local state, message = op:step(M.slice())
    if state == "rows" then return op:rows() end
    if state == "done" then return nil end
    if state then state, message = ask(op, state) end
    if not state then
      op:close()
      raise(message)
    end
  end
end

---The same for rows: an iterator for `for`.
---@param op rille.Op
function M.drive_rows(op)
  local iterate = next_rows(op)
  local function next_row()
    while iterate do
      local e, a, v, tx, added = iterate()
      if e ~= nil then return e, a, v, tx, added end
      iterate = next_rows(op)
    end
    op:close()
  end
  return next_row, nil, nil, op
end

-- Ordinary functions that a driver takes over: {table, name, function with a driver, is it long?}; and what they were.
-- Those of databases whose storage is far are stepped without a driver, too: blocking in C would let no hook run.
local driven, plain = {}, {}
local far_seen = core.far_seen -- has there been such a database?

local function either(stepped, blocking)
  return function(...)
    if far((...)) then return stepped(...) end
    return blocking(...)
  end
end

local function choose_function(i)
  local entry = driven[i]
  local stepped = entry[3]
  if not (driver or entry[4] and slice_us) then stepped = far_seen and either(stepped, plain[i]) or plain[i] end
  entry[1][entry[2]] = stepped
end

local function choose_functions()
  for i = 1, #driven do choose_function(i) end
end

---From now on, table[name] is `f` whenever there is a driver; a long call also when long calls run in slices.
---@param methods_of table
---@param name string
---@param f function
---@param long boolean?
function M.driven(methods_of, name, f, long)
  driven[#driven + 1] = { methods_of, name, f, long }
  plain[#driven] = methods_of[name]
  choose_function(#driven)
end

-- tx_data of reports is made when it is first asked for, and its long values are read then.
local report_meta = core.report_meta()
local report_index = M.original(report_meta, "__index")

local function far_report_index(report, key)
  if key == "tx_data" and far(rawget(report, "db_after")) then
    local data, message = M.drive((M.start(core.report_data, report)))
    if not data then raise(message) end
    return data
  end
  return report_index(report, key)
end

if far_seen then report_meta.__index = far_report_index end

---A connection was opened.
---@param conn rille.Conn
function M.note(conn)
  if far_seen or not far(conn) then return end
  far_seen, core.far_seen = true, true
  report_meta.__index = far_report_index
  choose_functions()
end

---From now on, long calls let Lua go on for a moment after each slice of time, so that its hooks run: by one of them an
---interpreter ends a program at Ctrl-C. nil: they do not.
---@param us number?
function M.run_in_slices(us)
  slice_us = us
  choose_functions()
end

local OPTIONS = { budget_us = "number" }

---Lets every ordinary call of this Lua state run through f(op, state) whenever the operation says "need" or "again". f
---gets what op wants (op:fetch(), or op:wanted() and op:supply()), or yields and comes back later. nil: calls block
---again.
---@param f fun(op: rille.Op, state: "need"|"again")|nil
---@param options {budget_us: number?}? budget_us: of one step; 2000 if not given
---@return function? before the driver until now
function M.driver(f, options)
  if f ~= nil and type(f) ~= "function" then
    raise("rille.driver: expected a function(op, state) or nil, got " .. check.kind(f))
  end
  options = check.options("rille.driver", options, OPTIONS)
  if (options.budget_us or 1) <= 0 then
    raise "rille.driver: option \"budget_us\" must be a positive number"
  end
  local before = driver
  driver, budget_us = f, options.budget_us or BUDGET_US
  choose_functions()
  return before
end

return M
