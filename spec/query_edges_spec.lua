-- SPDX-License-Identifier: MIT
--
-- Queries where the same value comes in more than one shape: long texts, entities by number, ident or lookup ref,
-- numbers of several types.
local rille = require "rille"
local support = require "spec.support.init"

local LONG, OTHER = ("x"):rep(3000), ("y"):rep(3000)

describe("long texts", function()
  local conn, db, ids

  before_each(function()
    conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("p/name", "string"), support.attr("p/text", "string") })
    local report = assert(conn:transact {
      { ["db/id"] = "e", ["p/name"] = "long", ["p/text"] = LONG },
      { ["db/id"] = "f", ["p/name"] = "short", ["p/text"] = "k" },
    })
    db, ids = report.db_after, report.tempids
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  local function lines(query, ...) return support.lines(assert(rille.q(query, ...))) end

  it("are equal whether they come from a database or from an input", function()
    local e = tostring(ids.e)
    assert.same({ "1 2" },
      lines("[:find ?a ?b :in $r $s :where [$r ?t ?a] [$s ?t ?b]]", { { LONG, 1 } }, { { LONG, 2 } }))
    assert.same({ e .. " 2" }, lines("[:find ?e ?b :in $ $s :where [?e :p/text ?t] [$s ?t ?b]]", db, { { LONG, 2 } }))
    local many = { { LONG, 2 } }
    for i = 1, 5000 do many[#many + 1] = { "q" .. i, i } end
    assert.same({ e .. " 2" }, lines("[:find ?e ?b :in $ $s :where [?e :p/text ?t] [$s ?t ?b]]", db, many))
    assert.same({ "2" },
      lines("[:find ?b :in $ $s :where [?e :p/text ?t] [$s ?u ?b] [(= ?t ?u)]]", db, { { LONG, 2 } }))
    assert.equal(1,
      rille.q("[:find (count ?t) . :in $ $s :where (or-join [?t] [?e :p/text ?t] [$s ?t]) [(!= ?t \"k\")]]",
      db, { { LONG } }))
    assert.same({ tostring(ids.f) },
      lines("[:find ?e :in $ $s :where [?e :p/text ?t] (not [$s ?t])]", db, { { LONG }, { "z" } }))
  end)

  it("are equal to what functions and rules give", function()
    local e = tostring(ids.e)
    assert.same({ e }, lines('[:find ?e :where [?e :p/name "long"] [?e :p/text ?t] [(str ?t "") ?t]]', db))
    assert.same({ e }, lines('[:find ?e :in $ [?l ...] :where [?e :p/name] [(get-else $ ?e :p/text "") ?l]]', db,
      { LONG, "q" }))
    assert.same({ e }, lines('[:find ?e :in $ ?l :where [?e :p/name] [(get-else $ ?e :p/text "") ?l]]', db, LONG))
    local rules = "[[(r ?e ?l) [?e :p/text ?l]]]"
    assert.same({ e }, lines("[:find ?e :in $ % [?l ...] :where (r ?e ?l)]", db, rules, { LONG, "q" }))
    assert.same({ e }, lines("[:find ?e :in $ % ?l :where (r ?e ?l)]", db, rules, LONG))
    assert.same({ "8" }, lines("[:find ?b :in $s % :where [$s ?t ?b] ($s r ?t ?b)]", { { OTHER, 8 } },
      "[[(r ?t ?b) [?t ?b]]]"))
  end)

  it("are whole inside of tuples", function()
    local function only(query, ...) return assert(rille.q(query, ...))[1][1] end
    assert.same({ LONG }, only('[:find (distinct ?t) :where [?e :p/text ?t] [?e :p/name "long"]]', db))
    assert.same({ LONG, "k" }, only("[:find (max 2 ?t) :where [?e :p/text ?t]]", db))
    assert.same({ LONG, "k" }, only("[:find (max 2 ?t) :where [?e :p/text ?t] :order-by [(max 2 ?t)]]", db))
    local pair = only('[:find ?p :where [?e :p/name "long"] [(get-some $ ?e :p/text) ?p]]', db)
    assert.equal(LONG, pair[2])
    assert.same({ tostring(ids.e) },
      lines("[:find ?e :in $ [?l ...] :where [?e :p/text ?t] [(tuple ?t 1) ?p] [(tuple ?l 1) ?p]]", db, { LONG, "q" }))
  end)

  it("are found in the store they came from by look-ups, too", function()
    local other = assert(rille.create(support.url()))
    assert(other:transact { support.attr("q/text", "string"), support.attr("q/name", "string") })
    local second = assert(other:transact { { ["q/name"] = "b", ["q/text"] = OTHER } }).db_after
    local where = ' :in $ $b :where [?e :p/name "long"] [$b ?f :q/name "b"] '
    assert.same({ "3000" },
      lines("[:find ?c" .. where .. '[(get-else $b ?f :q/text "") ?t] [(count ?t) ?c]]', db, second))
    assert.same({ "3000" },
      lines("[:find ?c" .. where .. "[(get-some $b ?f :q/text) [_ ?t]] [(count ?t) ?c]]", db, second))
    assert.equal(OTHER, rille.q("[:find ?t ." .. where .. '[(get-else $b ?f :q/text "") ?t]]', db, second))
    other:close()
  end)
end)

