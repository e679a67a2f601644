-- SPDX-License-Identifier: MIT
--
-- What declares an attribute: all combinations of its properties, in both flexibilities; and schemas that change.
local rille = require "rille"
local support = require "spec.support.init"

local random = math.random
local NAME = "x/a"
local PLAIN = 2 ^ 20 -- ids of entities that are not attributes begin here

local CHOICES = {
  { "db/ident", false, NAME },
  { "db/valueType", false, "db.type/long", "db.type/ref", "db.type/tuple" },
  { "db/cardinality", false, "db.cardinality/one", "db.cardinality/many" },
  { "db/unique", false, "db.unique/value", "db.unique/identity" },
  { "db/index", false, true, "no" },
  { "db/isComponent", false, true, "no" },
  { "db/noHistory", false, true, "no" },
}

-- Calls f(map) for every combination; "no" is the value false, false leaves the property out.
local function each_map(f)
  local map = {}
  local function choose(i)
    local choice = CHOICES[i]
    if not choice then return f(map) end
    for j = 2, #choice do
      local value = choice[j]
      if value == false then
        map[choice[1]] = nil
      elseif value == "no" then
        map[choice[1]] = false
      else
        map[choice[1]] = value
      end
      choose(i + 1)
    end
    map[choice[1]] = nil
  end
  choose(1)
end

-- What the manual says comes of the declaration: "attribute", "entity" or "SCHEMA".
local function expected(map, flexibility)
  local more = map["db/unique"] ~= nil or map["db/index"] or map["db/isComponent"] or map["db/noHistory"]
  local declares = map["db/valueType"] ~= nil or map["db/cardinality"] ~= nil or more
  if flexibility == "read" then declares = declares or map["db/ident"] ~= nil end
  if not declares then return "entity" end
  if not map["db/ident"] then return "SCHEMA" end
  if not map["db/valueType"] and flexibility == "write" then return "SCHEMA" end
  if map["db/isComponent"] and map["db/valueType"] ~= "db.type/ref" then return "SCHEMA" end
  return "attribute"
end

local function show(map, flexibility)
  return flexibility .. ": " .. rille.edn.encode(map)
end

-- The attribute takes values of its type, as many as its cardinality says, and is unique or not.
local function check_use(db, map, where)
  local type = map["db/valueType"]
  local a, b = 1, 2
  if type == "db.type/ref" then a, b = ":db/ident", ":db/doc" end
  if type == "db.type/tuple" then a, b = { 1, 2 }, { "x" } end
  local report = assert(db:with { { ["db/id"] = "e", [NAME] = a } }, where)
  local after, e = report.db_after, report.tempids.e
  assert.equal(1, after:count("aevt", NAME), where)
  local many = map["db/cardinality"] == "db.cardinality/many"
  assert.equal(many and 2 or 1, assert(after:with { { "db/add", e, NAME, b } }, where).db_after:count("eavt", e), where)
  local twice, _, code = after:with { { ["db/id"] = "f", [NAME] = a } }
  if map["db/unique"] == "db.unique/value" then
    assert.equal("TX_UNIQUE", code, where)
  else
    assert.equal(map["db/unique"] ~= nil, twice.tempids.f == e, where)
  end
  if map["db/unique"] then assert.equal(e, after:entid { NAME, a }, where) end
  if type == nil then
    for _, value in ipairs { "text", 1.5, true, rille.kw "k", rille.uuid(), { 1, { 2 } }, {} } do
      local other = assert(after:with { { "db/add", "g", NAME, value } }, where)
      assert.same(value, (select(3, other.db_after:datoms("eavt", other.tempids.g, NAME)())), where)
    end
  end
end

