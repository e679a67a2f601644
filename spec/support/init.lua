-- SPDX-License-Identifier: MIT
--
-- What specs share: fresh URLs that are removed after each test, and small databases to ask.
--
-- With RILLE_WRAP=deferred every URL goes through the wrapper that answers only when asked again, so that the whole
-- suite runs over the sans-I/O paths. With RILLE_WRAP=lua all databases are in a backend that is written in Lua.

local rille = require "rille"
local core = require "rille.core"

local M = {}

-- RILLE_PAUSES=each or =random: every query of the suite is interrupted at each unit of work, or at random ones and at
-- random reads. What it answers must be the same.
M.pauses = os.getenv "RILLE_PAUSES"
M.pauses = M.pauses ~= "" and M.pauses or nil

---Queries pause as RILLE_PAUSES has it, or as it is said here ("each", "random", "never").
function M.pause(how)
  how = how or M.pauses or "never"
  return core.pauses(how, how == "random", tonumber(os.getenv "RILLE_SEED"))
end

-- The query with one more clause at its end: a call of a Lua function that all rows pass. nil: it has none to pass.
local function with_call(query)
  rille.fn("spec/pass", function() return true end)
  local var = query:match "^%[:find[^?:]*(%?[%w%-]+)"
  local form = var and rille.edn.decode(query)
  if type(form) ~= "table" then return nil end
  local where
  for i, item in ipairs(form) do
    local section = rille.edn.type(item) == "keyword" and item.text
    if section == "where" then where = i elseif where and section then break end
    if where then where = i end
  end
  if not where then return nil end
  table.insert(form, where + 1, rille.edn.decode(("[(spec/pass %s)]"):format(var)))
  return rille.edn.encode(form)
end

---Runs check(query, how) for a query as it is, then with pauses at each unit of work, at random ones and reads, and the
---same while a call of a Lua function is added to it.
function M.in_all_ways(query, check)
  check(query, "at once")
  local called = with_call(query)
  for _, how in ipairs { "each", "random" } do
    M.pause(how)
    local fine, message = pcall(check, query, how)
    if fine and called then fine, message = pcall(check, called, how .. ", with a call") end
    M.pause()
    if not fine then error(message, 0) end
  end
end

M.pause()
if M.pauses and not core.at_exit and _VERSION == "Lua 5.4" then -- runners load this file again and again, but core once
  core.at_exit = setmetatable({}, { __gc = function()
    io.stderr:write(("%d units of work were interrupted and %d reads had to wait in %d queries\n"):format(M.pause()))
  end })
end

-- Goes on when this file is loaded again for the next spec: core stays.
local function next_number()
  core.spec_number = (core.spec_number or 0) + 1
  return core.spec_number
end

local dir
local used = {}

M.wrap = os.getenv "RILLE_WRAP"
M.wrap = M.wrap ~= "" and M.wrap or nil
if M.wrap == "lua" then rille.backend("lua", (require("spec.support.table_backend").new())) end

-- Under the profile that stresses the garbage collector the heavy tests are made smaller.
local pause = collectgarbage("setpause", 200)
collectgarbage("setpause", pause)
M.stressed = pause < 100

local function go_on(fine, ...)
  collectgarbage "restart"
  if not fine then error((...), 0) end
  return ...
end

---A function of Lua alone, during which a collector under stress rests: there is nothing of C's that it could collect.
function M.at_rest(f)
  if not M.stressed then return f end
  return function(...)
    collectgarbage "stop"
    return go_on(pcall(f, ...))
  end
end

---How many to use of something: n, or a tenth of it under stress.
function M.many_of(n)
  return M.stressed and math.floor(n / 10) or n
end

---The names of all people of a database, in order, as one text.
function M.names(db)
  local list = assert(db:q "[:find [?n ...] :where [_ :person/name ?n]]")
  table.sort(list)
  return table.concat(list, " ")
end

---RILLE_SEED, or a fixed number.
function M.seed()
  local seed = tonumber(os.getenv "RILLE_SEED") or 1
  math.randomseed(seed)
  return seed
end

-- In memory where there is such a place: specs ask what is right, and C tests what survives on a disk.
local function new_dir()
  local path = os.tmpname()
  os.remove(path)
  local fast = "/dev/shm/rille-spec-" .. path:match "[^/]*$"
  os.execute(("mkdir '%s' 2>/dev/null"):format(fast))
  local there = io.open(fast .. "/.")
  if not there then return path end
  there:close()
  return fast
