-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

describe("errors", function()
  local conn, db

  before_each(function()
    conn = support.people()
    db = conn:db()
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  local function check(code, pattern, value, message, got)
    assert.is_nil(value)
    assert.equal(code, got, message)
    assert.matches(pattern, message)
    assert.is_nil(message:find "[\r\n]", "one line")
    assert.is_true(#message < 400)
  end

  it("name unknown attributes and what may have been meant", function()
    check("ATTRIBUTE", "person/nmae.*did you mean :person/name", rille.q("[:find ?x :where [?x :person/nmae _]]", db))
    check("ATTRIBUTE", "person/nmae", conn:transact { { ["person/nmae"] = 1 } })
    check("ATTRIBUTE", "person/nmae", conn:transact "[{:person/nmae 1}]")
    check("ATTRIBUTE", "person/nmae", db:count("aevt", "person/nmae"))
    check("ATTRIBUTE", "person/nmae", db:entid { "person/nmae", 1 })
  end)

  it("name the place where a query does not parse", function()
    check("SYNTAX", "^1:%d+: ", rille.q("[:find ?x :where [?x :a", db))
    check("SYNTAX", "^2:%d+: ", rille.q("[:find ?x\n :where {?x 1 2}]", db))
    check("SYNTAX", "find", rille.q("[:where [?x :person/name]]", db))
    check("SYNTAX", "finde", rille.q("[:finde ?x :where [?x :person/name]]", db))
    check("SYNTAX", "", rille.q("", db))
    check("SYNTAX", "", rille.q("42", db))
    check("SYNTAX", "", rille.q("{:find", db))
  end)

  it("name variables that nothing binds", function()
    check("QUERY", "%?y", rille.q("[:find ?y :where [?x :person/name _]]", db))
    check("QUERY", "%?a", rille.q("[:find ?x :where [?x :person/name _] [(< ?a 5)]]", db))
    check("QUERY", "%?q", rille.q("[:find ?x :where [?x :person/name _] (not [?p :person/age ?q])]", db))
  end)

  it("name functions, rules, sources and aggregates that are unknown", function()
    check("QUERY", "frobnicate", rille.q("[:find ?x :where [?x :person/age ?a] [(frobnicate ?a)]]", db))
    check("QUERY", "nosuch", rille.q("[:find ?x :in $ % :where (nosuch ?x)]", db, "[[(r ?x) [?x :person/age _]]]"))
    check("QUERY", "%$other", rille.q("[:find ?x :where [$other ?x :person/age _]]", db))
    check("QUERY", "summ", rille.q("[:find (summ ?x) :where [_ :person/age ?x]]", db))
    check("SYNTAX", "", rille.q("[:find ?x :in $ % :where (r ?x)]", db, "[[(r"))
  end)

  it("tell values of the wrong type", function()
    check("TYPE", "person/name", conn:transact { { ["person/name"] = true } })
    check("TYPE", "sum", rille.q("[:find (sum ?n) . :where [_ :person/name ?n]]", db))
    check("TYPE", "%+", rille.q("[:find ?m :where [_ :person/name ?n] [(+ ?n 1) ?m]]", db))
    check("TYPE", "UTF%-8", rille.q("[:find ?p :in $ ?n :where [?p :person/name ?n]]", db, "a\255"))
    check("TYPE", "NaN", rille.q("[:find ?p :in $ ?n :where [?p :person/age ?n]]", db, 0 / 0))
    check("TYPE", "function", rille.q("[:find ?p :in $ ?n :where [?p :person/age ?n]]", db, print))
  end)

  it("tell sums that do not fit", function()
    if math.type then
      local _, _, code = rille.q("[:find (sum ?x) . :in [?x ...]]", { math.maxinteger, 1 })
      assert.is_string(code)
      _, _, code = rille.q("[:find ?y . :in ?x :where [(+ ?x 1) ?y]]", math.maxinteger)
      assert.is_string(code)
    end
  end)

  it("survive text that is nested ten thousand deep", function()
    for _, text in ipairs { ("["):rep(10000), "[:find ?x :where " .. ("(not "):rep(10000),
      "[:find ?x :where " .. ("(not "):rep(500) .. "[?x :person/name]" .. (")"):rep(500) .. "]" } do
      local value, message, code = rille.q(text, db)
      assert.is_nil(value)
      assert.is_string(message)
      assert.is_true(code == "LIMIT" or code == "SYNTAX", code)
      assert.is_nil((conn:transact(text)))
    end
  end)

  it("survive lookup refs that contain themselves", function()
    assert(conn:transact { support.attr("p/twin", "ref", support.identity) })
    local own = { "p/twin" }
    own[2] = own
    check("LIMIT", "nested", conn:db():entid(own))
    assert.is_nil((conn:transact { { "db/add", own, "person/age", 1 } }))
  end)

  it("survive strings of 100 MB", function()
    local big = ("x"):rep(100 * 1024 * 1024)
    check("LIMIT", "long", conn:transact { { ["person/name"] = big } })
    check("LIMIT", "long", rille.q("[:find ?p :in $ ?n :where [?p :person/name ?n]]", db, big))
    assert.is_string(support.failure(rille.bytes, big))
    local value, message = rille.q(big, db)
    assert.is_nil(value)
    assert.is_true(#message < 400)
  end)

  it("tell constraints of the schema", function()
    assert(conn:transact { support.attr("p/mail", "string", { ["db/unique"] = "db.unique/value" }) })
    assert(conn:transact { { ["p/mail"] = "a@b" } })
    check("TX_UNIQUE", "p/mail", conn:transact { { ["p/mail"] = "a@b" } })
    assert(conn:transact { support.attr("p/badge", "long", support.identity) })
    assert(conn:transact { { ["person/name"] = "Ann", ["p/badge"] = 1 } })
    check("TX_UPSERT", "", conn:transact { { ["person/name"] = "Bob", ["p/badge"] = 1 } })
    local _, message, code = conn:transact { { ["db/ident"] = "q/r", ["db/valueType"] = "db/doc" } }
    assert.equal("SCHEMA", code, message)
    check("ATTRIBUTE", "transact the schema first", conn:transact {
      support.attr("new/attr", "long"), { ["new/attr"] = 1 },
    })
  end)

  it("have codes that the manual lists", function()
    local text = support.read "docs/errors.md"
    for name in pairs(require("rille.core").codes()) do
      assert.is_string(text:match("`" .. name .. "`"), name)
    end
  end)

  it("of misuse name the line of the program and what was called", function()
    local query = assert(rille.prepare "[:find ?n :in $ ?x :where [?x :person/name ?n]]")
    local op = assert(query:start(db, 1))
    local result = assert(db:q "[:find ?n :where [_ :person/name ?n]]")
    local v, Q = rille.vars(), rille.query
    local ages = Q.find(v.e):where { v.e, "person/age", v.a }
    local here = "[%w_./]*spec/[%w_./]+%.lua:%d+: " -- of the one who called, behind tail calls
    local cases = {
      ["bad self: expected a connection"] = function() return conn.transact {} end,
      ["bad self: expected a database"] = function() return db.count "eavt" end,
      ["bad self: expected a connection, got no value"] = function() return conn.db() end,
      ["bad self: expected a database, got nil"] = function() return db.as_of() end,
      ["bad self: expected a query, got a table .call it as query:where"] = function()
        return ages.where { v.e, "person/age", v.a }
      end,
      ["bad self: expected a rule, got a table .call it as rule:where"] = function()
        return Q.define("r", v.e).where { v.e, "person/age", v.a }
      end,
      ["Q.find expects variables .*, got a string"] = function() return Q.find "name" end,
      ["where: expected a clause .*, got the symbol %?e"] = function() return ages:where(v.e, "person/age", v.a) end,
      ["expected inputs by name, .*, got rille database [%w:]*mem:"] = function() return ages:run(db) end,
      ["names its sections, .*this one is an array"] = function()
        return rille.prepare { ":find", "?x", ":where", { "?x", "person/name" } }
      end,
      ["rille.rules: expected a rule .*, got one that begins with a string"] = function()
        return rille.rules { { "old", "?x" }, { "?x", "person/age", 50 } }
      end,
      ["bad self: expected a query"] = function() return query.run(db) end,
      ["unknown index"] = function() return db:datoms "evat" end,
      ["transaction data must be a list"] = function() return conn:transact() end,
      ["transact: unknown option \"mta\""] = function() return conn:transact({}, { mta = {} }) end,
      ["with: .*with takes no options"] = function() return db:with({}, { meta = {} }) end,
      ["rille.connect: unknown option \"brnch\" .did you mean branch"] = function()
        return rille.connect("mem:x", { brnch = "main" })
      end,
      ["rille.kw: expected a string, got no value"] = function() return rille.kw() end,
      ["rille.bigint: expected an integer or its text, got nil"] = function()
        return rille.bigint()
      end,
      ["nil is not a point in time"] = function() return db:as_of() end,
      ["-1 is not a point in time"] = function() return db:as_of(-1) end,
      ["entid: expected an ident or a lookup ref"] = function() return db:entid() end,
      ["supply: expected a string of bytes"] = function() return op:supply(1) end,
      ["supply: this operation wants nothing now"] = function() return op:supply(7, "x") end,
      ["step: expected a budget"] = function() return op:step {} end,
      ["column: expected a column number or a column name"] = function() return result:column() end,
      ["listen: expected a function, got a string"] = function() return conn:listen "f" end,
      ["unknown listener 7"] = function() return conn:unlisten(7) end,
      ["rille.fn: expected a function, got a number"] = function() return rille.fn("x", 5) end,
      ["is not a valid symbol"] = function() return v["a b"] end,
      ["rille.edn.decode: expected text"] = function() return rille.edn.decode {} end,
      ["rille.options: unknown option"] = function() return ages:run({ db = db }, { limt = 1 }) end,
      ["inputs: expected variables"] = function() return ages:inputs "x" end,
      ["Q.each: expected a variable"] = function() return Q.each "x" end,
      ["the query has no input that is a number"] = function() return ages:run { db } end,
      ["the query has no input \"aa\" .did you mean a.*this query needs: db"] = function()
        return ages:run { db = db, aa = 1 }
      end,
      ["a query as a table: unknown option \"wher\" .did you mean where"] = function()
        return rille.prepare { find = { "?x" }, wher = {} }
      end,
      ["the operation is closed"] = function()
        local closed = assert(query:start(db, 1))
        closed:close()
        return closed:step()
      end,
    }
    for pattern, f in pairs(cases) do
      local message = support.failure(f)
      assert.matches("^" .. here .. ".*" .. pattern, message)
      assert.is_nil(message:find "bad argument", message)
    end
    assert.equal(1, #assert(ages:run { db = db, a = 30 }))
  end)

  it("never take a character of EDN for a number", function()
    local char = rille.edn.char "a"
    check("TYPE", "value", db:entid(char))
    check("TX_SYNTAX", "a character.* expected an entity", conn:transact { { ["db/id"] = char, ["person/age"] = 5 } })
    check("TYPE", "person/age", conn:transact { { ["person/age"] = char } })
    assert.is_string(support.failure(rille.instant, char))
    assert.is_string(support.failure(rille.bigint, char))
    assert.is_nil(db:ident(char))
  end)

  it("of the operating system keep its words", function()
    local url = support.plain_url "file"
    local own = assert(rille.create(url))
    assert(own:transact { support.attr("a/s", "string") })
    assert(own:transact { { ["a/s"] = ("long"):rep(1000) } })
    assert(own:flush())
    own:close()
    local path = support.file("files.lua", [==[
      local rille = require "rille"
      local db = assert(rille.db(...))
      local held = {}
      for i = 1, 100 do held[i] = io.open "/dev/null" or false end
      local _, message, code = db:q "[:find ?s . :where [_ :a/s ?s]]"
      print(code, message)
    ]==])
    local pipe = assert(io.popen(("ulimit -n 40 && %s '%s' '%s' 2>&1"):format(
      os.getenv "RILLE_TEST_LUA" or "lua5.4", path, url)))
    local text = pipe:read "*a"
    pipe:close()
    assert.matches("^IO\t[^\n]*cannot read [^\n]*: close some files[^\n]*ulimit %-n[^\n]*: [^\n:]+\n$", text)
  end)
end)
