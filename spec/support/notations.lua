-- SPDX-License-Identifier: MIT
--
-- One query in three notations: EDN text, the table form and the builder. Forms are those of edn_lite.
--
--   notations.to_lua(value)          a value of the naive evaluator as Lua data of rille
--   notations.table_form(form, how)  a query of the form [:find ...] as a Lua table; an error when it cannot say it
--   notations.builder(form, how)     the same made by the builder, and the names of its inputs in order
--   notations.table_rules(form, how), notations.builder_rules(form, how)    for rille.rules
--
-- how(n) gives a number below n: which of the spellings that mean the same is taken.
local rille = require "rille"

local unpack = table.unpack or unpack -- luacheck: ignore 113
local M = {}
local v, Q = rille.vars(), rille.query

local function is_tag(form, tag) return type(form) == "table" and form.tag == tag end
local function is_sym(form, name) return is_tag(form, "sym") and (name == nil or form.name == name) end
local function starts(form, char) return is_sym(form) and form.name:sub(1, 1) == char end

-- The name that a list begins with; without one it cannot be written otherwise.
local function head_of(form, from)
  assert(is_tag(form, "list") and is_sym(form[from]) and form[from].name:find "^[^?$_%%]", "no name")
  return form[from].name
end

-- ---- values ----

---A constant as Lua data that is EDN already: vectors are arrays, keywords are values.
function M.to_lua(form)
  if type(form) ~= "table" then return form end
  if form.tag == "kw" then return rille.kw(form.name) end
  if form.tag == "nil" then return rille.null end
  if form.tag == "sym" then return rille.sym(form.name) end
  local out = {}
  for i, item in ipairs(form) do out[i] = M.to_lua(item) end
  if form.tag == "set" then return rille.edn.set(out) end
  if form.tag == "list" then return rille.edn.list(out) end
  return out
end

-- ---- the table form ----

-- Text that the table form would read as something else.
local function is_marked(text) return text:find "^[?$:]" ~= nil or text == "_" or text == "%" end

local function table_term(form, how)
  if is_sym(form) then return (how(4) == 0 or not is_marked(form.name)) and rille.sym(form.name) or form.name end
  if is_tag(form, "kw") then return how(2) == 0 and rille.kw(form.name) or ":" .. form.name end
  if is_tag(form, "vector") then
    local out = {}
    for i, item in ipairs(form) do out[i] = table_term(item, how) end
    return out
  end
  assert(type(form) ~= "string" or not is_marked(form), "text that means something else in a table")
  return M.to_lua(form)
end

local function attribute(form, how)
  if not is_tag(form, "kw") then return table_term(form, how) end
  local roll = how(3)
  return roll == 0 and rille.kw(form.name) or roll == 1 and ":" .. form.name or form.name
end

local function table_pattern(form, how)
  local from = starts(form[1], "$") and 2 or 1
  local out = {}
  for i, term in ipairs(form) do
    local place = i - from
    if place == 1 and not is_sym(form[1], "$r") then out[i] = attribute(term, how)
    elseif place == 0 and type(term) == "string" then out[i] = term:find "^:" and term or ":" .. term -- no rule call
    else out[i] = table_term(term, how) end
  end
  return out
end

local GROUPS = { ["not"] = true, ["or"] = true, ["and"] = true, ["not-join"] = true, ["or-join"] = true }