describe("entities", function()
  after_each(support.cleanup)

  it("are the same number inside of tuples and outside", function()
    local conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("p/n", "long") })
    local report = assert(conn:transact { { ["db/id"] = "e", ["p/n"] = 5 } })
    local e = report.tempids.e
    assert.equal(5, rille.q("[:find ?n . :in $ [?x ...] :where [?e :p/n ?n] [(tuple ?e 1) ?p] [(tuple ?x 1) ?p]]",
      report.db_after, { e, e + 1 }))
    assert.equal(5, rille.q("[:find ?n . :in $ ?x :where [?e :p/n ?n] [(tuple ?e 1) ?p] [(tuple ?x 1) ?q] [(= ?p ?q)]]",
      report.db_after, e))
    conn:close()
  end)
end)

describe("names of entities and attributes", function()
  local conn, db, ids

  before_each(function()
    conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("p/name", "string", { ["db/unique"] = "db.unique/identity" }),
      support.attr("p/n", "long"), support.attr("p/k", "keyword"), support.attr("p/s", "string"),
      support.attr("p/c", "ref"), { ["db/ident"] = rille.kw "c/red" }, { ["db/ident"] = rille.kw "c/blue" } })
    local report = assert(conn:transact {
      { ["db/id"] = "a", ["p/name"] = "a", ["p/n"] = 1, ["p/c"] = rille.kw "c/red",
        ["p/k"] = rille.kw "c/red", ["p/s"] = "red" },
      { ["db/id"] = "b", ["p/name"] = "b", ["p/n"] = 2, ["p/c"] = rille.kw "c/blue", ["p/k"] = rille.kw "c/blue" },
    })
    db, ids = report.db_after, report.tempids
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  local function lines(query, ...) return support.lines(assert(rille.q(query, db, ...))) end
  local function kw(text) return rille.kw(text) end
  local function ref(name) return rille.edn.decode(('[:p/name "%s"]'):format(name)) end

  it("of attributes are keywords or strings, wherever they come from", function()
    local by_input = "[:find ?e ?v :in $ [?a ...] :where [?e ?a ?v]]"
    local n = { ids.a .. " 1", ids.b .. " 2" }
    assert.same(n, lines(by_input, { "p/n" }))
    assert.same(n, lines(by_input, { kw "p/n" }))
    assert.same(n, lines(by_input, { kw "p/n", "p/n" }))
    assert.same(n, lines('[:find ?e ?v :where [?e "p/n" ?v]]'))
    assert.same(n, lines('[:find ?e ?v :in $ ?a :where [?e ?a ?v]]', "p/n"))
    assert.same(n, lines("[:find ?e ?v :where [(ground [:p/n]) [?a ...]] [?e ?a ?v]]"))
    assert.same(n, lines("[:find ?e ?v :where [?e :p/name] [(ground [:p/n :p/none]) [?a ...]] [?e ?a ?v]]"))
    assert.same(n, lines('[:find ?e ?v :in $ $s :where [?e :p/name] [$s ?a] [?e ?a ?v]]', { { "p/n" }, { 7 } }))
    assert.same({ ids.a .. " 1" },
      lines("[:find ?e ?v :in $ [?a ...] :where [?e :p/s] [?e ?a ?v]]", { kw "p/n", "p/n" }))
    assert.same({ tostring(ids.b) },
      lines("[:find ?e :in $ [?a ...] :where [?e :p/name] (not [?e ?a _])]", { kw "p/s", "p/s" }))
    assert.same(n, lines("[:find ?e ?v :in $ % :where (r ?e :p/n ?v)]", "[[(r ?e ?a ?v) [?e ?a ?v]]]"))
    assert.same(n, lines('[:find ?e ?v :in $ % :where (r ?e ?a ?v) [(ground ["p/n"]) [?a ...]]]',
      "[[(r ?e ?a ?v) (s ?e ?a ?v)] [(s ?e ?a ?v) [?e ?a ?v]]]"))
  end)

  it("of attributes that there are not are errors where the query says them", function()
    for _, a in ipairs { "p/nope", kw "p/nope" } do
      local _, message, code = rille.q("[:find ?e :in $ ?a :where [?e ?a _]]", db, a)
      assert.equal("ATTRIBUTE", code)
      assert.matches("p/nope", message)
      assert.equal("ATTRIBUTE", select(3, rille.q("[:find ?e :in $ [?a ...] :where [?e ?a _]]", db, { a, kw "p/n" })))
    end
    assert.equal("ATTRIBUTE", select(3, rille.q('[:find ?e :where [?e "p/nope" _]]', db)))
    assert.same({}, lines('[:find ?e :where [(ground ["p/nope"]) [?a ...]] [?e ?a _]]'))
  end)

  it("of entities are idents and lookup refs in inputs, one or many", function()
    local by_e = "[:find ?v :in $ [?e ...] :where [?e :p/n ?v]]"
    assert.same({ "1" }, lines(by_e, { ref "a" }))
    assert.same({ "1", "2" }, lines(by_e, { ref "a", ref "b", ref "none" }))
    assert.same({ "1", "2" }, lines(by_e, { ids.a, ref "b" }))
    assert.same({ "1" }, lines("[:find ?v :in $ ?e :where [?e :p/n ?v]]", ref "a"))
    local by_v = "[:find ?v :in $ [?c ...] :where [?e :p/c ?c] [?e :p/n ?v]]"
    assert.same({ "1" }, lines(by_v, { kw "c/red" }))
    assert.same({ "1", "2" }, lines(by_v, { kw "c/red", kw "c/blue" }))
    assert.same({ "1" }, lines("[:find ?v :in $ [?c ...] :where [?e :p/c ?c] [?e :p/k ?c] [?e :p/n ?v] [?e :p/s]]",
      { kw "c/red", kw "c/blue" }))
    assert.same({ "1 :c/red" }, lines("[:find ?n ?c :in $ [?c ...] :where [?e ?a ?c] [?e :p/n ?n]]",
      { kw "c/red", kw "c/none" }))
    local twice = "[:find ?n (count ?a) :in $ [?c ...] :where [?e ?a ?c] [?e :p/n ?n]]"
    assert.same({ "1 2" }, lines(twice, { kw "c/red" })) -- as the ident of :p/c, and as the keyword of :p/k
    assert.same({ "1 2" }, lines(twice, { kw "c/red", kw "c/none" }))
    local many = { ref "a" }
    for i = 1, 3000 do many[#many + 1] = ref("x" .. i) end
    assert.same({ "1" }, lines(by_e, many))
  end)

  it("of entities are arguments of rules and look-ups, too", function()
    assert.same({ "1" }, lines("[:find ?v :in $ % :where (r [:p/name \"a\"] ?v)]", "[[(r ?e ?v) [?e :p/n ?v]]]"))
    local rules = "[[(r ?e ?v) (s ?e ?v)] [(s ?e ?v) [?e :p/n ?v]] [(has ?c ?v) [?e :p/c ?c] [?e :p/n ?v]]]"
    assert.same({ "1", "2" }, lines("[:find ?v :in $ % [?e ...] :where (r ?e ?v)]", rules, { ref "a", ref "b" }))
    assert.same({ "1" }, lines("[:find ?v :in $ % :where (has :c/red ?v)]", rules))
    assert.same({}, lines('[:find ?v :in $ % :where [?e :p/k ?c] [?e :p/s "red"] (has ?c ?v)]', rules))
    assert.same({ "1" }, lines('[:find ?v :where [(get-else $ [:p/name "a"] :p/n 0) ?v]]'))
    assert.same({ "0", "1", "2" }, lines("[:find ?v :in $ [?e ...] :where [(get-else $ ?e :p/n 0) ?v]]",
      { ref "a", ref "b", ref "none" }))
    assert.same({ "1" }, lines("[:find ?v :in $ ?e :where [(get-some $ ?e :p/n) [_ ?v]]]", ref "a"))
    assert.same({ ":c/red" }, lines("[:find ?e :in $ [?e ...] :where [(missing? $ ?e :p/n)]]", { ref "b", kw "c/red" }))
  end)

  it("of entities are nothing else than values when they come out of data", function()
    assert.same({}, lines('[:find ?e :where [?e :p/s ?s] [(keyword "c" ?s) ?c] [?e :p/c ?c]]'))
    assert.same({}, lines('[:find ?e :where [?e :p/c ?c] [?c :db/ident :c/red] [?e :p/s ?s] [(keyword "c" ?s) ?c]]'))
    local join = "[:find ?e ?f :where [?e :p/k ?c] [?f :p/c ?c]]"
    assert.same({}, lines(join))
    assert.same({}, lines("[:find ?e :in $ $s :where [$s ?c] [?e :p/c ?c]]", { { kw "c/red" } }))
    local more = {}
    for i = 1, 3000 do more[i] = { ["p/k"] = kw("z/z" .. i) } end
    assert(conn:transact(more))
    db = conn:db()
    assert.same({}, lines(join))
  end)

  it("are where recursion begins, in every form of it", function()
    assert(conn:transact { support.attr("up", "ref", { ["db/cardinality"] = "db.cardinality/many" }) })
    assert(conn:transact [=[ [{:db/id "x" :db/ident :n/x :up "y"} {:db/id "y" :db/ident :n/y :up ["z" "x"]}
                              {:db/id "z" :db/ident :n/z :p/k :n/y}] ]=])
    db = conn:db()
    for _, rules in ipairs {
      "[[(r ?a ?b) [?a :up ?b]] [(r ?a ?b) [?a :up ?t] (r ?t ?b)]]",
      "[[(r ?a ?b) [?a :up ?b]] [(r ?a ?b) (r ?a ?t) [?t :up ?b]]]",
      "[[(r ?a ?b) [?a :up ?b]] [(r ?a ?b) (r ?a ?t) (r ?t ?b)]]",
      "[[(r ?a ?b) [?a :up ?b]] [(r ?a ?b) [?a :up ?t] (s ?t ?b)] [(s ?a ?b) (r ?a ?b)]]",
    } do
      local all = { ":n/x", ":n/y", ":n/z" }
      assert.same(all, lines("[:find ?i :in $ % :where (r :n/x ?b) [?b :db/ident ?i]]", rules))
      assert.same({ ":n/x", ":n/y" }, lines("[:find ?i :in $ % :where (r ?b :n/z) [?b :db/ident ?i]]", rules))
      assert.same({ ":n/x", ":n/y" }, lines("[:find ?a :in $ % [?a ...] :where (r ?a ?a)]", rules,
        { kw "n/x", kw "n/y", kw "n/z" }))
      assert.same({ ":n/x :n/z", ":n/y :n/z" }, lines("[:find ?a ?c :in $ % [?a ...] [?c ...] :where (r ?a ?c)]", rules,
        { kw "n/x", kw "n/y" }, { kw "n/z", ids.a }))
    end
    -- a keyword on the way is no ident
    assert.same({ ":n/y" }, lines("[:find ?b :in $ % :where (r :n/z ?b)]",
      "[[(r ?a ?b) [?a :p/k ?b]] [(r ?a ?b) [?a :p/k ?t] [?t :up ?u] (r ?u ?b)]]"))
    assert.same({ ":n/y" }, lines("[:find ?b :in $ % :where (r :n/z ?b)]",
      "[[(r ?a ?b) [?a :p/k ?b]] [(r ?a ?b) [?a :p/k ?t] (r ?t ?b)] [(r ?a ?b) [?a :up _] [?a :up ?b]]]"))
  end)

  it("that cannot be looked up are errors", function()
    local refs = { rille.edn.decode "[:p/n 1]", rille.edn.decode "[:p/n 2]" }
    local _, message, code = rille.q("[:find ?v :in $ [?e ...] :where [?e :p/s ?v]]", db, refs)
    assert.equal("QUERY", code)
    assert.matches("not unique", message)
  end)
end)

