-- SPDX-License-Identifier: MIT
--
-- Clauses of the naive evaluator: forms taken apart, and which variables a clause mentions, binds and needs.
local base = require "spec.support.naive_functions"

-- ---- forms ----

local function is_sym(form) return type(form) == "table" and form.tag == "sym" end
local function is_var(form) return is_sym(form) and form.name:sub(1, 1) == "?" end
local function is_blank(form) return is_sym(form) and form.name == "_" end
local function is_source(form) return is_sym(form) and form.name:sub(1, 1) == "$" end
local function is_tag(form, tag) return type(form) == "table" and form.tag == tag end

local function rest(items, from)
  local out = {}
  for i = from, #items do out[#out + 1] = items[i] end
  return out
end

-- The value that a constant form stands for.
local function constant(form)
  if is_tag(form, "vector") or is_tag(form, "set") then
    local t = {}
    for i, item in ipairs(form) do t[i] = constant(item) end
    return base.tuple(t)
  end
  return form
end

local function is_name(v) return is_tag(v, "kw") or type(v) == "string" end

local function attr_name(v)
  if type(v) == "string" then return (v:gsub("^:", "")) end
  return type(v) == "table" and v.name or v
end

-- A form taken apart: {kind, source, terms ... | name, args, binding | vars, required, body | branches}.
local parse_body

-- roles: "variable", "constant" or "blank" for each term; constants: their values; attribute: a name as the second one.
local function parse_pattern(source, terms)
  local clause = { kind = "pattern", source = source, terms = terms, roles = {}, constants = {} }
  for i, term in ipairs(terms) do
    clause.roles[i] = is_var(term) and "variable" or is_blank(term) and "blank" or "constant"
    if clause.roles[i] == "constant" then clause.constants[i] = constant(term) end
  end
  if is_name(clause.constants[2]) then clause.attribute = attr_name(clause.constants[2]) end
  return clause
end

