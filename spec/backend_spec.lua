-- SPDX-License-Identifier: MIT
--
-- Backends written in Lua.

local rille = require "rille"
local contract = require "spec.support.backend_contract"
local support = require "spec.support.init"
local table_backend = require "spec.support.table_backend"

local unpack = table.unpack or unpack

local number = 0
local function place()
  number = number + 1
  return "place-" .. number
end

local is_plain_51 = _VERSION == "Lua 5.1" and not rawget(_G, "jit") -- luacheck: ignore

-- Runs f in a coroutine, which is resumed whenever it yields; the number of times.
local function in_coroutine(f)
  local co, times = coroutine.create(f), -1
  while coroutine.status(co) ~= "dead" do
    local fine, message = coroutine.resume(co)
    if not fine then error(message, 0) end
    times = times + 1
  end
  return times
end

local PEOPLE = "[:find ?n ?a :where [?e :p/name ?n] [?e :p/age ?a] :order-by ?n]"
local SCHEMA = { support.attr("p/name", "string", support.identity), support.attr("p/age", "long"),
  support.attr("p/doc", "string") }
local LONG = ("x"):rep(70000)

local function fill(conn, count)
  assert(conn:transact(SCHEMA))
  local people = {}
  for i = 1, count or 3 do people[i] = { ["p/name"] = "n" .. i, ["p/age"] = i } end
  assert(conn:transact(people))
end