describe("numbers of different types", function()
  after_each(support.cleanup)

  it("join when they are exactly equal", function()
    local conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("p/d", "double"), support.attr("p/n", "long"), support.attr("p/bd", "bigdec"),
      support.attr("p/m", "double", { ["db/cardinality"] = "db.cardinality/many" }), support.attr("p/big", "long") })
    assert(conn:transact [=[ [{:p/d 1.5 :p/n 3 :p/bd 1.5M :p/m [1.5 7.0] :p/big 9007199254740993}
                              {:p/d 2.5 :p/n 4 :p/bd 4.0M :p/big -9223372036854775808} {:p/d 0.1 :p/bd 0.1M}] ]=])
    local db = conn:db()
    local function lines(query, ...) return support.lines(assert(rille.q(query, db, ...))) end
    assert.same({ "1.5", "2.5" },
      lines("[:find ?d :where [(ground [1.5M 2.5M 0.1M]) [?x ...]] [?e :p/d ?x] [?e :p/d ?d]]"))
    assert.same({ "3", "4" },
      lines("[:find ?n :where [(ground [3.0M 4.00M 5.5M]) [?x ...]] [?e :p/n ?x] [?e :p/n ?n]]"))
    assert.same({ "4" }, lines("[:find ?n :where [?f :p/bd ?x] [?e :p/n ?x] [?e :p/n ?n]]"))
    assert.same({ "1.5" }, lines("[:find ?d :where [?f :p/bd ?x] [?e :p/d ?x] [?e :p/d ?d]]"))
    assert.same({ "3" }, lines("[:find ?n :where [?e :p/bd ?x] [?e :p/m ?x] [?e :p/n ?n]]"))
    assert.same({ "3", "4" }, lines([=[[:find ?n :where [(ground [9007199254740993M -9223372036854775808M
      9223372036854775808M 9007199254740992.5M]) [?x ...]] [?e :p/big ?x] [?e :p/n ?n]]]=]))
    conn:close()
  end)