local function parse_list(form, source)
  local items = form
  if is_source(items[1]) then
    source = items[1].name
    items = rest(items, 2)
  end
  local head = items[1].name
  if head == "not" then return { kind = "not", body = parse_body(rest(items, 2), source) } end
  if head == "not-join" then
    return { kind = "not", vars = items[2], body = parse_body(rest(items, 3), source) }
  end
  if head == "and" then return { kind = "and", body = parse_body(rest(items, 2), source) } end
  if head == "or" or head == "or-join" then
    local clause = { kind = "or", branches = {}, required = {} }
    local from = 2
    if head == "or-join" then
      clause.vars, from = {}, 3
      for _, v in ipairs(items[2]) do
        for _, inner in ipairs(is_tag(v, "vector") and v or { v }) do clause.vars[#clause.vars + 1] = inner end
      end
      clause.required = is_tag(items[2][1], "vector") and items[2][1] or {}
    end
    for i = from, #items do
      local branch = parse_body({ items[i] }, source)
      clause.branches[#clause.branches + 1] = branch[1].kind == "and" and branch[1].body or branch
    end
    return clause
  end
  return { kind = "rule", name = head, source = source, args = rest(items, 2) }
end

local function parse_clause(form, source)
  if is_tag(form, "list") then return parse_list(form, source) end
  if is_tag(form[1], "list") then
    return { kind = form[2] ~= nil and "fn" or "pred", name = form[1][1].name, args = rest(form[1], 2),
      binding = form[2], source = source }
  end
  if is_source(form[1]) then return parse_pattern(form[1].name, rest(form, 2)) end
  return parse_pattern(source, form)
end

parse_body = function(forms, source)
  local body = {}
  for i, form in ipairs(forms) do body[i] = parse_clause(form, source) end
  return body
end

-- ---- which variables ----

local function add_vars(forms, out)
  for _, form in ipairs(forms) do
    if is_var(form) then out[form.name] = true
    elseif is_tag(form, "vector") then add_vars(form, out) end
  end
  return out
end

local function names(vars) return add_vars(vars, {}) end

local provides_body

local function provides(clause, out)
  if clause.kind == "pattern" then add_vars(clause.terms, out)
  elseif clause.kind == "rule" then add_vars(clause.args, out)
  elseif clause.kind == "fn" then add_vars({ clause.binding }, out)
  elseif clause.kind == "or" then
    local common
    for _, branch in ipairs(clause.branches) do
      local mine = provides_body(branch)
      if common then
        for name in pairs(common) do
          if not mine[name] then common[name] = nil end
        end
      else
        common = mine
      end
    end
    local listed = clause.vars and names(clause.vars)
    for name in pairs(common) do
      if not listed or listed[name] then out[name] = true end
    end
  end
  return out
end

provides_body = function(body)
  local out = {}
  for _, clause in ipairs(body) do provides(clause, out) end
  return out
end

-- What a clause must have bound, of what can be bound around it. `needs`: parameters of rules, name -> place -> true.
local needed

local function needed_body(body, needs, out)
  local mine, own = {}, provides_body(body)
  for _, clause in ipairs(body) do needed(clause, needs, mine) end
  for name in pairs(mine) do
    if not own[name] then out[name] = true end
  end
  return out
end

needed = function(clause, needs, out)
  if clause.kind == "pred" or clause.kind == "fn" then add_vars(clause.args, out)
  elseif clause.kind == "rule" then
    for i, arg in ipairs(clause.args) do
      if is_var(arg) and (needs[clause.name] or {})[i] then out[arg.name] = true end
    end
  elseif clause.kind == "not" then
    if clause.vars then add_vars(clause.vars, out)
    else
      for _, inner in ipairs(clause.body) do
        provides(inner, out)
        needed(inner, needs, out)
      end
    end
  elseif clause.kind == "or" then
    local mine, own = {}, provides(clause, {})
    for _, branch in ipairs(clause.branches) do
      needed_body(branch, needs, mine)
      for name in pairs(provides_body(branch)) do
        if not own[name] then mine[name] = true end
      end
    end
    local listed = clause.vars and names(clause.vars)
    if listed then
      for name in pairs(listed) do
        if not own[name] then mine[name] = true end
      end
    end
    for name in pairs(mine) do
      if not listed or listed[name] then out[name] = true end
    end
    add_vars(clause.required, out)
  end
  return out
end

-- ---- queries ----

local SECTIONS = { find = true, keys = true, strs = true, syms = true, with = true, ["in"] = true, where = true,
  ["order-by"] = true, limit = true, offset = true }

local function sections(form)
  local out = {}
  if form.tag == "map" then
    for i = 1, #form, 2 do out[form[i].name] = type(form[i + 1]) == "table" and form[i + 1] or { form[i + 1] } end
    return out
  end
  local current
  for _, item in ipairs(form) do
    if is_tag(item, "kw") and SECTIONS[item.name] then
      current = {}
      out[item.name] = current
    else
      current[#current + 1] = item
    end
  end
  return out
end

local function parse_find(items)
  if #items == 1 and is_tag(items[1], "vector") then
    local inner = items[1]
    if is_sym(inner[2]) and inner[2].name == "..." then return "coll", { inner[1] } end
    return "tuple", inner
  end
  if is_sym(items[2]) and items[2].name == "." then return "scalar", { items[1] } end
  return "rel", items
end

local function form_key(form)
  if type(form) ~= "table" then return tostring(form) end
  if form.name then return form.name end
  local out = {}
  for i, item in ipairs(form) do out[i] = form_key(item) end
  return "(" .. table.concat(out, " ") .. ")"
end

local function parse_order(items, elems)
  local order = {}
  if #items == 1 and is_tag(items[1], "vector") then items = items[1] end
  local flat = {}
  for _, item in ipairs(items) do
    for _, part in ipairs(is_tag(item, "vector") and item or { item }) do flat[#flat + 1] = part end
  end
  for _, item in ipairs(flat) do
    if is_tag(item, "kw") then order[#order].desc = item.name == "desc"
    else
      for i, elem in ipairs(elems) do
        if form_key(elem) == form_key(item) then
          order[#order + 1] = { column = i }
          break
        end
      end
    end
  end
  return order
end

return { is_sym = is_sym, is_var = is_var, is_blank = is_blank, is_source = is_source, is_tag = is_tag, rest = rest,
  constant = constant, is_name = is_name, attr_name = attr_name, names = names, add_vars = add_vars,
  parse_body = parse_body, provides = provides, provides_body = provides_body, needed = needed,
  needed_body = needed_body, sections = sections, parse_find = parse_find, parse_order = parse_order }
