-- SPDX-License-Identifier: MIT
--
-- Lua runs finalizers wherever it allocates: also within functions of rille, which a finalizer may then take the handle
-- from that they work on. They finish with what they began with, or say that the handle is closed.
local rille = require "rille"
local support = require "spec.support.init"

local ROWS = 400

-- An object that nobody refers to and whose finalizer calls f.
local function when_collected(f)
  if _VERSION == "Lua 5.1" then
    local proxy = newproxy(true) -- luacheck: ignore 113
    getmetatable(proxy).__gc = function() f() end
  else
    setmetatable({}, { __gc = function() f() end })
  end
end

-- Calls use(handle) while a finalizer spoils the handle at some moment, a little later in each round. Gives in how many
-- rounds it came before the end.
local function during(make, use, spoil)
  local came = 0
  local stepmul = collectgarbage("setstepmul", 10000) -- a cycle ends soon
  for round = 1, 60 do
    local handle = make()
    local spoilt = false
    collectgarbage()
    collectgarbage "stop"
    when_collected(function()
      spoilt = true
      pcall(spoil, handle)
    end)
    for _ = 1, round * 40 do local _ = {} end
    collectgarbage "restart"
    for _ = 1, round % 7 do local _ = {} end -- the same work to the end of the cycle, another place that it is done at
    use(handle)
    came = came + (spoilt and 1 or 0)
    collectgarbage()
  end
  collectgarbage("setstepmul", stepmul)
  return came
end

local function close(handle) handle:close() end

local function closed_or(ok, ...)
  if ok then return ... end
  assert.match("is closed", (...))
end