end)

describe("results of functions", function()
  after_each(support.cleanup)

  local function lines(query, ...) return support.lines(assert(rille.q(query, ...))) end
  local function fails(code, pattern, query, ...)
    local result, message, got = rille.q(query, ...)
    assert.is_nil(result)
    assert.equal(code, got, message)
    assert.matches(pattern, message)
  end

  it("may be false where they are bound", function()
    rille.fn("test-odd", function(x) return x % 2 == 1 end)
    rille.fn("test-none", function(x) if x > 1 then return x end end)
    rille.fn("test-list", function(x) return { x > 1, false } end)
    local list = { 1, 2, 3 }
    assert.same({ "1 true", "2 false", "3 true" }, lines("[:find ?x ?y :in [?x ...] :where [(test-odd ?x) ?y]]", list))
    assert.same({ "2" }, lines("[:find ?x :in [?x ...] :where [(test-odd ?x) ?y] [(= ?y false)]]", list))
    assert.same({ "2" }, lines("[:find ?x :in [?x ...] ?y :where [(test-odd ?x) ?y]]", list, false))
    assert.same({ "1", "3" }, lines("[:find ?x :in [?x ...] :where [(test-odd ?x)]]", list))
    assert.same({ "2 2", "3 3" }, lines("[:find ?x ?y :in [?x ...] :where [(test-none ?x) ?y]]", list))
    assert.same({ "1 false", "2 false", "2 true", "3 false", "3 true" },
      lines("[:find ?x ?y :in [?x ...] :where [(test-list ?x) ?t] [(identity ?t) [?y ...]]]", list))
    assert.same({ "1 false false", "2 true false", "3 true false" },
      lines("[:find ?x ?y ?z :in [?x ...] :where [(test-list ?x) [?y ?z]]]", list))
  end)

  it("may be false when built in, stored or given, too", function()
    local conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("p/n", "long"), support.attr("p/b", "boolean") })
    assert(conn:transact [=[ [{:p/n 1 :p/b false} {:p/n 2 :p/b true} {:p/n 3}] ]=])
    local db = conn:db()
    assert.same({ "1 false", "2 true", "3 false" },
      lines("[:find ?n ?v :where [?e :p/n ?n] [(get-else $ ?e :p/b false) ?v]]", db))
    assert.same({ "1 false", "2 true" }, lines("[:find ?n ?v :where [?e :p/n ?n] [(get-some $ ?e :p/b) [_ ?v]]]", db))
    assert.same({ "3" }, lines("[:find ?n :where [?e :p/n ?n] [(missing? $ ?e :p/b)]]", db))
    assert.same({ "1 false", "2 true", "3 false" },
      lines("[:find ?n ?v :where [_ :p/n ?n] [(even? ?n) ?v]]", db))
    assert.same({ "false", "true" }, lines("[:find ?v :in :where [(ground [true false]) [?v ...]]]"))
    assert.same({ "false", "true" }, lines("[:find ?v :in [?v ...]]", { true, false }))
    assert.same({ "1 false" }, lines("[:find ?a ?b :in [[?a ?b]]]", { { 1, false } }))
    assert.same({ false }, rille.q("[:find [?v ...] :where [_ :p/n 1] [?e :p/n 1] [?e :p/b ?v]]", db))
    assert.is_false(rille.q("[:find ?v . :where [?e :p/n 1] [?e :p/b ?v]]", db))
    assert.is_false(rille.q("[:find (min ?v) . :where [_ :p/b ?v]]", db))
    assert.same({ false, true }, rille.q("[:find (distinct ?v) . :where [_ :p/b ?v]]", db))
    local seen = {}
    for n, v in rille.rows("[:find ?n ?v :where [?e :p/n ?n] [?e :p/b ?v]]", db) do seen[n] = v end
    assert.same({ [1] = false, [2] = true }, seen)
    assert.same({ false, true }, assert(rille.q("[:find ?v :where [_ :p/b ?v] :order-by ?v]", db)):column(1))
    conn:close()
  end)

  it("have no default of nil", function()
    local conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("p/n", "long"), support.attr("p/b", "boolean") })
    assert(conn:transact [=[ [{:p/n 1}] ]=])
    fails("QUERY", "not nil", "[:find ?v :where [?e :p/n] [(get-else $ ?e :p/b nil) ?v]]", conn:db())
    fails("QUERY", "not nil", "[:find ?e :where [?e :p/n] (not [(get-else $ ?e :p/b nil) ?v])]", conn:db())
    conn:close()
  end)

  it("have as many elements as a tuple binding has places", function()
    local query = "[:find ?x ?y :in ?t :where [(untuple ?t) [?x ?y]]]"
    local function tuple(text) return (assert(rille.edn.decode(text))) end
    assert.same({ "1 2" }, lines(query, tuple "[1 2]"))
    fails("TYPE", "%[1 2 3%].*expects 2 elements", query, tuple "[1 2 3]")
    fails("TYPE", "%[1%].*expects 2 elements", query, tuple "[1]")
    assert.same({ "1" }, lines("[:find ?x :in ?t :where [(untuple ?t) [?x _ _]]]", tuple "[1 2 3]"))
    assert.same({ "1 2", "3 4" }, lines("[:find ?x ?y :in :where [(ground [[1 2] [3 4 5]]) [[?x ?y]]]]"))
    fails("TYPE", "%[3%].*expects 2 elements or more", "[:find ?x ?y :in :where [(ground [[1 2] [3]]) [[?x ?y]]]]")
    local input = "[:find ?x ?y :in [?x ?y]]"
    assert.same({ "1 2" }, lines(input, { 1, 2 }))
    fails("INPUT", "2", input, { 1, 2, 3 })
    fails("INPUT", "2", input, { 1 })
    local wide = assert(rille.q("[:find ?a ?b ?c :in [?a ?b ?c]]", { 1, 2, 3 }))
    fails("INPUT", "row of 2 values", input, wide)
    assert.same({ "1 2" }, lines("[:find ?x ?y :in [[?x ?y]]]", wide))
  end)

  it("parse values from text", function()
    local function parsed(name, list)
      return lines(("[:find ?s ?v :in [?s ...] :where [(%s ?s) ?v]]"):format(name), list)
    end
    assert.same({ "+7 7", "-0 0", "-12 -12", "007 7", "12 12" },
      parsed("parse-long", { "12", "-12", "+7", "007", "-0", "", "-", "1.0", " 1", "1 ", "0x10", "1e3", "--1", "١" }))
    local bounds = { "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809",
      ("0"):rep(4000) .. "1", ("0"):rep(5000) .. "1" }
    assert.equal(3, #assert(rille.q("[:find ?s :in [?s ...] :where [(parse-long ?s)]]", bounds)))
    local numbers = { ["1"] = 1, ["+1.5"] = 1.5, ["-0.5"] = -0.5, ["1.5e3"] = 1500, ["1E-2"] = 0.01, ["1."] = 1,
      [".5"] = 0.5, ["-.5e1"] = -5, ["+1.e+1"] = 10, ["0"] = 0, ["-0.0"] = 0, ["1e-999"] = 0, ["00.50"] = 0.5,
      [("1"):rep(300)] = tonumber(("1"):rep(300)) }
    for text, number in pairs(numbers) do
      assert.equal(number, rille.q("[:find ?v . :in ?s :where [(parse-double ?s) ?v]]", text), text)
    end
    for _, text in ipairs { "", ".", "-", "+.", "1e", "e1", ".e1", "1e999", "-1e999", "Infinity", "NaN", "##Inf", "1,5",
      "0x1p3", "1.2.3", "1 ", " 1", "1f", "1M", ("1"):rep(5000) } do
      assert.is_nil(rille.q("[:find ?v . :in ?s :where [(parse-double ?s) ?v]]", text), text)
    end
    assert.same({ 3 }, rille.q("[:find [(count ?v) ...] :in [?s ...] :where [(parse-instant ?s) ?v]]",
      { "2026", "2026-11-22", "2026-11-22T10:00:00Z", "yesterday", "", "2026-13-01", "22.11.2026" }))
    assert.equal(1795341600000, rille.q("[:find ?n . :in ?s :where [(parse-instant ?s) ?v] [(long ?v) ?n]]",
      "2026-11-22T10:00:00Z"))
    fails("TYPE", "parse%-long expects a string", "[:find ?v :in ?s :where [(parse-long ?s) ?v]]", 1)
  end)
end)

