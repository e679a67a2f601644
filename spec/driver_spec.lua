-- SPDX-License-Identifier: MIT
--
-- Drivers: ordinary calls run through a function of the program, and give what they give without one.

local rille = require "rille"
local core = require "rille.core"
local operation = require "rille.operation"
local command = require "spec.support.command"
local support = require "spec.support.init"

-- Each ordinary call once; a list of what they gave.
local function everything(url)
  local out = {}
  local function add(...)
    local items = {}
    for i = 1, select("#", ...) do items[i] = tostring((select(i, ...))) end
    out[#out + 1] = table.concat(items, " ")
  end
  add(rille.exists(url))
  add(select(3, rille.connect(url)))
  local conn = assert(rille.create(url))
  add(select(3, rille.create(url)))
  assert(conn:transact { support.attr("p/name", "string", support.identity),
    support.attr("p/age", "long", { ["db/index"] = true }) })
  local heard = 0
  local id = conn:listen(function() heard = heard + 1 end)
  local first = assert(conn:transact { { ["p/name"] = "Ada", ["p/age"] = 36 }, { ["p/name"] = "Ben", ["p/age"] = 7 } })
  assert(conn:flush())
  local report = assert(conn:transact({ { ["p/name"] = "Ada", ["p/age"] = 37 } }, { meta = { ["db/doc"] = "a year" } }))
  add(#report.tx_data, heard)
  conn:unlisten(id)
  add(select(3, conn:transact { { ["p/nmae"] = "x" } }))
  add(pcall(conn.transact, conn, 7))
  local db = assert(conn:db())
  add(db:count("avet", "p/age"), db:entid { "p/name", "Ben" }, select(3, db:entid { "p/name", "Cid" }))
  local past = assert(db:as_of(first.tx))
  add(db:q "[:find (sum ?a) . :where [_ :p/age ?a]]", past:q "[:find (sum ?a) . :where [_ :p/age ?a]]")
  add(#assert(db:with { { ["p/name"] = "Dot", ["p/age"] = 1 } }).tx_data)
  for _, name in ipairs { "datoms", "seek_datoms" } do
    for _, a, v in db[name](db, "avet", "p/age") do add(name, a, v) end
  end
  for _, a, v in db:index_range("p/age", 10) do add("range", a, v) end
  for n, a in rille.rows("[:find ?n ?a :where [?e :p/name ?n] [?e :p/age ?a] :order-by ?n]", db) do add(n, a) end
  add(pcall(db.datoms, db, "avet", "p/none"))
  add(select(3, rille.q("[:find ?x :where [?x :p/none 1]]", db)))
  add(#rille.explain("[:find ?n :where [_ :p/name ?n]]", db):gsub("source.*", "")) -- what was read differs
  rille.fn("spec/driven", function(n) return #n end)
  add(db:q "[:find (sum ?l) . :with ?n :where [_ :p/name ?n] [(spec/driven ?n) ?l]]")
  add(conn:verify().datoms, #rille.branches(url), assert(rille.db(url, { as_of = first.tx })):basis().t - first.tx)
  conn:close()
  add(rille.drop(url))
  return out
end

-- In a coroutine, which is resumed until it ends.
local function in_coroutine(f)
  local co = coroutine.create(f)
  while true do
    local fine, value = coroutine.resume(co)
    if not fine then error(value, 0) end
    if coroutine.status(co) == "dead" then return value end
  end
end

local is_plain_51 = _VERSION == "Lua 5.1" and not rawget(_G, "jit") -- luacheck: ignore

describe("drivers", function()
  after_each(function()
    rille.driver(nil)
    support.pause()
    support.cleanup()
  end)

  it("give what blocking calls give", function()
    support.seed()
    for _, kind in ipairs(support.stressed and { "mem" } or support.kinds()) do
      local expected = everything(support.plain_url(kind))
      for _, wrap in ipairs { "", "deferred:" } do
        local asked = { need = 0, again = 0, polls = 0 }
        for _, how in ipairs { "fetch", "yield" } do
          rille.driver(function(op, state)
            asked[state] = asked[state] + 1
            if how == "yield" and math.random(2) == 1 and not is_plain_51 then coroutine.yield() end
            if state == "need" and math.random(2) == 1 then
              while not op:poll() do asked.polls = asked.polls + 1 end
            elseif state == "need" then
              assert(op:fetch())
            end
          end, { budget_us = 1 })
          core.pauses("random", wrap == "", 3)
          local url = wrap .. support.plain_url(kind)
          local found = in_coroutine(function() return everything(url) end)
          support.pause()
          rille.driver(nil)
          assert.same(expected, found)
        end
        assert.is_true(asked.need > 20 and asked.again > 0)
        assert.equal(wrap ~= "", asked.polls > 0)
      end
    end
  end)

  it("run one script in any host", function()
    local expected
    for _, host in ipairs { "blocking", "scheduler", "game", "random" } do
      for _, url in ipairs { "mem:any-host", "deferred:" .. support.plain_url "file" } do
        local code, out, err = command.run("run", "examples/any_host.lua", host, url)
        assert.equal(0, code, err)
        expected = expected or out
        assert.equal(expected, out)
        assert.matches("100 scripts, %d+ waits", err)
      end
    end
    assert.matches("shop%-7: 2 orders, total 1007; before: 7\n", expected)
  end)

  it("say what to do where this Lua cannot yield", function()
    local url = "deferred:" .. support.plain_url "mem"
    local conn = assert(rille.create(url))
    assert(conn:transact { support.attr("p/name", "string") })
    rille.driver(function(op)
      coroutine.yield()
      assert(op:fetch())
    end)
    if coroutine.running() == nil then
      assert.matches("does not run in a coroutine", support.failure(conn.db, conn))
    end
    local message = in_coroutine(function()
      return select(2, pcall(table.sort, { 1, 2 }, function()
        conn:db()
        return false
      end))
    end)
    assert.matches("cannot yield here.*callback of C", message)
    local result = in_coroutine(function() return { pcall(conn.db, conn) } end)
    local fine, value = result[1], result[2]
    if is_plain_51 then
      assert.is_false(fine)
      assert.matches("Lua 5.1 cannot yield inside pcall", value)
    else
      assert.is_true(fine)
      rille.driver(nil)
      assert.equal(conn:db():basis().t, value:basis().t)
    end
  end)

  it("pass errors of the driver on, and are removed again", function()
    local conn = assert(rille.create("deferred:" .. support.plain_url "mem"))
    local function broken() error({ "broken" }, 0) end
    assert.is_nil(rille.driver(broken))
    local fine, why = pcall(conn.db, conn)
    assert.is_false(fine)
    assert.same({ "broken" }, why)
    assert.equal(broken, rille.driver(nil))
    assert(conn:db())
  end)

  it("may be removed while operations are under way, which then block", function()
    local url = "deferred:" .. support.plain_url "mem"
    local expected = everything(url)
    local asked
    local function run(last)
      asked = 0
      rille.driver(function(op, state)
        asked = asked + 1
        if asked == last then
          rille.driver(nil)
        elseif state == "need" then
          assert(op:fetch())
        end
      end)
      core.pauses("each", "each")
      local found = everything(url)
      rille.driver(nil)
      support.pause()
      return found
    end
    assert.same(expected, run(nil))
    local total = asked
    for last = 1, total, math.max(1, math.floor(total / (support.stressed and 3 or 30))) do
      assert.same(expected, run(last), "at " .. last)
    end
  end)

  it("of OpenResty in docs/lua-api.md answers whatever is wanted, so that each call ends", function()
    local url = support.plain_url "file"
    local conn = assert(rille.create(url))
    assert(conn:transact { support.attr("p/age", "long") })
    assert(conn:transact { { ["p/age"] = 36 } })
    assert(conn:flush())
    conn:close()
    conn = assert(rille.connect("deferred:" .. url))
    local db = assert(conn:db())
    local is_reachable = true
    local function get(want)
      local name = want.kind == "pack" and ("packs/%s.pack"):format(want.id)
        or ("blobs/%s/%s"):format(want.id:sub(1, 2), want.id)
      local bytes = support.read(url:sub(#"file:" + 1) .. "/" .. name)
      if not is_reachable then return nil, "the network is down" end
      return bytes:sub(want.offset + 1, want.length == 0 and -1 or want.offset + want.length)
    end
    local calls = 0
    local function set_driver(f)
      rille.driver(function(op, state)
        calls = calls + 1
        assert(calls < 10000, "the driver is called forever")
        f(op, state)
      end)
    end
    local text = assert(support.read("docs/lua-api.md"):match "%-%- OpenResty:.-\n```"):sub(1, -4)
    local chunk = assert((rawget(_G, "loadstring") or load)("local rille, ngx, get = ... " .. "\n" .. text))
    chunk({ driver = set_driver }, { sleep = function() end }, get)

    local ages = "[:find (sum ?a) . :where [_ :p/age ?a]]"
    is_reachable = false
    local value, message, code = db:q(ages)
    assert.is_nil(value)
    assert.matches("the network is down", message)
    assert.equal("IO", code)
    is_reachable = true
    assert.equal(36, db:q(ages))
    value, message, code = conn:transact { { ["p/age"] = 7 } }
    assert.is_nil(value)
    assert.matches("this host cannot do head_", message)
    assert.equal("UNSUPPORTED", code)
    conn:close()
  end)

  it("read the head once for a value alone", function()
    local url = "deferred:mem:driver-value"
    assert(rille.create(url)):close()
    local heads = 0
    rille.driver(function(op, state)
      if state ~= "need" then return end
      for _, want in ipairs(op:wanted()) do heads = heads + (want.op == "head_read" and 1 or 0) end
      assert(op:fetch())
    end)
    local db = assert(rille.db(url))
    rille.driver(nil)
    assert.are.equal(1, heads)
    assert.are.equal(assert(rille.connect(url)):db(), db)
    assert(rille.drop(url))
  end)

  it("say the same as without them when a method is called on something else", function()
    local conn = support.people()
    local calls = {
      { "connection", conn, { "transact", "db", "flush", "verify" } },
      { "database", conn:db(), { "with", "as_of", "count", "entid", "datoms" } },
    }
    for _, driver in ipairs { false, function(op) return op:fetch() end } do
      rille.driver(driver or nil)
      for _, call in ipairs(calls) do
        for _, name in ipairs(call[3]) do
          local fine, message = pcall(call[2][name], {}, {})
          assert.is_false(fine)
          assert.matches("bad self: expected a " .. call[1] .. ", got a table", message, 1, true)
        end
      end
      rille.driver(nil)
    end
    conn:close()
  end)

  -- As `rille run` does; a hook stands for that of an interpreter at Ctrl-C.
  it("are not needed for Lua's hooks to run within long calls, which a hook can end anywhere", function()
    local url, run = support.plain_url "mem", core.methods.task._run
    local conn = assert(rille.create(url))
    assert(conn:transact { support.attr("p/age", "long") })
    local data, first = {}, assert(conn:transact { { ["p/age"] = 1 } }).tx
    for i = 1, 1001 do data[i] = { ["p/age"] = i } end
    local db = conn:db()
    local calls = {
      connect = function() return rille.connect(url) end,
      verify = function() return conn:verify() end,
      flush = function() return conn:flush() end,
      as_of = function() return db:as_of(first) end,
      with = function() return db:with(data) end,
      transact = function() return conn:transact(data) end,
    }
    -- Ends at step `last` of a call. How many steps there were, and whether it came to its end.
    local function steps(call, last)
      local count = 0
      debug.sethook(function()
        if debug.getinfo(2, "f").func ~= run then return end
        count = count + 1
        if count == last then error("interrupted!", 0) end
      end, "c")
      local fine, value, message = pcall(call)
      debug.sethook()
      if fine then assert(value, message) else assert.equal("interrupted!", value) end
      return count, fine
    end
    for name, call in pairs(calls) do
      assert.equal(0, (steps(call)), name)
      operation.run_in_slices(1)
      local all, last = 0, 0
      repeat
        last = last + 1
        local count, fine = steps(call, last)
        all = count > all and count or all
      until fine or last == 6
      operation.run_in_slices(nil)
      assert.is_true(all >= 1, name .. " ran in no slices")
    end
    assert(conn:transact { { ["p/age"] = 7 } })
    assert(conn:verify())
    conn:close()
    rille.drop(url)
  end)
end)
