-- SPDX-License-Identifier: MIT
--
-- Random schemas, data and queries, made from a seed: the same in every Lua.
--
--   local case = random_query.case(seed)
--   case.schema    {{ident = "item/n", type = "long", many = false, unique = nil | "identity", index = bool}, ...}
--   case.sources   for $ and $b: {name, entities = {{id = 1, ["item/n"] = {5, 6}, ...}, ...}}; ids count from 1;
--                  values are lists; a ref is {ref = id}; some have a "db/ident".
--                  Facts to load by the means of the one who tests:
--   random_query.rows(source, e_of)   -> the rows {e, attr, v} of the naive evaluator; e_of: id -> entity id
--   case.relation  rows {number, string} for $r
--   case.rules, case.query, case.inputs
--                  text, text, and the names of the inputs in order: "$", "$b", "$r", "%", "?min", "?who", "?at",
--                  "?val"
--   case.min       the value of ?min
--   case.who       for [?who ...], entities of $ by name: {value = v} | {id = id}
--   case.at        for [?at ...], names of attributes: {value = v}
--   case.val       for [?val ...], what may be a name or not: {value = v}
--
-- Values are those of the naive evaluator: keywords and tuples are marked.
--
-- Queries ask for what can be: every variable is bound by a pattern, comparisons see one type, and clauses hang
-- together, so that results stay small. Entities are named by lookup refs, never by numbers.
local edn = require "spec.support.edn_lite"
local base = require "spec.support.naive_functions"

local M = {}
local kw, tuple = edn.kw, base.tuple

local A, MODULUS = 16807, 2147483647

local Rng = {}
Rng.__index = Rng

function Rng:below(n)
  self.state = self.state * A % MODULUS
  return math.floor(self.state / MODULUS * n)