end

---A directory of this run, removed after the test.
function M.dir()
  if not dir then
    dir = new_dir()
    assert(os.execute(("mkdir -p '%s'"):format(dir)))
  end
  return dir
end

---A path that nothing is at yet.
function M.path(name)
  return ("%s/%d-%s"):format(M.dir(), next_number(), name or "file")
end

---A file with this content; its path.
function M.file(name, content)
  local path = M.path(name)
  local file = assert(io.open(path, "wb"))
  file:write(content)
  file:close()
  return path
end

---The content of a file.
function M.read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read "*a"
  file:close()
  return content
end

---The URL without the wrapper.
function M.plain_url(kind)
  kind = kind or "mem"
  local place = kind == "mem" and ("spec-%d-%d"):format(os.time(), next_number()) or M.path(kind)
  return kind .. ":" .. place
end

---A URL at which there is no database yet. kind: "mem", "file", "lmdb".
function M.url(kind)
  local url = M.plain_url(kind)
  if M.wrap then url = M.wrap .. ":" .. url end
  used[#used + 1] = url
  return url
end

---The kinds of stores that this build has.
function M.kinds()
  local kinds = { "mem", "file" }
  local _, _, code = rille.exists(M.plain_url "lmdb")
  if code ~= "UNSUPPORTED" and code ~= "SYNTAX" then kinds[#kinds + 1] = "lmdb" end
  M.cleanup()
  return kinds
end

---Removes what the test made. For after_each.
function M.cleanup()
  for _, url in ipairs(used) do rille.drop(url) end
  used = {}
  if dir then
    os.execute(("rm -rf '%s'"):format(dir))
    dir = nil
  end
end

---A pattern that matches just this text.
function M.pattern(text) return (text:gsub("%p", "%%%0")) end

---Runs a function and gives its error as text.
function M.failure(f, ...)
  local fine, message = pcall(f, ...)
  if fine then error("no error was raised", 2) end
  return tostring(message)
end

---An attribute of a schema.
function M.attr(name, type, more)
  local map = { ["db/ident"] = name, ["db/valueType"] = "db.type/" .. type, ["db/cardinality"] = "db.cardinality/one" }
  for key, value in pairs(more or {}) do map[key] = value end
  return map
end

---The schema of a random case.
function M.schema_of(case)
  local maps = {}
  for i, a in ipairs(case.schema) do
    maps[i] = M.attr(a.ident, a.type, { ["db/cardinality"] = a.many and "db.cardinality/many" or nil,
      ["db/unique"] = a.unique and "db.unique/" .. a.unique or nil, ["db/index"] = a.index or nil })
  end
  return maps
end

M.many = { ["db/cardinality"] = "db.cardinality/many" }
M.identity = { ["db/unique"] = "db.unique/identity" }

function M.people_schema()
  return {
    M.attr("person/name", "string", M.identity),
    M.attr("person/age", "long"),
    M.attr("person/friend", "ref", M.many),
    M.attr("person/nick", "string", M.many),
  }
end

---A database of four people.
function M.people(kind)
  local conn = assert(rille.create(M.url(kind)))
  assert(conn:transact(M.people_schema()))
  local report = assert(conn:transact {
    { ["db/id"] = "ann", ["person/name"] = "Ann", ["person/age"] = 30, ["person/friend"] = { "bob", "cid" } },
    { ["db/id"] = "bob", ["person/name"] = "Bob", ["person/age"] = 20, ["person/nick"] = { "B", "Bobby" } },
    { ["db/id"] = "cid", ["person/name"] = "Cid", ["person/age"] = 20, ["person/friend"] = "bob" },
    { ["db/id"] = "dan", ["person/name"] = "Dan" },
  })
  return conn, report
end

---Rows of a result as text, sorted: {"Ann 30", ...}.
function M.lines(result)
  local lines = {}
  for i = 1, #result do
    local cells = {}
    for j, value in ipairs(result[i]) do cells[j] = tostring(value) end
    lines[i] = table.concat(cells, " ")
  end
  table.sort(lines)
  return lines
end

---All of an iterator's rows, as arrays.
function M.collect(iterator, state, control)
  local rows = {}
  local function take(first, ...)
    if first == nil then return false end
    rows[#rows + 1] = { first, ... }
    control = first
    return true
  end
  while take(iterator(state, control)) do end
  return rows
end

return M
