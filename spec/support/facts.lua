-- SPDX-License-Identifier: MIT
--
-- The model of a database that is too large for the naive evaluator: a set of facts in plain tables, with an index for
-- each way to ask, and conjunctive queries by nested loops over them, in the order in which the clauses stand.
--
--   local facts = Facts.new(many)      many: attribute -> true where an entity has several values
--   facts:add(e, a, v)  facts:remove(e, a, v)  facts:remove_entity(e)
--   local state = facts:state()        what is there now, indexed; later changes do not show in it
--   state:match(e, a, v, f)            f(e, a, v) for each fact; nil matches anything
--   Facts.solve(clauses, env, f)       f(env) for each binding; a clause: {state =, e =, a =, v =}, where e and v are
--                                      {var = "?x"} or {const = v}; or {test = function(env) --> boolean}
-- Values are numbers, booleans, strings and interned value objects, so that they are keys of tables as they are. Refs
-- are entity ids.
local Facts = {}
Facts.__index = Facts

local State = {}
State.__index = State

function Facts.new(many)
  return setmetatable({ many = many, entities = {} }, Facts)
end

function Facts:add(e, a, v)
  local entity = self.entities[e]
  if not entity then
    entity = {}
    self.entities[e] = entity
  end
  if not entity[a] or not self.many[a] then entity[a] = {} end
  entity[a][v] = true
end

function Facts:remove(e, a, v)
  local values = self.entities[e] and self.entities[e][a]
  if not values then return end
  values[v] = nil
  if next(values) == nil then self.entities[e][a] = nil end
end

---The entity, and what refers to it. refs: attribute -> true
function Facts:remove_entity(e, refs)
  self.entities[e] = nil
  for _, entity in pairs(self.entities) do
    for a in pairs(refs) do
      if entity[a] and entity[a][e] then
        entity[a][e] = nil
        if next(entity[a]) == nil then entity[a] = nil end
      end
    end
  end
end

local function list_at(index, key)
  local list = index[key]
  if not list then
    list = {}
    index[key] = list
  end
  return list
end

function Facts:state()
  local state = setmetatable({ all = {}, by_e = {}, by_ea = {}, by_a = {}, by_av = {}, by_v = {} }, State)
  for e, entity in pairs(self.entities) do
    for a, values in pairs(entity) do
      for v in pairs(values) do
        local fact = { e, a, v }
        state.all[#state.all + 1] = fact
        table.insert(list_at(state.by_e, e), fact)
        table.insert(list_at(list_at(state.by_ea, e), a), fact)
        table.insert(list_at(state.by_a, a), fact)
        table.insert(list_at(list_at(state.by_av, a), v), fact)
        table.insert(list_at(state.by_v, v), fact)
      end
    end
  end
  return state
end

local NONE = {}

function State:match(e, a, v, f)
  local list
  if e ~= nil and a ~= nil then
    list = (self.by_ea[e] or NONE)[a]
  elseif e ~= nil then
    list = self.by_e[e]
  elseif a ~= nil and v ~= nil then
    list = (self.by_av[a] or NONE)[v]
  elseif a ~= nil then
    list = self.by_a[a]
  elseif v ~= nil then
    list = self.by_v[v]
  else
    list = self.all
  end
  for _, fact in ipairs(list or NONE) do
    if v == nil or fact[3] == v then f(fact[1], fact[2], fact[3]) end
  end
end

local function value_of(term, env)
  if term.var then return env[term.var] end
  return term.const
end

function Facts.solve(clauses, env, f, at)
  at = at or 1
  local clause = clauses[at]
  if not clause then return f(env) end
  if clause.test then
    if clause.test(env) then Facts.solve(clauses, env, f, at + 1) end
    return
  end
  local e, v = value_of(clause.e, env), value_of(clause.v, env)
  clause.state:match(e, clause.a, v, function(found_e, _, found_v)
    if e == nil then env[clause.e.var] = found_e end
    if v == nil then
      if clause.v.var == clause.e.var and found_e ~= found_v then
        if e == nil then env[clause.e.var] = nil end
        return
      end
      env[clause.v.var] = found_v
    end
    Facts.solve(clauses, env, f, at + 1)
    if e == nil then env[clause.e.var] = nil end
    if v == nil then env[clause.v.var] = nil end
  end)
end

return Facts