describe("a declaration", function()
  after_each(support.cleanup)

  for _, flexibility in ipairs { "write", "read" } do
    it("is what the manual says, whatever it leaves out, with flexibility " .. flexibility, function()
      local conn = assert(rille.create(support.url(), { schema_flexibility = flexibility }))
      local db = conn:db()
      local count = { attribute = 0, entity = 0, SCHEMA = 0 }
      each_map(function(map)
        local where = show(map, flexibility)
        local what = expected(map, flexibility)
        count[what] = count[what] + 1
        if support.stressed and random(10) > 1 then return end
        local declaration = { ["db/id"] = "it" }
        for k, v in pairs(map) do declaration[k] = v end
        local report, message, code = db:with { declaration }
        if what == "SCHEMA" then
          assert.equal("SCHEMA", code, where)
          assert.is_truthy(message:find "db/", where)
          return
        end
        assert(report, where .. ": " .. tostring(message))
        local found = report.db_after:schema()[NAME]
        if what == "attribute" then
          assert.is_true(report.tempids.it < PLAIN, where)
          assert.equal(map["db/valueType"] or "db.type/any", "db.type/" .. found.type, where)
          check_use(report.db_after, map, where)
        else
          assert.is_nil(found, where)
          if map["db/ident"] then
            assert.is_true(report.tempids.it >= PLAIN, where)
            assert.equal("ATTRIBUTE", select(3, report.db_after:with { { [NAME] = 1 } }), where)
          end
        end
      end)
      assert.is_true(count.attribute > 100 and count.SCHEMA > 100 and count.entity > 0)
      conn:close()
    end)
  end

  it("with flexibility read works in the transaction that uses it, and as an enum value", function()
    local conn = assert(rille.create(support.url(), { schema_flexibility = "read" }))
    local db = conn:db()
    for _, data in ipairs {
      "[{:db/ident :color} {:color 3}]", "[{:color 3} {:db/ident :color}]",
      "[{:db/ident :color} {:color [3 [4]]}]", "[{:db/id \"c\" :db/ident :color :color 3}]",
    } do
      assert.equal(1, assert(db:with(data)).db_after:count("aevt", "color"), data)
    end
    assert(conn:transact [=[ [{:db/ident :color/red} {:db/ident :is/color :db/valueType :db.type/ref}] ]=])
    assert(conn:transact [=[ [{:is/color :color/red :name "ball"}] ]=])
    assert.equal("ball", conn:db():q "[:find ?n . :where [?e :is/color :color/red] [?e :name ?n]]")
    assert(conn:transact [=[ [{:color/red 5}] ]=])
    assert.equal("ATTRIBUTE", select(3, conn:transact [=[ [[:db/add "x" :some/_back 5]] ]=]))
    assert(conn:flush())
    assert(conn:verify())
    conn:close()
  end)

  it("of an entity that is there says why it cannot be an attribute", function()
    for _, flexibility in ipairs { "read", "write" } do
      local conn = assert(rille.create(support.url(), { schema_flexibility = flexibility }))
      assert(conn:transact [=[ [{:db/id 3000000 :db/ident :color}] ]=])
      local _, message, code = conn:transact [=[ [{:color 3}] ]=]
      assert.equal(flexibility == "read" and "SCHEMA" or "ATTRIBUTE", code)
      if code == "SCHEMA" then assert.matches("ident of entity 3000000.* not an attribute", message) end
      local properties = { ":db/index true", ":db/cardinality :db.cardinality/one", ":db/valueType :db.type/long" }
      for _, more in ipairs(properties) do
        assert.equal("SCHEMA", select(3, conn:transact(("[{:db/ident :color %s}]"):format(more))), more)
      end
      conn:close()
    end
  end)
end)

describe("a schema that changes", function()
  after_each(support.cleanup)

  local VALUES = {
    ["db/valueType"] = { "db.type/long", "db.type/string", "db.type/ref" },
    ["db/cardinality"] = { "db.cardinality/one", "db.cardinality/many" },
    ["db/unique"] = { "db.unique/value", "db.unique/identity" },
    ["db/index"] = { true, false }, ["db/noHistory"] = { true, false }, ["db/isComponent"] = { true, false },
    ["db/doc"] = { "x" },
  }
  local PROPERTIES = {}
  for name in pairs(VALUES) do PROPERTIES[#PROPERTIES + 1] = name end
  table.sort(PROPERTIES)
  local NAMES = { ":s/a", ":s/b", ":s/c" }

  local function change()
    local name, property = NAMES[random(3)], PROPERTIES[random(#PROPERTIES)]
    local value = VALUES[property][random(#VALUES[property])]
    local what = random(10)
    if what <= 4 then
      local map = { ["db/ident"] = name, [property] = value }
      if random(2) == 1 then map["db/valueType"] = VALUES["db/valueType"][random(3)] end
      return map
    end
    if what <= 6 then return { "db/retract", name, property } end
    if what == 7 then return { "db/retract", name, "db/ident" } end
    if what == 8 then return { "db/retractEntity", name } end
    if what == 9 then return { ["db/id"] = name, ["db/ident"] = NAMES[random(3)] } end
    return { [name] = random(3), ["db/doc"] = "y" }
  end

  -- The schema that is carried on from transaction to transaction is the one that its facts make.
  for _, flexibility in ipairs { "write", "read" } do
    it("is what its facts say, with flexibility " .. flexibility, function()
      local seed = support.seed()
      local done = 0
      for round = 1, support.many_of(20) do
        local conn = assert(rille.create(support.url(), { schema_flexibility = flexibility }))
        for _ = 1, 40 do
          local data = {}
          for i = 1, random(3) do data[i] = change() end
          local report, message, code = conn:transact(data)
          if report then
            done = done + 1
          else
            assert.is_truthy(code:find "^TX_" or code == "SCHEMA" or code == "ATTRIBUTE" or code == "ENTITY_MISSING"
              or code == "TYPE", message)
          end
          if random(5) == 1 then
            assert(conn:flush())
            local good, why = conn:verify()
            assert(good, ("seed %d, round %d: %s"):format(seed, round, tostring(why)))
          end
        end
        conn:close()
      end
      assert.is_true(done > support.many_of(100))
    end)
  end
end)
