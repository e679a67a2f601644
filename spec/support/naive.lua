-- SPDX-License-Identifier: MIT
--
-- The naive query evaluator: what a query means, in the plainest way that comes to mind. Nested loops over lists of
-- rows; rules by iteration until nothing is new; no index, no plan, no code of the engine.
--
--   local result = naive.q(text, input...)        -- inputs follow :in, as for rille.q
--   naive.db(rows, options)      a database: rows {e, "attr/name", v, tx, added}. options: idents = {["a/b"] = entity},
--                                attr_ids = {["a/b"] = number}: what a variable in attribute position is bound to;
--                                refs = {["a/b"] = true}, unique: attributes that are such (without unique: all)
--   naive.rel(rows)              a relation: rows of any width
--   naive.host(functions)        functions of the host by name, as an additional last input
--   % is text; ?x a value; [?x ...] a list; [?x ?y] a row; [[?x ?y]] a list of rows.
--
-- A result is {kind = "rel" | "coll" | "tuple" | "scalar", rows = all rows, order = ..., limit = , offset = }. rows are
-- distinct; order, limit and offset are not applied but told, since several answers can be right: naive.check judges
-- one.
-- naive.lenient and naive.as_written are the same for queries with calls that fail.
-- An error of a function is thrown as a table {code = "TYPE" ...}; so is one that the binder must find: code "QUERY".
--
-- Names: ctx.named holds the variables that inputs gave, and parameters of rules that were given one of those or a
-- constant. In entity position, and where a datom's attribute is a ref, their keywords and strings are idents, and
-- their pairs lookup refs; but strings are text where the pattern does not say the attribute. Everywhere else they are
-- what they are. A keyword or string in attribute position is the attribute's name, whatever gave it.
--
-- Bindings of variables are called an env: name -> value. A body is a list of clauses and maps a list of envs to
-- another.
local edn = require "spec.support.edn_lite"
local base = require "spec.support.naive_functions"
local forms = require "spec.support.naive_forms"
local judge = require "spec.support.naive_judge"
local types = require "spec.support.naive_types"

local M = { kw = edn.kw, NIL = edn.NIL, tuple = base.tuple, key = base.key, compare = base.compare,
  double = base.double }
local NIL = edn.NIL
local equal, form_of = base.equal, base.form

function M.db(rows, options) return { tag = "db", rows = rows, options = options or {} } end
function M.rel(rows) return { tag = "rel", rows = rows } end
function M.host(functions) return { tag = "host", functions = functions } end

local function fail(code, ...) error({ code = code, message = table.concat({ ... }, " ") }, 0) end

local is_sym, is_var, is_blank = forms.is_sym, forms.is_var, forms.is_blank
local is_source, is_tag = forms.is_source, forms.is_tag
local is_name, attr_name = forms.is_name, forms.attr_name
local rest, constant, names = forms.rest, forms.constant, forms.names
local parse_body, provides, provides_body = forms.parse_body, forms.provides, forms.provides_body
local needed, needed_body = forms.needed, forms.needed_body

-- ---- envs ----

local function copy(env)
  local out = {}
  for k, v in pairs(env) do out[k] = v end
  return out
end

-- Binds or compares; nil when it does not fit. The env given is not changed.
local function bind(env, form, value)
  if is_blank(form) then return env end
  local bound = env[form.name]
  if form.one_form then value = base.simplest(value) end
  if bound ~= nil then return equal(bound, value) and env or nil end
  env = copy(env)
  env[form.name] = value
  return env
end

