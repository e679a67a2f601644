-- SPDX-License-Identifier: MIT
--
-- Databases whose indexes have many leaves, part of them folded into the trees and part not, against a model in plain
-- tables: every way to reach datoms, with few and many keys, and joins of values of the database at different times.
-- RILLE_SEED chooses the first seed, RILLE_CASES how many cases follow on the same data; a failure prints the seed and
-- the query, and `RILLE_SEED=n RILLE_CASES=1` runs that case again.
local rille = require "rille"
local support = require "spec.support.init"
local Facts = require "spec.support.facts"
local random_query = require "spec.support.random_query"

local unpack = table.unpack or unpack
local error, ipairs, math, pairs = error, ipairs, math, pairs -- busted looks long for the globals of a spec
local table, tostring, type = table, tostring, type
local CASES = tonumber(os.getenv "RILLE_CASES") or 150
local SEED = tonumber(os.getenv "RILLE_SEED") or 1
local ENTITIES = 5000
local FIRST_E, STEP = 70000000, 3 -- entity ids of our own, with gaps between them
local STEPS_MAX = 50000 -- of the model; a query that needs more is left out

-- domain: variables of one domain are joined with each other
local ATTRIBUTES = {
  { "n/id", "long", unique = true },
  { "n/name", "string", index = true },
  { "n/rank", "long", index = true },
  { "n/score", "double" },
  { "n/flag", "boolean" },
  { "n/kind", "keyword", index = true },
  { "n/text", "string" },
  { "n/label", "string", many = true, index = true },
  { "n/next", "ref" },
  { "n/tag", "ref", many = true },
  { "n/also", "ref", many = true },
  { "n/lone", "ref" },
}
local by_name, many, refs = {}, {}, {}
for _, a in ipairs(ATTRIBUTES) do
  by_name[a[1]] = a
  many[a[1]] = a.many
  refs[a[1]] = a[2] == "ref" or nil
end

local function e_of(i) return FIRST_E + i * STEP end

-- Entities 1..40 are hubs: most tags are one of them. n/lone refers to ids that nothing else refers to, so that the
-- leaves of VAET behind the hubs hold a single attribute.
local function random_value(rng, a, i)
  local name = a[1]
  if name == "n/id" then return i end
  if name == "n/name" then return "a common prefix of all names/" .. rng:below(300) end
  if name == "n/rank" then return rng:below(61) - 30 end
  if name == "n/score" then return (rng:below(2000) - 1000) / 8 end
  if name == "n/flag" then return rng:chance(50) end
  if name == "n/kind" then return rille.kw("kind/k" .. rng:below(7)) end
  if name == "n/text" then
    return rng:chance(3) and ("long "):rep(250 + rng:below(3)) or "text " .. rng:below(100000)
  end
  if name == "n/label" then return "label-" .. rng:below(40) * rng:below(40) end
  if name == "n/lone" then return e_of(ENTITIES * 2 + i) end
  return e_of(rng:chance(70) and 1 + rng:below(40) or 1 + rng:below(ENTITIES))
end

local function schema()
  local maps = {}
  for i, a in ipairs(ATTRIBUTES) do
    maps[i] = support.attr(a[1], a[2], { ["db/cardinality"] = a.many and "db.cardinality/many" or nil,
      ["db/unique"] = a.unique and "db.unique/identity" or nil, ["db/index"] = a.index or nil })
  end
  return maps
end