end
function Rng:chance(percent) return self:below(100) < percent end
function Rng:pick(list) return list[self:below(#list) + 1] end
function Rng:shuffle(list)
  for i = #list, 2, -1 do
    local j = self:below(i) + 1
    list[i], list[j] = list[j], list[i]
  end
  return list
end

function M.rng(seed)
  local rng = setmetatable({ state = seed % (MODULUS - 1) + 1 }, Rng)
  for _ = 1, 3 do rng:below(2) end
  return rng
end

-- ---- data ----

-- The last two are stored apart from their datoms.
local TEXTS = { "a", "b", "ab", "red", "green", "blue", "zz top", "", ("ax"):rep(600), ("green"):rep(300) }

local ATTRS = {
  { ident = "item/id", type = "long", unique = "identity" },
  { ident = "item/n", type = "long" },
  { ident = "item/m", type = "long", many = true },
  { ident = "item/s", type = "string" },
  { ident = "item/d", type = "double" },
  { ident = "item/x", type = "double", many = true },
  { ident = "item/on", type = "boolean" },
  { ident = "item/up", type = "ref" },
  { ident = "item/likes", type = "ref", many = true },
  { ident = "item/kw", type = "keyword" },
  { ident = "item/tu", type = "tuple" },
  { ident = "item/tus", type = "tuple", many = true },
}
M.refs = { ["item/up"] = true, ["item/likes"] = true }

local WORDS = { "who/1", "who/2", "who/3", "item/n", "red" }

-- Pairs that could be lookup refs, and other tuples.
local function some_tuple(rng, count)
  local id = 1 + rng:below(count)
  local roll = rng:below(7)
  if roll == 0 then return tuple {} end
  if roll == 1 then return tuple { id, tuple { 2, "a" } } end
  if roll == 2 then return tuple { "item/id", id } end
  if roll == 3 then return tuple { kw "red", 1 } end
  if roll == 4 then return tuple { "red", 1 } end
  return tuple { kw "item/id", id }
end

-- A value that names an entity, by an ident or a lookup ref.
local function name_of(rng, id)
  return rng:pick { kw("who/" .. id), "who/" .. id, ":who/" .. id, tuple { kw "item/id", id }, tuple { "item/id", id },
    tuple { ":item/id", id }, tuple { kw "db/ident", kw("who/" .. id) } }
end

-- Anything: names, pairs, texts, numbers.
local function odd_value(rng, count)
  local roll = rng:below(6)
  if roll == 0 then return rng:pick { "who/1", "red", ":who/2", "item/n" } end
  if roll == 1 then return rng:below(8) - 1 end
  if roll == 2 then return kw(rng:pick(WORDS)) end
  return name_of(rng, 1 + rng:below(count))
end

local function value(rng, attr, count)
  if attr.type == "long" then return rng:below(8) - 1 end
  if attr.type == "double" then return (rng:below(12) - 2) / 2 end
  if attr.type == "string" then return rng:pick(TEXTS) end
  if attr.type == "boolean" then return rng:chance(50) end
  if attr.type == "keyword" then return kw(rng:pick(WORDS)) end
  if attr.type == "tuple" then return some_tuple(rng, count) end
  return { ref = rng:below(count) + 1 }
end

local function entities(rng)
  local out, count = {}, 2 + rng:below(11)
  for id = 1, count do
    local e = { id = id, ["item/id"] = { id }, ["db/ident"] = rng:chance(40) and { "who/" .. id } or nil }
    for _, attr in ipairs(ATTRS) do
      if attr.ident ~= "item/id" and rng:chance(65) then
        local values, seen = {}, {}
        for _ = 1, attr.many and 1 + rng:below(3) or 1 do
          local v = value(rng, attr, count)
          local k = type(v) == "table" and v.ref or base.key(v)
          if not seen[k] then
            seen[k] = true
            values[#values + 1] = v
          end
        end
        e[attr.ident] = values
      end
    end
    out[id] = e
  end
  return out
end

function M.rows(source, e_of)
  local rows = {}
  for _, e in ipairs(source.entities) do
    for _, attr in ipairs(ATTRS) do
      for _, v in ipairs(e[attr.ident] or {}) do
        if type(v) == "table" and v.ref then v = e_of(v.ref) end
        if attr.type == "double" then v = base.double(v) end
        rows[#rows + 1] = { e_of(e.id), attr.ident, v }
      end
    end
  end
  return rows
end

local RULES = {
  "[(reach ?a ?b) [?a :item/up ?b]] [(reach ?a ?b) [?a :item/up ?t] (reach ?t ?b)]",
  "[(reach ?a ?b) [?a :item/up ?b]] [(reach ?a ?b) (reach ?a ?t) [?t :item/up ?b]]",
  "[(reach ?a ?b) [?a :item/up ?b]] [(reach ?a ?b) (reach ?a ?t) (reach ?t ?b)]",
}
-- A step of two clauses, and a branch that may or may not say: step, then on.
local HOPS = {
  "[?a :item/up ?k] [?k :item/likes ?z] (hop ?z ?b)", "(hop ?a ?z) [?z :item/up ?k] [?k :item/likes ?b]",
  "[?a :item/up ?b] [?b :item/likes ?z] (hop ?z ?b)", "(hop ?a ?z) [?z :item/up ?a] [?a :item/likes ?b]",
}
local MORE_RULES = "[(near ?a ?b) [?a :item/likes ?b]] [(near ?a ?b) [?b :item/likes ?a]]"
  .. " [(peer ?a ?b) [?a :item/up ?p] [?b :item/up ?p]] [(peer ?a ?b) [?a :item/up ?p] (peer ?p ?q) [?b :item/up ?q]]"
  .. " [(above [?n] ?e) [?e :item/n ?v] [(> ?v ?n)]]"
  .. " [(hop ?a ?b) [?a :item/up ?m] [?m :item/likes ?b]]"
  .. " [(num ?e ?n) [?e :item/n ?n]] [(num ?e ?n) [?e :item/d ?n]]"
  .. " [(same ?n ?n) [_ :item/n ?n]] [(same ?n ?n) [_ :item/m ?n]] [(text ?n ?s) [(str ?n) ?s]]"
  .. " [(mute ?e ?u) [?e :item/up _]] [(mute ?e ?u) [?e :item/likes ?f] (mute ?f ?u)]"
  .. " [(tenth ?e ?q) [?e :item/n ?n] (not [?e :item/up _]) [(/ 10 ?n) ?q]]"
  .. " [(top ?e) [?e :item/id] (not [?e :item/up _])]"
  .. " [(loner ?e) [?e :item/id] (not (near ?e _))]"
  .. " [(even ?e) (top ?e)] [(even ?e) [?e :item/up ?p] (odd ?p)] [(odd ?e) [?e :item/up ?p] (even ?p)]"

-- ---- queries ----

-- The state of one query: vars by type ("e$", "e$b" for entities), and the clauses so far.
local Gen = {}
Gen.__index = Gen

function Gen:new_var(kind)
  self.count = self.count + 1
  local name = "?" .. kind:gsub("%W", ""):sub(1, 1) .. self.count
  self.vars[kind] = self.vars[kind] or {}
  table.insert(self.vars[kind], name)
  return name
end

function Gen:var(kind, fresh_percent)
  local known = self.vars[kind]
  if not known or #known == 0 or self.rng:chance(fresh_percent) then return self:new_var(kind) end
  return self.rng:pick(known)
end

local function literal(v)
  if type(v) == "string" or type(v) == "table" then return base.key(v) end
  if type(v) == "number" and v ~= math.floor(v) then return ("%.1f"):format(v) end
  return type(v) == "number" and ("%d"):format(v) or tostring(v)
end

-- What a pattern or a call on a source begins with: nothing on the one that is meant without a name.
function Gen:prefix(source) return source == self.default and "" or source .. " " end

-- An entity of the source by a name.
function Gen:name(source) return literal(name_of(self.rng, 1 + self.rng:below(#self.entities[source]))) end

function Gen:constant(attr, source)
  local count = #self.entities[source]
  if self.rng:chance(12) then return literal(odd_value(self.rng, count)) end
  if attr.type == "ref" then return self:name(source) end
  local v = value(self.rng, attr, count)
  if attr.type == "double" then return ("%.1f"):format(v) end
  return literal(v)
end

function Gen:kind_of(attr, source) return attr.type == "ref" and "e" .. source or attr.type end

-- A pattern on an entity that is known, or a first one. fresh: percent of new variables for values.
function Gen:pattern(source, fresh, entity)
  local rng = self.rng
  local attr = rng:pick(ATTRS)
  entity = entity or rng:chance(5) and self:name(source) or self:var("e" .. source, 15)
  local v
  if rng:chance(4) then -- any attribute: of any type, so nothing else may use the variable
    v = rng:chance(50) and self:constant(attr, source) or rng:chance(40) and self:known("e" .. source)
      or self:new_var("any")
    return ("[%s%s _ %s]"):format(self:prefix(source), entity, v)
  end
  if rng:chance(4) then
    self.uses_val = true
    v = "?val"
  elseif rng:chance(14) then v = self:constant(attr, source)
  elseif rng:chance(10) then v = "_"
  elseif attr.type == "double" and rng:chance(60) then v = self:var("long", 20) -- joins numbers of two types
  else v = self:var(self:kind_of(attr, source), fresh) end
  return ("[%s%s :%s %s]"):format(self:prefix(source), entity, attr.ident, v)
end

function Gen:source() return self.two and self.rng:chance(35) and "$b" or "$" end

function Gen:known(kind)
  local list = self.vars[kind]
  return list and #list > 0 and self.rng:pick(list) or nil
end

-- [(pred ...)] on known variables, or nil.
function Gen:predicate()
  local rng = self.rng
  local kind = rng:pick({ "long", "double", "string", "long" })
  local a = self:known(kind)
  if not a then return nil end
  if kind == "string" then
    if rng:chance(50) then return ('[(%s %s "%s")]'):format(rng:pick({ "starts-with?", "ends-with?", "includes?" }), a,
      rng:pick({ "a", "b", "e", "" })) end
    return ('[(%s %s "%s")]'):format(rng:pick({ "=", "!=", "<", ">=" }), a, rng:pick(TEXTS))
  end
  local b = rng:chance(40) and self:known(rng:chance(70) and kind or "long") or literal(rng:below(6))
  local op = rng:pick({ "=", "!=", "<", ">", "<=", ">=", "not=" })
  if rng:chance(15) then return ("[(%s 0 %s %s)]"):format(rng:pick({ "<", "<=" }), a, b) end
  if kind == "long" and rng:chance(30) then return ("[(%s %s)]"):format(rng:pick({ "even?", "pos?", "zero?" }), a) end
  return ("[(%s %s %s)]"):format(op, a, b)
end

function Gen:fn()
  local rng = self.rng
  local roll = rng:below(8)
  local long, text = self:known("long"), self:known("string")
  if roll == 6 and long then return ("[(str %s) %s]"):format(long, self:var("string", 70)) end
  if roll == 7 and long then
    return ("[(%s %d %s) %s]"):format(rng:pick({ "/", "quot", "max" }), rng:below(20), long, self:var("long", 70))
  end
  local e = self:known("e$")
  if roll == 0 and long then return ("[(%s %s %d) %s]"):format(rng:pick({ "+", "-", "*", "max" }), long, rng:below(4),
    self:var("long", 70)) end
  if roll == 1 and long then return ("[(mod %s 3) %s]"):format(long, self:var("long", 60)) end
  if roll == 2 and text and rng:chance(25) then
    return ("[(parse-long %s) %s]"):format(text, self:var("long", 60))
  end
  if roll == 2 and long and rng:chance(25) then
    local digits = self:new_var("string")
    return ("[(str %s) %s] [(parse-long %s) %s]"):format(long, digits, digits, self:var("long", 60))
  end
  if roll == 2 and text then return ("[(str %s \"!\") %s]"):format(text, self:new_var("string")) end
  if roll == 3 then
    return ("[(ground [%d %d 3]) [%s ...]]"):format(rng:below(4), rng:below(8), self:var("long", 50))
  end
  if e and rng:chance(25) then e = self:name("$") end
  if roll == 4 and e then return ("[(get-else $ %s :item/n -7) %s]"):format(e, self:var("long", 60)) end
  if roll == 5 and e then return ("[(missing? $ %s :%s)]"):format(e, rng:pick(ATTRS).ident) end
  return nil
end

-- A body of its own: variables made in it are not seen outside. With `join` (a kind and a name) it is that of a -join
-- form, which sees nothing else of the outside.
function Gen:inside(join, f)
  local saved = self.vars
  self.vars = {}
  if join then
    self.vars[join[1]] = { join[2] }
  else
    for kind, list in pairs(saved) do
      self.vars[kind] = {}
      for i, name in ipairs(list) do self.vars[kind][i] = name end
    end
  end
  local result = f()
  self.vars = saved
  return result
end

function Gen:negation()
  local rng, source = self.rng, self:source()
  local e = self:known("e" .. source)
  if not e then return nil end
  local joins = rng:chance(40)
  local outer = self.default
  local on = rng:chance(30) and source ~= outer and source .. " " or ""
  local clause = self:inside(joins and { "e" .. source, e } or nil, function()
    if on ~= "" then self.default = source end
    local body = { self:pattern(source, 60, e) }
    if rng:chance(40) then body[2] = self:pattern(source, 60) end
    if rng:chance(25) then body[#body + 1] = self:predicate() end
    if rng:chance(15) then body[#body + 1] = self:rule() end
    local text = table.concat(body, " ")
    if joins then return ("(%snot-join [%s] %s)"):format(on, e, text) end
    return ("(%snot %s)"):format(on, text)
  end)
  self.default = outer
  return clause
end

function Gen:disjunction()
  local rng, source = self.rng, self:source()
  local e = self:known("e" .. source) or self:var("e" .. source, 0)
  if rng:chance(50) then -- the same variables in all branches
    local attrs = rng:pick({ { "item/n", "item/m", "item/id" }, { "item/up", "item/likes" } })
    local v = self:var(attrs[1] == "item/n" and "long" or "e" .. source, 60)
    local branches = {}
    for i = 1, 2 + rng:below(2) do
      local p = ("[%s%s :%s %s]"):format(self:prefix(source), e, rng:pick(attrs), v)
      if rng:chance(25) then p = ("(and %s [%s%s :item/id _])"):format(p, self:prefix(source), e) end
      branches[i] = p
    end
    return ("(or %s)"):format(table.concat(branches, " "))
  end
  local branches = {}
  for i = 1, 2 + rng:below(2) do
    branches[i] = self:inside({ "e" .. source, e }, function()
      local body = { self:pattern(source, 80, e) }
      if rng:chance(40) then body[2] = self:pattern(source, 60) end
      if rng:chance(20) then body[#body + 1] = self:negation() end
      return #body > 1 and ("(and %s)"):format(table.concat(body, " ")) or body[1]
    end)
  end
  return ("(or-join [%s] %s)"):format(e, table.concat(branches, " "))
end

function Gen:rule()
  local rng, source = self.rng, self:source()
  local kind = "e" .. source
  local pre = self:prefix(source)
  local a = self:known(kind)
  local roll = rng:below(11)
  self.uses_rules = true
  local long = self:known("long")
  if roll == 7 then return ("(%snum %s %s)"):format(pre, a or self:var(kind, 0), self:var("long", 40)) end
  if roll == 8 and long then return ("(%ssame %s %s)"):format(pre, long, self:var("long", 50)) end
  if roll == 9 and long then return ("(%smute %s %s)"):format(pre, self:var(kind, 30), long) end
  if roll == 10 and long and rng:chance(50) then return ("(%stext %s %s)"):format(pre, long, self:var("string", 60)) end
  if roll == 10 then return ("(%stenth %s %s)"):format(pre, a or self:var(kind, 0), self:var("long", 60)) end
  if roll == 0 and self:known("long") then
    return ("(%sabove %s %s)"):format(pre, self:known("long"), self:var(kind, 40))
  end
  if roll == 1 then return ("(%sabove %d %s)"):format(pre, rng:below(5), self:var(kind, 40)) end
  if roll == 2 then
    return ("(%s%s %s)"):format(pre, rng:pick({ "top", "loner", "even", "odd" }), self:var(kind, 30))
  end
  local name = rng:pick({ "reach", "reach", "near", "peer", "hop" })
  a = rng:chance(15) and self:name(source) or a or self:var(kind, 0)
  return ("(%s%s %s %s)"):format(pre, name, a, self:var(kind, 50))
end

function Gen:relation()
  self.uses_relation = true
  return ("[$r %s %s]"):format(self:var("long", 30), self.rng:chance(30) and "_" or self:var("string", 40))
end

-- A pattern whose attribute is a variable, which gets its names from an input or a function.
function Gen:by_attribute()
  local rng = self.rng
  if rng:chance(60) then
    self.uses_at = true
    return ("[%s ?at %s]"):format(self:var("e$", 20), self:var("long", 60))
  end
  return ("[%s ?attr %s] [(ground [:item/n :item/m]) [?attr ...]]"):format(self:var("e$", 20), self:var("long", 60))
end

function Gen:body()
  local rng, clauses = self.rng, {}
  local function add(clause) clauses[#clauses + 1] = clause end
  if rng:chance(15) then
    self.uses_who = true
    self.vars["e$"] = { "?who" }
  end
  add(self:pattern("$", 80, self:var("e$", 15)))
  for _ = 1, rng:below(3) do add(self:pattern(self:source(), 50)) end
  if rng:chance(20) then add(self:relation()) end
  if rng:chance(25) then add(self:disjunction()) end
  if rng:chance(25) then add(self:rule()) end
  if rng:chance(12) then add(self:by_attribute()) end
  for _ = 1, 2 do
    if rng:chance(30) then add(self:fn()) end
  end
  if rng:chance(45) then add(self:predicate()) end
  if rng:chance(30) then add(self:negation()) end
  if rng:chance(15) and self:known("long") then
    self.uses_min = true
    add(("[(>= %s ?min)]"):format(self:known("long")))
  end
  return rng:shuffle(clauses)
end

-- Which variables occur in text outside of not- and or-joins is not worked out: those that only a not mentions would be
-- unbound, so only variables of the outermost scope are asked for, and each of them is bound by what made it.
function Gen:find()
  local rng, all, numbers = self.rng, {}, {}
  for _, kind in ipairs({ "e$", "e$b", "long", "double", "string", "boolean", "keyword", "tuple" }) do
    for _, name in ipairs(self.vars[kind] or {}) do
      all[#all + 1] = name
      if kind == "long" or kind == "double" then numbers[name] = true end
    end
  end
  rng:shuffle(all)
  local elems, with = {}, ""
  local grouped = rng:chance(25)
  for i = 1, math.min(#all, 1 + rng:below(3)) do
    elems[i] = all[i]
    if grouped and (i == 1 or rng:chance(40)) then
      local agg = rng:pick({ "count", "count-distinct", "min", "max", "min 2", "max 3" })
      if numbers[all[i]] and rng:chance(60) then agg = rng:pick({ "sum", "avg", "median", "variance" }) end
      elems[i] = ("(%s %s)"):format(agg, all[i])
    end
  end
  if grouped and #all > #elems and rng:chance(40) then with = " :with " .. all[#all] end
  local tail = ""
  if rng:chance(12) then
    tail = (" :order-by [%s%s]"):format(elems[1], rng:chance(50) and " :desc" or "")
  end
  if rng:chance(8) then tail = tail .. (" :limit %d"):format(rng:below(6)) end
  if rng:chance(6) then tail = tail .. (" :offset %d"):format(rng:below(3)) end
  local text = table.concat(elems, " ")
  if tail == "" and #elems == 1 and rng:chance(15) then text = ("[%s ...]"):format(text) end
  return text, with, tail
end

function M.case(seed)
  local rng = M.rng(seed)
  local case = { seed = seed, schema = {}, sources = {}, relation = {}, inputs = { "$" }, min = rng:below(4),
    who = {}, at = {}, val = {} }
  for i, attr in ipairs(ATTRS) do
    case.schema[i] = { ident = attr.ident, type = attr.type, many = attr.many, unique = attr.unique,
      index = rng:chance(40) }
  end
  case.sources[1] = { name = "$", entities = entities(rng) }
  case.sources[2] = { name = "$b", entities = entities(rng) }
  for i = 1, rng:below(12) do case.relation[i] = { rng:below(8) - 1, rng:pick(TEXTS) } end
  for i = 1, rng:below(5) do
    local id = 1 + rng:below(#case.sources[1].entities)
    case.who[i] = rng:chance(25) and { id = id } or { value = name_of(rng, id) }
  end
  for i = 1, 1 + rng:below(3) do
    local ident = rng:pick({ "item/n", "item/m", "item/id" })
    case.at[i] = { value = rng:pick({ ident, ":" .. ident, kw(ident) }) }
  end
  for i = 1, 1 + rng:below(4) do case.val[i] = { value = odd_value(rng, #case.sources[1].entities) } end
  case.rules = ("[%s %s [(hop ?a ?b) %s]]"):format(rng:pick(RULES), MORE_RULES, rng:pick(HOPS))
  local gen = setmetatable({ rng = rng, vars = {}, count = 0, default = "$", two = rng:chance(35),
    entities = { ["$"] = case.sources[1].entities, ["$b"] = case.sources[2].entities } }, Gen)
  local clauses = table.concat(gen:body(), " ")
  local find, with, tail = gen:find()
  local used = { ["$b"] = gen.two, ["$r"] = gen.uses_relation, ["%"] = gen.uses_rules, ["?min"] = gen.uses_min,
    ["?who"] = gen.uses_who, ["?at"] = gen.uses_at, ["?val"] = gen.uses_val }
  local forms = { "$" }
  for _, input in ipairs({ "$b", "$r", "%", "?min", "?who", "?at", "?val" }) do
    if used[input] then
      case.inputs[#case.inputs + 1] = input
      local is_list = input == "?who" or input == "?at" or input == "?val"
      forms[#forms + 1] = is_list and ("[%s ...]"):format(input) or input
    end
  end
  case.query = ("[:find %s%s :in %s :where %s%s]"):format(find, with, table.concat(forms, " "), clauses, tail)
  return case
end

return M