local function table_clause(form, how)
  if is_tag(form, "vector") and is_tag(form[1], "list") then
    assert(#form < 3 and (form[2] == nil or is_sym(form[2]) or is_tag(form[2], "vector")), "could be a pattern")
    local call = { head_of(form[1], 1) }
    for i = 2, #form[1] do call[i] = table_term(form[1][i], how) end
    local out = { call }
    for i = 2, #form do out[i] = table_term(form[i], how) end
    return out
  end
  if is_tag(form, "vector") then return table_pattern(form, how) end
  local from = starts(form[1], "$") and 2 or 1
  local name = head_of(form, from)
  local out = { from == 2 and form[1].name or nil }
  out[from] = name
  for i = from + 1, #form do
    local is_vars = name:find "join$" and i == from + 1
    out[i] = GROUPS[name] and not is_vars and table_clause(form[i], how) or table_term(form[i], how)
  end
  return out
end

local SECTIONS = { find = "find", ["in"] = "in", with = "with", where = "where", ["order-by"] = "order_by",
  limit = "limit", offset = "offset", keys = "keys" }

local function sections(form)
  local out, name = {}, nil
  for _, item in ipairs(form) do
    if is_tag(item, "kw") and SECTIONS[item.name] then
      name = SECTIONS[item.name]
      assert(not out[name], "a section twice")
      out[name] = {}
    else
      assert(not is_tag(item, "kw") or item.name == "asc" or item.name == "desc", "an unknown section")
      table.insert(out[name], item)
    end
  end
  return out
end

local function find_term(form)
  if is_tag(form, "vector") or is_tag(form, "list") then
    local out = {}
    assert(is_tag(form, "list") or type(form[1]) ~= "string", "an aggregate")
    for i, item in ipairs(form) do out[i] = find_term(item) end
    if is_tag(form, "list") then out[1] = head_of(form, 1) end
    return out
  end
  if is_sym(form) then
    local is_word = is_marked(form.name) or form.name == "..." or form.name == "."
    return is_word and form.name or rille.sym(form.name)
  end
  return M.to_lua(form)
end

local function list(items, f, how)
  local out = {}
  for i, item in ipairs(items) do out[i] = f(item, how) end
  return out
end

function M.table_form(form, how)
  local parts = sections(form)
  local out = { where = list(parts.where or {}, table_clause, how) }
  for _, name in ipairs { "find", "in", "with" } do
    out[name] = parts[name] and list(parts[name], function(item)
      return name ~= "find" and is_tag(item, "list") and M.to_lua(item) or find_term(item)
    end) or nil
  end
  out.keys = parts.keys and list(parts.keys, function(x) return x.name end)
  local order = parts.order_by
  if order then out.order_by = list(#order == 1 and is_tag(order[1], "vector") and order[1] or order, find_term) end
  out.limit, out.offset = parts.limit and parts.limit[1], parts.offset and parts.offset[1]
  return out
end

function M.table_rules(form, how)
  return list(form, function(branch)
    local out = { list(branch[1], find_term) }
    for i = 2, #branch do out[i] = table_clause(branch[i], how) end
    return out
  end)
end

-- ---- the builder ----

-- $ among other sources has a name of its own there.
local function source_name(sym) return sym.name == "$" and "main" or sym.name:sub(2) end

local function built_term(form)
  if is_sym(form, "_") then return v._ end
  if starts(form, "?") then return v[form.name:sub(2)] end
  return M.to_lua(form)
end

local function built_attribute(form, how)
  if not is_tag(form, "kw") then return built_term(form) end
  local roll = how(3)
  return roll == 0 and rille.kw(form.name) or roll == 1 and ":" .. form.name or form.name
end

local function binding(form)
  if not is_tag(form, "vector") then return is_sym(form, "...") and "..." or built_term(form) end
  return list(form, binding)
end

local function built_call(form, own)
  local args = {}
  for i = 2, #form do
    local arg = form[i]
    args[i - 1] = starts(arg, "$") and rille.sym(own and "$" .. source_name(arg) or arg.name) or built_term(arg)
  end
  return Q.call(head_of(form, 1), unpack(args, 1, #form - 1))
end

local function built_pattern(form, how, own)
  local source = starts(form[1], "$") and form[1]
  local out, is_row = {}, is_sym(source, "$r")
  for i = source and 2 or 1, #form do
    local is_attribute = i == (source and 3 or 2) and not is_row
    out[#out + 1] = is_attribute and built_attribute(form[i], how) or built_term(form[i])
  end
  if is_row and how(2) == 0 then return Q.row("r", unpack(out)) end
  if source then table.insert(out, 1, rille.sym("$" .. (own and source_name(source) or source.name:sub(2)))) end
  return out
end

-- A clause. own: sources have names of their own.
local function built_clause(form, how, own)
  if is_tag(form, "vector") and is_tag(form[1], "list") then
    local call = built_call(form[1], own)
    assert(#form < 3, "two bindings")
    if form[2] == nil then return call end
    return Q.let(binding(form[2]), call)
  end
  if is_tag(form, "vector") then return built_pattern(form, how, own) end
  local from = starts(form[1], "$") and 2 or 1
  local name, args = head_of(form, from), {}
  local joins = name:find "join$" and 1 or 0
  for i = from + 1 + joins, #form do
    args[#args + 1] = GROUPS[name] and built_clause(form[i], how, own) or built_term(form[i])
  end
  local made
  if joins == 1 then made = Q[(name:gsub("-", "_"))](list(form[from + 1], binding), unpack(args))
  elseif GROUPS[name] then made = Q[name .. "_"](unpack(args))
  else made = Q.rule(name, unpack(args, 1, #form - from)) end
  return from == 2 and made:on(own and source_name(form[1]) or form[1].name:sub(2)) or made
end

local function built_find(form)
  if is_tag(form, "list") then
    local name = form[1].name:gsub("-", "_")
    if #form == 3 then return Q[name](built_term(form[3]), form[2]) end
    return Q[name](built_term(form[2]))
  end
  return built_term(form)
end

local function start(find)
  if #find == 1 and is_tag(find[1], "vector") then
    if is_sym(find[1][2], "...") then return Q.find_list(built_find(find[1][1])) end
    return Q.find_row(unpack(list(find[1], built_find)))
  end
  if is_sym(find[2], ".") then return Q.find_value(built_find(find[1])) end
  return Q.find(unpack(list(find, built_find)))
end

local function built_order(query, order)
  local items = {}
  for _, item in ipairs(#order == 1 and is_tag(order[1], "vector") and order[1] or order) do
    if not is_tag(item, "kw") then items[#items + 1] = built_find(item)
    elseif item.name == "desc" then items[#items] = Q.desc(items[#items]) end
  end
  return query:order_by(unpack(items))
end

function M.builder(form, how)
  local parts = sections(form)
  local query = start(parts.find)
  local names, own = {}, false
  for _, input in ipairs(parts["in"]) do own = own or starts(input, "$") and input.name ~= "$" end
  for i, input in ipairs(parts["in"]) do
    if starts(input, "$") then
      names[i] = own and source_name(input) or "db"
      query = own and query:from(names[i]) or query
    elseif is_sym(input, "%") then
      names[i] = "rules"
    else
      local var = built_term(is_tag(input, "vector") and input[1] or input)
      names[i] = var.text:sub(2)
      query = query:inputs(is_tag(input, "vector") and Q.each(var) or var)
    end
  end
  for _, clause in ipairs(parts.where or {}) do
    local made = built_clause(clause, how, own)
    if own then query = query:where("main", made) else query = query:where(made) end
  end
  if parts.with then query = query:with(unpack(list(parts.with, built_term))) end
  if parts.order_by then query = built_order(query, parts.order_by) end
  if parts.limit then query = query:limit(parts.limit[1]) end
  if parts.offset then query = query:offset(parts.offset[1]) end
  return query, names
end

function M.builder_rules(form, how)
  return list(form, function(branch)
    local params = {}
    for i = 2, #branch[1] do params[i - 1] = binding(branch[1][i]) end
    local made = Q.define(branch[1][1].name, unpack(params))
    for i = 2, #branch do made = made:where(built_clause(branch[i], how, false)) end
    return made
  end)
end

return M