describe("infinities", function()
  after_each(support.cleanup)

  it("are doubles like others", function()
    local conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("p/d", "double"), support.attr("p/n", "long") })
    assert(conn:transact { { ["p/n"] = 1, ["p/d"] = math.huge }, { ["p/n"] = 2, ["p/d"] = -math.huge },
      { ["p/n"] = 3, ["p/d"] = 0.5 } })
    local db = conn:db()
    local function lines(query, ...) return support.lines(assert(rille.q(query, ...))) end
    assert.same({ "1" }, lines("[:find ?n :where [?e :p/d ##Inf] [?e :p/n ?n]]", db))
    assert.same({ "2" }, lines("[:find ?n :where [?e :p/d ##-Inf] [?e :p/n ?n]]", db))
    assert.same({ "1" }, lines("[:find ?n :in $ ?d :where [?e :p/d ?d] [?e :p/n ?n]]", db, math.huge))
    assert.same({ "1" }, lines({ find = { "?n" }, where = { { "?e", "p/d", math.huge }, { "?e", "p/n", "?n" } } }, db))
    assert.same({ "2", "3" }, lines("[:find ?n :where [?e :p/d ?d] [(< ?d ##Inf)] [?e :p/n ?n]]", db))
    assert.same({ "1" }, lines("[:find ?n :where [(ground [1.0 ##Inf]) [?d ...]] [?e :p/d ?d] [?e :p/n ?n]]", db))
    for n, sum in ipairs { math.huge, -math.huge, 1.5 } do
      assert.equal(sum, rille.q("[:find ?x . :in $ ?n :where [?e :p/n ?n] [?e :p/d ?d] [(+ ?d 1) ?x]]", db, n))
    end
    assert.same({ math.huge, math.huge },
      rille.q("[:find [(sum ?d) (avg ?d)] :where [?e :p/d ?d] [(> ?d 0)]]", db))
    local _, _, code = rille.q("[:find (sum ?d) :where [_ :p/d ?d]]", db)
    assert.equal("LIMIT", code)
    _, _, code = rille.q("[:find ?x :where [_ :p/d ?d] [(- ?d ?d) ?x]]", db)
    assert.equal("LIMIT", code)
    _, _, code = rille.q("[:find ?e :where [?e :p/d ##NaN]]", db)
    assert.equal("SYNTAX", code)
    assert.matches("?e :p/d ##Inf]", assert(rille.prepare("[:find ?e :where [?e :p/d ##Inf]]")):text(), 1, true)
    conn:close()
  end)
