-- SPDX-License-Identifier: MIT
--
-- The naive evaluator itself, by examples whose answers were worked out by hand.
local naive = require "spec.support.naive"

local people = naive.db({
  { 1, "name", "ann", 100 }, { 1, "age", 30, 100 }, { 1, "friend", 2, 100 },
  { 2, "name", "bob", 100 }, { 2, "age", 20, 101 }, { 2, "friend", 3, 101 },
  { 3, "name", "cid", 102 }, { 3, "friend", 4, 102 }, { 3, "tag", naive.kw "x/y", 102 },
  { 4, "name", "dan", 102 }, { 4, "age", 20.5, 102 }, { 4, "friend", 3, 102 },
}, { idents = { ["the/cid"] = 3 }, refs = { friend = true } })

local function rows(query, ...) return naive.serialise(naive.q(query, ...).rows) end
local function lines(...) return table.concat({ ... }, "\n") end

local REACH = "[[(reach ?a ?b) [?a :friend ?b]] [(reach ?a ?b) [?a :friend ?t] (reach ?t ?b)]"
  .. " [(older [?n] ?e) [?e :age ?a] [(> ?a ?n)]] [(adult ?a) [(>= ?a 18)]]"
  .. " [(even ?x) [?x :name \"ann\"]] [(even ?x) (odd ?y) [?y :friend ?x]] [(odd ?x) (even ?y) [?y :friend ?x]]]"

