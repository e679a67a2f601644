-- SPDX-License-Identifier: MIT
--
-- rille: an embedded database of immutable values, queried with Datalog. docs/lua-api.md is its manual.
--
--   local rille = require "rille"
--   local conn = assert(rille.connect("file:catalog", { create = true }))
--   assert(conn:transact { { ["product/sku"] = "A1", ["product/name"] = "Bolt" } })
--   for name in rille.rows("[:find ?n :where [_ :product/name ?n]]", conn:db()) do print(name) end

local core = require "rille.core"
local backend = require "rille.backend"
local check = require "rille.check"
local csv = require "rille.csv"
local edn = require "rille.edn"
local operation = require "rille.operation"
local past = require "rille.past"
local Q = require "rille.query"
local run = require "rille.run"
local warm = require "rille.warm"

core.own() -- errors of misuse name the line of the program, not one of these files

local raise = core.raise

---@class rille
local M = {
  _VERSION = core.version,
  null = core.null,
  edn = edn,
  query = Q,
  vars = Q.vars,
  kw = core.kw,
  sym = core.sym,
  uuid = core.uuid,
  instant = core.instant,
  bytes = core.bytes,
  bigint = core.bigint,
  bigdec = core.bigdec,
  value_type = core.value_type,
  q = run.q,
  rows = run.rows,
  explain = run.explain,
  explain_data = run.explain_data,
  prepare = run.prepare,
  options = run.options,
  rules = run.rules,
  fn = run.fn,
  driver = operation.driver,
  backend = backend.register,
  csv = csv.read,
  csv_parse = csv.parse,
}

local conn_methods, db_methods = core.methods.conn, core.methods.db
local start, start_rows, drive, drive_rows = operation.start, operation.start_rows, operation.drive,
  operation.drive_rows
local transact, with = conn_methods._transact, db_methods._with
local datoms, count = db_methods._datoms, db_methods._count
local seek, range = db_methods._seek, db_methods._range

-- ---- databases by URL ----

local DURABILITY = { commit = true, group = true, none = true }
local FLEXIBILITY = { write = true, read = true }
local FLUSH = { auto = true, manual = true }
-- What only s3:, http: and https: know. Secrets are never in a URL.
local STORAGE = { timeout_ms = "amount" }
for name in ("ca_file region endpoint style fencing profile access_key secret_key session_token user password bearer "
  .. "netrc"):gmatch "%S+" do
  STORAGE[name] = "string"
end

-- What is kept of the storage, and how old it may be.
local CACHE = { cache_bytes = "amount", cache = "string", cache_max_bytes = "amount", max_staleness_ms = "amount" }

local function with_storage(known)
  known.backend = "table" -- for those that are written in Lua
  for name, kind in pairs(STORAGE) do known[name] = kind end
  return known
end

local function with_cache(known)
  for name, kind in pairs(CACHE) do known[name] = kind end
  return with_storage(known)
end

local CREATE = with_cache { keep_history = "boolean", schema_flexibility = FLEXIBILITY, durability = DURABILITY,
  flush = FLUSH }
local CONNECT = with_cache { branch = "string", create = "boolean", durability = DURABILITY, flush = FLUSH,
  keep_history = "boolean", schema_flexibility = FLEXIBILITY }
local PLACE = with_storage {}
local DB = with_cache { branch = "string", as_of = "any", commit = "string" }

local function check_url(where, url)
  if type(url) ~= "string" then
    raise(("%s: expected a URL such as \"file:catalog\", got %s"):format(where, check.kind(url)))
  end
end

---@return table<string, string>? settings for the storage
local function settings(options)
  local found
  for name in pairs(STORAGE) do
    local value = options[name]
    if value ~= nil then
      found = found or {}
      found[name] = type(value) == "number" and ("%.0f"):format(value) or value
    end
  end
  return found
end

-- The URL, or the store in its place whose backend is written in Lua; or nil, message, code
local function place_of(where, url, mode, what, cache_bytes)
  if not backend.find(url) then
    if what.backend ~= nil then
      raise(where .. ": option \"backend\" is for backends that are written in Lua (rille.backend)")
    end
    return url
  end
  local how = { create = mode ~= "connect", options = what.backend }
  for name in pairs(STORAGE) do how[name] = what[name] end
  return backend.open(url, how, cache_bytes)