end)

describe("the count of min and max", function()
  local data = { 5, 3, 9, 1, 7 }

  it("may be an input", function()
    local query = "[:find (max ?n ?x) (min ?n ?x) :in ?n [?x ...]]"
    assert.same({ { 9, 7 }, { 1, 3 } }, assert(rille.q(query, 2, data))[1])
    assert.same({ { 9, 7, 5, 3, 1 }, { 1, 3, 5, 7, 9 } }, assert(rille.q(query, 99, data))[1])
    local prepared = assert(rille.prepare(query))
    assert.same({ "(max ?n ?x)", "(min ?n ?x)" }, prepared:columns())
    assert.matches("%(max %?n %?x%)", prepared:text())
    assert.same({ { 9, 7 } }, assert(rille.q("[:find (max ?n ?x) :in [?n _] [?x ...] :order-by (max ?n ?x)]",
      { 2, 0 }, data))[1])
  end)

  it("must be one integer, 1 or greater", function()
    local query = "[:find (max ?n ?x) :in ?n [?x ...]]"
    for _, wrong in ipairs { 0, -1, 1.5, "2" } do
      local result, message, code = rille.q(query, wrong, data)
      assert.is_nil(result)
      assert.equal("INPUT", code)
      assert.matches("an integer of 1 or more", message)
    end
    for _, text in ipairs { "[:find (max ?n ?x) :in [?n ...] [?x ...]]",
      "[:find (max ?n ?x) :in [?x ...] :where [(identity ?x) ?n]]", "[:find (max ?n ?x) :in [?x ...]]" } do
      local result, message, code = rille.prepare(text)
      assert.is_nil(result)
      assert.equal("QUERY", code)
      assert.matches("an input with one value", message)
    end
  end)
end)

