-- SPDX-License-Identifier: MIT
--
-- Wrong queries, rules, inputs and transactions, and the whole message that answers each: the thing, where it is, what
-- was expected, and what to do.
local rille = require "rille"
local support = require "spec.support.init"

local Q = rille.query
local v = Q.vars()

local EXPECTED = "expected [?e :attr ?v], [(predicate ?x)], [(function ?x) ?y], (not ...), (or ...) or (rule ?x)"
local SECTIONS = "; the sections of a query are :find, :keys, :strs, :syms, :with, :in, :where, :order-by, :limit and "
  .. ":offset"
local AGGREGATES = "; the aggregates are count, count-distinct, distinct, sum, min, max, avg, median, variance and "
  .. "stddev"
local TYPES = "; the types are boolean, long, double, bigint, bigdec, instant, uuid, keyword, symbol, string, bytes, "
  .. "ref, tuple, floats"
local UNBOUND = ": bind it in a pattern, or pass it as an input"
local NO_FUNCTION = ": it is not built in, and no Lua function of that name is registered with rille.fn"

-- query text, message; code QUERY unless said
local QUERIES = {
  { "[:find name :where [_ :person/name ?name]]",
    "1:8: expected a variable such as ?name, got symbol name", "SYNTAX" },
  { "[:find count(?n) :where [_ :person/name ?n]]",
    "1:8: expected a variable such as ?count or an aggregate such as (count ?x), got symbol count", "SYNTAX" },
  { "[:find ?n where [_ :person/name ?n]]", "1:11: a section begins with a colon: write :where", "SYNTAX" },
  { "[:find ?n in $ :where [_ :person/name ?n]]", "1:11: a section begins with a colon: write :in", "SYNTAX" },
  { "[find ?n :where [_ :person/name ?n]]", "1:2: a section begins with a colon: write :find", "SYNTAX" },
  { "[:find ?n :where [_ :person/name ?n] order-by ?n]",
    "1:38: a section begins with a colon: write :order-by", "SYNTAX" },
  { "[:find ?n :where [_ :person/name ?n] (limit 5)]",
    "1:38: (limit 5) calls a rule, but :in has no %: add % to :in, or write [(limit 5)] to call a function" },
  { '[:find ?n :where [_ :person/age ?n] [(> ?n "5")]]', '1:37: > cannot order 30 and "5" (a long and a string): '
    .. "convert the text with parse-long or parse-double", "TYPE" },
  { '[:find ?n :where [_ :person/age ?n] [(> #inst "2026-11-22" "2026-11-01")]]', '1:37: > cannot order #inst '
    .. '"2026-11-22T00:00:00.000Z" and "2026-11-01" (an instant and a string): write #inst before the text, or convert '
    .. "it with parse-instant", "TYPE" },
  { "[:find ?n :where [_ :person/age ?n] [(> ?n :a)]]", "1:37: > cannot order 30 and :a (a long and a keyword): use = "
    .. "or !=", "TYPE" },
  { "[:find ?n :where [_ :person/name ?n] [(inc ?x) ?x]]", "1:38: [(inc ?x) ?x] needs variable ?x, but no clause binds "
    .. "it" .. UNBOUND },
  { "[:find 5 :where [_ :person/name ?name]]",
    "1:8: expected a variable such as ?x or an aggregate such as (count ?x), got 5; the whole of :find can also be "
      .. "[?x ...], [?x ?y] or ?x .", "SYNTAX" },
  { "[:find (cuont ?n) :where [_ :person/name ?n]]",
    "1:8: unknown aggregate cuont (did you mean count?)" .. AGGREGATES },
  { "[:find (frob ?n) :where [_ :person/name ?n]]", "1:8: unknown aggregate frob" .. AGGREGATES },
  { "[:find (min 0 ?n) :where [_ :person/name ?n]]",
    "1:13: found 0, but the first argument of min must be a count of 1 or more, or an input" },
  { "[:find (sum 1 ?n) :where [_ :person/age ?n]]", "1:8: aggregate sum takes one variable, not 2 arguments" },
  { "[:find (sum ?n) :where [_ :person/name ?n]]",
    '1:8: aggregate sum expects numbers, got "Ann" (a string)', "TYPE" },
  { "[:find ?n :were [_ :person/name ?n]]",
    "1:11: unknown section :were (did you mean :where?)" .. SECTIONS, "SYNTAX" },
  { "[:find ?n :limit 1 :limit 2]", "1:20: duplicate section :limit", "SYNTAX" },
  { "[:find ?n\n :where [_ :person/name ?n]\n :limit -1]",
    "3:9: :limit expects a non-negative integer, got -1", "SYNTAX" },
  { "[:find ?n :where [?e :person/age ?n]\n [> ?n 5]]",
    "2:2: > is a predicate: write [(> ?n 5)], with parentheses", "SYNTAX" },
  { "[:find ?n :where [inc ?n ?m]]", "1:18: inc is a function: write [(inc argument ...) ?result]", "SYNTAX" },
  { "[:find ?n :where [missing? $ ?n :a]]",
    "1:18: missing? is a predicate: write [(missing? $ ?n :a)], with parentheses", "SYNTAX" },
  { "[:find ?n :where [person/name ?n]]",
    "1:19: symbol person/name is not a constant: write ?person/name for a variable, or [(person/name ?n)] to call a "
      .. "function", "SYNTAX" },
  { "[:find ?n :where [_ :person/name Ann]]",
    '1:34: symbol Ann is not a constant: write ?Ann for a variable, :Ann for a keyword or "Ann" for a string',
    "SYNTAX" },
  { "[:find ?n :where (> ?n 5)]", "1:18: > is a function: write [(> ?n 5)]", "SYNTAX" },
  { "[:find ?n :where [not [_ :person/name ?n]]]", "1:18: not needs parentheses: (not ...)", "SYNTAX" },
  { "[:find ?n :where {?n 5}]", "1:18: {?n 5} is not a clause: " .. EXPECTED, "SYNTAX" },
  { "[:find ?n :where []]", "1:18: [] is an empty clause: expected a pattern such as [?e :attr ?v]", "SYNTAX" },
  { "[:find ?n :where [?e :person/age ?n] [(+ (+ ?n 1) 2) ?m]]",
    "1:42: (+ ?n 1) is nested in a call: bind its result in a separate clause, [(+ ?n 1) ?result]", "SYNTAX" },
  { "[:find ?n :where [?e :person/age ?n] [(inc ?n 1) ?m]]", "1:39: function inc takes 1 argument, not 2" },
  { "[:find ?m :where [_ :person/name ?n]\n [(lower ?n) ?m]]",
    "2:2: unknown function lower (did you mean lower-case?)" .. NO_FUNCTION },
  { "[:find ?m :where [_ :person/name ?n] [(frobnicate ?n) ?m]]", "1:38: unknown function frobnicate" .. NO_FUNCTION },
  { "[:find ?m :where [_ :person/name ?n]\n  (or-join [?n ?m] (and [(lower ?n) ?m]))]",
    "2:25: unknown function lower (did you mean lower-case?)" .. NO_FUNCTION },
  { "[:find ?n :where [_ :person/nmae ?n]]",
    "1:18: attribute :person/nmae is not in the schema (did you mean :person/name?)", "ATTRIBUTE" },
  { "[:find ?n :where [_ :age ?n]]",
    "1:18: attribute :age is not in the schema (did you mean :person/age?)", "ATTRIBUTE" },
  { "[:find ?n :where [?p :person/age ?n]\n (not [?p :persn/name])]",
    "2:7: attribute :persn/name is not in the schema (did you mean :person/name?)", "ATTRIBUTE" },
  { '[:find ?n :where [[:person/age 1] :person/name ?n]]',
    "1:18: a lookup ref needs a unique attribute, and :person/age is not unique" },
  { "[:find ?n :where [?e :person/age ?n 1 true 5]]",
    "1:18: a pattern on a database has at most five terms (e a v tx added), but this one has 6" },
  { "[:find ?naem :where [_ :person/name ?name]]",
    "1:8: variable ?naem of :find is not used in any clause (did you mean ?name?)" },
  { "[:find ?name :where [_ :person/name ?name] [(> ?naem 1)]]",
    "1:44: [(> ?naem 1)] needs variable ?naem, but no clause binds it (did you mean ?name?)" .. UNBOUND },
  { "[:find ?n :where [_ :person/name ?n] [(> ?x 1)]]",
    "1:38: [(> ?x 1)] needs variable ?x, but no clause binds it" .. UNBOUND },
  { "[:find ?x :where [(inc ?x) ?y] [(dec ?y) ?x]]",
    "1:18: [(inc ?x) ?y] needs variable ?x, but the clauses that bind it need this clause first" .. UNBOUND },
  { "[:find ?n :where [_ :person/name ?n] (not [_ :person/age ?x])]",
    "1:38: (not [_ :person/age ?x]) shares no variable with the clauses around it: use a variable that they bind" },
  { "[:find ?n :in $catalog :where [$ctalog _ :person/name ?n]]",
    "1:32: source $ctalog is not in :in (did you mean $catalog?): add it there" },
  { "[:find ?n :in $ $ :where [_ :person/name ?n]]", "1:17: duplicate source $ in :in" },
  { "[:find ?n :in $a :where [_ :person/name ?n]]",
    "1:25: pattern [_ :person/name ?n] needs a source, because :in has no $: begin it with a source of :in, such as "
      .. "[$src ...]" },
  { "[:find ?n :in $ x :where [_ :person/name ?n]]", "1:17: expected a variable such as ?x, got x", "SYNTAX" },
  { "[:find ?n :where [_ :person/age ?n] :order-by ?m]",
    "1:47: cannot order by ?m, which is not in :find: add it there" },
  { "[:find (pull ?e [*]) :where [?e :person/age]]",
    "1:8: pull is not supported yet: find the values with patterns, such as [?e :attr ?v]" },
  { "[:find ?n :where (below ?n)]",
    "1:18: (below ?n) calls a rule, but :in has no %: add % to :in, or write [(below ?n)] to call a function" },
  { "[:find ?m :where [_ :person/age ?n]\n [(+ ?n \"x\") ?m]]",
    '2:2: function + expects numbers, got "x" (a string)', "TYPE" },
  { "[:find ?m :where [_ :person/age ?n] [(/ ?n 0) ?m]]", nil, "FUNCTION" }, -- the first row is any
  { "[:find ?m :where [_ :person/age ?n] [(identity ?n) [?m]]]", nil, "TYPE" },
  { "[:find ?n :where [_ :person/age ?n]", "1:36: unexpected end of the text, expected ] to close the vector that "
    .. "begins at 1:1", "SYNTAX" },
  { "5", "1:1: 5 is not a query: expected [:find ... :where ...] or a map {:find [...] :where [...]}", "SYNTAX" },
}

