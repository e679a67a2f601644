-- SPDX-License-Identifier: MIT
--
-- A random case, data and a query, by its seed: the engine against the naive evaluator, with the databases wherever
-- they are. A failure prints the seed and the query.
local luassert = require "luassert"
local rille = require "rille"
local support = require "spec.support.init"
local naive = require "spec.support.naive"
local notations = require "spec.support.notations"
local random_query = require "spec.support.random_query"

local unpack = table.unpack or unpack
local ipairs, math, pairs, type = ipairs, math, pairs, type -- busted looks long for the globals of a spec
local at_rest = support.at_rest
local make_case, make_db = at_rest(random_query.case), at_rest(naive.db)
local lenient, as_written = at_rest(naive.lenient), at_rest(naive.as_written)
local check, serialise = at_rest(naive.check), at_rest(naive.serialise)

local M = {}

-- As the naive evaluator has it: tuples and keywords are marked, values that it does not know are text.
local function plain(value)
  if type(value) == "userdata" then
    return rille.value_type(value) == "keyword" and naive.kw(value.text) or "#" .. tostring(value)
  end
  if math.type and math.type(value) == "float" then return naive.double(value) end
  if type(value) ~= "table" then return value end
  local out = {}
  for i, item in ipairs(value) do out[i] = plain(item) end
  return naive.tuple(out)
end

local function plain_rows(kind, value)
  if kind == "coll" then
    local rows = {}
    for i, item in ipairs(value) do rows[i] = { plain(item) } end
    return rows
  end
  local rows = {}
  for i = 1, #value do
    local row = {}
    for c, item in ipairs(value[i]) do row[c] = plain(item) end
    rows[i] = row
  end
  return rows
end

-- Entities as maps; refs are tempids where the entity is in the same transaction, else lookup refs.
local function maps_of(source, from, to)
  local maps = {}
  for i = from, to do
    local e = source.entities[i]
    local map = { ["db/id"] = "e" .. e.id }
    for name, values in pairs(e) do
      if name ~= "id" then
        local list = {}
        for j, v in ipairs(values) do
          if type(v) == "table" and v.ref then
            v = v.ref >= from and v.ref <= to and "e" .. v.ref or { "item/id", v.ref }
          end
          list[j] = name == "db/ident" and rille.kw(v) or notations.to_lua(v)
        end
        if #list == 1 and name ~= "item/tus" then map[name] = list[1] else map[name] = list end
      end
    end
    maps[#maps + 1] = map
  end
  return maps
end

-- The same entities in one transaction or in several, flushed or not, as the seed says.
local function load(case, source, rng, place)
  local conn = assert(rille.create(place.url, place.options))
  assert(conn:transact(support.schema_of(case)))
  local count = #source.entities
  if rng:chance(50) then
    assert(conn:transact(maps_of(source, 1, count)))
  else
    local names = {}
    for i = 1, count do names[i] = { ["item/id"] = i } end
    assert(conn:transact(names))
    if rng:chance(50) then assert(conn:flush()) end
    local half = math.floor(count / 2)
    assert(conn:transact(maps_of(source, 1, half)))
    if rng:chance(30) then assert(conn:flush()) end
    assert(conn:transact(maps_of(source, half + 1, count)))
  end
  if rng:chance(30) then assert(conn:flush()) end
  local db = conn:db()
  conn:close()
  return db, function(id) return assert(db:entid { "item/id", id }) end
end

-- The model's database: the facts of the case, and the datoms that every database has (its schema, its transactions).
local function model_of(source, db, e_of)
  local rows, idents = random_query.rows(source, e_of), {}
  for e, a, v, tx in db:datoms "eavt" do
    if not a:find "^item/" then
      rows[#rows + 1] = { e, a, plain(v), tx }
      if a == "db/ident" then idents[v.text] = e end
    end
  end
  local function having(clause)
    local set = {}
    for _, ident in ipairs(assert(rille.q(("[:find [?i ...] :where %s [?a :db/ident ?i]]"):format(clause), db))) do
      set[ident.text] = true
    end
    return set
  end
  local types = {}
  local typed = assert(rille.q("[:find ?i ?t :where [?a :db/valueType ?v] [?v :db/ident ?t] [?a :db/ident ?i]]", db))
  for _, row in ipairs(typed:to_table()) do
    types[row[1].text] = row[2].text:match "[^/]+$"
  end
  return make_db(rows, { types = types, idents = idents, attr_ids = idents,
    refs = having "[?a :db/valueType :db.type/ref]", unique = having "[?a :db/unique _]" })
end

-- Names of entities and attributes, for the engine and for the model.
local function add_names(case, engine, model, e_of)
  for name, list in pairs { ["?who"] = case.who, ["?at"] = case.at, ["?val"] = case.val } do
    engine[name], model[name] = {}, {}
    for i, item in ipairs(list) do
      local value = item.id and e_of(item.id) or item.value
      engine[name][i], model[name][i] = notations.to_lua(value), value
    end
  end
end

local function in_specs(rng)
  local kinds = { "mem", "mem", "mem", "file" }
  return { url = support.url(kinds[rng:below(4) + 1]) }
end

---Runs a case. options, all of which may be missing: place(rng) --> {url =, options =}, where a database is made, and
---maybe open = a function that opens it again for the queries; ask(query, ...), instead of rille.q; about, for
---messages.
function M.run(seed, options)
  options = options or {}
  local case = make_case(seed)
  local rng = random_query.rng(seed + 7)
  local engine = { ["$r"] = case.relation, ["%"] = case.rules, ["?min"] = case.min }
  local model = { ["$r"] = naive.rel(case.relation), ["%"] = case.rules, ["?min"] = case.min }
  local places = {}
  for _, source in ipairs(case.sources) do
    places[source.name] = (options.place or in_specs)(rng)
    local db, e_of = load(case, source, rng, places[source.name])
    engine[source.name], model[source.name] = db, model_of(source, db, e_of)
    if source.name == "$" then add_names(case, engine, model, e_of) end
  end
  for name, place in pairs(places) do
    if place.open then engine[name] = place.open() end
  end
  local a, b = {}, {}
  for i, name in ipairs(case.inputs) do a[i], b[i] = engine[name], model[name] end
  local fine, expected = pcall(lenient, case.query, unpack(b))
  local fails -- as it is written: worked out when it is asked for
  support.in_all_ways(case.query, function(query, how)
    local value, message, code = (options.ask or rille.q)(query, unpack(a))
    local where = ("seed %d, %s%s: %s"):format(seed, how, options.about or "", query)
    if not fine then
      assert(type(expected) == "table", where .. ": the model broke: " .. tostring(expected))
      luassert.equal(expected.code, code, where)
      return
    end
    if value == nil then
      if fails == nil then fails = not pcall(as_written, case.query, unpack(b)) end
      assert(fails and (code == "TYPE" or code == "FUNCTION"), where .. ": " .. tostring(message))
      return
    end
    local rows = plain_rows(expected.kind, value)
    local right, why = check(expected, rows)
    if not right then
      error(("%s\n  %s\n  expected\n%s"):format(where, why, serialise(expected.rows)), 0)
    end
    if math.type and #rows == #expected.rows then -- where a double can be told from a long
      luassert.equal(serialise(expected.rows, true), serialise(rows, true), where)
    end
  end)
end

return M