describe("calls that wait for each other", function()
  after_each(support.cleanup)

  -- Calls f with each order of a list.
  local function orders(list, f, n)
    n = n or #list
    if n <= 1 then f(table.concat(list, " ")) end
    for i = 1, n > 1 and n or 0 do
      list[n], list[i] = list[i], list[n]
      orders(list, f, n - 1)
      list[n], list[i] = list[i], list[n]
    end
  end

  it("begin where a variable is bound, in whatever order they are written", function()
    local count = 0
    local function check(expected, head, clauses, ...)
      local inputs = { n = select("#", ...), ... }
      orders(clauses, function(text)
        local query = ("[:find ?b . :in %s :where %s]"):format(head, text)
        local value, message = rille.q(query, (table.unpack or unpack)(inputs, 1, inputs.n)) -- luacheck: ignore 113
        assert.equal(expected, value, query .. ": " .. tostring(message))
        count = count + 1
      end)
    end
    check("12", "$r ?b", { "[(str ?a) ?b]", "[(parse-long ?b) ?a]", "[$r ?c _]", "[$r _ ?c]" }, { { 1, 1 } }, "12")
    check(12, "$r ?b", { "[(parse-long ?a) ?b]", "[(str ?b) ?a]", "[$r ?b]" }, { { 12 } }, 12)
    check(2, "$r ?c", { "[(- ?a 1) ?b]", "[(+ ?b 1) ?a]", "[(- ?c 1) ?a]", "[(+ ?a 1) ?c]" }, { { 1 } }, 4)
    check(3, "[?b ?d]", { "[(tuple ?d ?b) [?a ?b]]", "(not (or-join [[?b]] [(> ?b 5)]) [(some? ?a)])",
      "[(inc ?e) ?b]", "[(dec ?b) ?e]" }, { 3, 4 })
    assert.equal(24 + 6 + 24 + 24, count)
  end)
end)