describe("the naive evaluator", function()
  it("joins patterns by their variables", function()
    assert.equal(lines('["ann" "bob"]', '["bob" "cid"]', '["cid" "dan"]', '["dan" "cid"]'),
      rows("[:find ?a ?b :where [?x :friend ?y] [?x :name ?a] [?y :name ?b]]", people))
  end)

  it("knows blanks, constants, idents, lookup refs, tx and added", function()
    assert.equal(lines("[1]", "[2]", "[4]"), rows("[:find ?e :where [?e :age]]", people))
    assert.equal("[2]", rows("[:find ?e :where [?e :age 20 _ true]]", people))
    assert.equal("[101]", rows("[:find ?t :where [2 :age _ ?t]]", people))
    assert.equal("", rows("[:find ?e :where [?e :age 20 _ false]]", people))
    assert.equal(lines("[2]", "[4]"), rows("[:find ?e :where [?e :friend :the/cid]]", people))
    assert.equal("[:x/y]", rows("[:find ?v :where [:the/cid :tag ?v]]", people))
    assert.equal("[2]", rows('[:find ?f :where [[:name "ann"] :friend ?f]]', people))
    assert.equal("[1]", rows('[:find ?e :where [?e :friend [:name "bob"]]]', people))
    assert.equal("", rows('[:find ?e :where [?e :friend [:name "zoe"]]]', people))
    assert.equal(lines('["age"]', '["friend"]', '["name"]'), rows("[:find ?a :where [1 ?a _]]", people))
  end)

  it("lets a variable twice in a clause unify", function()
    assert.equal("[7 1]", rows("[:find ?x ?y :in $r :where [$r ?x ?x ?y]]", naive.rel { { 7, 7, 1 }, { 7, 8, 2 } }))
  end)

  it("filters and computes, in any order of clauses", function()
    assert.equal(lines('["ann" 31]', '["dan" 21.5]'),
      rows("[:find ?n ?i :where [(> ?a 20)] [(inc ?a) ?i] [?e :age ?a] [?e :name ?n]]", people))
    assert.equal(lines("[1]", "[2]"), rows("[:find ?x :where [(ground [1 2 1]) [?x ...]]]", people))
    assert.equal("[1 3]", rows("[:find ?x ?y :where [(ground [1 2 3]) [?x _ ?y]]]", people))
    assert.equal(lines("[1 2]", "[3 4]"), rows("[:find ?x ?y :where [(ground [[1 2] [3 4]]) [[?x ?y]]]]", people))
    assert.equal("[2]", rows("[:find ?e :where [?e :age ?a] [(identity 20.0) ?a]]", people))
    assert.equal("[1]", rows("[:find ?e :where [?e :age ?a] [(keep ?a)]]", people,
      naive.host { keep = function(a) if a > 25 then return true end end }))
  end)

  it("knows not and not-join", function()
    assert.equal('["cid"]', rows("[:find ?n :where [?e :name ?n] (not [?e :age _])]", people))
    assert.equal('["ann"]', rows("[:find ?n :where [?e :name ?n] (not-join [?e] [_ :friend ?e])]", people))
    -- an inner ?n of not-join is another variable
    assert.equal("", rows('[:find ?n :where [?e :name ?n] (not-join [?e] [?e :name ?n])]', people))
    assert.equal(lines('["bob"]', '["cid"]', '["dan"]'),
      rows("[:find ?n :where (not [?e :age ?a] [(> ?a ?limit)]) [?e :name ?n] [(ground 25) ?limit]]", people))
  end)

  it("knows or, and, or-join", function()
    assert.equal(lines("[1]", "[2]", "[3]"),
      rows('[:find ?e :where (or [?e :age 30] [?e :age 20] (and [?e :name "cid"] [?e :tag]))]', people))
    assert.equal(lines("[1]", "[2]", "[4]"),
      rows("[:find ?e :where (or-join [?e] [?e :age 30] (and [?e :friend ?f] [?f :name \"cid\"]))]", people))
    assert.equal("[1]", rows("[:find ?e :where [?e :age ?a] (or [(> ?a 29)] [(< ?a 0)])]", people))
  end)

  it("follows rules to their fixpoint, through cycles", function()
    assert.equal(lines("[1 2]", "[1 3]", "[1 4]", "[2 3]", "[2 4]", "[3 3]", "[3 4]", "[4 3]", "[4 4]"),
      rows("[:find ?a ?b :in $ % :where (reach ?a ?b)]", people, REACH))
    assert.equal(lines("[3]", "[4]"), rows("[:find ?b :in $ % :where (reach 4 ?b)]", people, REACH))
    assert.equal(lines("[3]", "[4]"), rows("[:find ?x :in $ % :where (reach ?x ?x)]", people, REACH))
    assert.equal("[1]", rows("[:find ?e :in $ % ?n :where (older ?n ?e)]", people, REACH, 25))
    assert.equal(lines("[1]", "[2]", "[4]"), rows("[:find ?e :in $ % :where (adult ?a) [?e :age ?a]]", people, REACH))
    assert.equal(lines("[1]", "[3]"), rows("[:find ?e :in $ % :where (even ?e)]", people, REACH))
    assert.equal(lines("[1]", "[2]"), rows("[:find ?e :in $ % :where [?e :name] (not (reach ?e ?e))]", people, REACH))
  end)

  it("joins several sources, and calls rules on one of them", function()
    local other = naive.db({ { 9, "friend", 8 }, { 8, "nick", "bob" } })
    assert.equal('["bob" 8]', rows("[:find ?n ?e :in $ $o :where [_ :name ?n] [$o ?e :nick ?n]]", people, other))
    assert.equal("[9 8]", rows("[:find ?a ?b :in $ $o % :where ($o reach ?a ?b)]", people, other, REACH))
    assert.equal("[9]", rows("[:find ?e :in $ $o :where [$o ?e :friend] ($o not [?e :nick])]", people, other))
  end)

  it("takes scalars, lists, rows and relations as inputs", function()
    assert.equal("[2]", rows("[:find ?e :in $ ?a :where [?e :age ?a]]", people, 20))
    assert.equal(lines("[1]", "[2]"), rows("[:find ?e :in $ [?a ...] :where [?e :age ?a]]", people, { 20, 30, 40 }))
    assert.equal("[1 5]", rows("[:find ?e ?y :in $ [?a _ ?y] :where [?e :age ?a]]", people, { 30, 4, 5 }))
    assert.equal(lines('[1 "x"]', '[2 "y"]'),
      rows("[:find ?e ?t :in $ [[?a ?t]] :where [?e :age ?a]]", people, { { 30, "x" }, { 20, "y" }, { 7, "z" } }))
  end)

  it("takes constants and inputs by their position and the attribute", function()
    local kw, tuple = naive.kw, naive.tuple
    local db = naive.db({
      { 1, "id", 7 }, { 1, "pair", tuple { kw "id", 7 } }, { 1, "word", kw "the/two" }, { 1, "text", "the/two" },
      { 2, "id", 8 }, { 2, "to", 1 }, { 3, "to", 2 }, { 3, "pair", tuple { "id", 7 } },
    }, { idents = { ["the/two"] = 2 }, refs = { to = true }, unique = { id = true } })
    local function es(clause, ...) return rows(("[:find ?e :in $ [?v ...] :where %s]"):format(clause), db, ...) end
    local function both(attr, text, value, expected)
      assert.equal(expected, es(("[?e %s %s]"):format(attr, text), { 0 }))
      assert.equal(expected, es(("[?e %s ?v]"):format(attr), { value, -1 }))
    end
    both(":pair", "[:id 7]", tuple { kw "id", 7 }, "[1]")
    both(":pair", '["id" 7]', tuple { "id", 7 }, "[3]")
    both(":to", "[:id 7]", tuple { kw "id", 7 }, "[2]")
    both(":to", '["id" 7]', tuple { "id", 7 }, "[2]")
    both(":to", "[:pair 7]", tuple { kw "pair", 7 }, "")
    both(":to", ":the/two", kw "the/two", "[3]")
    both(":to", '":the/two"', ":the/two", "[3]")
    both(":word", ":the/two", kw "the/two", "[1]")
    both(":text", ":the/two", kw "the/two", "")
    both(":text", '"the/two"', "the/two", "[1]")
    both("_", "[:id 7]", tuple { kw "id", 7 }, "[1]\n[2]")
    both("_", ":the/two", kw "the/two", "[1]\n[3]")
    both("_", '"the/two"', "the/two", "[1]")
    assert.equal("[8]", rows('[:find ?i :where ["the/two" "id" ?i]]', db))
  end)

  it("knows names of entities and attributes in inputs, and only there", function()
    local kw, tuple = naive.kw, naive.tuple
    local who = { kw "the/cid", tuple { kw "name", "bob" }, 4 }
    assert.equal(lines('["bob"]', '["cid"]', '["dan"]'),
      rows("[:find ?n :in $ [?w ...] :where [?w :name ?n]]", people, who))
    assert.equal(lines("[2 :the/cid]", "[4 :the/cid]"),
      rows("[:find ?e ?w :in $ [?w ...] :where [?e :friend ?w] [?w :tag]]", people, who))
    assert.equal(lines("[2 3]", "[3 4]", "[4 3]"), rows(
      "[:find ?a ?b :in $ % [?w ...] :where (reach ?w ?b) [?w :friend ?b] [?a :friend ?b] [?w :name ?n] [?a :name ?n]]",
      people, REACH, who))
    assert.equal("", rows("[:find ?n :where [(ground [:the/cid]) [?w ...]] [?w :name ?n]]", people))
    assert.equal(lines("[20.5]", "[20]", "[30]"),
      rows("[:find ?v :where [(ground [:age]) [?a ...]] [?e ?a ?v]]", people))
    assert.equal(lines("[20.5]", "[20]", "[30]"),
      rows("[:find ?v :in $ [?a ...] :where [?e ?a ?v]]", people, { "age" }))
    assert.equal(lines("[4 20.5]", "[:the/cid 0]", "[[:name \"bob\"] 20]"),
      rows("[:find ?w ?v :in $ [?w ...] :where [(get-else $ ?w :age 0) ?v]]", people, who))
  end)

  it("aggregates by group, with :with keeping duplicates", function()
    local r = naive.rel { { "a", 1, 1 }, { "a", 2, 1 }, { "b", 3, 5 }, { "a", 4, 2 } }
    assert.equal(lines('["a" 3]', '["b" 5]'), rows("[:find ?g (sum ?v) :in $r :where [$r ?g _ ?v]]", r))
    assert.equal(lines('["a" 4]', '["b" 5]'), rows("[:find ?g (sum ?v) :with ?k :in $r :where [$r ?g ?k ?v]]", r))
    assert.equal("[3 1 5 [1 2] [5 2] 2 3]", rows(
      "[:find (count ?v) (min ?v) (max ?v) (min 2 ?v) (max 2 ?v) (median ?v) (count-distinct ?v)"
        .. " :in $r :where [$r _ _ ?v]]",
      r))
    assert.equal("[2.25 2.6875 1.6393596311 [1 2 5]]",
      rows("[:find (avg ?v) (variance ?v) (stddev ?v) (distinct ?v) :with ?k :in $r :where [$r _ ?k ?v]]", r))
    assert.equal("", rows("[:find (count ?v) :in $r :where [$r \"zz\" _ ?v]]", r))
  end)

  it("knows get-else, get-some and missing?", function()
    assert.equal(lines("[1 30]", "[2 20]", "[3 0]", "[4 20.5]"),
      rows("[:find ?e ?a :where [?e :name] [(get-else $ ?e :age 0) ?a]]", people))
    assert.equal("[3]", rows("[:find ?e :where [?e :name] [(missing? $ ?e :age)]]", people))
    assert.equal('[3 "tag" :x/y]',
      rows("[:find ?e ?a ?v :where [?e :tag] [(get-some $ ?e :age :tag) [?a ?v]]]", people))
  end)

  it("reports what cannot be", function()
    local ok, err = pcall(naive.q, "[:find ?e :where [?e :name ?n] [(< ?n 5)]]", people)
    assert.is_false(ok)
    assert.equal("TYPE", err.code)
    ok, err = pcall(naive.q, "[:find ?e :where [?e :name] [(< ?n 5)]]", people)
    assert.is_false(ok)
    assert.equal("QUERY", err.code)
  end)

  it("judges order, limit and offset", function()
    local r = naive.q("[:find ?n ?a :where [?e :name ?n] [?e :age ?a] :order-by [?a :desc ?n] :limit 2]", people)
    assert.is_true(naive.check(r, { { "ann", 30 }, { "dan", 20.5 } }))
    assert.is_nil(naive.check(r, { { "dan", 20.5 }, { "ann", 30 } }))
    assert.is_nil(naive.check(r, { { "ann", 30 } }))
    assert.is_nil(naive.check(r, { { "ann", 30 }, { "ann", 30 } }))
    r = naive.q("[:find [?n ...] :where [?e :name ?n] :offset 3]", people)
    assert.is_true(naive.check(r, { { "bob" } }))
    r = naive.q("[:find ?n . :where [?e :name ?n]]", people)
    assert.is_true(naive.check(r, { { "cid" } }))
    assert.is_nil(naive.check(r, { { "eve" } }))
    assert.equal("scalar", r.kind)
  end)

  it("answers every random query", function()
    local random_query = require "spec.support.random_query"
    local answered = 0
    for seed = 1, 150 do
      local case = random_query.case(seed)
      local function db(source)
        return naive.db(random_query.rows(source, function(id) return 1000 + id end),
          { refs = random_query.refs, unique = { ["item/id"] = true } })
      end
      local values = { ["$"] = db(case.sources[1]), ["$b"] = db(case.sources[2]), ["$r"] = naive.rel(case.relation),
        ["%"] = case.rules, ["?min"] = case.min,
        ["?who"] = { naive.tuple { naive.kw "item/id", 1 }, 1002 }, ["?val"] = { "red", 1 },
        ["?at"] = { "item/n", naive.kw "item/m" } }
      local inputs = {}
      for i, name in ipairs(case.inputs) do inputs[i] = values[name] end
      local ok, result = pcall(naive.lenient, case.query, (table.unpack or unpack)(inputs))
      assert.is_true(ok, ("seed %d: %s: %s"):format(seed, case.query, tostring(ok or result.message or result)))
      if #result.rows > 0 then answered = answered + 1 end
    end
    assert.is_true(answered > 50)
  end)
end)