-- Ordinary calls of many kinds, and what they gave, as text.
local function everything(url)
  local out = {}
  local function add(...)
    local items = { ... }
    for i = 1, select("#", ...) do items[i] = tostring(items[i]) end
    out[#out + 1] = table.concat(items, " ")
  end
  add(rille.exists(url))
  add(select(3, rille.connect(url)))
  local conn = assert(rille.create(url))
  add(rille.exists(url), select(3, rille.create(url)))
  fill(conn, 40)
  local report = assert(conn:transact { { ["p/name"] = "Ada", ["p/age"] = 36, ["p/doc"] = LONG } })
  local long = 0
  for _, d in ipairs(report.tx_data) do long = long + (d.a == "p/doc" and #d.v or 0) end
  add(#report.tx_data, long)
  assert(conn:flush())
  assert(conn:transact { { "db/retract", { "p/name", "n3" }, "p/age", 3 } })
  local db = assert(conn:db())
  add(db:count("aevt", "p/name"), db:entid { "p/name", "none" })
  for _, a, v in db:datoms("eavt", { "p/name", "Ada" }) do add(a, #tostring(v)) end
  for _, a, v in db:datoms("avet", "p/name", "n7") do add(a, v) end
  local next_datom = db:seek_datoms("aevt", "p/age")
  add(select(2, next_datom()))
  for _, a, v in db:index_range("p/name", "n38", "n4") do add(a, v) end
  for n, a in rille.rows(PEOPLE, db) do add(n, a) end
  rille.fn("spec/len", function(s) return #s end)
  add(db:q "[:find ?l . :where [_ :p/doc ?d] [(spec/len ?d) ?l]]")
  local prepared = assert(rille.prepare "[:find ?a . :in $ ?n :where [?e :p/name ?n] [?e :p/age ?a]]")
  for _ = 1, 3 do
    for i = 1, 5 do add(prepared:run(db, "n" .. i)) end
  end
  add((rille.explain(PEOPLE, db):gsub("\n.*", "")))
  add(#assert(db:with { { ["p/name"] = "Ada", ["p/age"] = 1 } }).tx_data)
  add(assert(db:as_of(report.tx)):q(PEOPLE):to_table()[34][2])
  add(conn:verify().datoms, unpack(rille.branches(url)))
  conn:close()
  local other = assert(rille.db(url, { as_of = report.tx }))
  add(#other:q(PEOPLE))
  other:close()
  add(rille.drop(url))
  add(rille.exists(url))
  return out
end

describe("backends written in Lua", function()
  after_each(function()
    rille.driver(nil)
    rille.backend("tables", nil)
    rille.backend("others", nil)
    support.pause()
    support.cleanup()
  end)

  describe("by the example of tables", function()
    contract.describe(it, table_backend.new, place)
    contract.describe(it, function()
      local backend = table_backend.new()
      backend.rows = true
      return backend
    end, place)
  end)

  it("give what other storage gives, in blocking calls and in steps", function()
    support.seed()
    local expected = everything(support.plain_url "mem")
    local calls = 0
    rille.backend("tables", (table_backend.new(function() calls = calls + 1 end)))
    assert.same(expected, everything("tables:" .. place()))
    assert.is_true(calls > 30)
    rille.driver(function(op, state)
      if state == "need" then assert(op:fetch()) end
    end, { budget_us = 1 })
    assert.same(expected, everything("tables:" .. place()))
    rille.driver(nil)
    support.pause "random"
    assert.same(expected, everything("tables:" .. place()))
  end)

  it("may yield in each of their functions", function()
    if is_plain_51 then return end -- everything iterates
    local expected = everything(support.plain_url "mem")
    local yields, given = 0, nil
    rille.backend("tables", (table_backend.new(function(slot)
      if slot == "close" then return end
      for _ = 1, 2 do coroutine.yield(slot) end
      yields = yields + 2
    end)))
    local times = in_coroutine(function() given = everything("tables:" .. place()) end)
    assert.same(expected, given)
    assert.is_true(yields > 60)
    assert.equal(yields, times)
  end)

  it("yield to who resumed the coroutine, and get what that one gives", function()
    local heard = {}
    local backend = table_backend.new()
    local read = backend.get_many
    function backend.get_many(...)
      heard[#heard + 1] = coroutine.yield("wants", 7)
      return read(...)
    end
    rille.backend("tables", backend)
    local url = "tables:" .. place()
    local conn = assert(rille.create(url))
    fill(conn)
    local fine, why = conn:flush()
    if not fine then -- it had to read, where nothing can yield
      assert.matches("get_many: it yielded where this Lua cannot yield", why)
    end
    conn:close()
    local co = coroutine.create(function()
      local c = assert(rille.connect(url))
      assert(c:flush())
      c:close()
      return #assert(rille.db(url)):q(PEOPLE)
    end)
    local _, what, seven = coroutine.resume(co)
    local yields = 0
    while coroutine.status(co) ~= "dead" do
      assert.equal("wants", what)
      assert.equal(7, seven)
      yields = yields + 1
      _, what, seven = coroutine.resume(co, yields)
    end
    assert.equal(3, what)
    assert.is_true(yields > 0)
    for i, value in ipairs(heard) do assert.equal(i, value) end
    assert.equal(yields, #heard)
  end)

  it("serve many coroutines at once, each with its own reads", function()
    local yields, waiting, most = false, 0, 0
    rille.backend("tables", (table_backend.new(function(slot)
      if slot ~= "get_many" or not yields then return end
      waiting = waiting + 1
      most = math.max(most, waiting)
      coroutine.yield()
      waiting = waiting - 1
    end)))
    local name = place()
    local conn = assert(rille.create("tables:" .. name))
    fill(conn, 2000)
    assert(conn:flush())
    conn:close()
    yields = true
    local scripts, sum = {}, 0
    for i = 1, 100 do
      scripts[i] = coroutine.create(function()
        local db = assert(rille.db("tables:" .. name))
        local age = db:q(("[:find ?a . :where [?e :p/name \"n%d\"] [?e :p/age ?a]]"):format(i))
        sum = sum + age
        db:close()
      end)
    end
    local alive = true
    while alive do
      alive = false
      for _, co in ipairs(scripts) do
        if coroutine.status(co) ~= "dead" then
          local fine, message = coroutine.resume(co)
          assert.is_true(fine, message)
          alive = true
        end
      end
    end
    assert.equal(5050, sum)
    assert.equal(100, most)
  end)

  -- What each function gives instead of the right thing.
  local WRONG = {
    get_many = { 7, {}, { 7 }, { true }, { {} }, "bytes", true, false, { ("x"):rep(100000), "more", [70] = 1 } },
    put_many = { false, 7, {}, "yes" },
    head_read = { 7, {}, "bytes alone" },
    head_swap = { true, 7, {}, "", ("r"):rep(33), "with\0zero" },
    head_list = { 7, true, "main", { 7 }, { "" }, { "a\0b" } },
    list = { 7, true, { "short" }, { 7 }, { ("g"):rep(64) }, { ("A"):rep(64) } },
    size_bytes = { "7", {}, -1, 0 / 0, 1e300 },
    open = {},
    drop = { false, 1 },
    head_delete = { 1 },
  }

  it("are told what they should have given", function()
    local instead, hit, raised
    local backend = table_backend.new()
    for name, f in pairs(backend) do
      backend[name] = function(...)
        if instead and instead[1] == name then
          hit = true
          if raised then error(raised) end
          return unpack(instead, 2, instead.n)
        end
        return f(...)
      end
    end
    rille.backend("tables", backend)
    local url = "tables:" .. place()
    local conn = assert(rille.create(url))
    fill(conn, 200)
    assert(conn:flush())
    local calls = {
      get_many = function()
        local db, message, code = rille.db(url)
        if not db then return nil, message, code end
        return db:q(PEOPLE)
      end,
      put_many = function()
        local items = {}
        for i = 1, 2000 do items[i] = { ["p/name"] = "m" .. i, ["p/age"] = i } end
        local fine, message, code = conn:transact(items)
        if fine then return conn:flush() end
        return nil, message, code
      end,
      head_read = function() return conn:db() end,
      head_swap = function() return conn:transact { { ["p/name"] = "x" } } end,
      head_list = function() return rille.branches(url) end,
      list = function() return conn:verify() end,
      size_bytes = function() return conn:stats() end,
      open = function() return rille.connect(url) end,
      drop = function() return rille.drop(url) end,
    }
    local function refused(name, ...)
      instead, hit = { n = select("#", ...) + 1, name, ... }, false
      local fine, value, message, code = pcall(calls[name])
      instead = nil
      assert.is_true(fine, value)
      assert.is_true(hit, name .. " was not called")
      assert.is_nil(value, name)
      assert.equal("IO", code, message)
      assert.matches("tables:place%-%d+: " .. name .. ": ", message)
      return message
    end
    for name, values in pairs(WRONG) do
      if calls[name] then
        for _, value in ipairs(values) do
          local message = refused(name, value)
          assert.is_true(message:find("expected", 1, true) ~= nil, message)
        end
        assert.matches("expected a message after nil, got a table", refused(name, nil, {}))
        assert.matches("unknown code \"NOSUCH\"", refused(name, nil, "why", "NOSUCH"))
        assert.matches(name .. ": why$", refused(name, nil, "why"))
      end
    end
    for _, text in ipairs { function() error("no text", 0) end, function() return {} end, function() end } do
      raised = setmetatable({}, { __tostring = text }) -- errors whose text fails, too
      assert.matches("head_read: an error that is a table", refused "head_read")
    end
    raised = nil
    for _, revision in ipairs { 7, "", ("r"):rep(33), "a\0", false } do
      assert.matches("after the bytes, a revision", refused("head_read", "bytes", revision))
    end
    for _, name in ipairs { "get_many", "head_read", "head_swap", "head_list", "open" } do -- nothing at all
      assert.matches("expected .*, got nil", refused(name))
    end
    for _, code in ipairs { "PERMISSION", "TIMEOUT", "FULL", "CORRUPT" } do -- its own codes come through
      instead = { n = 4, "head_swap", nil, "no", code }
      assert.equal(code, select(3, conn:transact { { ["p/name"] = "x" } }))
    end
    instead = nil
    assert(conn:flush())
    assert.equal(2200, #assert(rille.db(url)):q(PEOPLE)) -- and the database is whole
    assert.is_true(conn:verify().datoms > 400)
    conn:close()
  end)

  it("may fail at each of their calls, whatever is asked, and what comes next is right", function()
    support.seed()
    local fails_at, calls, how = 0, 0, nil
    rille.backend("tables", (table_backend.new(function(slot)
      calls = calls + 1
      if calls == fails_at and slot ~= "close" then
        if how == "raise" then error({ "not even text" }) end
        return nil, "the wire was cut", "IO"
      end
    end)))
    for _, kind in ipairs { "raise", "return" } do
      how = kind
      local at, failures = 0, 0
      repeat
        at = at + 1
        local url = "tables:" .. place()
        fails_at = 0
        local conn = assert(rille.create(url))
        assert(conn:transact(SCHEMA))
        local function work()
          local items = {}
          for i = 1, 50 do items[i] = { ["p/name"] = "n" .. i, ["p/age"] = i, ["p/doc"] = LONG .. i } end
          assert(conn:transact(items))
          assert(conn:flush())
          assert(conn:transact { { ["p/name"] = "n1", ["p/age"] = 7 } })
          local db = assert(rille.db(url))
          local sum = 0
          for _, _, v in db:datoms("aevt", "p/age") do sum = sum + v end
          assert.equal(sum, assert(db:q "[:find (sum ?a) . :with ?e :where [?e :p/age ?a]]"))
          assert.equal(50, #assert(db:q(PEOPLE)))
          assert.is_true(assert(conn:verify()).datoms > 0)
        end
        fails_at, calls = at, 0
        local fine, message = pcall(work)
        local hit = calls >= at
        fails_at = 0
        if not fine then
          failures = failures + 1
          assert.matches(kind == "raise" and "table: " or "the wire was cut", tostring(message))
        end
        work() -- again: names are unique identities
        assert.equal(50, #assert(rille.db(url)):q(PEOPLE))
        conn:close()
        assert(rille.drop(url))
      until not hit
      assert.is_true(failures > 10)
    end
  end)

  it("may lose a race or a reply, and each transaction is committed once", function()
    local outcomes = {}
    local backend = table_backend.new()
    local swap = backend.head_swap
    function backend.head_swap(db, wanted)
      local outcome = table.remove(outcomes, 1)
      if outcome == "lost" then
        swap(db, wanted)
        return nil, "no reply", "UNKNOWN"
      elseif outcome == "unsent" then
        return nil, "no reply", "UNKNOWN"
      elseif outcome == "conflict" then
        return nil, "somebody was first", "CONFLICT"
      end
      return swap(db, wanted)
    end
    rille.backend("tables", backend)
    local conn = assert(rille.create("tables:" .. place()))
    fill(conn, 1)
    local all = { { "lost" }, { "unsent" }, { "lost", "lost" }, { "unsent", "lost", "unsent" }, { "conflict" } }
    for i, list in ipairs(all) do
      outcomes = list
      assert(conn:transact { { ["p/name"] = "m" .. i, ["p/age"] = i } })
      assert.equal(0, #outcomes)
    end
    assert.equal(1 + #all, conn:db():count("aevt", "p/age"))
    conn:close()
  end)

  it("cannot ask for the database that they serve, but for others", function()
    local conn, asks
    local backend = table_backend.new()
    local read = backend.get_many
    local other = assert(rille.create(support.plain_url "mem"))
    fill(other)
    rille.backend("others", (table_backend.new()))
    local third = assert(rille.create("others:" .. place()))
    fill(third, 5)
    assert(third:flush())
    local said
    function backend.get_many(...)
      if asks then
        assert.equal(3, #assert(other:db()):q(PEOPLE))
        assert.equal(5, #assert(third:db()):q(PEOPLE))
        said = select(2, conn:db())
      end
      return read(...)
    end
    rille.backend("tables", backend)
    local url = "tables:" .. place()
    conn = assert(rille.create(url))
    fill(conn, 50)
    assert(conn:flush())
    conn:close()
    conn = assert(rille.connect(url))
    asks = true
    assert.equal(50, #assert(conn:db()):q(PEOPLE))
    assert.matches("asks for the database that it serves", said)
    conn:close()
  end)

  it("are joined with each other and with local databases", function()
    rille.backend("tables", (table_backend.new()))
    rille.backend("others", (table_backend.new()))
    local dbs = {}
    for i, url in ipairs { "tables:" .. place(), "others:" .. place(), support.plain_url "mem" } do
      local conn = assert(rille.create(url))
      fill(conn, 10 * i)
      assert(conn:flush())
      conn:close()
      dbs[i] = assert(rille.db(url == nil and "" or url)) -- read again
    end
    assert.equal(10, #rille.q("[:find ?n :in $a $b $c :where [$a _ :p/name ?n] [$b _ :p/name ?n] [$c _ :p/name ?n]]",
      unpack(dbs)))
  end)

  it("are closed once, after the last handle", function()
    local states, closed = {}, {}
    local backend = table_backend.new()
    local open = backend.open
    function backend.open(...)
      local db, message, code = open(...)
      if not db then return nil, message, code end
      states[#states + 1] = setmetatable({}, { __index = db })
      return states[#states]
    end
    function backend.close(state) closed[state] = (closed[state] or 0) + 1 end
    rille.backend("tables", backend)
    local url = "tables:" .. place()
    local function left() -- of all but the state that it opens itself; reports have databases, too
      for _ = 1, 3 do collectgarbage() end
      rille.exists(url)
      local count = 0
      for i = 1, #states - 1 do
        assert.is_true((closed[states[i]] or 0) <= 1)
        count = count + (closed[states[i]] and 0 or 1)
      end
      return count
    end
    assert(rille.create(url)):close()
    assert.equal(0, left())
    local mine
    do
      local conn = assert(rille.connect(url))
      mine = states[#states]
      fill(conn)
      local db = conn:db()
      conn:close()
      assert.equal(3, #db:q(PEOPLE))
      assert.is_nil(closed[mine])
      db:close()
    end
    assert.equal(0, left())
    assert.equal(1, closed[mine])
    local function forget() fill(assert(rille.connect(url))) end
    forget()
    assert.equal(0, left())
    assert.is_true(#states >= 6)
  end)

  it("are checked when they are registered", function()
    local backend = table_backend.new()
    local function refused(pattern, ...)
      assert.matches(pattern, support.failure(rille.backend, ...))
    end
    refused("expected a scheme", 7, backend)
    refused("expected a scheme", "Rest", backend)
    refused("expected a scheme", "a", backend)
    refused("expected a scheme", "a b", backend)
    refused("file: is built in", "file", backend)
    refused("expected a table of functions, got a string", "tables", "x")
    refused("unknown option \"get_mny\" %(did you mean get_many%?%)", "tables", { get_mny = print })
    refused("option \"get_many\" must be a function, got \"x\"", "tables", { get_many = "x" })
    refused("backend \"tables\" lacks the function head_swap", "tables", { get_many = print, put_many = print,
      head_read = print })
    assert.is_nil(rille.backend("tables", backend))
    assert.equal(backend, rille.backend("tables", { get_many = print, head_read = print, readonly = true }))
    rille.backend("tables", nil)
    assert.equal("SYNTAX", select(3, rille.connect "tables:x"))
    assert.matches("option \"backend\" is for backends that are written in Lua",
      support.failure(rille.connect, "mem:x", { backend = {} }))
  end)

  it("get the options of who opens, and hide what may be a secret in URLs", function()
    local backend = table_backend.new()
    local open, seen = backend.open, nil
    function backend.open(name, how)
      seen = { name, how }
      if name == "//ada:secret@host/shut" then error "no entry" end
      return open(name, how)
    end
    rille.backend("tables", backend)
    local conn = assert(rille.create("tables://ada:secret@host/open?key=secret",
      { timeout_ms = 7, bearer = "b", backend = { any = "thing" } }))
    assert.equal("//ada:secret@host/open?key=secret", seen[1])
    assert.same({ create = true, timeout_ms = 7, bearer = "b", options = { any = "thing" } }, seen[2])
    assert.equal("tables://host/open", conn:url())
    conn:close()
    local _, message, code = rille.connect "tables://ada:secret@host/shut"
    assert.matches("^tables://host/shut: open: .*no entry$", message)
    assert.equal("IO", code)
  end)

  it("may be read-only, and may lack what is not needed", function()
    local whole, places = table_backend.new()
    local url = "tables:" .. place()
    rille.backend("tables", whole)
    local conn = assert(rille.create(url))
    fill(conn)
    conn:close()
    rille.backend("tables", { open = function(name) return places[name] end, get_many = whole.get_many,
      head_read = whole.head_read, readonly = true })
    conn = assert(rille.connect(url))
    assert.equal(3, #conn:db():q(PEOPLE))
    assert.equal("READONLY", select(3, conn:transact { { ["p/name"] = "x" } }))
    assert.equal("UNSUPPORTED", select(3, rille.branches(url)))
    assert.equal("UNSUPPORTED", select(3, rille.drop(url)))
    assert.is_true(rille.exists(url))
    assert.equal(0, conn:stats().size_bytes)
    conn:close()
  end)

  it("answer what a host steps by itself", function()
    rille.backend("tables", (table_backend.new()))
    local url = "tables:" .. place()
    local conn = assert(rille.create(url))
    fill(conn, 100)
    assert(conn:flush())
    conn:close()
    for _, how in ipairs { "fetch", "poll", "run" } do
      local op, needs = rille.start_connect(url), 0
      local state = how ~= "run" and op:step()
      while state == "need" do
        assert.equal(url, op:wanted()[1].store)
        needs = needs + 1
        assert.is_true(op[how](op))
        state = assert(op:step())
      end
      conn = how == "run" and op:run() or op:result()
      op = conn:start_db()
      local db = op:run()
      assert.equal(100, #db:q(PEOPLE))
      conn:close()
      db:close()
      assert.is_true(how == "run" or needs > 0)
    end
  end)
end)
