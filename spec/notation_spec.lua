-- SPDX-License-Identifier: MIT
--
-- Transactions written twice, as Lua data and as EDN text: they must do the same, or fail the same.
--
-- RILLE_NOTATION_CASES sets how many random transactions are compared.
local rille = require "rille"
local support = require "spec.support.init"

local attr, many, identity = support.attr, support.many, support.identity
local null, edn = rille.null, rille.edn
local random = math.random

local TYPES = { "boolean", "long", "double", "bigint", "bigdec", "instant", "uuid", "keyword", "symbol", "string",
  "bytes", "tuple", "floats" }
local UNIQUE_VALUE = { ["db/unique"] = "db.unique/value" }

local function schema()
  local all = {
    attr("k", "string", identity), attr("p/k", "long", identity), attr("u", "keyword", UNIQUE_VALUE),
    attr("ru", "ref", identity), attr("boss", "ref"), attr("p/friend", "ref", many),
    attr("part", "ref", { ["db/isComponent"] = true, ["db/cardinality"] = "db.cardinality/many" }),
    attr("only", "ref", { ["db/isComponent"] = true }), { ["db/ident"] = "color/red" },
  }
  for _, type in ipairs(TYPES) do
    all[#all + 1] = attr("one/" .. type, type)
    all[#all + 1] = attr("many-" .. type, type, many)
  end
  return all
end

-- A node is {lua = value, edn = text}.
local function node(lua, text) return { lua = lua, edn = text } end
local function pick(list) return list[random(#list)] end

local UUIDS = { "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "123e4567-e89b-12d3-a456-426614174000" }

local SCALARS = {
  boolean = function()
    local v = random(2) == 1
    return node(v, tostring(v))
  end,
  long = function()
    local v = random(-3, 3)
    return node(v, tostring(v))
  end,
  double = function() return pick { node(0.5, "0.5"), node(-2.25, "-2.25"), node(1 / 0, "##Inf"), node(3, "3") } end,
  bigint = function()
    local text = pick { "12345678901234567890", "-98765432109876543210", "7" }
    return node(rille.bigint(text), text .. "N")
  end,
  bigdec = function()
    local text = pick { "1.5", "-0.25", "3" }
    return node(rille.bigdec(text), text .. "M")
  end,
  instant = function()
    local text = pick { "2020-01-01T00:00:00Z", "1969-05-05T01:02:03Z" }
    return node(rille.instant(text), '#inst "' .. text .. '"')
  end,
  uuid = function()
    local text = pick(UUIDS)
    return node(rille.uuid(text), '#uuid "' .. text .. '"')
  end,
  keyword = function()
    local text = pick { "a", "b/c", "color/red" }
    return node(rille.kw(text), ":" .. text)
  end,
  symbol = function()
    local text = pick { "s", "n/s" }
    return node(rille.sym(text), text)
  end,
  string = function()
    local text = pick { "", "x", "ä\n\"", ("long"):rep(400), ":c" }
    return node(text, edn.encode(text))
  end,
  bytes = function()
    local v = rille.bytes(pick { "", "\0\255", ("\1"):rep(1500) })
    return node(v, edn.encode(v))
  end,
}

local function join(nodes, open, close)
  local lua, texts = {}, {}
  for i, n in ipairs(nodes) do
    lua[i] = n.lua
    texts[i] = n.edn
  end
  return node(lua, open .. table.concat(texts, " ") .. close)
end

local function short_scalar()
  local scalar
  repeat scalar = SCALARS[TYPES[random(11)]]() until #scalar.edn < 200 -- a tuple has at most 1,024 bytes
  return scalar
end

local function tuple(depth)
  local nodes = {}
  for i = 1, random(0, 3) do
    local what = random(8)
    nodes[i] = what == 1 and depth < 4 and tuple(depth + 1) or what == 2 and node(null, "nil")
      or short_scalar()
  end
  return join(nodes, "[", "]")
end

local function floats()
  local nodes = {}
  for i = 1, random(0, 3) do nodes[i] = pick { node(0.5, "0.5"), node(2, "2"), node(-1 / 0, "##-Inf") } end
  local list = join(nodes, "[", "]")
  return random(3) > 1 and list or node(edn.tagged("rille/floats", list.lua), "#rille/floats " .. list.edn)
end

local function value_of(type)
  if type == "tuple" then return tuple(1) end
  if type == "floats" then return floats() end
  return SCALARS[type]()
end

-- One that is of no type, or of another one. What Lua data converts is left out.
local function wrong_value()
  return pick {
    node(null, "nil"), node(edn.set { true, false }, "#{true false}"), node(edn.map {}, "{}"),
    node(edn.char "a", "\\a"), node(edn.tagged("t", 1), "#t 1"), node(0 / 0, "##NaN"), node({ { { 1 } } }, "[[[1]]]"),
    node(edn.list { true }, "(true)"),
  }
end

local Gen = {}
Gen.__index = Gen

function Gen.new(ids)
  return setmetatable({ ids = ids, depth = 0 }, Gen)
end

-- Attribute names are strings in Lua, with a colon or not, or keywords; in EDN keywords or strings.
function Gen:name(text)
  return node(pick { text, text, ":" .. text, rille.kw(text) }, random(8) == 1 and '"' .. text .. '"' or ":" .. text)
end

function Gen:key_value(name)
  if name == "k" then return pick { node("a", '"a"'), node("b", '"b"'), node("zz", '"zz"') } end
  return name == "p/k" and node(1, "1") or node(rille.kw "q", ":q")
end

function Gen:lookup()
  if random(6) == 1 then
    local inner = self:entity()
    return node({ "ru", inner.lua }, "[:ru " .. inner.edn .. "]")
  end
  local name = pick { "k", "p/k", "u" }
  local value = self:key_value(name)
  return node({ pick { name, ":" .. name, rille.kw(name) }, value.lua }, ("[:%s %s]"):format(name, value.edn))
end

function Gen:entity()
  local what = random(20)
  if what <= 5 then
    local name = pick { "t1", "t2", "t3" }
    return node(name, '"' .. name .. '"')
  elseif what <= 7 then
    local id = -random(2)
    return node(id, tostring(id))
  elseif what <= 11 then
    local id = pick(self.ids)
    return node(id, tostring(id))
  elseif what <= 15 then
    return self:lookup()
  elseif what == 16 then
    return node(rille.kw "color/red", ":color/red")
  elseif what == 17 then
    return node(":color/red", '":color/red"')
  elseif what == 18 then
    return pick { node("datomic.tx", '"datomic.tx"'), node("db/current-tx", ":db/current-tx") }
  elseif what == 19 then
    local id = 3000000 + random(3)
    return node(id, tostring(id))
  end
  return pick { node(0, "0"), node(true, "true"), node(null, "nil"), node(rille.kw "no/such", ":no/such"),
    node(50000, "50000"), node({ "k" }, '["k"]'), node(1.5, "1.5"), node(edn.map { [rille.kw "k"] = "m" }, '{:k "m"}'),
    node({ rille.kw "one/long", 1 }, "[:one/long 1]"), node(2 ^ 40 - 1, "1099511627775") }
end

function Gen:target(many_values)
  local what = random(10)
  if what <= 2 and self.depth < 3 then return self:map() end
  if what <= 4 and many_values then
    local nodes = {}
    for i = 1, random(0, 3) do nodes[i] = self:target(false) end
    return join(nodes, "[", "]")
  end
  return self:entity()
end

function Gen:attribute()
  local what = random(8)
  if what == 1 then return "k", "key" end
  if what == 2 then return pick { "p/k", "u" }, "key" end
  if what == 3 then return pick { "boss", "only", "ru" }, "ref" end
  if what == 4 then return pick { "p/friend", "part" }, "ref", true end
  if what == 5 and random(8) == 1 then return pick { "no/such", "one/lon", "nope" }, "string" end
  local type = pick(TYPES)
  if random(2) == 1 then return "one/" .. type, type end
  return "many-" .. type, type, true
end

-- A value in a map (`listed`: may be a list of values), or of an operation.
function Gen:value(name, kind, many_values, listed)
  if random(40) == 1 then return wrong_value() end
  if kind == "ref" then return self:target(many_values and listed) end
  if kind == "key" then return self:key_value(name) end
  if many_values and listed and random(2) == 1 then
    local nodes = {}
    for i = 1, random(0, 3) do nodes[i] = value_of(kind) end
    return join(nodes, "[", "]")
  end
  return value_of(kind)
end

-- Entries in EDN come in the order in which the table gives them: new ids are numbered in the order of appearance.
function Gen:map()
  self.depth = self.depth + 1
  local lua, entries = {}, {}
  local function put(key, value)
    lua[key.lua] = value.lua
    entries[key.lua] = key.edn .. " " .. value.edn
  end
  if random(2) == 1 then put(node(pick { "db/id", ":db/id", rille.kw "db/id" }, ":db/id"), self:entity()) end
  local seen = {}
  for _ = 1, random(0, 4) do
    local name, kind, many_values = self:attribute()
    if not seen[name] then
      seen[name] = true
      if kind == "ref" and random(3) == 1 then
        local back = name:find "/" and name:gsub("/", "/_") or "_" .. name
        put(self:name(back), self:target(true))
      else
        put(self:name(name), self:value(name, kind, many_values, true))
      end
    end
  end
  local texts = {}
  for key in pairs(lua) do texts[#texts + 1] = entries[key] end
  self.depth = self.depth - 1
  local marked = next(lua) == nil or random(4) == 1
  return node(marked and edn.map(lua) or lua, "{" .. table.concat(texts, " ") .. "}")
end

function Gen:operation()
  local name, kind, many_values = self:attribute()
  local op = pick { "db/add", "db/add", "db/retract", "db/cas", "db/retractEntity", "db.fn/retractAttribute",
    "db/retractAttribute", "db.fn/cas", "db/nothing" }
  local nodes = { node(op, ":" .. op), self:entity() }
  if not op:find "Entity" then nodes[3] = self:name(name) end
  if op == "db/add" or op == "db/retract" and random(4) > 1 then nodes[4] = self:value(name, kind, many_values) end
  if op:find "cas" then
    nodes[4] = random(4) == 1 and node(null, "nil") or self:value(name, kind, many_values)
    nodes[5] = self:value(name, kind, many_values)
  end
  if random(30) == 1 then nodes[#nodes] = nil end
  if random(60) == 1 then nodes[#nodes + 1] = node(true, "true") end
  return join(nodes, "[", "]")
end

function Gen:transaction()
  local nodes = {}
  for i = 1, random(4) do
    local what = random(12)
    nodes[i] = what == 1 and node(null, "nil") or what <= 5 and self:operation() or self:map()
  end
  if random(60) == 1 then nodes[#nodes + 1] = pick { node(5, "5"), node("x", '"x"'), node(edn.set { 1 }, "#{1}") } end
  return join(nodes, "[", "]")
end

-- ---- comparing ----

local function datoms_of(report)
  local all = {}
  for i, d in ipairs(report.tx_data) do
    if d.a ~= "db/txInstant" then all[i] = edn.encode { d.e, d.a, d.v, d.added } else all[i] = "instant" end
  end
  return table.concat(all, "\n")
end

local function tempids_of(report)
  local all = {}
  for name, e in pairs(report.tempids) do all[#all + 1] = ("%s=%s"):format(tostring(name), tostring(e)) end
  table.sort(all)
  return table.concat(all, " ")
end

-- The message without what it quotes of the data.
local function plain(message)
  message = message:gsub("item (%d+): .* in transaction data: expected", "item %1: FORM in transaction data: expected")
  message = message:gsub("db[%w./]* takes at most .* arguments, .*$", "FORM in transaction data: expected SHAPE")
  message = message:gsub("expected [%[{].*$", "expected SHAPE"):gsub("(:[^ ]*): .* is a ", "%1: FORM is a ")
  message = message:gsub("(expected an? %w+): .*$", "%1")
  message = message:gsub("element %d+ is .*, but", "element is FORM, but")
  return (message:gsub("db/retract: .*$", "db/retract"))
end

local function outcome(report, message, code)
  if report then return "done\n" .. tempids_of(report) .. "\n" .. datoms_of(report) end
  return code .. "\n" .. plain(message)
end

-- An operation, driven to its end: the outcome of the ordinary call.
local function finish(op, message, code)
  if op == nil then return outcome(nil, message, code) end
  for _ = 1, 1e6 do
    local state, why, which = op:step(1)
    if state == "need" then assert(op:fetch()) end
    if state == nil then return outcome(nil, why, which) end
    if state == "done" then
      local report = op:result()
      op:close()
      return outcome(report)
    end
  end
  error "the operation does not end"
end

-- All of a database but instants, which the clock gives.
local function content(db)
  local all = {}
  for e, a, v, tx in db:datoms "eavt" do
    all[#all + 1] = edn.encode { e, a, a == "db/txInstant" and "instant" or v, tx }
  end
  return table.concat(all, "\n")
end

describe("a transaction as Lua data and as EDN text", function()
  local conn

  before_each(function()
    conn = assert(rille.create(support.url()))
    assert(conn:transact(schema()))
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  it("does the same, or fails the same", function()
    local seed = support.seed()
    local done, codes = 0, {}
    local cases = tonumber(os.getenv "RILLE_NOTATION_CASES") or support.many_of(3000)
    local ids = {}
    for i = 1, 5 do
      ids[i] = assert(conn:transact { { ["db/id"] = "x", k = ("abcde"):sub(i, i), ["one/long"] = i } }).tempids.x
    end
    local db = conn:db()
    for case = 1, cases do
      local data = Gen.new(ids):transaction()
      local as_lua = outcome(db:with(data.lua))
      local as_edn = outcome(db:with(data.edn))
      assert.equal(as_edn, as_lua, ("seed %d, case %d: %s"):format(seed, case, data.edn))
      local code = as_lua:match "^[^\n]*"
      codes[code] = (codes[code] or 0) + 1
      if code == "done" then
        done = done + 1
        if done % 4 == 0 then
          assert(conn:transact(data.lua))
          db = conn:db()
        end
      end
    end
    if cases >= 1000 then
      local all = { "TX_SYNTAX", "TYPE", "ATTRIBUTE", "ENTITY_MISSING", "TX_CONFLICT", "TX_CAS", "TX_UNIQUE", "LIMIT" }
      for _, code in ipairs(all) do
        assert.is_truthy(codes[code], code .. " was never met")
      end
      assert.is_true(done > cases / 10)
    end
    assert(conn:verify())
  end)

  it("does the same in steps, in both notations, on every storage", function()
    local seed = support.seed()
    local conns, done = { conn }, 0
    for i, wrap in ipairs { "", "deferred:", "deferred:" } do
      conns[i + 1] = assert(rille.create(wrap .. support.plain_url(i == 3 and "file" or "mem")))
      assert(conns[i + 1]:transact(schema()))
    end
    local function everywhere(data)
      return outcome(conns[1]:transact(data.edn)), {
        ["as a table"] = outcome(conns[2]:transact(data.lua)),
        ["text in steps"] = finish(conns[3]:start_transact(data.edn)),
        ["a table in steps"] = finish(conns[4]:start_transact(data.lua)),
      }
    end
    local ids = {}
    for i = 1, 5 do
      local text = ('[{:db/id "x" :k "%s" :one/long %d}]'):format(("abcde"):sub(i, i), i)
      local expected = everywhere(node(edn.decode(text), text))
      ids[i] = tonumber(expected:match "x=(%d+)")
    end
    for case = 1, support.many_of(500) do
      local data = Gen.new(ids):transaction()
      local where = ("seed %d, case %d: %s"):format(seed, case, data.edn)
      local db = conns[3]:db()
      assert.equal(outcome(db:with(data.edn)), finish(db:start_with(data.lua)), where)
      local expected, others = everywhere(data)
      for how, found in pairs(others) do assert.equal(expected, found, how .. ", " .. where) end
      if expected:find "^done" then done = done + 1 end
      if case % 100 == 0 then
        if case % 200 == 0 then assert(conns[4]:flush()) end
        local all = content(conns[1]:db())
        for i = 2, 4 do assert.is_true(content(conns[i]:db()) == all, where .. ", connection " .. i) end
      end
    end
    assert.is_true(support.stressed or done > 50)
    for i = 2, 4 do
      assert(conns[i]:verify())
      conns[i]:close()
    end
  end)

  it("takes every datom as it was read", function()
    local x = assert(conn:transact {
      { ["db/id"] = "x", k = "x", u = rille.kw "q", ["p/friend"] = { "datomic.tx", 1 } },
    })
    local seed = support.seed()
    for round = 1, support.many_of(40) do
      local map = { ["db/id"] = x.tempids.x }
      for _, type in ipairs(TYPES) do
        if random(4) > 1 then map["one/" .. type] = value_of(type).lua end
        local values = {}
        for i = 1, random(3) do values[i] = value_of(type).lua end
        if next(values) and not (type == "tuple" or type == "floats") or type == "tuple" and #values[1] == 0 then
          map["many-" .. type] = values
        end
      end
      assert(conn:transact { map })
      local db = conn:db()
      local data, back = {}, {}
      for e, a, v in db:datoms "eavt" do
        data[#data + 1] = { "db/add", e, a, v }
        if e == x.tempids.x then back[#back + 1] = { "db/retract", e, a, v } end
      end
      local where = ("seed %d, round %d"):format(seed, round)
      for _, form in ipairs { data, (edn.encode(data):gsub('%["db/add" (%d+) "([^"]*)"', "[:db/add %1 :%2")) } do
        local report, message = db:with(form)
        assert(report, message, where)
        assert.equal(1, #report.tx_data, where) -- nothing but its own instant
      end
      local report = assert(db:with(back))
      assert.equal(#back + 1, #report.tx_data, where)
      assert.equal(0, report.db_after:count("eavt", x.tempids.x), where)
      report = assert(db:with((edn.encode(back):gsub('%["db/retract" (%d+) "([^"]*)"', "[:db/retract %1 :%2"))))
      assert.equal(#back + 1, #report.tx_data, where)
    end
  end)
end)
