-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

local attr, many, identity = support.attr, support.many, support.identity

local function has_integers()
  return math.type ~= nil
end

describe("transact", function()
  local conn

  before_each(function() conn = support.people() end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  local function value(entity, name)
    local next_datom = conn:db():datoms("eavt", entity, name)
    return (select(3, next_datom()))
  end

  local function values(entity, name)
    local all = {}
    for _, _, v in conn:db():datoms("eavt", entity, name) do all[#all + 1] = v end
    return all
  end

  it("reports what it did", function()
    local before = conn:db()
    local report = assert(conn:transact({ { ["db/id"] = "eve", ["person/name"] = "Eve", ["person/age"] = 5 } }))
    assert.equal(before:basis().t + 1, report.tx)
    assert.equal("instant", report.instant.type)
    assert.matches("^%x+$", report.commit)
    assert.equal(64, #report.commit)
    assert.is_true(report.db_before == before)
    assert.is_true(report.db_after == conn:db())
    assert.equal(report.commit, report.db_after:basis().commit)
    local eve = report.tempids.eve
    assert.equal(eve, conn:db():entid { "person/name", "Eve" })
    local seen = {}
    for _, datom in ipairs(report.tx_data) do
      assert.equal(report.tx, datom[4])
      assert.is_true(datom.added)
      assert.equal(datom[1], datom.e)
      seen[datom.a] = datom.v
    end
    assert.equal("Eve", seen["person/name"])
    assert.equal(5, seen["person/age"])
    assert.equal(report.instant, seen["db/txInstant"])
    assert.equal(3, #report.tx_data)
  end)

  it("accepts leading colons and keywords as names", function()
    assert(conn:transact { { [":person/name"] = "Eve", [rille.kw "person/age"] = 7 } })
    assert.equal(7, value({ ":person/name", "Eve" }, ":person/age"))
    assert(conn:transact { { ":db/add", { rille.kw "person/name", "Eve" }, rille.kw "person/age", 8 } })
    assert.equal(8, value({ "person/name", "Eve" }, "person/age"))
  end)

  it("joins maps by tempids that are strings or negative numbers", function()
    local report = assert(conn:transact {
      { ["db/id"] = -1, ["person/name"] = "Eve", ["person/friend"] = { -2, "fay" } },
      { ["db/id"] = -2, ["person/name"] = "Gil" },
      { ["db/id"] = "fay", ["person/name"] = "Fay", ["person/friend"] = -1 },
    })
    local t = report.tempids
    assert.equal(3, (t[-1] and 1 or 0) + (t[-2] and 1 or 0) + (t.fay and 1 or 0))
    local friends = values(t[-1], "person/friend")
    table.sort(friends)
    local expected = { t[-2], t.fay }
    table.sort(expected)
    assert.same(expected, friends)
    assert.same({ t[-1] }, values(t.fay, "person/friend"))
  end)

  it("finds entities by lookup refs, idents and ids", function()
    local ann = conn:db():entid { "person/name", "Ann" }
    assert(conn:transact {
      { ["db/id"] = { "person/name", "Ann" }, ["person/age"] = 31 },
      { "db/add", ann, "person/nick", "A" },
      { ["db/id"] = ":person/age", ["db/doc"] = "in years" },
      { "db/add", { "person/name", "Dan" }, "person/friend", { "person/name", "Ann" } },
    })
    assert.equal(31, value(ann, "person/age"))
    assert.equal("A", value(ann, "person/nick"))
    assert.equal("in years", value(":person/age", "db/doc"))
    assert.same({ ann }, values({ "person/name", "Dan" }, "person/friend"))
  end)

  it("updates the entity that has an identity value already", function()
    local ann = conn:db():entid { "person/name", "Ann" }
    local report = assert(conn:transact { { ["db/id"] = "x", ["person/name"] = "Ann", ["person/age"] = 40 } })
    assert.equal(ann, report.tempids.x)
    assert.equal(40, value(ann, "person/age"))
    assert.equal(4, conn:db():count("aevt", "person/name"))
  end)

  it("makes entities of nested maps, in lists and in reverse", function()
    assert(conn:transact {
      {
        ["person/name"] = "Eve",
        ["person/friend"] = { { ["person/name"] = "Fay", ["person/friend"] = { ["person/name"] = "Gil" } }, "hal" },
        ["person/_friend"] = { { "person/name", "Ann" }, { ["person/name"] = "Ida" } },
      },
      { ["db/id"] = "hal", ["person/name"] = "Hal" },
    })
    local db = conn:db()
    local eve = db:entid { "person/name", "Eve" }
    local names = assert(db:q("[:find [?n ...] :in $ ?e :where [?e :person/friend ?f] [?f :person/name ?n]]", eve))
    table.sort(names)
    assert.same({ "Fay", "Hal" }, names)
    local back = assert(db:q("[:find [?n ...] :in $ ?e :where [?f :person/friend ?e] [?f :person/name ?n]]", eve))
    table.sort(back)
    assert.same({ "Ann", "Ida" }, back)
    assert.is_number(db:entid { "person/name", "Gil" })
  end)

  it("keeps sets of values for attributes of many", function()
    assert(conn:transact { { ["person/name"] = "Bob", ["person/nick"] = { "B", "Bert", "Bert" } } })
    assert.same({ "B", "Bert", "Bobby" }, values({ "person/name", "Bob" }, "person/nick"))
    assert(conn:transact { { ["person/name"] = "Bob", ["person/nick"] = "Rob" } })
    assert.equal(4, #values({ "person/name", "Bob" }, "person/nick"))
  end)

  it("retracts values, attributes and entities", function()
    local bob = conn:db():entid { "person/name", "Bob" }
    assert(conn:transact { { "db/retract", bob, "person/nick", "B" } })
    assert.same({ "Bobby" }, values(bob, "person/nick"))
    assert(conn:transact { { "db.fn/retractAttribute", bob, "person/nick" } })
    assert.same({}, values(bob, "person/nick"))
    assert(conn:transact { { "db/retract", bob, "person/age" } })
    assert.is_nil(value(bob, "person/age"))
    local report = assert(conn:transact { { "db/retractEntity", bob } })
    assert.equal(0, conn:db():count("eavt", bob))
    assert.equal(0, conn:db():count("vaet", bob))
    local removed = 0
    for _, d in ipairs(report.tx_data) do removed = removed + (d.added and 0 or 1) end
    assert.equal(3, removed) -- the name, and Ann's and Cid's friendship
  end)

  it("swaps a value only when it is the expected one", function()
    local ann = conn:db():entid { "person/name", "Ann" }
    assert(conn:transact { { "db/cas", ann, "person/age", 30, 31 } })
    local report, message, code = conn:transact { { "db/cas", ann, "person/age", 30, 32 } }
    assert.is_nil(report)
    assert.equal("TX_CAS", code)
    assert.matches("31", message)
    local dan = conn:db():entid { "person/name", "Dan" }
    assert(conn:transact { { "db/cas", dan, "person/age", nil, 1 } })
    assert(conn:transact { { "db/cas", dan, "person/age", 1, 2 } })
    assert.equal("TX_CAS", select(3, conn:transact { { "db/cas", dan, "person/age", rille.null, 3 } }))
  end)

  it("says of the transaction what meta says", function()
    local report = assert(conn:transact({ { ["person/name"] = "Eve" } }, { meta = { ["db/doc"] = "by hand" } }))
    assert.equal("by hand", value(report.tx, "db/doc"))
    report = assert(conn:transact("[{:person/name \"Fay\"}]", { meta = { ["db/doc"] = "edn" } }))
    assert.equal("edn", value(report.tx, "db/doc"))
    report = assert(conn:transact { { ["db/id"] = "datomic.tx", ["db/doc"] = "tempid" } })
    assert.equal("tempid", value(report.tx, "db/doc"))
    assert.matches("metta", support.failure(conn.transact, conn, {}, { metta = {} }))
    assert.equal("ATTRIBUTE", select(3, conn:transact({}, { meta = { ["no/such"] = 1 } })))
  end)

  it("takes EDN text", function()
    local report = assert(conn:transact [=[
      [{:db/id "eve" :person/name "Eve" :person/age 9 :person/nick ["e" "ev"]}
       [:db/add "eve" :person/friend [:person/name "Ann"]]]
    ]=])
    assert.equal(9, value(report.tempids.eve, "person/age"))
    assert.equal(2, #values(report.tempids.eve, "person/nick"))
  end)

  it("takes what EDN text decodes to", function()
    local data = assert(rille.edn.decode [=[ [{:person/name "Eve" :person/age 9 :db/id "eve"}] ]=])
    local report = assert(conn:transact(data))
    assert.equal(9, value(report.tempids.eve, "person/age"))
  end)

  it("gives the value that would come of it, storing nothing", function()
    local db = conn:db()
    local report = assert(db:with { { ["person/name"] = "Eve" } })
    assert.equal(5, report.db_after:count("aevt", "person/name"))
    assert.equal(4, conn:db():count("aevt", "person/name"))
    local second = assert(report.db_after:with [=[ [{:person/name "Fay"}] ]=])
    assert.equal(6, second.db_after:count("aevt", "person/name"))
    assert.equal(1, #assert(second.db_after:q "[:find ?e :where [?e :person/name \"Fay\"]]"))
  end)

  it("stores values of every type", function()
    assert(conn:transact {
      attr("t/boolean", "boolean"), attr("t/long", "long"), attr("t/double", "double"), attr("t/bigint", "bigint"),
      attr("t/bigdec", "bigdec"), attr("t/instant", "instant"), attr("t/uuid", "uuid"), attr("t/keyword", "keyword"),
      attr("t/symbol", "symbol"), attr("t/string", "string"), attr("t/bytes", "bytes"), attr("t/ref", "ref"),
      attr("t/tuple", "tuple"), attr("t/floats", "floats"), attr("t/longs", "long", many),
    })
    local uuid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    local report = assert(conn:transact {
      {
        ["db/id"] = "x", ["t/boolean"] = false, ["t/long"] = -5, ["t/double"] = 1.5,
        ["t/bigint"] = rille.bigint "123456789012345678901234567890", ["t/bigdec"] = rille.bigdec "1.25",
        ["t/instant"] = rille.instant(1000), ["t/uuid"] = rille.uuid(uuid), ["t/keyword"] = rille.kw "a/b",
        ["t/symbol"] = rille.sym "s", ["t/string"] = "grüße", ["t/bytes"] = "\0\255", ["t/ref"] = "x",
        ["t/tuple"] = { 1, "two", rille.kw "three" }, ["t/floats"] = { 0.5, -2 }, ["t/longs"] = { 3, 1, 2 },
      },
      {
        ["db/id"] = "y", ["t/boolean"] = true, ["t/double"] = 3, ["t/bigint"] = 12, ["t/bigdec"] = "0.5",
        ["t/instant"] = "2026-11-22T10:00:00Z", ["t/uuid"] = uuid, ["t/keyword"] = "a/b", ["t/symbol"] = "s",
        ["t/bytes"] = rille.bytes "plain",
      },
    })
    local x, y = report.tempids.x, report.tempids.y
    assert.is_false(value(x, "t/boolean"))
    assert.equal(-5, value(x, "t/long"))
    assert.equal(1.5, value(x, "t/double"))
    assert.equal(rille.bigint "123456789012345678901234567890", value(x, "t/bigint"))
    assert.equal(rille.bigdec "1.25", value(x, "t/bigdec"))
    assert.equal(rille.instant(1000), value(x, "t/instant"))
    assert.equal(rille.uuid(uuid), value(x, "t/uuid"))
    assert.equal(rille.kw "a/b", value(x, "t/keyword"))
    assert.equal(rille.sym "s", value(x, "t/symbol"))
    assert.equal("grüße", value(x, "t/string"))
    assert.equal("\0\255", value(x, "t/bytes").text)
    assert.equal(x, value(x, "t/ref"))
    assert.same({ 1, "two", rille.kw "three" }, value(x, "t/tuple"))
    assert.same({ 0.5, -2 }, value(x, "t/floats"))
    assert.same({ 1, 2, 3 }, values(x, "t/longs"))
    assert.is_true(value(y, "t/boolean"))
    assert.equal(3, value(y, "t/double"))
    assert.equal("12", tostring(value(y, "t/bigint")))
    assert.equal(rille.bigdec "0.5", value(y, "t/bigdec"))
    assert.equal("2026-11-22T10:00:00.000Z", tostring(value(y, "t/instant")))
    assert.equal(rille.uuid(uuid), value(y, "t/uuid"))
    assert.equal(rille.kw "a/b", value(y, "t/keyword"))
    assert.equal("plain", value(y, "t/bytes").text)
  end)

  it("keeps whole numbers exact to the last digit", function()
    assert(conn:transact { attr("n/long", "long", many) })
    assert(conn:transact { { ["n/long"] = { 2 ^ 53, -2 ^ 53 } } })
    assert.equal("TYPE", select(3, conn:transact { { ["n/long"] = 2 ^ 53 + 2 } }))
    assert.equal("TYPE", select(3, conn:transact { { ["n/long"] = 1e300 } }))
    assert.equal("TYPE", select(3, conn:transact { { ["n/long"] = 1.5 } }))
    local report = assert(conn:transact { { ["db/id"] = "x", ["n/long"] = rille.bigint "9007199254740993" } })
    local x = report.tempids.x
    if has_integers() or rawget(_G, "jit") then
      assert.equal("9007199254740993", rille.edn.encode(value(x, "n/long")))
      assert(conn:transact { { "db/add", x, "n/long", value(x, "n/long") } })
      assert.equal(1, #values(x, "n/long"))
    else
      assert.matches("9007199254740993", support.failure(value, x, "n/long"))
    end
    assert.equal(1, #assert(conn:db():q([=[ [:find ?e :where [?e :n/long 9007199254740993]] ]=])))
  end)

  it("stores long strings and bytes whole", function()
    assert(conn:transact { attr("d/text", "string"), attr("d/raw", "bytes"), attr("d/key", "string", identity) })
    local text, raw = ("é"):rep(50000), ("\0\255"):rep(3000)
    local key = ("k"):rep(3000)
    local report = assert(conn:transact { { ["db/id"] = "x", ["d/text"] = text, ["d/raw"] = raw, ["d/key"] = key } })
    local x = report.tempids.x
    assert.is_true(value(x, "d/text") == text)
    assert.is_true(value(x, "d/raw").text == raw)
    assert.equal(x, conn:db():entid { "d/key", key })
    assert.is_true(assert(conn:db():q("[:find ?t . :where [_ :d/text ?t]]")) == text)
    assert.equal(1, conn:db():count("eavt", x, "d/text", text))
    for _, d in ipairs(report.tx_data) do
      if d.a == "d/text" then assert.is_true(d.v == text) end
    end
    assert(conn:flush())
    assert.is_true(value(x, "d/text") == text)
  end)

  it("makes attributes on first use when the schema is flexible", function()
    local free = assert(rille.create(support.url(), { schema_flexibility = "read" }))
    assert(free:transact { { ["any/thing"] = 1, ["any/text"] = "x" }, { ["any/thing"] = "a string" } })
    assert.equal(2, free:db():count("aevt", "any/thing"))
    assert.equal("any", free:db():schema()["any/thing"].type)
    free:close()
  end)

  it("names the transaction among the tempids when it was named", function()
    local report = assert(conn:transact { { ["db/id"] = "datomic.tx", ["db/doc"] = "x" }, { ["person/name"] = "Eve" } })
    assert.same({ ["datomic.tx"] = report.tx }, report.tempids)
    report = assert(conn:transact { { ["db/id"] = "y", ["person/name"] = "Eve", ["person/friend"] = "db/current-tx" } })
    assert.equal(report.tx, report.tempids["db/current-tx"])
    assert.is_number(report.tempids.y)
    report = assert(conn:transact [=[ [[:db/add "datomic.tx" :db/doc "x"] [:db/add :db/current-tx :db/doc "x"]] ]=])
    assert.same({ ["datomic.tx"] = report.tx, ["db/current-tx"] = report.tx }, report.tempids)
    assert.same({}, assert(conn:transact({}, { meta = { ["db/doc"] = "x" } })).tempids)
  end)

  it("retracts components with the attribute that refers to them", function()
    local component = { ["db/isComponent"] = true, ["db/cardinality"] = "db.cardinality/many" }
    assert(conn:transact { attr("c/part", "ref", component), attr("c/one", "ref", { ["db/isComponent"] = true }) })
    local t = assert(conn:transact {
      { ["db/id"] = "a", ["person/name"] = "A", ["c/part"] = {
        { ["db/id"] = "b", ["person/name"] = "B", ["c/one"] = { ["db/id"] = "c", ["person/name"] = "C" } },
        { ["db/id"] = "d", ["person/name"] = "D", ["c/part"] = "a" }, -- a circle
      }, ["person/friend"] = "e" },
      { ["db/id"] = "e", ["person/name"] = "E", ["person/friend"] = { "b", "c" } },
    }).tempids
    local function left(report)
      local all = {}
      for _, name in ipairs { "a", "b", "c", "d", "e" } do
        all[#all + 1] = name .. report.db_after:count("eavt", t[name])
      end
      return table.concat(all, " ")
    end
    local db = conn:db()
    for _, op in ipairs { "db.fn/retractAttribute", "db/retractAttribute" } do
      assert.equal("a0 b0 c0 d0 e1", left(assert(db:with { { op, t.a, "c/part" } }))) -- d, a part, has a as a part
      assert.equal("a4 b1 c0 d2 e2", left(assert(db:with { { op, t.b, "c/one" } })))
      assert.equal("a3 b2 c1 d2 e3", left(assert(db:with { { op, t.a, "person/friend" } })))
      assert.equal(left(assert(db:with { { op, t.a, "c/part" } })),
        left(assert(db:with(("[[:%s %d :c/part]]"):format(op, t.a)))))
    end
    assert.equal("a2 b2 c1 d2 e3", left(assert(db:with { { "db/retract", t.a, "c/part" } }))) -- components stay
    assert.equal(1, #assert(db:with { { "db.fn/retractAttribute", t.e, "c/part" } }).tx_data)
    assert.equal("TX_CONFLICT", select(3, db:with {
      { "db.fn/retractAttribute", t.b, "c/one" }, { "db/add", t.b, "c/one", t.c } }))
    assert(conn:transact { { "db.fn/retractAttribute", t.a, "c/part" } })
    assert(conn:flush())
    assert(conn:verify())
  end)

  it("compares and swaps refs by any name of an entity", function()
    assert(conn:transact { attr("x/boss", "ref"), { ["db/ident"] = "x/nobody" } })
    local ann = { "person/name", "Ann" }
    local function swap(old, new) return conn:transact { { "db/cas", ann, "x/boss", old, new } } end
    local function name() return conn:db():q [=[ [:find ?n . :where [_ :x/boss ?b] [?b :person/name ?n]] ]=] end
    assert(swap(nil, { "person/name", "Bob" }))
    assert.equal("Bob", name())
    assert(swap({ "person/name", "Bob" }, { rille.kw "person/name", "Cid" }))
    assert.equal("Cid", name())
    assert.equal("TX_CAS", select(3, swap({ "person/name", "Bob" }, { "person/name", "Ann" })))
    assert(swap({ "person/name", "Cid" }, ":x/nobody"))
    assert(swap(rille.kw "x/nobody", conn:db():entid { "person/name", "Dan" }))
    assert.equal("Dan", name())
    local report = assert(conn:transact {
      { "db/cas", { "person/name", "Ann" }, "x/boss", "dan", "new" },
      { ["db/id"] = "dan", ["person/name"] = "Dan" }, { ["db/id"] = "new", ["person/name"] = "New" },
    })
    assert.equal("New", name())
    assert.equal(report.tempids.dan, conn:db():entid { "person/name", "Dan" })
    assert(conn:transact [=[ [[:db/cas [:person/name "Ann"] :x/boss [:person/name "New"] "datomic.tx"]] ]=])
    assert.equal("ENTITY_MISSING", select(3, swap({ "person/name", "Nobody" }, 1)))
    assert.equal("TX_SYNTAX", select(3, swap("unknown", 1)))
    assert.equal("TX_SYNTAX", select(3, swap({ ["person/name"] = "x" }, 1)))
    assert.equal("TX_SYNTAX", select(3, swap(1, nil)))
  end)

  it("takes lookup refs by a ref, and reverse attributes without a namespace", function()
    assert(conn:transact { attr("boss", "ref"), attr("seat", "ref", identity) })
    local t = assert(conn:transact {
      { ["db/id"] = "eve", ["person/name"] = "Eve", _boss = { { ["person/name"] = "Fay" } } },
      { ["db/id"] = "chair", ["person/nick"] = "c", [":_seat"] = "eve" },
    }).tempids
    assert.equal(1, conn:db():count("vaet", t.eve, "boss"))
    assert(conn:transact { { "db/add", { "seat", t.chair }, "person/age", 7 } })
    assert(conn:transact { { "db/add", { "seat", { "seat", t.chair } }, "person/age", 8 }, { "db/add", "z", "seat",
      t.eve }, { "db/add", "z", "person/nick", "z" } })
    assert.equal(7, value(t.eve, "person/age"))
    assert.equal("ENTITY_MISSING", select(3, conn:transact { { "db/add", { "seat", 1 }, "person/age", 1 } }))
  end)

  it("takes maps and arrays without elements", function()
    assert(conn:transact { attr("t/tuple", "tuple"), attr("t/tuples", "tuple", many), attr("t/vec", "floats") })
    assert.equal(1, #assert(conn:transact { {} }).tx_data)
    assert.equal(1, #assert(conn:transact { { ["db/id"] = "x" } }).tx_data)
    local map = { ["db/id"] = "x", ["t/tuple"] = {}, ["t/vec"] = {}, ["t/tuples"] = {} }
    local x = assert(conn:transact { map }).tempids.x
    assert.same({}, value(x, "t/tuple"))
    assert.same({}, value(x, "t/vec"))
    assert.same({}, values(x, "t/tuples"))
    assert(conn:transact { { "db/add", x, "t/tuples", {} }, { "db/add", x, "t/tuples", { 5, 5 } },
      { ["db/id"] = x, ["t/tuples"] = { { { 1 } }, { 2, {} } } }, { ["db/id"] = x, ["t/tuples"] = { 7, { 8 } } } })
    assert.same({ {}, { 2, {} }, { 5, 5 }, { 7, { 8 } }, { { 1 } } }, values(x, "t/tuples"))
    for _, v in ipairs(values(x, "t/tuples")) do assert(conn:transact { { "db/retract", x, "t/tuples", v } }) end
    assert.same({}, values(x, "t/tuples"))
    assert.equal("TYPE", select(3, conn:transact { { "db/add", x, "person/nick", { "a", "b" } } }))
  end)

  it("commits nothing of a transaction that fails", function()
    local before = conn:db():basis().commit
    local report, message, code = conn:transact { { ["person/name"] = "Eve" }, { ["person/name"] = 5 } }
    assert.is_nil(report)
    assert.equal("TYPE", code)
    assert.matches("item 2", message)
    assert.equal(before, conn:db():basis().commit)
  end)

  it("loads many entities in one transaction", function()
    local data, count = {}, support.many_of(5000)
    for i = 1, count do
      data[i] = { ["person/name"] = "p" .. i, ["person/age"] = i % 100, ["person/nick"] = { "a" .. i, "b" .. i } }
    end
    assert(conn:transact(data))
    local db = conn:db()
    assert.equal(count + 4, db:count("aevt", "person/name"))
    assert.equal(2 * count + 2, db:count("aevt", "person/nick"))
    assert.equal(count / 100, #assert(db:q("[:find ?e :where [?e :person/age 77]]")))
    assert(conn:verify())
  end)

  it("leaves the caller's tables as they were", function()
    local data = { { ["person/name"] = "Eve", ["person/friend"] = { { ["person/name"] = "Fay" } } } }
    local text = rille.edn.encode(data)
    assert(conn:transact(data))
    assert.equal(text, rille.edn.encode(data))
  end)
end)

describe("transaction data that is wrong", function()
  local conn

  before_each(function() conn = support.people() end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  local cases = {
    { "an unknown attribute", { { ["person/nmae"] = "x" } }, "ATTRIBUTE", "did you mean :person/name" },
    { "a value of the wrong type", { { ["person/name"] = 5 } }, "TYPE", "person/name" },
    { "a boolean for a long", { { ["person/age"] = true } }, "TYPE", "person/age" },
    { "a function as a value", { { ["person/age"] = print } }, "TYPE", "function" },
    { "NaN", { { ["person/age"] = 0 / 0 } }, "TYPE", "person/age" },
    { "invalid UTF-8", { { ["person/name"] = "a\255" } }, "TYPE", "string of 2 bytes is not valid UTF%-8 at byte 1" },
    { "one byte of no UTF-8", { { ["person/name"] = "\255" } }, "TYPE", "the string of 1 byte is not valid UTF%-8" },
    { "a list for one value", { { ["person/age"] = { 1, 2 } } }, "TYPE", "cardinality one" },
    { "a map for a plain value", { { ["person/nick"] = { a = 1 } } }, "TYPE", "map" },
    { "an unknown operation", { { "db/ad", 1, "person/age", 1 } }, "TX_SYNTAX", "db/ad" },
    { "a missing argument", { { "db/add", 1, "person/age" } }, "TX_SYNTAX", "db/add" },
    { "too many arguments", { { "db/retractEntity", 1, 2 } }, "TX_SYNTAX", "retractEntity" },
    { "a number in the list", { 5 }, "TX_SYNTAX", "item 1" },
    { "a map without a list", { ["person/name"] = "x" }, "TX_SYNTAX", "list" },
    { "a numeric key", { { [2] = 1 } }, "TX_SYNTAX", "key" },
    { "an entity that is no entity", { { "db/add", true, "person/age", 1 } }, "TX_SYNTAX", "boolean" },
    { "an id that was never given out", { { "db/add", 50000, "person/age", 1 } }, "ENTITY_MISSING", "50000" },
    { "a lookup ref to nobody", { { "db/add", { "person/name", "Nobody" }, "person/age", 1 } }, "ENTITY_MISSING",
      "Nobody" },
    { "a lookup ref that is not unique", { { "db/add", { "person/age", 30 }, "person/nick", "x" } }, "TX_SYNTAX",
      "unique" },
    { "an unknown ident", { { "db/add", ":no/ident", "person/age", 1 } }, "ENTITY_MISSING", "no/ident" },
    { "two values for one", { { ["person/name"] = "Ann", ["person/age"] = 1 },
      { ["person/name"] = "Ann", ["person/age"] = 2 } }, "TX_CONFLICT", "person/age" },
    { "a schema without a type that exists", { { ["db/ident"] = "a/b", ["db/valueType"] = "db.type/strng",
      ["db/cardinality"] = "db.cardinality/one" } }, "ENTITY_MISSING", "strng" },
    { "EDN that is broken", "[{:person/name", "SYNTAX", "1:" },
    { "EDN that is no transaction", "42", "TX_SYNTAX", "" },
  }

  for _, case in ipairs(cases) do
    it("is refused for " .. case[1], function()
      local report, message, code = conn:transact(case[2])
      assert.is_nil(report)
      assert.equal(case[3], code, message)
      assert.matches(case[4], message)
      assert.is_nil(message:find "\n")
    end)
  end

  it("raises when it is neither a table nor text", function()
    assert.matches("list of maps", support.failure(conn.transact, conn, 5))
    assert.is_string(support.failure(conn.transact, conn, nil))
  end)

  it("may not be nested without end", function()
    local own = { ["person/name"] = "x" }
    own["person/friend"] = own
    assert.equal("LIMIT", select(3, conn:transact { own }))
    local list = {}
    list[1] = list
    assert.is_nil((conn:transact { { ["person/friend"] = list } }))
  end)

  it("may not have strings of 100 MB", function()
    local report, message, code = conn:transact { { ["person/name"] = ("x"):rep(100 * 1024 * 1024) } }
    assert.is_nil(report)
    assert.equal("LIMIT", code)
    assert.is_true(#message < 400)
  end)

  it("is refused for what an array has besides its elements", function()
    assert(conn:transact { support.attr("t/tuple", "tuple"), support.attr("t/floats", "floats") })
    local ann = { "person/name", "Ann" }
    local function with_key(array, key, value)
      array[key] = value
      return array
    end
    local function holes() return with_key({ { ["person/name"] = "a" } }, 3, { ["person/name"] = "b" }) end
    local arrays = {
      { "TX_SYNTAX", "transaction data: array has a hole: element 2 is nil", holes() },
      { "TX_SYNTAX", 'key "person/name" ', with_key({ { ["person/name"] = "a" } }, "person/name", "b") },
      { "TYPE", 'person/nick: .*key "b" ', { { ["person/name"] = "a", ["person/nick"] = { "x", b = "y" } } } },
      { "TYPE", "person/nick: .*element 2 is nil", { { ["person/name"] = "a", ["person/nick"] = { "x", nil, "y" } } } },
      { "TX_SYNTAX", 'db/add takes at most 3.*key "extra"', { { "db/add", "x", "person/name", "a", extra = 1 } } },
      { "TX_SYNTAX", "db/add takes at most 3.*key 6", { with_key({ "db/add", "x", "person/name", "a" }, 6, 1) } },
      { "TX_SYNTAX", 'lookup ref.*key "c"', { { ["db/id"] = with_key({ "person/name", "Ann" }, "c", 1),
        ["person/age"] = 1 } } },
      { "TYPE", 't/tuple: .*key "c"', { { "db/add", ann, "t/tuple", with_key({ 1, 2 }, "c", 1) } } },
      { "TYPE", "t/tuple: .*element 2 is nil", { { "db/add", ann, "t/tuple", { 1, nil, 3 } } } },
      { "TYPE", 't/floats: .*key "c"', { { "db/add", ann, "t/floats", with_key({ 1, 2 }, "c", 1) } } },
    }
    for i, case in ipairs(arrays) do
      local report, message, code = conn:db():with(case[3])
      assert.is_nil(report, i)
      assert.equal(case[1], code, message)
      assert.matches(case[2], message)
    end
    local _, message, code = conn:db():entid(with_key({ "person/name", "Ann" }, "c", 1))
    assert.equal("TX_SYNTAX", code)
    assert.matches('key "c"', message)
    assert(conn:db():with { { "db/cas", ann, "person/nick", nil, "x" } }) -- nil in the middle means none
    for _, value in ipairs { { ["person/name"] = "New" }, { 1, 2, 3 }, {} } do
      local report, why, which = conn:db():with { { "db/retract", ann, "person/friend", value } }
      assert.is_nil(report)
      assert.equal("TX_SYNTAX", which)
      assert.matches("db/retract: the value of :person/friend must be", why)
    end
  end)
end)

-- f runs when what this makes is collected.
local function on_collection(f)
  if newproxy then -- luacheck: ignore 113
    getmetatable(newproxy(true)).__gc = f -- luacheck: ignore 113
  else
    setmetatable({}, { __gc = f })
  end
end

describe("a report", function()
  it("has fields with names alone", function()
    local conn = support.people()
    local report = assert(conn:db():with { { ["person/name"] = "Eva" } })
    assert.equal(2, require("rille.core").report_size(report))
    local names = {}
    for name in pairs(report) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "commit", "db_after", "db_before", "instant", "tempids", "tx" }, names)
    assert.equal(2, #report.tx_data)
    assert.equal(2, require("rille.core").report_size(report))
    conn:close()
    support.cleanup()
  end)

  it("has the one instant of its time, however large", function()
    local conn = support.people()
    local bound = 9007199254740992
    local some = { -1, 0, 1, 1700000000000, bound - 1, 1 - bound }
    for _, ms in ipairs(has_integers() and { bound, -bound, bound + 1, -bound - 1, bound * 4 } or {}) do
      some[#some + 1] = ms
    end
    for _, ms in ipairs(some) do
      if ms > 1700000000000 then
        local data = { { ["db/id"] = "datomic.tx", ["db/txInstant"] = rille.instant(ms) } }
        local report = conn:db():with(data)
        if report then assert.is_true(rawequal(report.instant, rille.instant(ms))) end
      end
      local kept = { [rille.instant(ms)] = ms }
      collectgarbage()
      assert.equal(ms, kept[rille.instant(ms)])
      assert.equal(tostring(rille.instant(ms)), tostring(next(kept)))
    end
    local report = assert(conn:transact { { ["person/name"] = "Eva" } })
    assert.is_true(rawequal(report.instant, rille.instant(tostring(report.instant))))
    for _, d in ipairs(report.tx_data) do
      if d.e == report.tx then assert.is_true(rawequal(report.instant, d.v)) end
    end
    conn:close()
    support.cleanup()
  end)

  it("is right whatever transactions are begun by others while it is made, or raised errors before", function()
    local conn, closed = support.people(), support.people()
    closed:close()
    local reports, begun, ran = {}, 0, 0
    local function begin()
      begun = begun + 1
      local name = "N" .. begun
      local data = { { ["person/name"] = name } }
      assert.has_error(function() closed:transact(data) end)
      reports[name] = assert(conn:transact(data))
    end
    for _ = 1, 40 do
      on_collection(function()
        ran = ran + 1
        if ran < 30 then begin() end
      end)
      begin()
      collectgarbage "step"
    end
    collectgarbage()
    assert.is_true(ran > 0 and begun > 40)
    for name, report in pairs(reports) do
      local found
      for _, d in ipairs(report.tx_data) do if d.a == "person/name" then found = d.v end end
      assert.equal(name, found)
      assert.equal(report.commit, report.db_after:basis().commit)
      assert.equal(report.tx, report.db_after:basis().t)
    end
    conn:close()
    support.cleanup()
  end)
end)
