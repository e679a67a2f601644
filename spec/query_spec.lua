-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

describe("queries", function()
  local conn, db, ids

  before_each(function()
    local report
    conn, report = support.people()
    db, ids = conn:db(), report.tempids
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  local function lines(query, ...) return support.lines(assert(rille.q(query, db, ...))) end

  it("join patterns on their variables", function()
    assert.same({ "Ann 30", "Bob 20", "Cid 20" },
      lines "[:find ?n ?a :where [?p :person/name ?n] [?p :person/age ?a]]")
    assert.same({ "Ann Bob", "Ann Cid", "Cid Bob" }, lines [=[
      [:find ?n ?m :where [?p :person/friend ?q] [?p :person/name ?n] [?q :person/name ?m]] ]=])
    assert.same({ "Bob Cid", "Cid Bob" }, lines [=[
      [:find ?n ?m :where [?p :person/age ?a] [?q :person/age ?a] [(not= ?p ?q)]
                          [?p :person/name ?n] [?q :person/name ?m]] ]=])
  end)

  it("give sets of rows", function()
    assert.same({ "20", "30" }, lines "[:find ?a :where [_ :person/age ?a]]")
  end)

  it("find lists, rows, single values and maps", function()
    local list = assert(rille.q("[:find [?n ...] :where [_ :person/name ?n]]", db))
    table.sort(list)
    assert.same({ "Ann", "Bob", "Cid", "Dan" }, list)
    assert.equal(30, rille.q([=[ [:find ?a . :where [?p :person/name "Ann"] [?p :person/age ?a]] ]=], db))
    assert.same({ "Ann", 30 }, rille.q([=[
      [:find [?n ?a] :where [?p :person/name ?n] [(= ?n "Ann")] [?p :person/age ?a]] ]=], db))
    local value, message = rille.q([=[ [:find ?p . :where [?p :person/name "Nobody"]] ]=], db)
    assert.is_nil(value)
    assert.is_nil(message)
    local maps = assert(rille.q([=[ [:find ?n ?a :keys name age :in $ ?n
                                    :where [?p :person/name ?n] [?p :person/age ?a]] ]=], db, "Ann"))
    assert.same({ name = "Ann", age = 30 }, maps[1])
    assert.same({ "name", "age" }, maps:columns())
  end)

  it("aggregate over groups", function()
    assert.same({ "20 2", "30 1" }, lines "[:find ?a (count ?p) :where [?p :person/age ?a]]")
    assert.equal(70, rille.q("[:find (sum ?a) . :with ?p :where [?p :person/age ?a]]", db))
    assert.equal(50, rille.q("[:find (sum ?a) . :where [?p :person/age ?a]]", db))
    assert.same({ 20, 30, 25 }, rille.q("[:find [(min ?a) (max ?a) (avg ?a)] :where [_ :person/age ?a]]", db))
  end)

  it("order, limit and skip", function()
    local q = "[:find ?n ?a :where [?p :person/name ?n] [?p :person/age ?a] :order-by [?a :desc ?n :asc]]"
    local rows = assert(rille.q(q, db)):to_table()
    assert.same({ { "Ann", 30 }, { "Bob", 20 }, { "Cid", 20 } }, rows)
    assert.same({ { "Bob", 20 } }, assert(rille.q(q, db, rille.options { limit = 1, offset = 1 })):to_table())
    assert.equal(2, #assert(rille.q("[:find ?n :where [_ :person/name ?n] :limit 2]", db)))
  end)

  it("negate and choose", function()
    assert.same({ "Dan" }, lines "[:find ?n :where [?p :person/name ?n] (not [?p :person/age _])]")
    assert.same({ "Ann", "Cid" }, lines [=[
      [:find ?n :where [?p :person/name ?n] (not-join [?p] [?q :person/friend ?p] [?q :person/age 20])
                       [?p :person/age _]] ]=])
    assert.same({ "Ann", "Bob" }, lines [=[
      [:find ?n :where [?p :person/name ?n]
                       (or-join [?p] [?p :person/age 30] (and [?p :person/nick ?k] [(= ?k "B")]))] ]=])
    assert.same({ "Ann", "Bob", "Cid" }, lines [=[
      [:find ?n :where [?p :person/name ?n] (or [?p :person/age 30] [?p :person/age 20])] ]=])
  end)

  it("follow rules, recursive ones too", function()
    local rules = [=[ [[(knows ?a ?b) [?a :person/friend ?b]]
                       [(knows ?a ?b) [?a :person/friend ?x] (knows ?x ?b)]] ]=]
    local q = "[:find ?n :in $ % ?a :where (knows ?a ?b) [?b :person/name ?n]]"
    assert.same({ "Bob", "Cid" }, lines(q, rules, ids.ann))
    local parsed = assert(rille.rules(rules))
    assert.same({ "Bob" }, lines(q, parsed, ids.cid))
    assert.equal(rules:gsub("%s+", " "):gsub("^%s*(.-)%s*$", "%1"), tostring(parsed))
    for _, text in ipairs { "false", "nil", "5", "{}", "[" } do
      local none, message, code = rille.rules(text)
      assert.is_nil(none)
      assert.is_string(message)
      assert.equal("SYNTAX", code)
    end
  end)

  it("take scalars, lists, rows and tuples as inputs", function()
    assert.same({ "Ann" }, lines("[:find ?n :in $ ?a :where [?p :person/age ?a] [?p :person/name ?n]]", 30))
    assert.same({ "Ann", "Bob", "Cid" },
      lines("[:find ?n :in $ [?a ...] :where [?p :person/age ?a] [?p :person/name ?n]]", { 20, 30, 40 }))
    assert.same({ "Ann x", "Bob y" },
      lines("[:find ?n ?k :in $ [[?n ?k]] :where [_ :person/name ?n]]",
        { { "Ann", "x" }, { "Bob", "y" }, { "Z", "z" } }))
    assert.same({ "Ann 7" }, lines("[:find ?n ?k :in $ [?n ?k] :where [_ :person/name ?n]]", { "Ann", 7 }))
    assert.same({}, lines("[:find ?n :in $ [?n ...] :where [_ :person/name ?n]]", {}))
    assert.same({ "Bob" }, lines("[:find ?n :in $ ?p :where [?p :person/name ?n]]", ids.bob))
  end)

  it("take values of every kind as inputs", function()
    assert(conn:transact { support.attr("v/kw", "keyword"), support.attr("v/at", "instant"),
      support.attr("v/uuid", "uuid"), support.attr("v/on", "boolean"), support.attr("v/x", "double") })
    local kw, at, uuid = rille.kw "a/b", rille.instant(5), rille.uuid()
    assert(conn:transact { { ["v/kw"] = kw, ["v/at"] = at, ["v/uuid"] = uuid, ["v/on"] = false, ["v/x"] = 2.5 } })
    local now = conn:db()
    for name, value in pairs { ["v/kw"] = kw, ["v/at"] = at, ["v/uuid"] = uuid, ["v/on"] = false, ["v/x"] = 2.5 } do
      local q = ("[:find ?v . :in $ ?v :where [_ :%s ?v]]"):format(name)
      assert.equal(value, rille.q(q, now, value), name)
    end
  end)

  it("call functions of rille", function()
    assert.same({ "Ann 31", "Bob 21", "Cid 21" },
      lines "[:find ?n ?b :where [?p :person/name ?n] [?p :person/age ?a] [(+ ?a 1) ?b]]")
    assert.same({ "Ann" }, lines [=[ [:find ?n :where [_ :person/name ?n] [(starts-with? ?n "A")]] ]=])
    assert.same({ "Ann 30", "Bob 20", "Cid 20", "Dan 0" },
      lines "[:find ?n ?a :where [?p :person/name ?n] [(get-else $ ?p :person/age 0) ?a]]")
    assert.same({ "Dan" }, lines "[:find ?n :where [?p :person/name ?n] [(missing? $ ?p :person/age)]]")
  end)

  it("call functions of Lua, row by row", function()
    local calls = 0
    rille.fn("spec/half", function(x)
      calls = calls + 1
      return x / 2
    end)
    rille.fn("spec/long-name?", function(name) return #name > 2 and name ~= "Bob" end)
    assert.same({ "Ann", "Cid", "Dan" }, lines "[:find ?n :where [_ :person/name ?n] [(spec/long-name? ?n)]]")
    local halves = assert(rille.q("[:find ?n ?h :where [?p :person/name ?n] [?p :person/age ?a] [(spec/half ?a) ?h]]",
      db))
    for name, half in halves:rows() do assert.equal(name == "Ann" and 15 or 10, half) end
    assert.is_true(calls >= 2)
    local n = 0
    for _, half in rille.rows("[:find ?p ?h :where [?p :person/age ?a] [(spec/half ?a) ?h]]", db) do
      n = n + half
    end
    assert.equal(35, n)
  end)

  it("drop rows for which a function of Lua gives nil", function()
    rille.fn("spec/only20", function(x) if x == 20 then return "twenty" end end)
    assert.same({ "twenty" }, lines "[:find ?s :where [_ :person/age ?a] [(spec/only20 ?a) ?s]]")
  end)

  it("pass on what goes wrong in a function of Lua", function()
    rille.fn("spec/bad", function() error("boom", 0) end)
    local result, message, code = rille.q("[:find ?a :where [_ :person/age ?a] [(spec/bad ?a)]]", db)
    assert.is_nil(result)
    assert.equal("FUNCTION", code)
    assert.matches("spec/bad", message)
    assert.matches("boom", message)
    local silent = setmetatable({}, { __tostring = function() error("no text", 0) end })
    rille.fn("spec/silent", function() error(silent) end)
    assert.same({ "function spec/silent: an error that is a table without a text", "FUNCTION" },
      { select(2, rille.q("[:find ?a :where [_ :person/age ?a] [(spec/silent ?a)]]", db)) })
    rille.fn("spec/table", function() return print end)
    assert.equal("TYPE", select(3, rille.q("[:find ?b :where [_ :person/age ?a] [(spec/table ?a) ?b]]", db)))
  end)

  it("let functions of Lua yield where this Lua can", function()
    if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then return end
    rille.fn("spec/wait", function(x) return coroutine.yield(x) end)
    local co = coroutine.create(function()
      return assert(rille.q("[:find [?b ...] :where [_ :person/age ?a] [(spec/wait ?a) ?b]]", db))
    end)
    local ok, value = coroutine.resume(co)
    while ok and coroutine.status(co) ~= "dead" do
      ok, value = coroutine.resume(co, value * 2)
    end
    assert.is_true(ok, value)
    table.sort(value)
    assert.same({ 40, 60 }, value)
  end)

  it("refuse names of functions that are taken or impossible", function()
    assert.matches("count", support.failure(rille.fn, "count", print))
    assert.is_string(support.failure(rille.fn, "a b", print))
    assert.is_string(support.failure(rille.fn, "spec/x", 5))
  end)

  it("stream their rows", function()
    local n = 0
    for name, age in rille.rows("[:find ?n ?a :where [?p :person/name ?n] [?p :person/age ?a]]", db) do
      assert.is_string(name)
      assert.is_number(age)
      n = n + 1
    end
    assert.equal(3, n)
    for _ = 1, 20 do
      local seen = 0
      for _ in rille.rows("[:find ?n :where [_ :person/name ?n]]", db) do
        seen = seen + 1
        if seen == 2 then break end
      end
    end
  end)

  it("are prepared once and run often", function()
    local query = assert(rille.prepare "[:find ?n :in $ ?a :where [?p :person/age ?a] [?p :person/name ?n]]")
    assert.equal(1, #assert(query:run(db, 30)))
    assert.equal(2, #assert(query:run(db, 20)))
    assert.same({ "n" }, query:columns())
    assert.same({ { kind = "source", name = "$" }, { kind = "scalar", name = "?a" } }, query:inputs())
    local again = assert(rille.prepare(query:text()))
    assert.equal(query:text(), again:text())
    assert.equal(1, #assert(rille.q(query, db, 30)))
    query:close()
  end)

  it("come as Lua tables, too", function()
    local query = {
      find = { "?n", { "count", "?f" } },
      ["in"] = { "$", "?min" },
      where = {
        { "?p", "person/name", "?n" },
        { "?p", "person/age", "?a" },
        { "?p", "person/friend", "?f" },
        { { ">=", "?a", "?min" } },
        { "not", { "?p", "person/nick", "B" } },
      },
      order_by = { "?n" },
    }
    assert.same({ "Ann 2" }, lines(query, 25))
    assert.same({ "Ann 2", "Cid 1" }, lines(query, 5))
    local bob = { "person/name", "Bob" }
    assert.equal(20, rille.q({ find = { "?a", "." }, where = { { bob, "person/age", "?a" } } }, db))
    assert.is_string(support.failure(rille.q, 5, db))
    assert.equal("QUERY", select(3, rille.q({ where = {} }, db)))
  end)

  it("explain their plan", function()
    local text = assert(rille.explain("[:find ?n ?a :where [?p :person/name ?n] [?p :person/age ?a]]", db))
    assert.matches("person/name", text)
    assert.matches("person/age", text)
    assert.is_nil((rille.explain("[:find ?n", db)))
  end)

  it("stop at a time limit or a memory budget", function()
    local data = {}
    for i = 1, 3000 do data[i] = { i } end
    local q = "[:find ?a ?b :in $x $y :where [$x ?a] [$y ?b] [(< ?a ?b)]]"
    local _, message, code = rille.q(q, data, data, rille.options { timeout_ms = 1 })
    assert.equal("TIMEOUT", code)
    assert.matches("^the query ran longer than its time limit of %d+ ms: allow more time, or make the query more "
      .. "selective$", message)
    _, _, code = rille.q(q, data, data, rille.options { memory_bytes = 100000 })
    assert.equal("LIMIT", code)
  end)

  it("refuse inputs that are not quite arrays", function()
    local function refused(pattern, ...)
      local result, message, code = rille.q(...)
      assert.is_nil(result)
      assert.equal("INPUT", code, message)
      assert.matches(pattern, message)
    end
    local holes = { 1 }
    holes[3] = 3
    local list, rows = "[:find ?x :in [?x ...]]", "[:find ?x ?y :in [[?x ?y]]]"
    refused('key "[ab]"', list, { a = 1, b = 2 })
    refused("%?x.*element 2.*nil", list, holes)
    refused("element 2.*nil", list, { 1, nil, 3 })
    refused('key "a"', rows, { a = 1 })
    refused('key "name"', rows, { { 1, 2 }, name = "x" })
    refused('row 1: .*key "z"', rows, { { 1, 2, z = 3 } })
    refused('key "z"', "[:find ?x ?y :in [?x ?y]]", { 1, 2, z = 3 })
    refused('key "z"', "[:find ?x :in $r :where [$r ?x]]", { { 1 }, z = 3 })
    local csv = assert(rille.csv_parse "a,b\n1,2\n")
    assert.equal(1, #assert(rille.q(rows, csv)))
  end)

  it("are not changed by what is asked with them", function()
    local rows = { { "Ann", 1 } }
    local q = "[:find ?n ?x :in $ [[?n ?x]] :where [_ :person/name ?n]]"
    assert.same({ "Ann 1" }, lines(q, rows))
    assert.same({ "Ann 1" }, lines(q, rows))
    assert.same({ { "Ann", 1 } }, rows)
  end)
end)

describe("stepping", function()
  after_each(support.cleanup)

  it("gives rows, needs and the end, in small budgets", function()
    for _, kind in ipairs(support.kinds()) do
      local url = support.url(kind)
      local wrapped = url:find "^deferred:" and url or "deferred:" .. url
      local conn = assert(rille.create(wrapped))
      assert(conn:transact(support.people_schema()))
      local data, count = {}, support.many_of(3000)
      for i = 1, count do data[i] = { ["person/name"] = "p" .. i, ["person/age"] = i % 50 } end
      assert(conn:transact(data))
      assert(conn:flush())
      conn:close()
      local db = assert(rille.db(wrapped))
      local op = assert(rille.prepare("[:find ?n ?a :where [?p :person/name ?n] [?p :person/age ?a]]"):start(db))
      local rows, needs = 0, 0
      while true do
        local state = assert(op:step(50))
        if state == "rows" then
          assert.is_true(op:count() > 0)
          for name, age in op:rows() do
            assert.is_true(name ~= nil and age ~= nil)
            rows = rows + 1
          end
        elseif state == "need" then
          needs = needs + 1
          local wanted = op:wanted()
          assert.is_true(#wanted > 0)
          for _, want in ipairs(wanted) do
            assert.matches("^%x+$", want.id)
            assert.is_true(want.kind == "pack" or want.kind == "node" or want.kind == "blob")
            assert.is_number(want.offset)
            assert.is_number(want.length)
          end
          assert(op:fetch())
        elseif state == "done" then
          break
        else
          assert.equal("again", state)
        end
      end
      op:close()
      assert.equal(count, rows)
      assert.is_true(needs > 0)
    end
  end)

  it("takes bytes from a host that fetches by itself", function()
    local url = support.plain_url "file"
    local dir = url:match "^file:(.*)"
    local conn = assert(rille.create(url))
    assert(conn:transact(support.people_schema()))
    local data = {}
    for i = 1, 3000 do data[i] = { ["person/name"] = "p" .. i, ["person/age"] = i % 50 } end
    assert(conn:transact(data))
    assert(conn:flush())
    conn:close()
    local pipe = assert(io.popen(("find '%s' -type f"):format(dir)))
    local by_id = {}
    for path in pipe:lines() do
      local id = path:match "/(%x+)%.%a+$"
      if id then by_id[id] = path end
    end
    pipe:close()
    local db = assert(rille.db("deferred:" .. url))
    local op = assert(rille.prepare("[:find (count ?p) . :where [?p :person/age ?a]]"):start(db))
    local supplied, total = 0, nil
    while true do
      local state = assert(op:step())
      if state == "need" then
        for i, want in ipairs(op:wanted()) do
          local path = by_id[want.id]
          assert.is_string(path, "no file for " .. want.id)
          local bytes = support.read(path)
          local last = want.length == 0 and #bytes or want.offset + want.length
          assert(op:supply(i, bytes:sub(want.offset + 1, last)))
          supplied = supplied + 1
        end
      elseif state == "rows" then
        for n in op:rows() do total = n end
      elseif state == "done" then
        break
      end
    end
    assert.equal(3000, total)
    assert.is_true(supplied > 0)
    assert.is_string(support.failure(op.supply, op, 99, "x"))
  end)

  it("ends with CANCELLED when it is cancelled, and runs to the end when asked", function()
    local conn = support.people()
    local query = assert(rille.prepare "[:find ?n :where [_ :person/name ?n]]")
    local op = assert(query:start(conn:db()))
    op:cancel()
    assert.equal("CANCELLED", select(3, op:step()))
    op:close()
    op = assert(query:start(conn:db()))
    assert.equal(4, #assert(op:run()))
    conn:close()
  end)

  it("counts all rows of a scan, wherever it is interrupted", function()
    local conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("n", "long") })
    local list, count = {}, support.many_of(60000)
    for i = 1, count do list[i] = { n = i } end
    assert(conn:transact(list))
    local db = conn:db()
    local query = assert(rille.prepare "[:find (count ?e) . :where [?e :n ?n] [(> ?n 0)]]")
    support.in_all_ways("[:find (count ?e) . :where [?e :n ?n] [(> ?n 0)]]", function(text, how)
      assert.equal(count, rille.q(text, db), how)
    end)
    for _, budget in ipairs { 1, 50, 500 } do
      local op, rows = assert(query:start(db)), {}
      local state
      repeat
        state = assert(op:step(budget))
        if state == "need" then assert(op:fetch()) end
        for n in op:rows() do rows[#rows + 1] = n end
      until state == "done"
      assert.same({ count }, rows)
    end
    conn:close()
  end)

  it("keeps the rows of a step for the run that follows", function()
    support.pause "never" -- a step without a budget gives something
    finally(support.pause)
    local list, count = {}, support.many_of(3000)
    for i = 1, count do list[i] = i % 2 == 0 and i or "s" .. i end
    local query = assert(rille.prepare "[:find ?x :in [?x ...]]")
    local op = assert(query:start(list))
    assert.equal("rows", op:step())
    assert.is_true(op:count() > 0)
    assert.equal(count, #assert(op:run()))
    op = assert(query:start(list))
    assert.equal("rows", op:step())
    local next_row, state = op:rows()
    local seen = { [next_row(state)] = true, [next_row(state)] = true }
    local rest = assert(op:run())
    assert.equal(count - 2, #rest)
    for x in rest:rows() do
      assert.is_nil(seen[x])
      seen[x] = true
    end
    for _, x in ipairs(list) do assert.is_true(seen[x]) end
  end)

  it("gives no rows before their long values are there", function()
    local url = support.url()
    local deferred = url:find "^deferred:" and url or "deferred:" .. url
    local conn = assert(rille.create(deferred))
    assert(conn:transact { support.attr("a/s", "string") })
    local data = {}
    for i = 1, 20 do data[i] = { ["a/s"] = ("long"):rep(400) .. i } end
    assert(conn:transact(data))
    assert(conn:flush())
    rille.fn("spec/any", print) -- rows are stepped from Lua then
    local db = assert(rille.db(deferred))
    local n = 0
    for s in rille.rows("[:find ?s :where [_ :a/s ?s]]", db) do
      assert.equal("string", type(s))
      n = n + 1
    end
    assert.equal(20, n)
    conn:close()
  end)

  it("takes a budget that was spent for a short one", function()
    local list = {}
    for i = 1, 2000 do list[i] = i end
    local query = assert(rille.prepare "[:find (count ?x) :in [?x ...] [?y ...] :where [(< ?x ?y)]]")
    for _, budget in ipairs { -1, -1e300, 0.25, 1 } do
      local op = assert(query:start(list, list))
      assert.equal("again", op:step(budget))
      op:close()
    end
    local op = assert(query:start(list, list))
    assert.matches("budget.*NaN", support.failure(op.step, op, 0 / 0))
    assert.matches("budget.*string", support.failure(op.step, op, "soon"))
    op:close()
    assert.equal("TIMEOUT", select(3, query:run(list, list, rille.options { timeout_ms = 0.5 })))
    for name, value in pairs { limit = 0 / 0, offset = 1.5, timeout_ms = 0 / 0, memory_bytes = -1 } do
      assert.matches(name, support.failure(rille.options, { [name] = value }))
    end
  end)

  describe("with a function of Lua", function()
    local query = "[:find ?x ?y :in [?x ...] :where [(spec/step ?x) ?y]]"
    local numbers, count = {}, support.many_of(3000)
    for i = 1, count do numbers[i] = i end

    local function start(f)
      rille.fn("spec/step", f)
      return assert(assert(rille.prepare(query)):start(numbers))
    end

    it("refuses to go on while the function has not answered", function()
      if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then return end
      local op = start(function(x)
        if x == count * 2 / 3 then coroutine.yield "waiting" end
        return "s" .. x
      end)
      local seen = 0
      local co = coroutine.wrap(function()
        while true do
          local state = assert(op:step())
          if state == "done" then return "done" end
          for x, y in op:rows() do
            assert.equal("s" .. x, y)
            seen = seen + 1
          end
        end
      end)
      assert.equal("waiting", co())
      local taken = seen
      for _ = 1, 3 do
        assert.matches("is waiting for the result of function spec/step", support.failure(op.step, op))
        assert.matches("is waiting for the result of function spec/step", support.failure(op.run, op))
      end
      assert.equal(taken, seen)
      assert.equal("done", co())
      assert.equal(count, seen)
      op:close()
    end)

    it("repeats the error of a function that failed", function()
      support.pause "never"
      finally(support.pause)
      local op = start(function(x)
        if x == count / 2 then error("boom", 0) end
        return x
      end)
      local state, message, code
      repeat state, message, code = op:step() until state ~= "rows"
      for _ = 1, 3 do
        assert.is_nil(state)
        assert.equal("function spec/step: boom", message)
        assert.equal("FUNCTION", code)
        state, message, code = op:step()
      end
      op:close()
      op = start(function() return print end)
      for _ = 1, 2 do
        state, message, code = op:step()
        assert.is_nil(state)
        assert.matches("spec/step.*function is not a value", message)
        assert.equal("TYPE", code)
      end
      op:close()
    end)

    it("refuses to be stepped or closed by the function itself", function()
      support.pause "never"
      finally(support.pause)
      local op
      op = start(function() return op:step() end)
      local state, message, code = op:step()
      assert.is_nil(state)
      assert.matches("is waiting for the result of function spec/step", message)
      assert.equal("FUNCTION", code)
      op = start(function()
        op:close()
        return 1
      end)
      state, message, code = op:step()
      assert.is_nil(state)
      assert.matches("the operation is closed", message)
      assert.equal("FUNCTION", code)
    end)
  end)
end)
