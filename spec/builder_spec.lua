-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

local v, Q = rille.vars(), rille.query

describe("the query builder", function()
  after_each(support.cleanup)

  it("writes EDN", function()
    local q = Q.find(v.name, Q.sum(v.qty))
      :from("cat", "stock")
      :where("cat", { v.p, "product/sku", v.sku }, { v.p, "product/name", v.name })
      :where("stock", { v.s, "stock/sku", v.sku }, { v.s, "stock/qty", v.qty })
      :filter(Q.ge(v.qty, v.min))
      :order_by(v.name)
      :limit(100)
    assert.equal("[:find ?name (sum ?qty) :in $cat $stock ?min :where [$cat ?p :product/sku ?sku] "
      .. "[$cat ?p :product/name ?name] [$stock ?s :stock/sku ?sku] [$stock ?s :stock/qty ?qty] [(>= ?qty ?min)] "
      .. ":order-by [?name] :limit 100]", tostring(q))
  end)

  it("writes every kind of clause", function()
    local function where(...)
      return (tostring(Q.find(v.x):where(...)):match ":where (.*)%]$")
    end
    assert.equal("[?x :a/b ?y]", where { v.x, "a/b", v.y })
    assert.equal("[?x :a/b \"text\"]", where { v.x, "a/b", "text" })
    assert.equal("[?x :a/b :k]", where { v.x, "a/b", rille.kw "k" })
    assert.equal("[?x ?a _ ?t]", where { v.x, v.a, v._, v.t })
    assert.equal("[[:u/id 5] :a/b ?x]", where { { "u/id", 5 }, "a/b", v.x })
    assert.equal("(not [?x :a/b 1])", where(Q.not_ { v.x, "a/b", 1 }))
    assert.equal("(or [?x :a/b 1] (and [?x :a/c 2] [(> ?x 1)]))",
      where(Q.or_({ v.x, "a/b", 1 }, Q.and_({ v.x, "a/c", 2 }, Q.gt(v.x, 1)))))
    assert.equal("(not-join [?x] [?y :a/b ?x])", where(Q.not_join({ v.x }, { v.y, "a/b", v.x })))
    assert.equal("(or-join [?x] [?x :a/b _])", where(Q.or_join({ v.x }, { v.x, "a/b", v._ })))
    assert.equal("($s not [$s ?x :a/b 1])", where(Q.not_("s", { v.x, "a/b", 1 })))
    assert.equal("(r ?x 1)", where(Q.rule("r", v.x, 1)))
    assert.equal("[$rows ?x \"A\"]", where(Q.row("rows", v.x, "A")))
    assert.equal("[(= ?x ?y)] [(not= ?x 1)] [(< ?x 2)] [(<= ?x 3)]",
      where(Q.eq(v.x, v.y), Q.ne(v.x, 1), Q.lt(v.x, 2), Q.le(v.x, 3)))
  end)

  it("writes every kind of find", function()
    local function find(q) return (tostring(q):match "^%[(.-) :in") end
    assert.equal(":find ?x .", find(Q.find_value(v.x)))
    assert.equal(":find [?x ...]", find(Q.find_list(v.x)))
    assert.equal(":find [?x ?y]", find(Q.find_row(v.x, v.y)))
    assert.equal(":find (count ?x) (min 3 ?y) :keys n least",
      find(Q.find(Q.count(v.x), Q.min(v.y, 3)):keys("n", "least")))
    assert.matches(":with %?z :where", tostring(Q.find(v.x):with(v.z)))
    assert.matches(":order%-by %[%?x :desc %?y%] :limit 5 :offset 2%]$",
      tostring(Q.find(v.x, v.y):order_by(Q.desc(v.x), v.y):limit(5):offset(2)))
  end)

  it("leaves a query as it was when it is extended", function()
    local base = Q.find(v.n):where { v.p, "person/name", v.n }
    local text = tostring(base)
    local more = base:where({ v.p, "person/age", v.a }):filter(Q.gt(v.a, 1)):limit(1)
    assert.equal(text, tostring(base))
    assert.not_equal(text, tostring(more))
    assert.is_true(base == Q.find(v.n):where { v.p, "person/name", v.n })
  end)

  it("runs with inputs by name", function()
    local conn = support.people()
    local db = conn:db()
    local q = Q.find(v.name, v.age):where({ v.p, "person/name", v.name }, { v.p, "person/age", v.age })
    assert.equal(3, #assert(q:run { db = db }))
    local older = q:filter(Q.ge(v.age, v.min)):order_by(Q.desc(v.age))
    assert.same({ { "Ann", 30 } }, assert(older:run { db = db, min = 25 }):to_table())
    assert.equal(2, #assert(q:run { db = db, name = { "Ann", "Bob" } }))
    assert.equal(1, #assert(q:run { db = db, name = "Ann" }))
    local seen = {}
    for name, age in older:rows { db = db, min = 20 } do seen[name] = age end
    assert.same({ Ann = 30, Bob = 20, Cid = 20 }, seen)
    assert.equal(1, #assert(q:run({ db = db }, { limit = 1 })))
    assert.equal(1, #assert(q:run({ db = db }, rille.options { limit = 1 })))
    assert.matches("person/name", assert(q:explain { db = db }))
    conn:close()
  end)

  it("runs with inputs in order, like text", function()
    local conn = support.people()
    local db = conn:db()
    local q = Q.find_list(v.name):where({ v.p, "person/name", v.name }, { v.p, "person/age", v.age })
      :filter(Q.ge(v.age, v.min))
    assert.same({ "Ann" }, assert(rille.q(q, db, 25)))
    assert.same({ "Ann" }, assert(db:q(q, 25)))
    local listed = Q.find_list(v.name):where({ v.p, "person/name", v.name }, { v.p, "person/age", v.age })
      :inputs(Q.each(v.age))
    assert.same({ "Ann" }, assert(rille.q(listed, db, { 30, 31 })))
    local prepared = assert(rille.prepare(q))
    assert.same({ "Ann" }, assert(prepared:run(db, 30)))
    conn:close()
  end)

  it("joins sources by name", function()
    local conn = support.people()
    local q = Q.find(v.name, v.price):from("people", "prices")
      :where("people", { v.p, "person/name", v.name })
      :where("prices", { v.name, v.price })
    assert.same({ "Ann 5" }, support.lines(assert(q:run { people = conn:db(), prices = { { "Ann", 5 }, { "Z", 1 } } })))
    local gone = Q.find(v.name):from("now", "old")
      :where("old", { v.p, "person/name", v.name })
      :where(Q.not_("now", { v.p, "person/name", v.name }))
    local old = conn:db()
    assert(conn:transact { { "db/retractEntity", { "person/name", "Dan" } } })
    assert.same({ "Dan" }, support.lines(assert(gone:run { now = conn:db(), old = old })))
    conn:close()
  end)

  it("binds what functions give", function()
    local conn = support.people()
    local q = Q.find(v.name, v.next):where({ v.p, "person/name", v.name }, { v.p, "person/age", v.age })
      :let(v.next, Q.call("+", v.age, 1))
    assert.same({ "Ann 31", "Bob 21", "Cid 21" }, support.lines(assert(q:run { db = conn:db() })))
    conn:close()
  end)

  it("defines rules with repeated and unused parameters", function()
    local conn = support.people()
    local rules = rille.rules {
      Q.define("same", v.a, v.a):where { v._, "person/age", v.a },
      Q.define("named", v.p, v.n, v.unused):where { v.p, "person/name", v.n },
    }
    assert.equal("[[(same ?a ?a) [_ :person/age ?a]] [(named ?p ?n ?unused) [?p :person/name ?n]]]", tostring(rules))
    local q = Q.find_list(v.n):where({ v.p, "person/age", v.x }, Q.rule("same", v.x, v.y),
      Q.rule("named", v.p, v.n, v.y))
    local names = assert(q:run { db = conn:db(), rules = rules })
    local every = assert(rille.q("[:find [?n ...] :where [?p :person/name ?n] [?p :person/age]]", conn:db()))
    table.sort(names)
    table.sort(every)
    assert.same(every, names)
    assert.is_true(#names > 0)
    conn:close()
  end)

  it("calls rules", function()
    local conn, report = support.people()
    local rules = rille.rules {
      Q.define("knows", v.a, v.b):where { v.a, "person/friend", v.b },
      Q.define("knows", v.a, v.b):where({ v.a, "person/friend", v.x }, Q.rule("knows", v.x, v.b)),
    }
    assert.equal("[[(knows ?a ?b) [?a :person/friend ?b]] [(knows ?a ?b) [?a :person/friend ?x] (knows ?x ?b)]]",
      tostring(rules))
    local same = rille.rules {
      { { "knows", "?a", "?b" }, { "?a", "person/friend", "?b" } },
      { { "knows", "?a", "?b" }, { "?a", "person/friend", "?x" }, { "knows", "?x", "?b" } },
    }
    assert.equal(tostring(rules), tostring(same))
    local q = Q.find_list(v.n):where(Q.rule("knows", v.who, v.b), { v.b, "person/name", v.n })
    local names = assert(q:run { db = conn:db(), rules = rules, who = report.tempids.ann })
    table.sort(names)
    assert.same({ "Bob", "Cid" }, names)
    assert.same({ "Bob" }, assert(q:rules(rules):run { db = conn:db(), who = report.tempids.cid }))
    conn:close()
  end)

  it("says what is missing or wrong", function()
    local q = Q.find(v.n):from("cat"):where { v.p, "person/name", v.n }
    assert.matches('no input "cta"', support.failure(q.run, q, { cta = 1 }))
    local _, message, code = q:run {}
    assert.equal("INPUT", code)
    assert.matches("cat", message)
    assert.matches("by name", support.failure(q.run, q))
    assert.is_string(support.failure(Q.find))
    assert.is_string(support.failure(Q.find, "?x"))
    assert.is_string(support.failure(q.where, q, 5))
    assert.is_string(support.failure(q.filter, q, {}))
    assert.is_string(support.failure(q.from, q, "a b"))
    local two = Q.find(v.n):from("a", "b"):where { v.p, "person/name", v.n }
    _, message, code = two:run { a = {}, b = {} }
    assert.equal("QUERY", code)
    assert.matches("a, b", message)
    assert.equal("QUERY", select(3, Q.find(v.n, v.m):where({ v.p, "x/y", v.n }):run { db = {} }))
  end)

  it("takes strings for what they are, but for attributes", function()
    local conn = support.people()
    assert(conn:transact { { ["person/name"] = ":smile", ["person/nick"] = { ":b", "?c", "_" } } })
    local db = conn:db()
    local function count(...) return #assert(Q.find(v.e):where(...):run { db = db }) end
    for _, nick in ipairs { ":b", "?c", "_" } do assert.equal(1, count { v.e, "person/nick", nick }, nick) end
    assert.equal(1, count { v.e, ":person/nick", ":b" })
    assert.equal(1, count { v.e, rille.kw "person/nick", ":b" })
    assert.equal(0, count { v.e, "person/nick", rille.kw "b" })
    assert.equal(3, #assert(Q.find(v.n):where { { "person/name", ":smile" }, "person/nick", v.n }:run { db = db }))
    assert.equal(1, #assert(Q.find(v.e):where { v.e, "person/nick", v.n }:filter(Q.eq(v.n, ":b")):run { db = db }))
    local rows = Q.find(v.x):from("r"):where(Q.row("r", ":b", v.x))
    assert.equal(1, #assert(rows:run { r = { { ":b", 1 }, { "b", 2 } } }))
    conn:close()
  end)
end)
