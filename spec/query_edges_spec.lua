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
    assert.same({ "1 2" }, lines("[:find ?a ?b :in $r $s :where [$r ?t ?a] [$s ?t ?b]]", { { LONG, 1 } }, { { LONG, 2 } }))
    assert.same({ e .. " 2" }, lines("[:find ?e ?b :in $ $s :where [?e :p/text ?t] [$s ?t ?b]]", db, { { LONG, 2 } }))
    local many = { { LONG, 2 } }
    for i = 1, 5000 do many[#many + 1] = { "q" .. i, i } end
    assert.same({ e .. " 2" }, lines("[:find ?e ?b :in $ $s :where [?e :p/text ?t] [$s ?t ?b]]", db, many))
    assert.same({ "2" }, lines("[:find ?b :in $ $s :where [?e :p/text ?t] [$s ?u ?b] [(= ?t ?u)]]", db, { { LONG, 2 } }))
    assert.equal(1, rille.q("[:find (count ?t) . :in $ $s :where (or-join [?t] [?e :p/text ?t] [$s ?t]) [(!= ?t \"k\")]]",
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
    assert.same({ "3000" }, lines("[:find ?c" .. where .. '[(get-else $b ?f :q/text "") ?t] [(count ?t) ?c]]', db, second))
    assert.same({ "3000" }, lines("[:find ?c" .. where .. "[(get-some $b ?f :q/text) [_ ?t]] [(count ?t) ?c]]", db, second))
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