describe("a finalizer that closes", function()
  local conn, db
  local query = "[:find ?e ?s ?k :where [?e :a/s ?s] [?e :a/k ?k]]"

  local function check_rows(rows)
    if not rows then return end
    assert.equal(ROWS, #rows)
    for i = 1, ROWS do
      assert.match("^text x+%d+$", rows[i][2])
      assert.match("^:k%d+$", tostring(rows[i][3]))
    end
  end

  setup(function()
    conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("a/s", "string"), support.attr("a/k", "keyword") })
    local data = {}
    for i = 1, ROWS do data[i] = { ["a/s"] = "text " .. ("x"):rep(50) .. i, ["a/k"] = "k" .. i } end
    assert(conn:transact(data))
    db = conn:db()
  end)

  teardown(function() conn:close() end)

  local function result() return assert(db:q(query)) end

  it("a result lets its rows, columns and iterators end", function()
    local came = during(result, function(r) check_rows(closed_or(pcall(r.to_table, r))) end, close)
    assert.is_true(came > 0)
    during(result, function(r)
      local texts = closed_or(pcall(r.column, r, "s"))
      assert.equal(ROWS, texts and #texts or ROWS)
    end, close)
    during(result, function(r)
      closed_or(pcall(function()
        for _, s, k in r:rows() do assert.match("^text x+%d+$", s, k) end
      end))
    end, close)
    during(result, function(r)
      closed_or(pcall(function()
        for i = 1, ROWS do assert.match("^text x+%d+$", r[i][2]) end
      end))
    end, close)
  end)

  it("a database value lets transactions, ranges and the schema end", function()
    local function value() return conn:db() end
    local data = {}
    for i = 1, 300 do data[i] = { ["a/s"] = "new " .. i, ["a/k"] = rille.kw("n" .. i) } end
    during(value, function(v)
      local report = closed_or(pcall(v.with, v, data))
      assert.is_true(not report or #report.tx_data == 601)
    end, close)
    during(value, function(v)
      local schema = closed_or(pcall(v.schema, v))
      assert.is_true(not schema or schema["a/s"].type == "string")
    end, close)
    during(value, function(v)
      local basis = closed_or(pcall(v.basis, v))
      assert.is_true(not basis or #basis.commit == 64)
    end, close)
    during(function() return assert(conn:db():with(data)) end, function(report)
      local ok, list = pcall(function() return report.tx_data end)
      assert.is_true(ok and #list == 601 or not ok and list:find "closed" ~= nil)
    end, function(report) report.db_after:close() end)
  end)

  it("a scan or an operation lets a step end", function()
    during(function() return { db:datoms("aevt", "a/s") } end, function(it_and_scan)
      closed_or(pcall(function()
        for _, _, v in it_and_scan[1] do assert.match("^text x+%d+$", v) end
      end))
    end, function(it_and_scan) it_and_scan[4]:close() end)
    during(function() return assert(rille.prepare(query):start(db)) end, function(op)
      closed_or(pcall(function()
        while true do
          local outcome = assert(op:step())
          if outcome == "done" then break end
          if outcome == "need" then assert(op:fetch()) end
          if outcome == "rows" then
            for _, s in op:rows() do assert.match("^text x+%d+$", s) end
          end
        end
      end))
    end, close)
  end)

  it("a connection lets a commit end", function()
    local url = support.url()
    local first = assert(rille.create(url))
    assert(first:transact { support.attr("c/n", "long") })
    local commits = 0
    during(function() return assert(rille.connect(url)) end, function(c)
      local data = {}
      for i = 1, 50 do data[i] = { ["c/n"] = i } end
      local report = closed_or(pcall(c.transact, c, data))
      commits = commits + (report and 1 or 0)
    end, close)
    assert.equal(commits > 0 and commits * 50 or nil, first:db():q "[:find (count ?e) . :where [?e :c/n]]")
    first:close()
  end)

  it("a query lets it start and tell its columns", function()
    local function fresh() return assert(rille.prepare(query)) end
    during(fresh, function(q)
      local r = closed_or(pcall(q.run, q, db))
      check_rows(r and r:to_table())
    end, close)
    during(fresh, function(q) closed_or(pcall(q.columns, q)) end, close)
  end)
end)

describe("a finalizer that goes on with what is being read", function()
  it("is refused", function()
    local conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("a/s", "tuple") })
    local good, refused = 0, 0
    do
      local data = {} -- gone before the scan, else Lua 5.1 has all its strings already
      for i = 1, 3000 do data[i] = { ["a/s"] = { ("t"):rep(100) .. i, ("u"):rep(100) .. i } } end
      assert(conn:transact(data))
    end
    local db = conn:db()
    local function scan(step)
      -- Allocates nothing but the values of the scan, so the finalizer comes within a step: several blocks for each
      -- value, since Lua 5.2 also runs finalizers right before it calls a function.
      repeat
        local e, _, v = step()
        good = good + (e and v[1]:byte(100) == 116 and v[2]:byte(100) == 117 and 1 or 0)
      until not e
    end
    local function go_on(step)
      local ok, message = pcall(step)
      if not ok then
        refused = refused + 1
        assert.match("in use", message)
      end
    end
    -- Where in a step a finalizer comes depends on how much the collector has to do before it, so one pass may miss the
    -- inside of every step. The next one gives it some more to do.
    local passes, ballast = 0, {}
    repeat
      passes = passes + 1
      for _ = 1, 200 do ballast[#ballast + 1] = {} end
      local came = during(function() return (db:datoms("aevt", "a/s")) end, scan, go_on)
      assert.is_true(came > 0 and good > 0)
    until refused > 0 or passes == 100
    assert.equal(200 * passes, #ballast)
    assert.is_true(refused > 0)
    conn:close()
  end)
end)

describe("a finalizer that makes the same value", function()
  it("gets the same object", function()
    local number, other = 0, nil
    local came = during(function()
      number, other = number + 1, nil
      return "intern" .. number
    end, function(name)
      local own = rille.kw(name)
      for i = 1, 300 do assert.is_true(rille.kw(name .. "/" .. i) ~= nil) end -- if it has not come yet
      assert.is_true(other == nil or rawequal(own, other))
    end, function(name) other = rille.kw(name) end)
    assert.is_true(came > 0)
  end)
end)

-- Lua calls finalizers in the reverse order of their making, so an object older than the module comes after all of it.
describe("a finalizer at the end of the program", function()
  it("may still run queries, but finds no functions of Lua", function()
    local path = support.file("late.lua", [==[
      local rille
      local function late()
        print(pcall(rille.fn, "late", print))
        print(select(2, rille.q("[:find ?x :in [?x ...] :where [(early ?x)]]", { 1, 2 })))
        print(#assert(rille.q("[:find ?x :in [?x ...]]", { 1, 2 })))
      end
      if newproxy then
        KEEP = newproxy(true)
        getmetatable(KEEP).__gc = late
      else
        KEEP = setmetatable({}, { __gc = late })
      end
      rille = require "rille"
      rille.fn("early", function() return true end)
    ]==])
    -- What is made while a state is closed has no finalizer any more: it leaks, and a sanitizer need not say so.
    local pipe = assert(io.popen(("ASAN_OPTIONS=detect_leaks=0 %s '%s' 2>&1"):format(
      os.getenv "RILLE_TEST_LUA" or "lua5.4", path)))
    local text = pipe:read "*a"
    pipe:close()
    support.cleanup()
    assert.matches("false.-function late cannot be registered: the Lua state is being closed", text)
    assert.matches("unknown function early[^\n]*\n2\n$", text)
  end)
end)