-- rules, message
local RULES = {
  { "[[(below ?a) [?a :person/age]]]",
    "1:26: unknown rule bleow (did you mean below?); rules given: below", call = "(bleow ?a)" },
  { "[[(b ?a) [?a :person/age]] [(a ?a) [?a :person/age]] [(b ?a) [?a :person/name]]]",
    "1:26: unknown rule frob; rules given: a, b", call = "(frob ?a)" },
  { "[[(below ?a) [?a :person/age]]]", "1:26: unknown rule >: to call the function, write [(> ...)]",
    call = "(> ?a 1)" },
  { "[[(below ?a) [?a :person/age]]]",
    "1:26: the call of rule below has 2 arguments, but the rule takes 1", call = "(below ?a 1)" },
  { "[]", "1:26: unknown rule below; no rules are given" },
  { "[[(below ?a)\n  [?a :person/age]\n  (beyond ?a)]]",
    "rules 3:3: rule below: unknown rule beyond; rules given: below" },
  { "[[(below ?a)\n  [?a :person/aeg]]]",
    "rules 2:3: rule below: attribute :person/aeg is not in the schema (did you mean :person/age?)",
    code = "ATTRIBUTE" },
  { "[[(below ?a)\n  [?a :person/name ?n]\n  [(lower ?n) ?m]]]",
    "rules 3:3: rule below: unknown function lower (did you mean lower-case?)" .. NO_FUNCTION },
  { "[[(below ?a)\n  [?a :person/name ?n]\n  [(+ ?n 1) ?m]]]", nil, code = "TYPE" },
  { "[[(below ?a)\n  [?a :person/age ?n]\n  [(> ?m 1)]]]",
    "rules 3:3: rule below: [(> ?m 1)] needs variable ?m, but no clause binds it" .. UNBOUND },
  { "[[(below ?a)]]", "rules 1:2: rule below: the rule needs at least one clause after its head", code = "SYNTAX" },
  { "[[(below ?a) [?a :person/age]]\n [(below ?a ?b) [?a :person/age ?b]]]",
    "rules 2:2: rule below is defined with 1 and with 2 parameters (0 and 0 of them in brackets): all its "
      .. "definitions must agree" },
  { "[below]", "rules 1:2: below is not a rule: expected [(name ?a ?b) clause ...]", code = "SYNTAX" },
  { "[[(below ?a)\n  [?a :person/age]\n  (not (above ?a))]\n [(above ?a) (below ?a)]]",
    "rules 3:8: rule below: it calls rule above inside a not, and that rule depends on it in turn: recursion "
      .. "through not is not allowed" },
}