local function first_maps(rng, facts, from, to)
  local maps = {}
  for i = from, to do
    local map = { ["db/id"] = e_of(i) }
    for _, a in ipairs(ATTRIBUTES) do
      if a.unique or rng:chance(80) then
        local values, seen = {}, {}
        for j = 1, a.many and 1 + rng:below(3) or 1 do
          local v = random_value(rng, a, i)
          if not seen[v] then values[#values + 1] = v end
          seen[v] = true
          facts:add(e_of(i), a[1], v)
          assert(j)
        end
        map[a[1]] = a.many and values or values[1]
      end
    end
    maps[#maps + 1] = map
  end
  return maps
end

-- Additions, replacements, retractions, whole entities; no two of one transaction meet at the same (e a).
local function random_ops(rng, facts, count)
  local ops, touched = {}, {}
  for _ = 1, count do
    local e, a = e_of(1 + rng:below(ENTITIES)), ATTRIBUTES[2 + rng:below(#ATTRIBUTES - 1)]
    local place = e .. a[1]
    local entity = facts.entities[e]
    if touched[place] or touched[e] == "gone" or not entity then
      place = nil
    elseif rng:chance(1) and not touched[e] and e > e_of(40) then
      ops[#ops + 1] = { "db/retractEntity", e }
      facts:remove_entity(e, refs)
      touched[e] = "gone"
      return ops -- what referred to it is retracted, too: nothing else in this transaction
    elseif entity[a[1]] and rng:chance(40) then
      local v
      for value in pairs(entity[a[1]]) do -- the order of pairs must not matter: the least one
        if v == nil or tostring(value) < tostring(v) then v = value end
      end
      ops[#ops + 1] = { "db/retract", e, a[1], v }
      facts:remove(e, a[1], v)
    else
      local v = random_value(rng, a, (e - FIRST_E) / STEP)
      ops[#ops + 1] = { "db/add", e, a[1], v }
      facts:add(e, a[1], v)
    end
    if place then
      touched[place] = true
      touched[e] = true
    end
  end
  return ops
end

local function reach_entity(ops)
  local last = ops[#ops]
  return last and last[1] == "db/retractEntity"
end

-- Retracting an entity is a transaction of its own.
local function change(conn, rng, facts, count)
  local ops = random_ops(rng, facts, count)
  if reach_entity(ops) then
    local last = table.remove(ops)
    if #ops > 0 then assert(conn:transact(ops)) end
    assert(conn:transact { last })
  elseif #ops > 0 then
    assert(conn:transact(ops))
  end
end

-- {name, db, state}: one database at several times, and one that was never folded into its trees
local function build(seed)
  local rng = random_query.rng(seed)
  local facts, states = Facts.new(many), {}
  local conn = assert(rille.create(support.url(rng:chance(50) and "file" or "mem")))
  local function keep(name, db) states[#states + 1] = { name = name, db = db or conn:db(), state = facts:state() } end
  assert(conn:transact(schema()))
  local half = math.floor(ENTITIES / 2)
  assert(conn:transact(first_maps(rng, facts, 1, half)))
  assert(conn:transact(first_maps(rng, facts, half + 1, ENTITIES)))
  assert(conn:flush())
  keep "in the trees"
  local t
  for i = 1, 60 do
    change(conn, rng, facts, 1 + rng:below(60))
    if i == 30 then
      keep "trees and a little"
      t = conn:db():basis().t
    end
  end
  keep "trees and more"
  local early = states[2].state
  assert(conn:flush())
  for _ = 1, 20 do change(conn, rng, facts, 1 + rng:below(60)) end
  keep "folded twice"
  states[#states + 1] = { name = "as of", db = assert(conn:db():as_of(t)), state = early }
  local ops = random_ops(rng, facts, 40)
  if not reach_entity(ops) then keep("with", assert(conn:db():with(ops)).db_after) end

  local small = Facts.new(many)
  facts = small
  local fresh = assert(rille.create(support.url "mem"))
  assert(fresh:transact(schema()))
  assert(fresh:transact(first_maps(rng, small, 1, math.floor(ENTITIES / 10))))
  for _ = 1, 20 do change(fresh, rng, small, 30) end
  keep("never folded", fresh:db())
  return states
end

-- Whole numbers print alike whether they came as integers or floats.
local function shown(v)
  if type(v) == "number" and math.floor(v) == v then return ("%d"):format(v) end
  return tostring(v)
end

-- ---- datoms ----

local function less(a, b)
  if type(a) == "boolean" then return not a and b end
  return a < b
end

local ORDERS = { eavt = { 1, 2, 3 }, aevt = { 2, 1, 3 }, avet = { 2, 3, 1 }, vaet = { 3, 2, 1 } }

local function in_order(order, ids, x, y)
  for _, part in ipairs(ORDERS[order]) do
    local a, b = x[part], y[part]
    if part == 2 then a, b = ids[a], ids[b] end
    if a ~= b then return less(a, b) end
  end
  return false
end

local function fits(order, fact)
  local a = by_name[fact[2]]
  return a and (order == "eavt" or order == "aevt" or (order == "avet" and (a.unique or a.index or false)) or
    (order == "vaet" and a[2] == "ref"))
end

local function check_datoms(states, rng, describe)
  local s = rng:pick(states)
  local names = { "eavt", "aevt", "avet", "vaet" }
  local order = rng:pick(names)
  local example = rng:pick(s.state.all)
  while not fits(order, example) do example = rng:pick(s.state.all) end
  local prefix = {}
  for i = 1, 1 + rng:below(3) do prefix[i] = example[ORDERS[order][i]] end
  describe(("%s, %s"):format(s.name, order), unpack(prefix))
  local expected, count = {}, 0
  local at = {}
  for i, v in ipairs(prefix) do at[ORDERS[order][i]] = v end
  s.state:match(at[1], at[2], at[3], function(e, a, v)
    if fits(order, { e, a, v }) then
      expected[e .. " " .. a .. " " .. shown(v)] = true
      count = count + 1
    end
  end)
  local ids, found, last = {}, 0, nil
  for name, a in pairs(s.db:schema()) do ids[name] = a.id end
  for e, a, v in s.db:datoms(order, unpack(prefix)) do
    local key = e .. " " .. a .. " " .. shown(v)
    assert(expected[key], "not in the model, or given twice: " .. key:sub(1, 200))
    expected[key] = nil
    found = found + 1
    local fact = { e, a, v }
    assert(not last or in_order(order, ids, last, fact), "out of order: " .. key:sub(1, 200))
    last = fact
  end
  assert.equal(count, found)
  assert.equal(count, s.db:count(order, unpack(prefix)))
end

-- ---- queries ----

local function edn(v)
  if type(v) == "string" then return '"' .. v .. '"' end
  if type(v) == "number" then
    return math.floor(v) == v and ("%d"):format(v) or ("%.17g"):format(v)
  end
  return type(v) == "userdata" and ":" .. v.text or tostring(v)
end

-- EDN of a double has a point, that of a long has none.
local function edn_of(a, v)
  local text = edn(v)
  return a[2] == "double" and not text:find "[.e]" and text .. ".0" or text
end

-- Values of an attribute: mostly some that are there; else others of its type.
-- Refs of one attribute are asked for by what another one refers to, too.
local function some_value(state, rng, a)
  if a[2] == "ref" and rng:chance(30) then a = by_name[rng:pick { "n/next", "n/tag", "n/lone" }] end
  local list = state.by_a[a[1]]
  if list and rng:chance(85) then return rng:pick(list)[3] end
  return random_value(rng, a, ENTITIES + rng:below(1000))
end

local function some_entity(rng) return e_of(1 + rng:below(ENTITIES + 50)) end

local function distinct(list)
  local seen, out = {}, {}
  for _, v in ipairs(list) do
    if not seen[v] then out[#out + 1] = v end
    seen[v] = true
  end
  return out
end

local Case = {}
Case.__index = Case

function Case:source()
  return self.rng:chance(70) and "$" or "$b"
end

function Case:pattern(source, e, a, v)
  local function text(term, attr) return term.var or attr and edn_of(attr, term.const) or edn(term.const) end
  self.where[#self.where + 1] = ("[%s %s :%s %s]"):format(source, text(e), a[1], text(v, a))
  self.clauses[#self.clauses + 1] = { state = self.states[source].state, e = e, a = a[1], v = v }
  for term, domain in pairs { [e] = "ref", [v] = a[2] } do
    if term.var and not self.domains[term.var] then
      self.domains[term.var] = domain
      self.vars[#self.vars + 1] = term.var
    end
  end
end

function Case:new_var()
  self.var_count = self.var_count + 1
  return { var = "?v" .. self.var_count }
end

function Case:var_of(domain)
  local fitting = {}
  for _, name in ipairs(self.vars) do
    if self.domains[name] == domain then fitting[#fitting + 1] = name end
  end
  return #fitting > 0 and { var = self.rng:pick(fitting) } or nil
end

-- Keys come as a constant, a value, a few values, many values, or not at all.
function Case:keys(state, a, v)
  local rng = self.rng
  local how = rng:below(5)
  local function one()
    if a then return some_value(state, rng, a) end
    return some_entity(rng)
  end
  if how == 0 then return { const = one() } end
  if how == 1 then
    self.ins[#self.ins + 1], self.args[#self.args + 1] = v.var, one()
    self.inputs[v.var] = { self.args[#self.args] }
  elseif how < 4 then
    local list = {}
    for i = 1, how == 2 and 1 + rng:below(5) or 300 + rng:below(3000) do list[i] = one() end
    if rng:chance(30) then table.sort(list, function(x, y) return less(x, y) end) end
    self.ins[#self.ins + 1], self.args[#self.args + 1] = ("[%s ...]"):format(v.var), list
    self.inputs[v.var] = distinct(list)
  else
    return v
  end
  self.domains[v.var] = a and a[2] or "ref"
  self.vars[#self.vars + 1] = v.var
  return v
end

function Case:begin()
  local source, a = self:source(), self.rng:pick(ATTRIBUTES)
  local state = self.states[source].state
  local e, v = self:new_var(), self:new_var()
  if self.rng:chance(40) then e = self:keys(state, nil, e) else v = self:keys(state, a, v) end
  if e.const and v.const then v = self:new_var() end
  self:pattern(source, e, a, v)
end

function Case:extend()
  local rng, source = self.rng, self:source()
  local a = rng:pick(ATTRIBUTES)
  local e = self:var_of "ref"
  if e and rng:chance(70) then
    local v = rng:chance(20) and { const = some_value(self.states[source].state, rng, a) } or self:new_var()
    if a[2] ~= "double" and rng:chance(15) then v = self:var_of(a[2]) or v end
    self:pattern(source, e, a, v)
  else
    local name = rng:pick(self.vars)
    local fitting = {}
    for _, b in ipairs(ATTRIBUTES) do
      if b[2] == self.domains[name] then fitting[#fitting + 1] = b end
    end
    self:pattern(source, self:new_var(), rng:pick(fitting), { var = name })
  end
end

local COMPARE = {
  ["<"] = function(x, y) return x < y end,
  [">="] = function(x, y) return x >= y end,
  ["not="] = function(x, y) return x ~= y end,
}

function Case:compare()
  local var = self:var_of(self.rng:chance(50) and "long" or "double")
  if not var then return end
  local op, c = self.rng:pick { "<", ">=", "not=" }, self.rng:below(41) - 20
  local text = self.domains[var.var] == "double" and ("%d.0"):format(c) or ("%d"):format(c)
  self.where[#self.where + 1] = ("[(%s %s %s)]"):format(op, var.var, text)
  self.clauses[#self.clauses + 1] = { test = function(env) return COMPARE[op](env[var.var], c) end }
end

function Case:negate()
  local rng, var, a, source = self.rng, self:var_of "ref", self.rng:pick(ATTRIBUTES), self:source()
  if not var then return end
  local state = self.states[source].state
  local c = rng:chance(60) and { const = some_value(state, rng, a) } or nil
  self.where[#self.where + 1] = ("(not [%s %s :%s %s])"):format(source, var.var, a[1], c and edn_of(a, c.const) or "_")
  self.clauses[#self.clauses + 1] = { test = function(env)
    local found = false
    local value = c and c.const -- `false` is a value, too
    state:match(env[var.var], a[1], nil, function(_, _, v) found = found or not c or v == value end)
    return not found
  end }
end

local function new_case(states, rng)
  local case = setmetatable({ rng = rng, states = { ["$"] = rng:pick(states), ["$b"] = rng:pick(states) }, where = {},
    clauses = {}, domains = {}, vars = {}, var_count = 0, ins = { "$", "$b" }, args = {}, inputs = {} }, Case)
  case.args[1], case.args[2] = case.states["$"].db, case.states["$b"].db
  case:begin()
  for _ = 1, rng:below(4) do case:extend() end
  if rng:chance(25) then case:compare() end
  if rng:chance(20) then case:negate() end
  return case
end

-- Rows of the model as keys; nil where they are too many.
function Case:expected(find)
  local rows, count, steps = {}, 0, 0
  local names = {}
  for name in pairs(self.inputs) do names[#names + 1] = name end
  local function emit(env)
    local row = {}
    for i, name in ipairs(find) do row[i] = shown(env[name]) end
    local key = table.concat(row, "\1")
    if not rows[key] then count = count + 1 end
    rows[key] = true
    steps = steps + 1
    if steps > STEPS_MAX then error("too many", 0) end
  end
  local function each_input(i, env)
    if not names[i] then return Facts.solve(self.clauses, env, emit) end
    for _, v in ipairs(self.inputs[names[i]]) do
      env[names[i]] = v
      each_input(i + 1, env)
    end
    env[names[i]] = nil
  end
  local ok, message = pcall(each_input, 1, {})
  if not ok and message == "too many" then return nil end
  assert(ok, message)
  return rows, count
end

local function check_query(states, rng, describe)
  local case = new_case(states, rng)
  local find = {}
  for _, name in ipairs(case.vars) do
    if #find == 0 or rng:chance(70) then find[#find + 1] = name end
  end
  local aggregate = rng:chance(15) and #find > 1
  local query = ("[:find %s :in %s :where %s]"):format(table.concat(find, " "), table.concat(case.ins, " "),
    table.concat(case.where, " "))
  describe(query, case.states["$"].name, case.states["$b"].name)
  local rows, count = case:expected(find)
  if not rows then return false end
  local result = assert(rille.q(query, unpack(case.args)))
  local found = 0
  for i = 1, #result do
    local row = result[i]
    for c = 1, #find do row[c] = shown(row[c]) end
    local key = table.concat(row, "\1")
    assert(rows[key], "not in the model, or given twice: " .. key:sub(1, 200))
    rows[key] = nil
    found = found + 1
  end
  assert.equal(count, found)
  if aggregate then
    local groups = {}
    for i = 1, #result do
      local first = shown(result[i][1])
      groups[first] = (groups[first] or 0) + 1
    end
    local counted = assert(rille.q((query:gsub("^%[:find .- :in", ("[:find %s (count %s) :with %s :in"):format(find[1],
      find[#find], table.concat(find, " ", 2)))), unpack(case.args)))
    for i = 1, #counted do
      local first = shown(counted[i][1])
      assert.equal(groups[first], counted[i][2])
      groups[first] = nil
    end
    assert.is_nil(next(groups))
  end
  return true
end

local function check_closure(states, rng, describe)
  local s = rng:pick(states)
  local start = some_entity(rng)
  describe("closure over n/next", s.name, start)
  local reached, queue = {}, { start }
  while #queue > 0 do
    s.state:match(table.remove(queue), "n/next", nil, function(_, _, v)
      if not reached[v] then
        reached[v] = true
        queue[#queue + 1] = v
      end
    end)
  end
  local found = assert(rille.q([=[ [:find [?y ...] :in $ % ?x :where (reach ?x ?y)] ]=], s.db,
    [=[ [[(reach ?x ?y) [?x :n/next ?y]] [(reach ?x ?y) [?x :n/next ?z] (reach ?z ?y)]] ]=], start))
  for _, e in ipairs(found) do
    assert(reached[e], "not in the model, or given twice: " .. e)
    reached[e] = nil
  end
  assert.is_nil(next(reached))
end

local function check_entid(states, rng, describe)
  local s = rng:pick(states)
  local id = 1 + rng:below(ENTITIES + 20)
  describe("entid", s.name, id)
  local expected
  s.state:match(nil, "n/id", id, function(e) expected = e end)
  assert.equal(expected, (s.db:entid { "n/id", id }))
end

describe("large databases", function()
  local states
  setup(function() states = build(SEED) end)
  teardown(function()
    states = nil
    support.cleanup()
  end)

  -- A leaf of VAET with one attribute says nothing about another one.
  it("keep attributes apart that refer to different entities", function()
    local query = "[:find ?e ?t :in $ [?t ...] :where [?e :%s ?t]]"
    for _, s in ipairs(states) do
      for _, count in ipairs { 3, 2000 } do
        local targets, expected = {}, {}
        for i = 1, count do
          local t = random_value({}, by_name["n/lone"], i)
          targets[i] = t
          s.state:match(nil, "n/lone", t, function(e) expected[e] = t end)
        end
        assert.equal(0, #assert(rille.q(query:format "n/next", s.db, targets)))
        assert.equal(0, #assert(rille.q(query:format "n/tag", s.db, targets)))
        for e, t in assert(rille.q(query:format "n/lone", s.db, targets)):rows() do
          assert.equal(expected[e], t)
          expected[e] = nil
        end
        assert.is_nil(next(expected))
      end
    end
  end)

  it("answer as the model does", function()
    local asked = 0
    for seed = SEED, SEED + CASES - 1 do
      local rng = random_query.rng(seed)
      local kind, told = rng:below(100), nil
      local check = kind < 15 and check_datoms or kind < 20 and check_entid or kind < 25 and check_closure
        or check_query
      local ok, message = pcall(check, states, rng, function(...)
        told = {}
        for i = 1, select("#", ...) do told[i] = tostring((select(i, ...))):sub(1, 2000) end
      end)
      if not ok then
        error(("seed %d: %s\n%s"):format(seed, table.concat(told or {}, " | "), tostring(message)), 0)
      end
      asked = asked + (message == false and 0 or 1)
    end
    assert(CASES < 50 or asked > CASES / 2, "most queries were too large for the model")
  end)
end)
