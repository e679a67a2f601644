-- SPDX-License-Identifier: MIT
--
-- What messages say beyond what is wrong: what was meant, and what to do.
local rille = require "rille"
local support = require "spec.support.init"

describe("messages", function()
  local conn, db

  before_each(function()
    conn = support.people()
    db = conn:db()
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  local function says(text, value, message)
    assert.is_nil(value)
    assert.is_truthy(message:find(text, 1, true), message)
    assert.is_nil(message:find "[\r\n]")
  end

  it("guess the URL where there is no scheme", function()
    for _, f in ipairs { rille.connect, rille.create, rille.db, rille.exists, rille.drop, rille.branches } do
      says('"st" is not a URL: did you mean file:st? (this build supports mem:NAME, file:DIR', f "st")
    end
    says("file:DIR?", rille.connect "")
  end)

  it("guess the ident of a type, a cardinality or a uniqueness", function()
    local function define(name, value)
      return conn:transact { support.attr("p/new", "string", { [name] = value }) }
    end
    says("no entity has the ident :string (did you mean :db.type/string?)", define("db/valueType", "string"))
    says("(did you mean :db.type/string?)", define("db/valueType", "db.type/strng"))
    says("(did you mean :db.cardinality/many?)", define("db/cardinality", "many"))
    says("(did you mean :db.unique/identity?)", define("db/unique", "identity"))
    says("(did you mean :db.type/string?)", conn:transact "[{:db/ident :p/new :db/valueType :string}]")
    says("no entity has the ident :db.type/number", define("db/valueType", "db.type/number"))
  end)

  it("say how EDN writes an instant", function()
    assert(conn:transact { support.attr("p/since", "instant") })
    says('is a string, expected an instant: EDN writes one as #inst "2026-11-22T10:00:00Z"',
      conn:transact '[{:p/since "2026-11-22"}]')
    says("expected an instant", conn:transact { { ["p/since"] = true } })
  end)

  it("number the items of a transaction, in EDN as in Lua", function()
    says("transaction data, item 2: attribute :person/age: ",
      conn:transact '[{:person/name "Eve"} {:person/age "x"}]')
    says("transaction data, item 2: attribute :person/age: ", conn:transact { { ["person/name"] = "Eve" },
      { ["person/age"] = "x" } })
    says("transaction data, item 1: 5 in transaction data", conn:transact "[5]")
    local wrap = "expected an entity map or an operation: wrap a single operation in a list"
    says(wrap, conn:transact "[:db/add 1 :person/age 5]")
    says(wrap, conn:transact { "db/add", 1, "person/age", 5 })
  end)

  it("refuse nil as a value", function()
    says("item 2: attribute :person/age: nil is not a value", conn:transact "[nil {:person/age nil}]")
    says("attribute :person/age: nil is not a value", conn:transact { { ["person/age"] = rille.null } })
    local any = assert(rille.create(support.url(), { schema_flexibility = "read" }))
    says("attribute :p/any: nil is not a value", any:transact { { ["p/any"] = rille.null } })
    says("attribute :p/any: nil is not a value", any:transact "[{:p/any nil}]")
    any:close()
  end)

  it("list the inputs that a query wants", function()
    says("the query takes 1 input ($), but none was given", rille.q "[:find ?p :where [?p :person/name]]")
    says("the query takes 4 inputs ($ % [?x ...] [[?y ?z]]), but 1 was given",
      rille.q("[:find ?p :in $ % [?x ...] [[?y ?z]] :where [?p :person/name]]", db))
    says("the query takes 0 inputs (:in is empty), but 2 were given",
      rille.q("[:find ?p :in :where [(ground 1) ?p]]", db, 1))
    local long = {}
    for i = 1, 50 do long[i] = "?variable" .. i end
    says(" ?variable5 ?vari...), but none was given",
      rille.q(("[:find ?variable1 :in %s]"):format(table.concat(long, " "))))
  end)

  it("list the schemes of this build, and never show secrets", function()
    local kinds = {}
    for _, kind in ipairs(support.kinds()) do kinds[kind] = true end
    local has_web = select(3, rille.exists "s3://b/p?none=1") ~= "UNSUPPORTED"
    kinds.s3, kinds.https = has_web, has_web
    for _, url in ipairs { "ftp:x", "s4://u:secret@h/p?token=secret" } do
      local _, message, code = rille.connect(url)
      assert.equal("SYNTAX", code)
      local list = message:match "this build supports (.*)"
      for _, scheme in ipairs { "mem", "file", "lmdb", "s3", "https" } do
        assert.equal(kinds[scheme] == true, list:find(scheme .. ":", 1, true) ~= nil, scheme)
      end
      for _, planned in ipairs { "sqlite:", "postgresql", "secret" } do
        assert.is_nil(message:find(planned, 1, true), planned)
      end
    end
    for _, f in ipairs { rille.connect, rille.create, rille.db, rille.exists, rille.drop, rille.branches } do
      for url, shown in pairs { ["s3://key:secret@bucket/a?token=secret"] = "s3://bucket/a",
        ["deferred:https://u:secret@h/p?a=secret"] = "https://h/p" } do
        local _, message, code = f(url)
        assert.equal(has_web and "SYNTAX" or "UNSUPPORTED", code)
        local reason = has_web and ": a user or password must not be in the URL"
          or ": this build of rille does not support"
        assert.equal(1, (message:find(shown .. reason, 1, true)))
        assert.is_nil(message:find("secret", 1, true))
      end
    end
  end)

  it("guess functions, and say that pull is missing", function()
    says("unknown function uper-case (did you mean upper-case?): it is not built in",
      rille.q("[:find ?m :where [_ :person/name ?n] [(uper-case ?n) ?m]]", db))
    says("(did you mean get-else?)", rille.q("[:find ?m :where [?p :person/name] [(getelse ?p 1) ?m]]", db))
    says("unknown function f: it is not built in, and no Lua function of that name is registered with rille.fn",
      rille.q("[:find ?m :where [_ :person/name ?n] [(f ?n) ?m]]", db))
    says("pull is not supported yet", rille.q("[:find (pull ?p [*]) :where [?p :person/name]]", db))
  end)

  it("name the source whose schema lacks an attribute", function()
    local other = assert(rille.create(support.url()))
    assert(other:transact { support.attr("item/sku", "string", support.identity) })
    local function ask(clause, in_other)
      return rille.q(("[:find ?x :in $ $g :where [?x :person/name] %s]"):format(clause), db, in_other or other:db())
    end
    says("attribute :item/skv is not in the schema of $g (did you mean :item/sku?)", ask "[$g _ :item/skv]")
    says("is not in the schema of $g", ask "[(get-else $g ?x :item/x 1) ?y]")
    says("is not in the schema of $g", ask "[$g [:item/x 1] :item/sku]")
    says("attribute :person/nmae is not in the schema of $ (did", ask "[_ :person/nmae]")
    says("is not in the schema (did", rille.q("[:find ?x :where [?x :person/nmae]]", db))
    other:close()
  end)

  it("show what a database and a result are", function()
    local shown = tostring(db)
    assert.equal(("rille database %s t=%.0f"):format(conn:url(), db:basis().t), shown)
    local result = assert(db:q "[:find ?n :where [_ :person/name ?n]]")
    assert.equal("rille result: 4 rows", tostring(result))
    assert.equal("rille result: 1 row", tostring(assert(db:q '[:find ?p :where [?p :person/name "Ann"]]')))
    result:close()
    assert.equal("rille result (closed)", tostring(result))
    assert.equal(("rille connection %s branch=main"):format(conn:url()), tostring(conn))
    assert.equal(conn:url(), db:url())
    db:close()
    assert.equal("rille database (closed)", tostring(db))
    local other = assert(rille.connect(conn:url(), { branch = "dev", create = true }))
    assert.equal(("rille connection %s branch=dev"):format(conn:url()), tostring(other))
    assert.equal(conn:url(), other:url())
    other:close()
    assert.equal("rille connection (closed)", tostring(other))
  end)

  it("name the option that creates a database", function()
    local remedy = "; rille.connect(url, {create = true}) creates a database"
    for _, kind in ipairs { "mem", "file" } do
      for _, f in ipairs { rille.connect, rille.db, rille.branches } do says(remedy, f(support.plain_url(kind))) end
    end
    local _, message = rille.connect(conn:url(), { branch = "other" }) -- that does not create a branch
    assert.is_nil(message:find("create = true", 1, true), message)
  end)

  it("name rille.options where a table of options is an input", function()
    local hint = "; if the last input is for options, pass rille.options{%s = ...}"
    local all, one = "[:find ?n :where [_ :person/name ?n]]", "[:find ?n :in $ ?n :where [_ :person/name ?n]]"
    says("the query takes 1 input", rille.q(all, db, { limit = 3 }))
    says(hint:format "limit", rille.q(all, db, { limit = 3, "x" }))
    says(hint:format "timeout_ms", rille.q(one, db, "Ann", { timeout_ms = 3, limt = 1 }))
    says(hint:format "offset", rille.explain(one, db, { offset = 3 }))
    local _, message = rille.q(all, db, { lim = 3 })
    assert.is_nil(message:find("rille.options", 1, true), message)
  end)

  it("say what was passed instead of a query, a function or rules", function()
    for text, f in pairs {
      ["expected a query (EDN text, a query of rille.query, or a table), got rille database "] = function()
        return rille.q(db, "[:find ?n :where [_ :person/name ?n]]")
      end,
      ["got a number (pass the inputs after the query)"] = function() return rille.prepare(5) end,
      ["the query is already prepared"] = function()
        return rille.prepare(assert(rille.prepare "[:find ?n :where [_ :person/name ?n]]"))
      end,
      ["rille.fn: expected a name, got a function"] = function() return rille.fn(print) end,
      ["rille.fn: expected a function, got nil"] = function() return rille.fn "f" end,
      ["rille.rules: expected text or a table, got a number"] = function() return rille.rules(5) end,
      ["rille.options: option \"limit\" must be a non-negative integer, got 1.5"] = function()
        return rille.options { limit = 1.5 }
      end,
      ["rille.options: option \"timeout_ms\" must be a non-negative number, got -1"] = function()
        return rille.options { timeout_ms = -1 }
      end,
    } do
      local message = support.failure(f)
      assert.is_truthy(message:find(text, 1, true), message)
    end
    says("rules 1:2: (r ?x) is not a rule: rules are a vector of vectors, [[(name ?a ?b) clause ...] ...]",
      rille.q("[:find ?x :in % :where (r ?x)]", "[(r ?x) [(identity 1) ?x]]"))
    local v, Q = rille.vars(), rille.query
    local rows = { { "Ann", 5 } }
    local names = Q.find(v.n):where { v.n, v.a }
    says('missing input "db": pass inputs by name, such as {db = ...}', names:run {})
    says('missing input "min": bind ?min in a clause, or pass {min = ...}',
      names:filter(Q.gt(v.a, v.min)):run { db = rows })
    says(':where, clause 1: unknown source "cat": name the sources of the query with from("cat")',
      Q.find(v.n):where("cat", { v.n, v.a }):run { db = rows })
    says('choose a source of the query, such as where("a", ...); its sources are: a, b',
      Q.find(v.n):from("a", "b"):where({ v.n, v.a }):run { a = rows, b = rows })
    says(':order-by: expected a variable such as ?x, got "n"', names:order_by("n"):run { db = rows })
    says(':find: expected a variable such as ?x, got "a"', Q.find(Q.sum "a"):where({ v.n, v.a }):run { db = rows })
    says("a clause must be a table such as {v.e, \"person/name\", v.name}, got the symbol ?n",
      names:where(Q.not_(v.n, v.a)):run { db = rows })
    says("input 1 (%): expected rules, as text or from rille.rules, got a number",
      rille.q("[:find ?x :in % :where (r ?x)]", 5))
    says("unknown function => (did you mean >=?): it is not built in,",
      rille.q("[:find ?x :in ?x :where [(=> ?x 1)]]", 2))
    says("expected a vector of rules, such as [[(name ?a ?b) clause ...] ...], got a map", rille.rules "{}")
  end)

  it("say what has the method that a connection or a database value does not have", function()
    for _, name in ipairs { "q", "datoms", "as_of", "with", "entid", "schema", "start_datoms" } do
      says("conn:" .. name .. ": call it on a database value, such as conn:db()", nil,
        support.failure(conn[name], conn))
    end
    for _, name in ipairs { "transact", "db", "listen", "flush", "start_transact" } do
      says("db:" .. name .. ": call it on a connection", nil, support.failure(db[name], db))
    end
    for _, object in ipairs { conn, db } do
      assert.is_nil(object.nothing)
      assert.is_nil(object._nothing)
    end
    says("db:pull is not supported yet", nil, support.failure(db.pull, db))
  end)

  it("name a key or a hole in an array of a query, where a reader of the elements would pass over it", function()
    local n = { "?p", "person/name", "?n" }
    local function query(where, more)
      local q = { find = { "?n" }, where = where }
      for key, value in pairs(more or {}) do q[key] = value end
      return rille.q(q, db)
    end
    local clause = 'a clause such as {"?e", "person/name", "?x"} or {"rule", "?x"} is an array, but '
    says(":where, clause 1: " .. clause .. 'this one has the key "rule"', query { { rule = "r", "?n" } })
    says(":where, clause 1: " .. clause .. "this one has the key ",
      query { { e = "?p", a = "person/name", v = "?n" } })
    says(":where, clause 2: " .. clause .. 'this one has the key "source"',
      query { n, { "?p", "person/age", "?a", source = "$" } })
    says(":where, clause 1: " .. clause .. "element 2 of this one is nil", query { { "?p", nil, "?n" } })
    says(":where, clause 2: " .. clause .. 'this one has the key "x"', query { n, { "not", { "?p", x = 1 } } })
    says(":where, clause 2: " .. clause .. 'this one has the key "x"', query { n, { "not", n, x = 1 } })
    says(':where, clause 2: a call such as {">=", "?age", 18} is an array, but this one has the key "x"',
      query { n, { { "!=", "?n", "A", x = 1 } } })
    says(':where, clause 2: a binding such as {"?x", "?y"} is an array, but this one has the key "x"',
      query { n, { { "split", "?n", " " }, { "?m", x = 1 } } })
    says('where is an array, but this one has the key "not"', query { n, ["not"] = n })
    says("where is an array, but element 2 of this one is nil", query { n, nil, n })
    for _, section in ipairs { "find", "in", "with", "order_by", "keys" } do
      says(section .. ' is an array, but this one has the key "as"', query({ n }, { [section] = { "?n", as = "x" } }))
    end
    says('an item of find is an array, but this one has the key "n"',
      query({ n }, { find = { { "max", "?n", n = 3 } } }))

    local v, Q = rille.vars(), rille.query
    says(':where, clause 1: a clause such as {v.e, "person/name", v.name} is an array, but this one has the key "rule"',
      Q.find(v.n):where({ rule = "r", v.n }):run { db = db })
    local function rules_fail(text, rules) says(text, nil, support.failure(rille.rules, rules)) end
    rules_fail('the list of rules is an array, but this one has the key "r"',
      { r = { { "r", "?x" }, { "?x", "a/b" } } })
    rules_fail('this one has the key "where"', { { { "r", "?x" }, where = { { "?x", "a/b" } } } })
    rules_fail('the head of a rule, such as {"ancestor", "?a", "?b"}, is an array, but this one has the key "x"',
      { { { "r", "?x", x = 1 }, { "?x", "a/b" } } })
    rules_fail('rule r, clause 1: a clause such as ', { { { "r", "?x" }, { "?x", "a/b", x = 1 } } })
  end)
end)

describe("errors that are found after reading", function()
  local conn

  before_each(function()
    conn = assert(rille.create(support.url "mem"))
    local unique, many = { ["db/unique"] = "db.unique/identity" }, { ["db/cardinality"] = "db.cardinality/many" }
    assert(conn:transact { support.attr("id", "long", unique), support.attr("key", "string", unique),
      support.attr("name", "string", { ["db/unique"] = "db.unique/value" }), support.attr("boss", "ref", unique),
      support.attr("l", "long"), support.attr("ls", "long", many), support.attr("up", "ref") })
    assert(conn:transact { { id = 1, key = "a", name = "one", l = 1, ls = { 1, 2 } }, { id = 2 } })
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  local cases = {
    { "TX_CONFLICT", "items 1 and 3", "[{:id 3 :l 1} {:id 4} {:id 3 :l 2}]" },
    { "TX_CONFLICT", "items 2 and 4", "[{:id 4} [:db/add [:id 1] :ls 5] nil [:db/retract [:id 1] :ls 5]]" },
    { "TX_CONFLICT", "items 2, 3, 4, ...", "[{:id 4} {:id 3 :l 1} {:id 3 :l 2} {:id 3 :l 3} {:id 3 :l 4}]" },
    { "TX_CONFLICT", "item 2", "[{:id 4} {:id 3 :up {:id 3 :l 1} :l 2}]" },
    { "TX_UNIQUE", "items 2 and 3", '[{:id 4} {:id 3 :name "n"} {:id 4 :name "n"}]' },
    { "TX_UNIQUE", "item 2", '[{:id 4} {:id 3 :name "one"}]' },
    { "TX_UPSERT", "item 2", '[{:id 4} {:id 2 :key "a"}]' },
    { "TX_CAS", "item 2", "[{:id 4} [:db/cas [:id 1] :l 7 8]]" },
    { "TX_CAS", "item 2", "[[:db/add [:id 1] :l 8] [:db/cas [:id 1] :l nil 8]]" },
    { "TX_CAS", "item 3", "[nil {:id 4} [:db/cas [:id 1] :ls 7 8]]" },
    { "ENTITY_MISSING", "item 2", "[{:id 4} [:db/add [:id 99] :l 5]]" },
    { "ENTITY_MISSING", "item 2", "[{:id 4} {:id 5 :up [:id 99]}]" },
    { "ENTITY_MISSING", "item 3", "[{:id 4} {:id 5} {:id 6 :up [:boss [:boss [:id 99]]]}]" },
    { "TX_SYNTAX", "item 2", '[{:id 4} {:id 5 :up "x"}]' },
    { "TX_SYNTAX", "item 2", '[{:id 4} [:db/retractEntity "x"]]' },
    { "TX_SYNTAX", "item 2", '[{:id 4} [:db/retract [:id 1] :up "x"]]' },
    { "TX_SYNTAX", "item 2", '[{:id 4} {:db/id "datomic.tx" :db/txInstant #inst "2000-01-01"}]' },
    { "TX_SYNTAX", "item 2", '[{:id 4} {:db/id 1099511627777 :db/txInstant #inst "2000-01-01"}]' },
    { "SCHEMA", "item 2", "[{:id 4} [:db/retractEntity 3]]" },
    { "SCHEMA", "item 2", "[{:id 4} {:db/id :l :db/valueType :db.type/string}]" },
    { "SCHEMA", "item 2", "[{:id 4} {:db/valueType :db.type/string}]" },
    { "SCHEMA", "item 3", "[{:id 4} {:db/ident :ok :db/valueType :db.type/long} {:db/ident :no :db/valueType :l}]" },
  }

  it("name the items of the transaction data that they are about", function()
    for _, case in ipairs(cases) do
      local code, items, text = case[1], case[2], case[3]
      for notation, data in pairs { text = text, table = assert(rille.edn.decode(text)) } do
        local report, message, got = conn:transact(data)
        assert.is_nil(report, text)
        assert.equal(code, got, text)
        assert.equal("transaction data, " .. items .. ": ", message:match "^[^:]*: ", notation .. " " .. text)
        assert.is_nil(message:find("transaction data", 2, true), message)
      end
    end
  end)

  it("know what nil was meant for", function()
    local function says(text, data)
      for _, given in ipairs { data, assert(rille.edn.decode(data)) } do
        local _, message, code = conn:transact(given)
        assert.equal("TYPE", code, data)
        assert.equal("transaction data, item 1: " .. text, message)
      end
    end
    says("attribute :ls: nil is a nil, expected a long: to retract all values, leave the value out",
      "[[:db/retract [:id 1] :ls nil]]")
    says("attribute :up: nil is a nil, expected a ref: to retract all values, leave the value out",
      "[[:db/retract [:id 1] :up nil]]")
    says("lookup ref [:id nil]: nil is not a value", "[{:db/id [:id nil] :l 5}]")
  end)

  it("name the meta of a transaction", function()
    local function message_of(data, meta) return (select(2, conn:transact(data, { meta = meta }))) end
    assert.matches("^meta: attribute :name is unique", message_of({ { id = 4 } }, { name = "one" }))
    assert.matches("^meta: attribute :db/txInstant: ", message_of({}, { ["db/txInstant"] = "2000-01-01" }))
    assert.matches("^transaction data, item 2 and meta: attribute :l of the transaction",
      message_of({ { id = 4 }, { ["db/id"] = "datomic.tx", l = 1 } }, { l = 2 }))
  end)
end)