describe("the message", function()
  local conn, db

  setup(function()
    conn = support.people()
    db = conn:db()
  end)
  teardown(function()
    conn:close()
    support.cleanup()
  end)

  local function answers(expected, code, value, message, got_code)
    assert.is_nil(value)
    assert.equal(code, got_code, message)
    if expected then assert.equal(expected, message) end
    assert.is_nil(message:find "[\r\n]")
  end

  for _, case in ipairs(QUERIES) do
    it("of the query " .. case[1]:gsub("\n", " "), function()
      answers(case[2], case[3] or "QUERY", rille.q(case[1], db))
    end)
  end

  for _, case in ipairs(RULES) do
    it("of the rules " .. case[1]:gsub("\n", " ") .. (case.call or ""), function()
      local query = "[:find ?a :in $ % :where " .. (case.call or "(below ?a)") .. "]"
      answers(case[2], case.code or "QUERY", rille.q(query, db, case[1]))
    end)
  end

  it("names the line and column of what fails while the query runs", function()
    for query, start in pairs {
      ["[:find ?m :where [_ :person/age ?n]\n  [(/ ?n 0) ?m]]"] = "2:3: (/ ",
      ["[:find ?m :where [_ :person/age ?n]\n  [(identity ?n) [?m]]]"] = "2:3: function identity returned ",
      ["[:find ?m :where [_ :person/age ?n]\n  [(+ ?n 9223372036854775807) ?m]]"] = "2:3: (+ ",
      ["[:find ?m :where [_ :person/age ?n]\n  [(* 1e308 10) ?m]]"] = "2:3: (* ",
    } do
      local _, message = rille.q(query, db)
      assert.equal(start, message:sub(1, #start))
    end
    local _, out_of_memory = rille.q("[:find ?t :in [?n ...] :where [(str ?n ?n ?n) ?t]]", { ("x"):rep(100000) },
      rille.options { memory_bytes = 200000 })
    assert.matches("^the query needs more memory", out_of_memory) -- of no clause
    local _, message = rille.q("[:find ?a :in $ % :where (below ?a)]", db,
      "[[(below ?a)\n  [?a :person/name ?n]\n  [(+ ?n 1) ?m]]]")
    assert.equal("rules 3:3: rule below: function + expects numbers, got ", message:sub(1, 55))
  end)

  it("numbers the clauses of a query in Lua", function()
    answers(":where, clause 2: [(> ?x 1)] needs variable ?x, but no clause binds it" .. UNBOUND, "QUERY", rille.q(
      { find = { "?n" }, where = { { "_", "person/name", "?n" }, { { ">", "?x", 1 } } } }, db))
    answers(":where, clause 2: unknown function lower (did you mean lower-case?)" .. NO_FUNCTION, "QUERY", rille.q(
      { find = { "?n" }, where = { { "_", "person/name", "?n" }, { { "lower", "?n" }, "?m" } } }, db))
    answers(":where, clause 3: attribute :person/aeg is not in the schema (did you mean :person/age?)", "ATTRIBUTE",
      Q.find(v.n):where({ v.e, "person/name", v.n }):let(v.m, Q.call("str", v.n)):where({ v.e, "person/aeg", v.m })
        :run { db = db })
    answers(':where, clause 2: a clause must be a table such as {v.e, "person/name", v.name}, got a string', "QUERY",
      rille.q({ find = { "?n" }, where = { { "_", "person/name", "?n" }, "?n" } }, db))
    local rules = { { { "below", "?a" }, { "?a", "person/age", "?n" }, { { ">", "?m", 1 } } } }
    answers("rule below, clause 2: [(> ?m 1)] needs variable ?m, but no clause binds it" .. UNBOUND, "QUERY", rille.q(
      "[:find ?a :in $ % :where (below ?a)]", db, rille.rules(rules)))
  end)

  it("of a transaction lists types, and guesses names", function()
    local function define(name)
      return conn:transact { { ["db/ident"] = "p/new", ["db/valueType"] = name } }
    end
    answers("transaction data, item 1: attribute :db/valueType: no entity has the ident :db.type/int (did you mean "
      .. ":db.type/long?)" .. TYPES, "ENTITY_MISSING", conn:transact "[{:db/ident :p/new :db/valueType :db.type/int}]")
    local _, message = define "db.type/number"
    assert.is_truthy(message:find("no entity has the ident :db.type/number" .. TYPES, 1, true), message)
    for alias, name in pairs { text = "string", int = "long", date = "instant", bool = "boolean", ["db.type/float"] =
      "double" } do
      _, message = define(alias)
      assert.is_truthy(message:find((":%s (did you mean :db.type/%s?)"):format(alias, name), 1, true), message)
    end
  end)

  it("of a point in time gives an example", function()
    local expected = '"yesterday" is not a point in time: expected an instant such as 2026-11-22T10:00:00Z (UTC), a '
      .. "transaction id or a commit id"
    for _, f in ipairs { function() return db:as_of "yesterday" end,
      function() return rille.db(conn:url(), { as_of = "yesterday" }) end } do
      local message = support.failure(f)
      assert.is_truthy(message:find(expected, 1, true), message)
    end
  end)

  it("says that a database value is an as-of where an attribute is not in its schema", function()
    local past = assert(db:as_of(rille.instant "1970-01-01"))
    local as_of = "; the database value is as of 1970-01-01T00:00:00.000Z (transaction 1099511627776)"
    answers("1:18: attribute :person/name is not in the schema" .. as_of, "ATTRIBUTE",
      rille.q("[:find ?n :where [_ :person/name ?n]]", past))
    answers("attribute :person/name is not in the schema" .. as_of, "ATTRIBUTE",
      past:entid { "person/name", "Ann" })
    answers("transaction data, item 1: attribute :person/name is not in the schema" .. as_of, "ATTRIBUTE",
      past:with { { ["person/name"] = "Eve" } })
    local _, message = rille.q("[:find ?n :where [_ :person/nmae ?n]]", db)
    assert.is_nil(message:find("as of", 1, true))
    past:close()
  end)
end)
