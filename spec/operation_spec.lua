-- SPDX-License-Identifier: MIT
--
-- Operations: whatever interrupts them, they give what the ordinary call gives; and drivers, by which ordinary calls
-- are operations.

local rille = require "rille"
local core = require "rille.core"
local support = require "spec.support.init"

local unpack = table.unpack or unpack -- luacheck: ignore 143

-- 40 people, two of whom have names that are stored apart; some of them in the trees, some not yet.
local function make(url)
  local conn = assert(rille.create(url))
  assert(conn:transact {
    support.attr("p/name", "string", support.identity),
    support.attr("p/age", "long", { ["db/index"] = true }),
  })
  local points = {}
  local function add(i, name)
    local report = assert(conn:transact { { ["p/name"] = name or "n" .. i, ["p/age"] = i } })
    points[#points + 1] = report.tx
  end
  for i = 1, 15 do add(i) end
  add(16, ("long"):rep(1000))
  assert(conn:flush())
  for i = 17, 30 do add(i) end
  assert(conn:flush())
  for i = 31, 39 do add(i) end
  add(40, ("text"):rep(2000))
  conn:close()
  return points
end

local function all_rows(step, ...)
  local rows = {}
  for e, a, v, tx in step, ... do rows[#rows + 1] = ("%s %s %.20s %s"):format(e, a, tostring(v) .. #tostring(v), tx) end
  return rows
end

-- What each operation is: how it begins, and what the ordinary call gives, both as plain data.
local function cases(url, points)
  local conn = assert(rille.connect(url))
  local db = conn:db()
  local function names(value) return assert(value:q "[:find [?n ...] :where [_ :p/name ?n] :order-by ?n]") end
  local function basis(value) return value:basis().t end
  local list = {
    { "connect", function() return rille.start_connect(url) end, function(c) return basis(c:db()) end,
      function() return rille.connect(url) end },
    { "no database", function() return rille.start_connect(url .. "-none") end, tostring,
      function() return rille.connect(url .. "-none") end },
    { "db", function() return conn:start_db() end, basis, function() return conn:db() end },
    { "verify", function() return conn:start_verify() end, function(report) return report end,
      function() return conn:verify() end },
    { "with", function() return db:start_with { { ["p/name"] = "n3", ["p/age"] = 99 } } end,
      function(report) return { #report.tx_data, report.tempids, report.tx } end,
      function() return db:with { { ["p/name"] = "n3", ["p/age"] = 99 } } end },
    { "entid", function() return db:start_entid { "p/name", "n7" } end, tostring,
      function() return db:entid { "p/name", "n7" } end },
    { "no entid", function() return db:start_entid { "p/name", "nobody" } end, tostring,
      function() return db:entid { "p/name", "nobody" } end },
  }
  for _, point in ipairs { points[3], points[17], points[20], points[35], points[1] - 100 } do
    list[#list + 1] = { "as_of " .. point, function() return db:start_as_of(point) end, names,
      function() return db:as_of(point) end }
  end
  for _, parts in ipairs { { "eavt" }, { "avet" }, { "aevt", "p/age" }, { "avet", "p/name", "n3" },
    { "eavt", { "p/name", "n20" } } } do
    list[#list + 1] = { "count " .. parts[1], function() return db:start_count(unpack(parts)) end, tostring,
      function() return db:count(unpack(parts)) end }
    for _, name in ipairs { "datoms", "seek_datoms" } do
      list[#list + 1] = { name .. " " .. parts[1], function() return db["start_" .. name](db, unpack(parts)) end, false,
        function() return all_rows(db[name](db, unpack(parts))) end }
    end
  end
  list[#list + 1] = { "index_range", function() return db:start_index_range("p/age", 5, 33) end, false,
    function() return all_rows(db:index_range("p/age", 5, 33)) end }
  if not support.stressed then return list end
  local few = {}
  for i = 1, #list, 5 do few[#few + 1] = list[i] end
  return few
end

local function same(expected, found, what)
  if type(expected) == "table" and type(found) == "table" then
    assert.same(expected, found, what)
  else
    assert.equal(expected, found, what)
  end
end

-- Steps an operation to its end; between(op, steps) is called after each step. Gives its outcome as plain data.
local function finish(op, shown, between)
  local rows, steps, fetches = {}, 0, 0
  while true do
    local state, message, code = op:step(1)
    steps = steps + 1
    assert.is_true(steps < 5000, "it does not end")
    if state == "need" then
      assert.is_true(#op:wanted() > 0)
      assert(op:fetch())
      fetches = fetches + 1
    elseif state == "rows" then
      for _, row in ipairs(all_rows(op:rows())) do rows[#rows + 1] = row end
    elseif state == "done" then
      local value = op:result()
      op:close()
      if not shown then return rows, steps end
      return shown(value), steps, fetches
    elseif not state then
      assert.same({ nil, message, code }, { op:result() })
      op:close()
      return code, steps
    end
    if between and between(op, steps) then return nil, steps end
  end
end

local function outcome(case)
  local value, _, code = case[4]()
  if value == nil then return code end
  return case[3] and case[3](value) or value
end

-- Each store in which an operation may have to wait.
local function each_store(check)
  for _, kind in ipairs(support.stressed and {} or support.kinds()) do
    for _, how in ipairs { "each", "random" } do
      local url = support.plain_url(kind)
      local points = make(url)
      check(url, points, how)
      rille.drop(url)
    end
  end
  local url = support.plain_url "file"
  check("deferred:" .. url, make(url), nil)
  rille.drop(url)
end

describe("operations", function()
  before_each(function() math.randomseed(support.seed()) end)
  after_each(function()
    rille.driver(nil)
    support.pause()
    support.cleanup()
  end)

  it("give what ordinary calls give, whatever has to wait", function()
    each_store(function(url, points, how)
      for _, case in ipairs(cases(url, points)) do
        local expected = outcome(case)
        core.pauses(nil, how, support.seed())
        local found = finish(case[2](), case[3])
        support.pause()
        same(expected, found, url .. ": " .. case[1])
      end
    end)
  end)

  it("end when they are cancelled or closed at any step", function()
    local url = support.plain_url "file"
    local points = make(url)
    for _, case in ipairs(cases(url, points)) do
      core.pauses(nil, "each")
      local _, steps = finish(case[2](), case[3])
      for at = 1, steps - 1, math.max(1, math.floor(steps / (support.stressed and 2 or 8))) do
        finish(case[2](), case[3], function(op, step)
          if step < at then return false end
          op:close()
          assert.matches("closed", support.failure(op.step, op))
          return true
        end)
        local cancelled = false -- a later run may have fewer steps: of sets that the first one made
        local code = finish(case[2](), case[3], function(op, step)
          if step == at then
            op:cancel()
            cancelled = true
          end
        end)
        if cancelled then assert.equal("CANCELLED", code, ("%s, step %d of %d"):format(case[1], at, steps)) end
      end
      support.pause()
    end
    rille.drop(url)
  end)

  it("do not disturb each other", function()
    local url = support.plain_url "file"
    local points = make(url)
    local list = cases("deferred:" .. url, points)
    local expected, ops, results = {}, {}, {}
    for i, case in ipairs(list) do expected[i] = outcome(case) end
    core.pauses(nil, "random", support.seed())
    for i, case in ipairs(list) do
      ops[i] = coroutine.wrap(function()
        results[i] = finish(case[2](), case[3], function() coroutine.yield() end)
        return true
      end)
    end
    while next(ops) do
      for i in pairs(list) do
        if ops[i] and math.random(2) == 1 and ops[i]() then ops[i] = nil end
      end
    end
    support.pause()
    for i, case in ipairs(list) do same(expected[i], results[i], case[1]) end
    rille.drop(url)
  end)

  it("end with the smallest cache, and when what they read is closed", function()
    local url = support.plain_url "file"
    local points = make(url)
    local conn = assert(rille.connect(url, { cache_bytes = 1 }))
    local db = conn:db()
    local expected = all_rows(db:datoms "eavt")
    core.pauses(nil, "each")
    local op = db:start_datoms "eavt"
    local past = db:start_as_of(points[4])
    assert.equal("need", op:step())
    assert.equal("need", past:step())
    conn:close()
    assert(past:fetch())
    assert.same(expected, (finish(op)))
    assert.equal(points[4], finish(past, function(value) return value:basis().t end))
    past = db:start_as_of(points[4])
    assert.equal("need", past:step())
    db:close()
    assert(past:fetch())
    assert.matches("closed", support.failure(past.step, past))
    rille.drop(url)
  end)

  local function ages(url)
    local db = assert(rille.db(url))
    local list = {}
    for _, a, v in db:datoms("avet", "p/age") do list[#list + 1] = ("%s %s"):format(a, v) end
    return list
  end

  it("commit once, whatever has to wait, and others are not in the way", function()
    each_store(function(url, _, how)
      local conns = { assert(rille.connect(url)), assert(rille.connect(url)) }
      local heard = 0
      conns[1]:listen(function() heard = heard + 1 end)
      local expected = ages(url)
      core.pauses(nil, how, support.seed())
      local running, done = {}, 0
      for i = 1, 12 do
        expected[#expected + 1] = "p/age " .. (1000 + i)
        running[i] = coroutine.wrap(function()
          local conn = conns[i % 2 + 1]
          local data = { { ["p/name"] = i % 3 == 0 and ("z"):rep(2000 + i) or "new" .. i, ["p/age"] = 1000 + i } }
          local report = finish(conn:start_transact(data), function(r) return r end, function() coroutine.yield() end)
          assert.equal(3, #report.tx_data)
          assert.equal(report.tx, report.db_after:basis().t)
          if i % 4 == 0 then
            assert.is_true(finish(conn:start_flush(), function(r) return r end, function() coroutine.yield() end))
          end
          done = done + 1
          return true
        end)
      end
      while next(running) do
        for i = 1, 12 do
          if running[i] and math.random(2) == 1 and running[i]() then running[i] = nil end
        end
      end
      support.pause()
      assert.equal(12, done)
      assert.equal(6, heard)
      assert.same(expected, ages(url), url)
      assert(conns[1]:verify())
      conns[1]:close()
      conns[2]:close()
    end)
  end)

  -- `at` steps, polls and reads of storage after its beginning; false when it ends before.
  local function advance(op, at)
    local state
    for _ = 1, at do
      if state == "need" then
        if op:poll() then state = nil end -- false: begun
      else
        state = assert(op:step(1))
        if state == "done" then return false end
      end
    end
    return true
  end

  it("of a query are cancelled at each step, also where only storage is needed", function()
    each_store(function(url)
      local conn = assert(rille.connect(url))
      local query = assert(rille.prepare "[:find ?n ?a :where [?e :p/age ?a] [?e :p/name ?n]]")
      local at, goes_on = 0, true
      while goes_on do
        assert.is_true(at < 500, url)
        local op = assert(query:start(conn:db()))
        goes_on = advance(op, at)
        if goes_on then
          op:cancel()
          assert.equal("CANCELLED", select(3, op:step()), ("%s, at %d"):format(url, at))
        end
        op:close()
        at = at + 1
      end
      conn:close()
    end)
  end)

  it("that are closed say so, whatever is asked of them and however far they came", function()
    local url = support.plain_url "file"
    make(url)
    local conn = assert(rille.connect("deferred:" .. url))
    local db = conn:db()
    local query = assert(rille.prepare "[:find ?n :where [_ :p/name ?n]]")
    local ops = {
      function() return conn:start_db() end,
      function() return db:start_entid { "p/name", "n3" } end,
      function() return db:start_datoms "aevt" end,
      function() return (assert(query:start(db))) end,
    }
    for i, start in ipairs(ops) do
      for steps = 0, 200 do
        local op, state = start(), nil
        for _ = 1, steps do
          if state ~= "done" then state = assert(op:step()) end
          if state == "need" then assert(op:fetch()) end
        end
        op:close()
        for _, name in ipairs { "step", "result", "run", "rows", "fetch", "poll", "wanted", "cancel", "supply" } do
          local fine, message = pcall(function()
            local next_row, self = op[name](op)
            if name == "rows" then return next_row(self) end -- of a query
          end)
          local other = name == "run" and i == 3 or name == "rows" and i < 3 or name == "supply" and i == 4
          assert.is_false(fine, name)
          if not other then assert.matches("the operation is closed", message, 1, true) end
        end
        if state == "done" then break end
      end
    end
    conn:close()
  end)

  it("refuse a failure whose code does not exist", function()
    local url = support.plain_url "file"
    make(url)
    local conn = assert(rille.connect("deferred:" .. url))
    local query = assert(rille.prepare "[:find ?n :where [_ :p/name ?n]]")
    for _, start in ipairs { function() return conn:start_db() end, function() return query:start(conn:db()) end } do
      local op = start()
      assert.equal("need", op:step())
      for _, bad in ipairs { "NOTFUOND", "notfound", "", 3, {}, true } do
        local message = support.failure(op.supply, op, 1, nil, "gone", bad)
        assert.matches(type(bad) == "string" and ('unknown code "%s"; use one of: NOMEM, '):format(bad)
          or "expected the code of the failure as a string", message, 1, true)
      end
      assert(op:supply(1, nil, "gone", "NOTFOUND"))
      assert.equal("NOTFOUND", select(3, op:step()))
      op:close()
    end
    conn:close()
  end)

  it("leave a whole database when a transaction is cancelled or closed at any step", function()
    for _, data in ipairs { { { ["p/name"] = "n1", ["p/age"] = 500 } },
      { { ["p/name"] = ("y"):rep(3000), ["p/age"] = 501 } } } do
      for at = 1, support.many_of(20) do
        local url = support.plain_url "file"
        make(url)
        local conn = assert(rille.connect("deferred:" .. url))
        core.pauses(nil, "each")
        local before = #ages(url)
        local code, steps = finish(conn:start_transact(data), function() return "committed" end, function(op, step)
          if step ~= at then return false end
          if at % 2 == 0 then op:cancel() else op:close() end
          return at % 2 == 1
        end)
        support.pause()
        local after = #ages(url)
        if code == "committed" then
          assert.is_true(steps <= at + 1) -- too late
        elseif code ~= nil then
          assert.equal("CANCELLED", code)
        end
        assert.is_true(after == before or after == before + 1)
        assert(conn:transact { { ["p/name"] = "next", ["p/age"] = 900 } })
        assert.equal(after + 1, #ages(url))
        assert(conn:verify())
        conn:close()
        rille.drop(url)
        if code == "committed" then break end
      end
    end
  end)

  local function people(count, from)
    local data, text = {}, {}
    for i = 1, count do
      data[i] = { ["p/name"] = "new" .. (from + i), ["p/age"] = i }
      text[i] = ('{:p/name "new%d" :p/age %d}'):format(from + i, i)
    end
    return data, "[" .. table.concat(text, "\n") .. "]"
  end

  it("pause within a transaction, in both notations, and give what it gives at once", function()
    local url = support.plain_url "mem"
    make(url)
    local conn = assert(rille.connect(url))
    local data, text = people(support.many_of(300), 0)
    local function sizes(report) return { #report.tx_data, report.tempids } end
    local expected = sizes(assert(conn:db():with(data)))
    for _, tx in ipairs { data, text } do
      core.pauses "each"
      local found, steps = finish(conn:db():start_with(tx), sizes)
      assert.same(expected, found)
      assert.is_true(steps > #data / 16)
      local before = #ages(url)
      _, steps = finish(conn:start_transact(tx), sizes)
      support.pause()
      assert.is_true(steps > #data / 16)
      assert.equal(#data, #ages(url) - before)
      assert(conn:transact "[[:db.fn/retractEntity [:p/name \"new1\"]] [:db/retractEntity [:p/name \"new2\"]]]")
      assert(conn:verify())
      local list = {}
      for i = 3, #data do list[#list + 1] = { "db/retractEntity", { "p/name", "new" .. i } } end
      assert(conn:transact(list))
    end
  end)

  it("keep what was read when the program changes its data meanwhile", function()
    local url = support.plain_url "mem"
    make(url)
    local conn = assert(rille.connect(url))
    for at = 1, 40, 13 do
      local data = people(40, 1000 * at)
      core.pauses "each"
      finish(conn:start_transact(data), tostring, function(_, step)
        if step ~= at then return end
        for i in ipairs(data) do data[i] = { ["p/name"] = ("changed %d %d"):format(at, i), ["p/age"] = 0 } end
        collectgarbage()
      end)
      support.pause()
    end
    local changed = 0
    for _, name in ipairs(assert(conn:db():q "[:find [?n ...] :where [_ :p/name ?n]]")) do
      changed = changed + (name:find "^changed %d+ %d+$" and 1 or 0)
      assert.is_truthy(name:find "^n%l*%d+$" or name:find "^changed " or #name >= 4000, name:sub(1, 20))
    end
    assert.is_true(changed > 0 and changed < 160)
    assert(conn:verify())
  end)

  it("do not change anything when a transaction is wrong", function()
    local url = support.plain_url "file"
    make(url)
    local conn = assert(rille.connect("deferred:" .. url))
    local before = ages(url)
    local code = finish(conn:start_transact { { ["p/nmae"] = "x" } }, tostring)
    assert.equal("ATTRIBUTE", code)
    assert.equal("SYNTAX", (finish(conn:start_transact "[{", tostring)))
    assert.equal("TX_CAS", (finish(conn:start_transact { { "db/cas", { "p/name", "n1" }, "p/age", 7, 8 } }, tostring)))
    local op = conn:start_transact { "x" }
    local state
    repeat
      state = op:step()
      if state == "need" then op:fetch() end
    until state ~= "need" and state ~= "again"
    assert.is_nil(state)
    assert.same(before, ages(url))
    conn:listen(function() error("heard", 0) end)
    op = conn:start_transact { { ["p/name"] = "n1", ["p/age"] = 2 } }
    local fine, message
    repeat
      fine, message = pcall(op.step, op)
      if message == "need" then op:fetch() end
    until not fine or (message ~= "need" and message ~= "again")
    assert.equal("heard", message)
    assert.equal("done", op:step())
    assert.equal(#before, #ages(url))
    conn:close()
    rille.drop(url)
  end)

  it("flush the value that they began with, while others commit", function()
    for _, url in ipairs { "mem:", "deferred:mem:" } do
      url = url .. "flush" .. #url
      local conn = assert(rille.create(url, { flush = "manual" }))
      assert(conn:transact { support.attr("p/name", "string", support.identity) })
      local data = {}
      for i = 1, support.many_of(3000) do data[i] = { ["p/name"] = "name " .. i } end
      assert(conn:transact(data))
      local op, steps, state = conn:start_flush(), 0
      repeat
        steps, state = steps + 1, assert(op:step())
        if state == "need" then assert(op:fetch()) end
        assert(conn:transact { { ["p/name"] = "beside " .. steps } })
      until state == "done" or steps == 500
      assert.equal("done", state)
      assert.is_true(op:result())
      assert.is_true(steps > 3, steps .. " steps") -- no step does all of it
      local found = assert(conn:db():q "[:find (count ?e) . :where [?e :p/name _]]")
      assert.equal(#data + steps, found)
      assert(conn:verify())
      conn:close()
      rille.drop(url)
    end
  end)

  it("verify many nodes at once, and pause between them", function()
    local url = support.plain_url "file"
    local conn = assert(rille.create(url))
    assert(conn:transact { support.attr("p/name", "string", support.identity), support.attr("p/age", "long") })
    local data = {}
    for i = 1, support.many_of(15000) do data[i] = { ["p/name"] = "name " .. i, ["p/age"] = i } end
    assert(conn:transact(data))
    assert(conn:flush())
    local expected = assert(conn:verify())
    conn:close()
    conn = assert(rille.connect("deferred:" .. url, { cache_bytes = 1 }))
    local found, steps, fetches = finish(conn:start_verify(), function(report) return report end)
    assert.same(expected, found)
    assert.is_true(expected.nodes > 50 or support.stressed)
    assert.is_true(fetches < 20, fetches .. " fetches")
    assert.is_true(steps > expected.nodes, steps .. " steps")
    conn:close()
    rille.drop(url)
  end)

  it("take what a host reads by itself", function()
    local url = support.plain_url "file"
    local points = make(url)
    local dir = url:match "^file:(.*)"
    local by_id = {}
    for path in assert(io.popen(("find '%s' -type f"):format(dir))):lines() do
      by_id[path:match("[^/]*$"):gsub("%.%w+$", "")] = path
      by_id[path:gsub("[^%x]", "")] = path
    end
    local function supply(op)
      for i, want in ipairs(op:wanted()) do
        assert.equal("deferred:" .. url, want.store)
        if want.op == "head_read" then
          assert(op:supply(i, { bytes = support.read(dir .. "/heads/" .. want.branch), revision = "1" }))
        else
          assert.equal("get", want.op)
          local path
          for id, file in pairs(by_id) do
            if id:sub(-#want.id) == want.id then path = file end
          end
          local bytes = support.read(assert(path, want.id))
          local last = want.length == 0 and #bytes or want.offset + want.length
          assert(op:supply(i, bytes:sub(want.offset + 1, last)))
        end
      end
    end
    local function run(op)
      local state
      repeat
        state = assert(op:step())
        if state == "need" then supply(op) end
      until state == "done"
      return op:result()
    end
    local conn = run(rille.start_connect("deferred:" .. url))
    local db = run(conn:start_db())
    assert.equal(points[#points], db:basis().t)
    assert.equal(points[5], run(db:start_as_of(points[5])):basis().t)
    local op = conn:start_db()
    assert.equal("need", op:step())
    assert.equal("head_read", op:wanted()[1].op)
    assert(op:supply(1, nil, "the network is down", "IO"))
    local _, message, code = op:step()
    assert.equal("IO", code)
    assert.matches("the network is down", message)
    op = db:start_as_of(points[20])
    assert.equal("need", op:step())
    assert.equal("get", op:wanted()[1].op)
    assert(op:supply(1, nil, "the network is down", "IO"))
    assert.equal("IO", select(3, op:step()))
    op = conn:start_db()
    op:step()
    assert(op:supply(1, "unchanged"))
    assert.equal("done", op:step())
    assert.equal(points[#points], op:result():basis().t)
    op = conn:start_db()
    op:step()
    assert.matches("after nil, expected the message of the failure, got a table",
      support.failure(op.supply, op, 1, nil, {}))
    assert.matches("a revision must be", support.failure(op.supply, op, 1, { bytes = "x" }))
    assert.matches("expected {bytes", support.failure(op.supply, op, 1, 7))
    op = rille.start_connect("deferred:" .. url)
    assert.equal("need", op:step())
    assert.is_nil(op:wanted()[1].known)
    assert.matches("no revision is known", support.failure(op.supply, op, 1, "unchanged"))
    rille.drop(url)
  end)

  it("of queries fail with what the host could not get", function()
    local url = "deferred:" .. support.plain_url "mem"
    make(url)
    local conn = assert(rille.connect(url))
    assert(conn:flush())
    conn:close()
    local db = assert(rille.db(url))
    local text = "[:find ?e ?a ?v :where [?e ?a ?v]]"
    local op = rille.prepare(text):start(db)
    assert.equal("need", op:step())
    assert(op:supply(1, nil, "the network is down", "PERMISSION"))
    for _ = 1, 2 do
      local _, message, code = op:step()
      assert.equal("PERMISSION", code)
      assert.matches("the network is down", message)
    end
    rille.driver(function(driven, state)
      if state == "need" then assert(driven:supply(1, nil, "the network is down", "IO")) end
    end)
    local _, message, code = rille.q(text, db)
    rille.driver(nil)
    assert.equal("IO", code)
    assert.matches("the network is down", message)
    rille.drop(url)
  end)

  it("say what is wrong with their use", function()
    local url = support.plain_url "mem"
    make(url)
    local conn = assert(rille.connect(url))
    local op = conn:start_db()
    assert.matches("has not ended", support.failure(op.result, op))
    assert.matches("has no rows %(use result", support.failure(op.rows, op))
    assert.matches("wants nothing now: step it", support.failure(op.supply, op, 1, true))
    assert.matches("step: expected a budget in microseconds, got a string", support.failure(op.step, op, "500"))
    local scan = conn:db():start_datoms "eavt"
    assert.matches("has no rows yet", support.failure(scan.rows, scan))
    assert.matches("run: the operation gives rows", support.failure(scan.run, scan))
    assert.matches("expected a function", support.failure(rille.driver, 7))
    assert.matches("budget_us", support.failure(rille.driver, print, { budget_us = -1 }))
  end)
end)