describe("limits within a batch", function()
  local MIB = 1024 * 1024

  it("bind where a text doubles again and again", function()
    local clauses = {}
    for i = 1, 17 do clauses[i] = ("[(str ?x%d ?x%d) ?x%d]"):format(i - 1, i - 1, i) end
    local list = {}
    for i = 1, 1024 do list[i] = ("%032d"):format(i) end
    local query = "[:find (count ?x17) . :in [?x0 ...] :where " .. table.concat(clauses, " ") .. "]"
    local result, _, code = rille.q(query, list, rille.options { memory_bytes = 8 * MIB })
    assert.is_nil(result)
    assert.equal("LIMIT", code)
  end)

  it("do not fail what can be done in parts", function()
    local conn = assert(rille.create("mem:"))
    assert(conn:transact { support.attr("p/text", "string") })
    for i = 1, 4 do
      local rows = {}
      for j = 1, 16 do rows[j] = { ["p/text"] = ("%d "):format(i * 100 + j) .. ("x"):rep(MIB / 2) } end
      assert(conn:transact(rows))
    end
    local small = rille.options { memory_bytes = 16 * MIB } -- of 32 MiB of texts
    assert.equal(64, rille.q("[:find (count ?e) . :where [?e :p/text ?t] [(includes? ?t \"x\")]]", conn:db(), small))
    assert.equal(64, rille.q("[:find (count ?e) . :where [?e :p/text ?t] [(upper-case ?t) ?u] [(count ?u) ?n]]",
      conn:db(), small))
    local rows = 0
    for text in rille.rows("[:find ?t :where [_ :p/text ?t]]", conn:db(), small) do
      rows = rows + 1
      assert.equal(MIB / 2 + 4, #text)
    end
    assert.equal(64, rows)
    local result, _, code = rille.q("[:find ?t :where [_ :p/text ?t]]", conn:db(), small)
    assert.is_nil(result) -- all of them at once are too many
    assert.equal("LIMIT", code)
    conn:close()
  end)

  it("cover inputs, and results while they grow", function()
    local list = {}
    for i = 1, 100000 do list[i] = i end
    for _, query in ipairs { "[:find (count ?x) . :in [?x ...]]", "[:find ?x :in [?x ...]]" } do
      local result, message, code = rille.q(query, list, rille.options { memory_bytes = 256 * 1024 })
      assert.is_nil(result)
      assert.equal("LIMIT", code)
      assert.matches("more memory than its limit of 262144 bytes: allow more memory, or make the query more selective$",
        message)
    end
    assert.equal(100000, rille.q("[:find (count ?x) . :in [?x ...]]", list, rille.options { memory_bytes = 16 * MIB }))
  end)

  it("bind between calls of Lua functions", function()
    rille.fn("test-large", function() return ("x"):rep(MIB) end)
    local list = {}
    for i = 1, 1024 do list[i] = i end
    local result, _, code = rille.q("[:find (count ?x) . :in [?x ...] :where [(test-large ?x) ?y] [(count ?y) ?n]]",
      list, rille.options { memory_bytes = 8 * MIB })
    assert.is_nil(result)
    assert.equal("LIMIT", code)
  end)
end)