end

local function open_arguments(url, mode, options)
  return url, mode, options.branch, options.durability, options.keep_history, options.schema_flexibility == "read",
    options.cache_bytes, options.flush, settings(options), options.cache, options.cache_max_bytes,
    options.max_staleness_ms
end

-- The message of a failure to open, with the remedy for a database or a branch that is not there.
local function with_remedy(message, code, mode, options)
  if code ~= "NOTFOUND" or mode ~= "connect" then return message end
  local behind_web = message:find "^https?:" -- a web server neither creates a database nor lists branches
  if options.branch == nil then return message .. (behind_web and check.PUBLISH or check.CREATE) end
  local missing = "no database on branch " .. options.branch
  return message:sub(-#missing) == missing and not behind_web and message .. check.BRANCHES or message
end

local function start_open(where, url, mode, options)
  local place, failure, failed = place_of(where, url, mode, options, options.cache_bytes)
  if not place then return operation.failed(failure, failed) end
  local op, plan = start(core.open, open_arguments(place, mode, options))
  plan.begun = operation.note
  plan.hint = function(message, code) return with_remedy(message, code, mode, options) end
  return op
end

local function open(where, url, mode, options)
  if operation.slice() or backend.find(url) then return drive(start_open(where, url, mode, options)) end
  if options.backend ~= nil then place_of(where, url, mode, options) end
  local conn, message, code = core.open(open_arguments(url, mode, options))
  if conn then operation.note(conn) end
  return conn, with_remedy(message, code, mode, options), code
end

---Makes a new database and connects to it.
---@param url string
---@param options? rille.Create
---@return rille.Conn? conn
---@return string? message
---@return string? code "EXISTS", "PERMISSION", "SYNTAX" ...
function M.create(url, options)
  check_url("rille.create", url)
  return open("rille.create", url, "create", check.options("rille.create", options, CREATE))
end

local function check_connect(where, url, options)
  check_url(where, url)
  options = check.options(where, options, CONNECT)
  if not options.create and (options.keep_history ~= nil or options.schema_flexibility ~= nil) then
    raise(where .. ": keep_history and schema_flexibility can only be set when the database is created "
      .. "(create = true)")
  end
  return options.create and "any" or "connect", options
end

---Connects to a database.
---@param url string
---@param options? rille.Connect
---@return rille.Conn? conn
---@return string? message
---@return string? code "NOTFOUND", "FOREIGN", "FORMAT" ...
function M.connect(url, options)
  return open("rille.connect", url, check_connect("rille.connect", url, options))
end

---Begins to connect. The operation's result is the connection.
---@param url string
---@param options? rille.Connect
---@return rille.Op op
function M.start_connect(url, options)
  return start_open("rille.start_connect", url, check_connect("rille.start_connect", url, options))
end

---Just a value, for readers.
---@param url string
---@param options? rille.At
---@return rille.Db? db
---@return string? message
---@return string? code
function M.db(url, options)
  check_url("rille.db", url)
  options = check.options("rille.db", options, DB)
  if options.commit ~= nil and options.as_of ~= nil then
    raise "rille.db: pass either commit or as_of, not both"
  end
  local point = options.commit or options.as_of -- not both: see above
  local db, message, code = past.at(function(how) return open("rille.db", url, "connect", how) end, options, point)
  if not db then return nil, message, code end
  db:_alone()
  return db
end

-- exists and drop
local function at_once(where, f, url, options)
  options = check.options(where, options, PLACE)
  local place, message, code = place_of(where, url, "connect", options)
  if not place then
    if f == core.exists and code == "NOTFOUND" then return false end
    return nil, message, code
  end
  local storage = settings(options)
  if place ~= url then return drive((start(f, place))) end
  if operation.budget() then return drive((start(f, url, storage))) end
  return f(url, storage)
end

---Is there a database?
---@param url string
---@param options? rille.Storage
---@return boolean? exists
---@return string? message
---@return string? code
function M.exists(url, options)
  check_url("rille.exists", url)
  return at_once("rille.exists", core.exists, url, options)
end

---Removes a database with all its branches and history.
---@param url string
---@param options? rille.Storage
---@return boolean? done
---@return string? message
---@return string? code
function M.drop(url, options)
  check_url("rille.drop", url)
  return at_once("rille.drop", core.drop, url, options)
end

---The names of the branches.
---@param url string
---@param options? rille.Storage
---@return string[]? names
---@return string? message
---@return string? code
function M.branches(url, options)
  check_url("rille.branches", url)
  options = check.options("rille.branches", options, PLACE)
  local conn, message, code = open("rille.branches", url, "connect", options)
  if not conn then return nil, message, code end
  local names
  names, message, code = conn:_branches()
  conn:close()
  if not names then return nil, message, code end
  return names
end

-- ---- connections ----

local TRANSACT = { meta = "table" }
-- conn -> {[id] = function, ids = {id ...}, last = id, queue = {[first..last_news] = news}, owner = coroutine}
local listeners = setmetatable({}, { __mode = "k" })
local MAIN = {} -- stands for the main coroutine where Lua has no object for it

-- Is some function further up the stack delivering? A coroutine that was left in the middle of a listener is not.
local function is_delivering(list)
  local owner = list.owner
  if owner == nil or owner == MAIN then return owner == MAIN end
  local status = coroutine.status(owner)
  return status == "running" or status == "normal"
end

-- The next listener to be called, and the report it hears of.
local function next_call(list)
  while list.first <= list.last_news do
    local news = list.queue[list.first]
    news.told = news.told + 1
    local id = news.ids[news.told]
    if id == nil then
      list.queue[list.first] = nil
      list.first = list.first + 1
    elseif list[id] then -- it may have ended meanwhile
      return list[id], news.report
    end
  end
end

-- Every listener hears of transactions in the order of their commits: what a listener transacts is queued, and
-- delivered by the outermost transact once all have heard of the transaction before it.
local function tell(list, report)
  local news = { report = report, ids = {}, told = 0 }
  for i, id in ipairs(list.ids) do news.ids[i] = id end -- those that listen now
  list.last_news = list.last_news + 1
  list.queue[list.last_news] = news
  local me = coroutine.running() or MAIN
  local failed, why = false, nil
  while not is_delivering(list) do
    list.owner = me
    local f, heard = next_call(list)
    if not f then
      list.owner = nil
      break
    end
    local fine, message = pcall(f, heard)
    if not fine and not failed then failed, why = true, message end
    if list.owner == me then list.owner = nil end
  end
  if failed then error(why, 0) end
end

---Commits transaction data: a list of entity maps and operations, or EDN text. When it returns a report, the commit is
---as durable as the connection's durability says.
---@param tx_data table|string
---@param options? {meta: table?} meta: attributes of the transaction itself
---@return rille.Report? report
---@return string? message
---@return string? code "TX_SYNTAX", "ATTRIBUTE", "TYPE", "TX_UNIQUE", "TX_CONFLICT", "TX_CAS", "BUSY" ...
function conn_methods:transact(tx_data, options)
  if operation.slice_for(tx_data) or operation.is_hosted(self) then
    return drive(conn_methods.start_transact(self, tx_data, options))
  end
  local meta = options ~= nil and check.options("transact", options, TRANSACT).meta or nil
  local report, message, code = transact(self, tx_data, meta)
  if not report then return nil, message, code end
  local list = listeners[self]
  if list then tell(list, report) end
  return report
end

---Begins to commit transaction data. The operation's result is the report. It begins again by itself when another
---writer was first. When it is closed or cancelled while the head is being swapped, it may have committed.
---@param tx_data table|string not changed until the operation has ended
---@param options? {meta: table?}
---@return rille.Op op
function conn_methods:start_transact(tx_data, options)
  local meta = options ~= nil and check.options("start_transact", options, TRANSACT).meta or nil
  local op, plan = start(transact, self, tx_data, meta)
  plan.finish = function(report)
    local list = listeners[self]
    if list then tell(list, report) end
  end
  return op
end

---Calls f(report) after each transaction of this connection, in the order of the commits. An error of f does not undo
---the commit; it is raised by the outermost transact once all listeners were called.
---@param f fun(report: rille.Report)
---@return integer id
function conn_methods:listen(f)
  if type(f) ~= "function" then raise("listen: expected a function, got " .. check.kind(f)) end
  conn_methods.url(self) -- a connection that is open
  local list = listeners[self]
  if not list then
    list = { last = 0, ids = {}, queue = {}, first = 1, last_news = 0 }
    listeners[self] = list
  end
  list.last = list.last + 1
  list[list.last] = f
  table.insert(list.ids, list.last)
  return list.last
end

---Ends what listen began.
---@param id integer
function conn_methods:unlisten(id)
  local list = listeners[self]
  if not list or type(id) ~= "number" or not list[id] then
    raise(("unlisten: unknown listener %s"):format(tostring(id)))
  end
  list[id] = nil
  for i, other in ipairs(list.ids) do
    if other == id then
      table.remove(list.ids, i)
      break
    end
  end
end

local close_conn = operation.original(conn_methods, "close")

---Closes the connection; its database values stay usable.
function conn_methods:close()
  listeners[self] = nil
  close_conn(self)
  if backend.used then backend.sweep() end
end

local stats = operation.original(conn_methods, "stats")

---Counts of the storage since the connection was opened.
---@return table<string, integer>? counts
---@return string? message
---@return string? code
function conn_methods:stats()
  local counts = stats(self)
  if operation.is_hosted(self) then
    local bytes, message, code = backend.size_bytes(core.far(self))
    if not bytes then return nil, message, code end
    counts.size_bytes = bytes
  end
  return counts
end

-- ---- database values ----

---Runs a query with this value as its first input.
---@param query string|rille.Builder|table|rille.Query
---@param ... any more inputs
---@return rille.Result|any result
---@return string? message
---@return string? code
function db_methods:q(query, ...)
  if type(self) ~= "userdata" then raise "bad self: call db:q(query, ...), not db.q(query, ...)" end
  return run.q(query, self, ...)
end

local function iterate(step, message, _, scan)
  if not step then raise(message) end
  return step, nil, nil, scan
end

---Iterates over the datoms of an index from the given components on, to the end of the index. Raises errors.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any components, in the order of the index's name
function db_methods:seek_datoms(index, ...) return iterate(seek(self, index, ...)) end

---Iterates over the datoms of an indexed or unique attribute whose values lie in a range, in the order of the values.
---Raises errors.
---@param attr string
---@param from any? the first value; nil: the least there is
---@param to any? the first value that does not belong to it any more; nil: none
function db_methods:index_range(attr, from, to) return iterate(range(self, attr, from, to)) end

---The exact number of datoms of an index that begin with the given components.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any
---@return integer? count
---@return string? message
---@return string? code
function db_methods:count(index, ...) return count(self, index, ...) end

---The value that transacting the data would give, in a report; nothing is stored.
---@param tx_data table|string
---@return rille.Report? report
---@return string? message
---@return string? code
function db_methods:with(tx_data, ...)
  if select("#", ...) > 0 then raise "with: expected only transaction data; with takes no options" end
  if operation.slice_for(tx_data) or operation.is_hosted(self) then
    return drive(db_methods.start_with(self, tx_data))
  end
  return with(self, tx_data)
end

-- ---- stepping ----

for _, name in ipairs { "db", "verify", "flush", "_branches" } do
  conn_methods[name] = operation.original(conn_methods, name)
end
for _, name in ipairs { "as_of", "entid", "datoms" } do db_methods[name] = operation.original(db_methods, name) end

local plain_db, verify, flush, branches = conn_methods.db, conn_methods.verify, conn_methods.flush,
  conn_methods._branches
local as_of, entid = db_methods.as_of, db_methods.entid

---Begins to read the branch head. The operation's result is the newest database value.
---@return rille.Op op
function conn_methods:start_db() return (start(plain_db, self)) end

---Begins a flush. The operation's result is true.
---@return rille.Op op
function conn_methods:start_flush() return (start(flush, self)) end

---Begins a verification. The operation's result is what was checked.
---@return rille.Op op
function conn_methods:start_verify() return (start(verify, self)) end

---Begins to read a value of the past: the operation's result.
---@param point any a transaction id, an instant, or a commit id
---@return rille.Op op
function db_methods:start_as_of(point) return (start(as_of, self, point)) end

---Begins a look at what transacting the data would give. The operation's result is a report.
---@param tx_data table|string not changed until the operation has ended
---@return rille.Op op
function db_methods:start_with(tx_data) return (start(with, self, tx_data)) end

---Begins to count datoms. The operation's result is the number.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any
---@return rille.Op op
function db_methods:start_count(index, ...) return (start(count, self, index, ...)) end

---Begins to look an entity up. The operation's result is its id.
---@param entity any an ident or a lookup ref
---@return rille.Op op
function db_methods:start_entid(entity)
  if entity == nil then raise("entid: expected an ident or a lookup ref {attribute, value}") end
  return (start(entid, self, entity))
end

---Begins to read datoms, as datoms does: after each "rows" step, `for e, a, v, tx, added in op:rows()`.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any
---@return rille.Op op
function db_methods:start_datoms(index, ...) return start_rows(datoms, self, index, ...) end

---The same for seek_datoms.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any
---@return rille.Op op
function db_methods:start_seek_datoms(index, ...) return start_rows(seek, self, index, ...) end

---The same for index_range.
---@param attr string
---@param from any?
---@param to any?
---@return rille.Op op
function db_methods:start_index_range(attr, from, to) return start_rows(range, self, attr, from, to) end

---Begins to read a part of the database into the cache. The operation's result is what was read.
---@param options? rille.Warm
---@return rille.Op op
function db_methods:start_warm(options) return warm.start("start_warm", self, options) end

---Reads a part of the database into the cache, level by level and many nodes at once, within a budget.
---@param options? rille.Warm
---@return rille.Warmed? warmed
---@return string? message
---@return string? code
function db_methods:warm(options) return drive(warm.start("warm", self, options)) end

local LONG = { verify = true, flush = true, as_of = true }

for name, begin in pairs {
  db = conn_methods.start_db,
  verify = conn_methods.start_verify,
  flush = conn_methods.start_flush,
  _branches = function(self) return (start(branches, self)) end,
} do
  operation.driven(conn_methods, name, function(...) return drive(begin(...)) end, LONG[name])
end
for _, name in ipairs { "as_of", "count", "entid" } do
  local begin = db_methods["start_" .. name]
  operation.driven(db_methods, name, function(...) return drive(begin(...)) end, LONG[name])
end
for _, name in ipairs { "datoms", "seek_datoms", "index_range" } do
  local begin = db_methods["start_" .. name]
  operation.driven(db_methods, name, function(...) return drive_rows(begin(...)) end)
end

-- ---- what is promised for later ----

local LATER = {
  [conn_methods] = { "conn:", "log", "branch", "delete_branch", "merge", "gc" },
  [db_methods] = { "db:", "pull", "pull_many", "entity", "since", "history", "filter", "rseek_datoms", "share" },
  [M] = { "rille.", "adopt", "diff" },
}

core.later = core.later or {} -- the functions that say so; some test runners load this file again
for methods, names in pairs(LATER) do
  for i = 2, #names do
    local name = names[i]
    if methods[name] == nil then
      methods[name] = function() raise(names[1] .. name .. " is not supported yet (see \"Status\" in the README)") end
      core.later[methods[name]] = true
    end
  end
end

-- A method of database values that is called on a connection, or the other way round.
for _, pair in ipairs {
  { conn_methods, db_methods, "conn:%s: call it on a database value, such as conn:db()" },
  { db_methods, conn_methods, "db:%s: call it on a connection" },
} do
  local methods, others, message = pair[1], pair[2], pair[3]
  for name, method in pairs(others) do
    if name:find "^%l" and methods[name] == nil and not core.later[method] then
      methods[name] = function() raise(message:format(name)) end
      core.later[methods[name]] = true
    end
  end
end

return M
