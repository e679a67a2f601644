-- SPDX-License-Identifier: MIT
--
-- In which variables a number has one form, as docs/query.md says ("Equal numbers of different types"): the variables
-- are put into classes (a parameter of a rule and the arguments of all its calls are one), and the places of a class
-- say which kinds of numbers it can hold.
--
--   types.mark(query_in, inputs, body, rules, sources)   sets one_form of the forms at which such variables are bound
--
-- Kinds: {long =, double =, tuple =}; anything is all of them.
local base = require "spec.support.naive_functions"
local forms = require "spec.support.naive_forms"

local M = {}
local is_var, is_blank, is_tag, is_source = forms.is_var, forms.is_blank, forms.is_tag, forms.is_source
local ANY = { long = true, double = true, tuple = true }
local OF_TYPE = { long = { long = true }, ref = { long = true }, double = { double = true }, tuple = { tuple = true } }

local function kind_of(v)
  if base.is_double(v) then return { double = true } end
  if type(v) == "number" then return { long = true } end
  return is_tag(v, "tuple") and { tuple = true } or {}
end

local function add_kinds(node, kinds)
  for kind in pairs(kinds) do node.kinds[kind] = true end
end

local function root(node)
  while node.parent do node = node.parent end
  return node
end

local function unite(a, b)
  a, b = root(a), root(b)
  if a ~= b then b.parent = a end
end

-- The variable of a name in a scope.
local function node_of(scope, name)
  if not scope.vars[name] then scope.vars[name] = { kinds = {}, places = 0 } end
  return scope.vars[name]
end

-- The variable stands where a value of these kinds comes from.
local function place(walk, scope, form, kinds)
  if not is_var(form) then return end
  local node = node_of(scope, form.name)
  node.places = node.places + 1
  add_kinds(node, kinds)
  walk.marked[#walk.marked + 1] = { form = form, node = node }
end

local function place_all(walk, scope, form, kinds)
  if is_tag(form, "vector") then
    for _, inner in ipairs(form) do place_all(walk, scope, inner, kinds) end
  else
    place(walk, scope, form, kinds)
  end
end

local function column_kinds(rows, at)
  local kinds = {}
  for _, row in ipairs(rows) do
    if row[at] ~= nil then
      for kind in pairs(kind_of(row[at])) do kinds[kind] = true end
    end
  end
  return kinds
end

local function walk_pattern(walk, scope, clause)
  local source = walk.sources[clause.source] or walk.any_db
  for i, term in ipairs(clause.terms) do
    local kinds = ANY
    if source.tag == "rel" then
      kinds = column_kinds(source.rows, i)
    elseif i == 1 or i == 4 then
      kinds = OF_TYPE.long
    elseif i == 5 then
      kinds = {}
    elseif i == 3 then
      local attr, types = clause.terms[2], source.options.types
      local known = attr and not is_var(attr) and not is_blank(attr) and types
      kinds = known and (OF_TYPE[types[attr.name or attr]] or {}) or ANY
    end
    place(walk, scope, term, kinds)
  end
end

local function walk_call(walk, scope, clause)
  for _, branch in ipairs(walk.rules[clause.name] or {}) do
    for i, arg in ipairs(clause.args) do
      local param = node_of(branch.scope, branch.params[i].name)
      if is_var(arg) then
        unite(node_of(scope, arg.name), param)
      elseif not is_blank(arg) then
        add_kinds(param, kind_of(forms.constant(arg)))
        param.joined = true
      end
    end
  end
  for _, arg in ipairs(clause.args) do place(walk, scope, arg, {}) end
end

-- The body of a -join form sees only the variables that are listed.
local function inside(scope, vars)
  if not vars then return scope end
  local inner = { vars = {} }
  for name in pairs(forms.names(vars)) do inner.vars[name] = node_of(scope, name) end
  return inner
end

local function walk_body(walk, scope, body)
  for _, clause in ipairs(body) do
    if clause.kind == "pattern" then walk_pattern(walk, scope, clause)
    elseif clause.kind == "fn" then place_all(walk, scope, clause.binding, ANY)
    elseif clause.kind == "rule" then walk_call(walk, scope, clause)
    elseif clause.kind == "or" then
      for _, branch in ipairs(clause.branches) do walk_body(walk, inside(scope, clause.vars), branch) end
    elseif clause.body then
      walk_body(walk, inside(scope, clause.vars), clause.body)
    end
  end
end

-- All values that an input gives to a variable.
local function walk_input(walk, scope, form, values)
  if not is_tag(form, "vector") then
    for _, v in ipairs(values) do place(walk, scope, form, kind_of(v)) end
    local node = is_var(form) and node_of(scope, form.name)
    if node then node.places = 1 end
  elseif is_tag(form[1], "vector") or forms.is_sym(form[2]) and form[2].name == "..." then
    local items = {}
    for _, list in ipairs(values) do
      for _, item in ipairs(list) do items[#items + 1] = item end
    end
    walk_input(walk, scope, form[1], items)
  else
    for i, inner in ipairs(form) do
      local column = {}
      for _, row in ipairs(values) do column[#column + 1] = row[i] end
      walk_input(walk, scope, inner, column)
    end
  end
end

local function mixed(kinds) return kinds.tuple or kinds.long and kinds.double end

function M.mark(query_in, inputs, body, rules, sources)
  local walk = { marked = {}, sources = sources, rules = rules }
  for _, source in pairs(sources) do
    if source.tag == "db" then walk.any_db = source end
  end
  local scope = { vars = {} }
  for _, branches in pairs(rules) do
    for _, branch in ipairs(branches) do branch.scope = { vars = {} } end
  end
  for i, form in ipairs(query_in) do
    if not is_source(form) and not (forms.is_sym(form) and form.name == "%") then
      walk_input(walk, scope, form, { inputs[i] })
    end
  end
  walk_body(walk, scope, body)
  for _, branches in pairs(rules) do
    for _, branch in ipairs(branches) do
      walk_body(walk, branch.scope, branch.body)
      for i, param in ipairs(branch.params) do
        local node = node_of(branch.scope, param.name)
        for j = 1, i - 1 do node.joined = node.joined or branch.params[j].name == param.name end
        walk.marked[#walk.marked + 1] = { form = param, node = node }
      end
    end
  end
  for _, mark in ipairs(walk.marked) do
    local top = root(mark.node)
    add_kinds(top, mark.node.kinds)
    top.joined = top.joined or mark.node.joined or mark.node.places > 1
  end
  for _, mark in ipairs(walk.marked) do
    local top = root(mark.node)
    mark.form.one_form = top.joined and mixed(top.kinds) and true or nil
  end
end

return M