local function env_key(env)
  local out = {}
  for name, v in pairs(env) do out[#out + 1] = name .. "=" .. form_of(v) end
  table.sort(out)
  return table.concat(out, "\0")
end

local function distinct_envs(envs)
  local seen, out = {}, {}
  for _, env in ipairs(envs) do
    local k = env_key(env)
    if not seen[k] then
      seen[k] = true
      out[#out + 1] = env
    end
  end
  return out
end

-- All ways to bind a value to ?x, [?x ...], [?x _ ?y] or [[?x ?y]].
local function bind_form(env, form, value, out, wider)
  if not is_tag(form, "vector") then
    env = bind(env, form, value)
    if env then out[#out + 1] = env end
  elseif is_sym(form[2]) and form[2].name == "..." then
    for _, item in ipairs(value) do bind_form(env, form[1], item, out) end
  elseif is_tag(form[1], "vector") and #form == 1 then
    for _, row in ipairs(value) do bind_form(env, form[1], row, out, true) end
  else
    if #value < #form or (#value > #form and not wider) then fail("TYPE", "a tuple is not as long as its binding") end
    for i, inner in ipairs(form) do
      env = env and bind(env, inner, value[i] == nil and NIL or value[i])
    end
    if env then out[#out + 1] = env end
  end
  return out
end

-- ---- patterns ----

local named_entity

-- The entity of a lookup ref, or nil.
local function look_up(db, attr, value, only)
  local name = attr_name(attr)
  if db.options.unique and not db.options.unique[name] then return nil end
  if (db.options.refs or {})[name] then value = named_entity(db, value, only) end
  for _, row in ipairs(db.rows) do
    if value ~= nil and row[2] == name and equal(row[3], value) then return row[1] end
  end
end

-- The entity that a value is or names, or nil. only: nothing else can be meant.
named_entity = function(db, value, only)
  if is_tag(value, "kw") or only and type(value) == "string" then return (db.options.idents or {})[attr_name(value)] end
  if is_tag(value, "tuple") then
    if #value == 2 and is_name(value[1]) then return look_up(db, value[1], value[2], only) end
    return nil
  end
  local number = base.simplest(value)
  return type(number) == "number" and number or nil
end

-- Do names of entities count at a position of a row? The value's by its attribute.
local function names_count(db, position, row)
  return position == 1 or position == 4 or position == 3 and (db.options.refs or {})[row[2]] == true
end

-- Does what a value names stand at a position of a row? known: the pattern says the attribute.
local function match_name(db, value, position, row, known)
  if position == 2 then
    if is_name(value) then return attr_name(value) == row[2] end
    return equal(value, (db.options.attr_ids or {})[row[2]] or row[2])
  end
  if not names_count(db, position, row) then return false end
  local e = named_entity(db, value, position ~= 3 or known)
  return e ~= nil and row[position] ~= nil and equal(e, row[position])
end

local function match_constant(db, v, position, row, known, value)
  if position == 2 or names_count(db, position, row) then return match_name(db, v, position, row, known) end
  return equal(v, value)
end

-- A row's attribute is looked at first: few have the one that a pattern says.
local function match_row(ctx, source, env, clause, row)
  local is_db, terms, constants = source.tag == "db", clause.terms, clause.constants
  if is_db and clause.attribute and row[2] ~= clause.attribute then return nil end
  for i, role in ipairs(clause.roles) do
    local value = row[i]
    if value == nil then value = is_db and i == 5 or NIL end
    if role == "variable" then
      local term = terms[i]
      local bound = is_db and i <= 4 and env[term.name]
      local is_named = bound and (i == 2 or ctx.named[term.name])
        and match_name(source, bound, i, row, constants[2] ~= nil)
      if not is_named then
        if is_db and i == 2 then value = (source.options.attr_ids or {})[value] or value end
        env = bind(env, term, value)
        if not env then return nil end
      end
    elseif role == "constant" then
      local fits
      if is_db then fits = match_constant(source, constants[i], i, row, constants[2] ~= nil, value)
      else fits = equal(constants[i], value) end
      if not fits then return nil end
    end
  end
  return env
end

-- ---- evaluation ----

local eval_body

local function source_of(ctx, name)
  return ctx.sources[name] or fail("QUERY", "no source", name)
end

local function argument(env, arg)
  if is_var(arg) then
    local v = env[arg.name]
    if v == nil then fail("QUERY", "unbound variable", arg.name) end
    return v
  end
  return constant(arg)
end

-- An argument that names an entity.
local function entity(ctx, db, env, arg)
  local e = argument(env, arg)
  if is_var(arg) and not ctx.named[arg.name] then return e end
  for _, row in ipairs(db.rows) do
    if match_name(db, e, 1, row, true) then return row[1] end
  end
  return NIL
end

local function first_value(db, e, attr)
  for _, row in ipairs(db.rows) do
    if equal(row[1], e) and row[2] == attr_name(attr) then return row[3] end
  end
end

local function call(ctx, env, clause)
  local args = clause.args
  if clause.name == "get-else" or clause.name == "missing?" or clause.name == "get-some" then
    local name = args[1].name
    local db = source_of(ctx, name)
    local e = entity(ctx, db, env, args[2])
    if clause.name == "get-some" then
      for i = 3, #args do
        local v = first_value(db, e, args[i])
        if v ~= nil then return base.tuple({ (db.options.attr_ids or {})[args[i].name] or args[i].name, v }) end
      end
      return NIL
    end
    local v = first_value(db, e, args[3])
    if clause.name == "missing?" then return v == nil end
    if v == nil then return argument(env, args[4]) end
    return v
  end
  local f = ctx.host[clause.name] or base.functions[clause.name] or fail("QUERY", "unknown function", clause.name)
  local values = {}
  for i, arg in ipairs(args) do values[i] = argument(env, arg) end
  local result = f((table.unpack or unpack)(values)) -- luacheck: ignore 113
  if result == nil then return NIL end
  return result
end

local function only(env, vars)
  local out = {}
  for name in pairs(names(vars)) do out[name] = env[name] end
  return out
end

local EVAL = {}

function EVAL.pattern(ctx, env, clause, out)
  local source = source_of(ctx, clause.source)
  for _, row in ipairs(source.rows) do
    local found = match_row(ctx, source, env, clause, row)
    if found then out[#out + 1] = found end
  end
end

-- A call that fails is noted where the query goes on without its rows.
local function try(ctx, env, clause)
  if not ctx.failures then return call(ctx, env, clause) end
  local ok, v = pcall(call, ctx, env, clause)
  if ok then return v end
  if type(v) ~= "table" or v.code == "QUERY" then error(v, 0) end
  ctx.failures.any = true
  return NIL
end

function EVAL.pred(ctx, env, clause, out)
  local v = try(ctx, env, clause)
  if v ~= false and v ~= NIL then out[#out + 1] = env end
end

function EVAL.fn(ctx, env, clause, out)
  local v = try(ctx, env, clause)
  if v ~= NIL then bind_form(env, clause.binding, v, out) end
end

EVAL["not"] = function(ctx, env, clause, out)
  local inside = clause.vars and only(env, clause.vars) or env
  local found = ctx.complete(ctx, function(inner) return eval_body(inner, { inside }, clause.body, {}) end)
  if #found == 0 then out[#out + 1] = env end
end

EVAL["or"] = function(ctx, env, clause, out)
  local inside = clause.vars and only(env, clause.vars) or env
  for _, branch in ipairs(clause.branches) do
    for _, found in ipairs(eval_body(ctx, { inside }, branch, {})) do
      local merged = env
      for name, v in pairs(clause.vars and only(found, clause.vars) or found) do
        merged = merged and bind(merged, { tag = "sym", name = name }, v)
      end
      if merged then out[#out + 1] = merged end
    end
  end
end

-- The answers to a call so far: a table by source, name and bound arguments. Made by the first call; ctx.complete
-- evaluates all of them again until none grows.
local function answers_to(ctx, name, source, args)
  local id = { name, source }
  for i = 1, args.count do
    id[#id + 1] = (args[i] == nil and "_" or form_of(args[i])) .. (args.named[i] and "!" or "")
  end
  id = table.concat(id, "\0")
  local answers = ctx.answers[id]
  if not answers then
    answers = { name = name, source = source, args = args, rows = {}, seen = {} }
    ctx.answers[id] = answers
    ctx.list[#ctx.list + 1] = answers
    ctx.grown = true
  end
  return answers
end

local function improve(ctx, answers)
  for _, branch in ipairs(ctx.rules[answers.name]) do
    local env = {}
    local named = {}
    for i, param in ipairs(branch.params) do
      if env and answers.args[i] ~= nil then env = bind(env, param, answers.args[i]) end
      named[param.name] = named[param.name] or answers.args.named[i]
    end
    -- A body's own calls go on with the source that the rule was called with.
    local inner = setmetatable({ own_source = answers.source, named = named, sources = setmetatable({
      ["$"] = ctx.sources[answers.source] }, { __index = ctx.sources }) }, { __index = ctx, __newindex = ctx })
    for _, found in ipairs(env and eval_body(inner, { env }, branch.body, names(branch.required)) or {}) do
      local row, id = {}, {}
      for i, param in ipairs(branch.params) do
        row[i] = found[param.name]
        if row[i] == nil then fail("QUERY", "rule", answers.name, "leaves", param.name, "unbound") end
        id[i] = form_of(row[i])
      end
      id = table.concat(id, "\0")
      if not answers.seen[id] then
        answers.seen[id] = true
        answers.rows[#answers.rows + 1] = row
        ctx.grown = true
      end
    end
  end
end

function EVAL.rule(ctx, env, clause, out)
  if not ctx.rules[clause.name] then fail("QUERY", "unknown rule", clause.name) end
  local args = { count = #clause.args, named = {} }
  for i, arg in ipairs(clause.args) do
    if is_var(arg) then args[i] = env[arg.name]
    elseif not is_blank(arg) then
      args[i] = constant(arg)
      if ctx.rules[clause.name][1].params[i].one_form then args[i] = base.simplest(args[i]) end
    end
    args.named[i] = args[i] ~= nil and (not is_var(arg) or ctx.named[arg.name]) or nil
  end
  local source = clause.source == "$" and ctx.own_source or clause.source
  local answers = answers_to(ctx, clause.name, source, args)
  for n = 1, #answers.rows do
    local found = env
    for i, arg in ipairs(clause.args) do
      if is_var(arg) then found = found and bind(found, arg, answers.rows[n][i]) end
    end
    if found then out[#out + 1] = found end
  end
end

-- Runs f until no rule has new answers; the answers are complete then, so a negation of f's result is sound.
local function complete(outer, f)
  local ctx = setmetatable({ answers = {}, list = {}, grown = false, sources = outer.sources, rules = outer.rules,
    needs = outer.needs, host = outer.host, complete = outer.complete, named = outer.named, failures = outer.failures,
    as_written = outer.as_written }, nil)
  while true do
    ctx.grown = false
    local result = f(ctx)
    local i = 1
    while i <= #ctx.list do -- grows while it is worked through
      improve(ctx, ctx.list[i])
      i = i + 1
    end
    if not ctx.grown then return result end
  end
end

-- Lower runs first; nots last, when all that can be bound is. What may give an attribute as a name comes before the
-- pattern that has it in attribute position.
local RANK = { pred = 1, fn = 2, pattern = 3, ["or"] = 4, rule = 5, ["not"] = 7 }

local function rank(ctx, clause, bound)
  local attr = clause.kind == "pattern" and source_of(ctx, clause.source).tag == "db" and clause.terms[2]
  return attr and is_var(attr) and not bound[attr.name] and 6 or RANK[clause.kind]
end

eval_body = function(ctx, envs, body, outer)
  local bound = copy(outer)
  for name in pairs(envs[1] or {}) do bound[name] = true end
  local bindable = copy(bound)
  for name in pairs(provides_body(body)) do bindable[name] = true end
  local waiting = rest(body, 1)
  while #waiting > 0 and #envs > 0 do
    local best, best_rank
    for i, clause in ipairs(waiting) do
      local ready = true
      for name in pairs(needed(clause, ctx.needs, {})) do
        if (bindable[name] or clause.kind ~= "not") and not bound[name] then ready = false end
      end
      local r = rank(ctx, clause, bound)
      if ctx.as_written and r ~= 6 then r = 1 end
      if ready and (not best or r < best_rank) then best, best_rank = i, r end
    end
    if not best then fail("QUERY", "clauses wait for variables that nothing binds") end
    local clause = table.remove(waiting, best)
    local out = {}
    for _, env in ipairs(envs) do EVAL[clause.kind](ctx, env, clause, out) end
    envs = distinct_envs(out)
    provides(clause, bound)
  end
  return envs
end

-- ---- rules ----

local function parse_rules(text)
  local rules = {}
  for _, form in ipairs(edn.read(text)) do
    local head = form[1]
    local branch = { params = {}, required = is_tag(head[2], "vector") and head[2] or {}, body = nil }
    for i = 2, #head do
      for _, p in ipairs(is_tag(head[i], "vector") and head[i] or { head[i] }) do
        branch.params[#branch.params + 1] = p
      end
    end
    branch.body = parse_body(rest(form, 2), "$")
    local name = head[1].name
    rules[name] = rules[name] or {}
    table.insert(rules[name], branch)
  end
  return rules
end

local function find_needs(rules)
  local needs = {}
  for name, branches in pairs(rules) do
    needs[name] = {}
    for i = 1, #branches[1].required do needs[name][i] = true end
  end
  local grown = true
  while grown do
    grown = false
    for name, branches in pairs(rules) do
      for _, branch in ipairs(branches) do
        local wanted, own = needed_body(branch.body, needs, {}), provides_body(branch.body)
        for i, param in ipairs(branch.params) do
          if not needs[name][i] and (wanted[param.name] or not own[param.name]) then
            needs[name][i] = true
            grown = true
          end
        end
      end
    end
  end
  return needs
end

-- ---- queries ----

local function find_sources(ctx, query, inputs)
  for i, form in ipairs(query["in"]) do
    if inputs[i] == nil then fail("INPUT", "too few inputs") end
    if is_source(form) then ctx.sources[form.name] = inputs[i] end
    if is_sym(form) and form.name == "%" then ctx.rules = parse_rules(inputs[i]) end
  end
  ctx.needs = find_needs(ctx.rules)
end

local function bind_inputs(ctx, query, inputs)
  local envs = { {} }
  for i, form in ipairs(query["in"]) do
    local input = inputs[i]
    if not is_source(form) and not (is_sym(form) and form.name == "%") then
      local out = {}
      for _, env in ipairs(envs) do bind_form(env, form, input, out) end
      envs = distinct_envs(out)
      for name in pairs(names({ form })) do ctx.named[name] = true end
    end
  end
  return envs
end

-- Distinct rows of the variables of :find and :with; then groups, when there are aggregates.
local function shape(envs, elems, with)
  local groups, order = {}, {}
  local seen = {}
  local aggregates = false
  local simplest = {} -- by variable and value: equal numbers of a column have one form
  for _, env in ipairs(envs) do
    for name, v in pairs(env) do
      local id = name .. base.key(v)
      if simplest[id] == nil or base.simpler(v, simplest[id]) then simplest[id] = v end
    end
  end
  local function value_of(env, var) return env[var.name] ~= nil and simplest[var.name .. base.key(env[var.name])] end
  for _, env in ipairs(envs) do
    local row, group = {}, {}
    for i, elem in ipairs(elems) do
      local var = is_tag(elem, "list") and elem[#elem] or elem
      row[i] = value_of(env, var)
      if env[var.name] == nil then fail("QUERY", "unbound", var.name) end
      if is_tag(elem, "list") then aggregates = true else group[#group + 1] = row[i] end
    end
    local whole = rest(row, 1)
    for _, var in ipairs(with) do whole[#whole + 1] = value_of(env, var) end
    local id = judge.row_key(whole)
    if not seen[id] then
      seen[id] = true
      local group_id = judge.row_key(group)
      if not groups[group_id] then
        groups[group_id] = {}
        order[#order + 1] = group_id
      end
      table.insert(groups[group_id], row)
    end
  end
  local out, out_seen = {}, {}
  for _, group_id in ipairs(order) do
    local rows = groups[group_id]
    for n = 1, aggregates and 1 or #rows do
      local result = {}
      for i, elem in ipairs(elems) do
        if is_tag(elem, "list") then
          local column = {}
          for r, row in ipairs(rows) do column[r] = row[i] end
          result[i] = base.aggregates[elem[1].name](column, #elem == 3 and elem[2] or nil)
        else
          result[i] = rows[n][i]
        end
      end
      local id = judge.row_key(result)
      if not out_seen[id] then
        out_seen[id] = true
        out[#out + 1] = result
      end
    end
  end
  return out
end

-- failures: a table whose `any` is set where a call failed: its row is left out. as_written: clauses run in the order
-- in which they are written, each as soon as its variables are bound; else filters come first.
local function run(failures, as_written, text, ...)
  local inputs = { ... }
  local query = forms.sections(edn.read(text))
  query["in"] = query["in"] or { { tag = "sym", name = "$" } }
  local ctx = { sources = {}, rules = {}, host = {}, answers = {}, list = {}, named = {},
    complete = complete, failures = failures, as_written = as_written }
  for i, input in ipairs(inputs) do
    if is_tag(input, "host") then
      ctx.host = input.functions
      table.remove(inputs, i)
      break
    end
  end
  local kind, elems = forms.parse_find(query.find)
  local body = parse_body(query.where or {}, "$")
  find_sources(ctx, query, inputs)
  types.mark(query["in"], inputs, body, ctx.rules, ctx.sources)
  local envs = bind_inputs(ctx, query, inputs)
  local found = complete(ctx, function(inner) return eval_body(inner, envs, body, {}) end)
  local limit, offset = (query.limit or {})[1], (query.offset or {})[1]
  return { kind = kind, rows = shape(found, elems, query.with or {}),
    order = forms.parse_order(query["order-by"] or {}, elems),
    limit = limit ~= NIL and limit or nil, offset = offset ~= NIL and offset or nil }
end

function M.q(text, ...) return run(nil, false, text, ...) end

-- What the answer is, if there is one, with rows of failing calls left out; and whether any call failed.
function M.lenient(text, ...)
  local failures = {}
  return run(failures, false, text, ...), failures.any == true
end

-- The query with its clauses as they are written.
function M.as_written(text, ...) return run(nil, true, text, ...) end

M.row_key, M.serialise, M.check = judge.row_key, judge.serialise, judge.check

return M
