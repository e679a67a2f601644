-- SPDX-License-Identifier: MIT
--
-- The query builder: queries as Lua values that can be passed around, extended, printed and compared. Every method
-- gives a new query and leaves the old one as it was.
--
--   local v, Q = rille.vars(), rille.query
--   local adults = Q.find(v.name)
--     :where({v.p, "person/name", v.name}, {v.p, "person/age", v.age})
--     :filter(Q.ge(v.age, 18))

local core = require "rille.core"
local check = require "rille.check"
local clause = require "rille.clause"
local compat = require "rille.compat"
local edn = require "rille.edn"

local unpack = compat.unpack

---@class rille.Builder
local Query = {}
local query_meta = { __index = Query, __name = "rille.query" }

---@class rille.query
local Q = {}

local sym, kw, raise = core.sym, core.kw, core.raise

local function is_var(x) return core.value_type(x) == "symbol" and x.text:find "^%?." ~= nil end

local function copy(query, field, value)
  local new = {}
  for k, x in pairs(query) do new[k] = x end
  new[field] = value
  new.compiled = nil
  return setmetatable(new, query_meta)
end

-- query[field] with more items behind
local function extend(query, field, ...)
  local items = {}
  for i, x in ipairs(query[field]) do items[i] = x end
  for i = 1, select("#", ...) do items[#items + 1] = (select(i, ...)) end
  return copy(query, field, items)
end

local function check_find(elem)
  if is_var(elem) or (clause.is_clause(elem) and elem.kind == "aggregate") then return end
  raise("Q.find expects variables such as v.name, or aggregates such as Q.sum(v.qty), got " .. check.kind(elem))
end

local function new(shape, elems)
  if #elems == 0 then raise("Q.find needs at least one variable") end
  for _, elem in ipairs(elems) do check_find(elem) end
  local empty = { shape = shape, find = elems, sources = {}, clauses = {}, order = {}, withs = {}, declared = {} }
  return setmetatable(empty, query_meta)
end

---Rows of these variables and aggregates.
---@param ... rille.Value|rille.Clause
---@return rille.Builder
function Q.find(...) return new("rows", { ... }) end

---The values of one variable, as a list.
---@return rille.Builder
function Q.find_list(elem) return new("list", { elem }) end

---One value.
---@return rille.Builder
function Q.find_value(elem) return new("value", { elem }) end

---One row.
---@return rille.Builder
function Q.find_row(...) return new("row", { ... }) end

---Is it a query made by Q.find?
function Q.is_query(x) return type(x) == "table" and getmetatable(x) == query_meta end

-- ---- the methods ----

---Names the sources. Without it there is one, `$`.
---@param ... string
---@return rille.Builder
function Query:from(...)
  for i = 1, select("#", ...) do
    local name = select(i, ...)
    if type(name) ~= "string" or not name:find "^[%a_][%w_-]*$" then
      raise("from: expected a source name such as \"cat\", got " .. check.kind(name))
    end
  end
  return extend(self, "sources", ...)
end

---Adds patterns and other clauses. A first argument that is a string names the source of all of them.
---@param ... string|table
---@return rille.Builder
function Query:where(...)
  local first = ...
  local source = type(first) == "string" and first or nil
  local query = self
  for i = source and 2 or 1, select("#", ...) do
    local item = select(i, ...)
    if type(item) ~= "table" then
      raise("where: expected a clause such as {v.p, \"person/name\", v.name}, got " .. check.kind(item))
    end
    query = extend(query, "clauses", { source = source, item = item })
  end
  return query
end

---Adds predicates: `:filter(Q.ge(v.age, 18))`.
---@param ... rille.Clause
---@return rille.Builder
function Query:filter(...)
  local query = self
  for i = 1, select("#", ...) do
    local item = select(i, ...)
    if not clause.is_clause(item) then raise("filter: expected a predicate such as Q.ge(v.age, 18)") end
    query = extend(query, "clauses", { item = item })
  end
  return query
end

---Binds what a function gives: `:let(v.total, Q.call("*", v.price, v.qty))`.
---@param binding any a variable, {v.x, "..."}, {v.x, v.y} or {{v.x, v.y}}
---@param call rille.Clause
---@return rille.Builder
function Query:let(binding, call)
  return extend(self, "clauses", { item = Q.let(binding, call) })
end

---Rows that differ only in these variables count as several for aggregates.
---@return rille.Builder
function Query:with(...) return extend(self, "withs", ...) end

---Orders by variables or aggregates of find; `Q.desc(v.age)` for the largest first.
---@return rille.Builder
function Query:order_by(...) return extend(self, "order", ...) end

---At most so many rows.
---@param n integer
---@return rille.Builder
function Query:limit(n) return copy(self, "limited", n) end

---Without the first n rows.
---@param n integer
---@return rille.Builder
function Query:offset(n) return copy(self, "skipped", n) end

---Rows become maps with these keys.
---@param ... string
---@return rille.Builder
function Query:keys(...) return copy(self, "key_names", { ... }) end

---Says which variables are inputs, and in which order: `:inputs(v.min, Q.each(v.sku))`. Variables that are only used
---by functions are inputs without being named here.
---@return rille.Builder
function Query:inputs(...)
  for i = 1, select("#", ...) do
    local item = select(i, ...)
    if not is_var(item) and not (clause.is_clause(item) and item.kind == "input") then
      raise "inputs: expected variables such as v.min, Q.each(v.sku) or Q.rows(name, v.a, v.b)"
    end
  end
  return extend(self, "declared", ...)
end

---The rules that Q.rule calls.
---@param rules any what rille.rules gives
---@return rille.Builder
function Query:rules(rules) return copy(self, "rule_set", rules) end

-- ---- to EDN ----

local function find_elem(elem)
  if not clause.is_clause(elem) then return elem end
  local out = { sym(elem.name) }
  for i = 1, #elem do out[i + 1] = elem[i] end
  return edn.list(out)
end

local function find_section(query, out)
  local elems = {}
  for i, elem in ipairs(query.find) do elems[i] = find_elem(elem) end
  if query.shape == "rows" then
    for _, elem in ipairs(elems) do out[#out + 1] = elem end
  elseif query.shape == "value" then
    out[#out + 1], out[#out + 2] = elems[1], sym "."
  elseif query.shape == "list" then
    out[#out + 1] = { elems[1], sym "..." }
  else
    out[#out + 1] = elems
  end
end

local function default_source(query, item)
  if #query.sources == 1 then return query.sources[1] end
  if #query.sources > 1 and not clause.is_clause(item) then
    error(("where: choose a source of the query, such as where(%q, ...); its sources are: %s"):format(query.sources[1],
      table.concat(query.sources, ", ")), 0)
  end
  return nil
end

local BUILDER, SHOWN = {}, { show = true } -- how clauses are written

local function where_section(query, how)
  local forms = {}
  local known = {}
  for _, name in ipairs(query.sources) do known[name] = true end
  for i, entry in ipairs(query.clauses) do
    local source = entry.source or default_source(query, entry.item)
    if source and not known[source] then
      error((":where, clause %d: unknown source %q%s: name the sources of the query with from(%q)"):format(i, source,
        check.hint(source, known), source), 0)
    end
    forms[i] = clause.numbered(":where", i, entry.item, source, how)
  end
  return forms
end

-- Variables that some function uses and no pattern binds, in the order of their first use.
local function free_vars(query, forms)
  local bound, used = {}, {}
  for _, form in ipairs(forms) do
    clause.each_var(form, function(name, is_bound)
      if is_bound then bound[name] = true elseif not used[name] then
        used[name] = true
        used[#used + 1] = name
      end
    end)
  end
  local free = {}
  for _, name in ipairs(used) do
    if not bound[name] then free[#free + 1] = name end
  end
  for _, item in ipairs(query.declared) do
    bound[clause.is_clause(item) and "" or item.text] = true
  end
  return free
end

local function calls_rule(form)
  if edn.type(form) ~= "list" then return false end
  for i = 1, #form do
    if core.value_type(form[i]) == "symbol" then
      local head = form[i].text
      if head:sub(1, 1) ~= "$" then
        if head ~= "not" and head ~= "or" and head ~= "not-join" and head ~= "or-join" and head ~= "and" then
          return true
        end
        break
      end
    end
  end
  for i = 1, #form do
    if calls_rule(form[i]) then return true end
  end
  return false
end

-- Names of all variables of the query, without the question mark.
local function all_names(query, forms)
  local names = {}
  local function add(name) names[name:sub(2)] = true end
  for _, form in ipairs(forms) do clause.each_var(form, add) end
  for _, elem in ipairs(query.find) do
    if clause.is_clause(elem) then
      for i = 1, #elem do clause.each_var(elem[i], add) end
    else
      clause.each_var(elem, add)
    end
  end
  for _, var in ipairs(query.withs) do clause.each_var(var, add) end
  return names
end

-- The inputs: {name=, form=} with name nil for the rules. `args` (by name) says which are lists, and adds variables. A
-- name that the query does not know is an error {misuse = message}.
local function input_list(query, forms, args)
  local inputs, seen = {}, {}
  local function add(name, form, variable)
    if seen[name] then return end
    seen[name] = true
    inputs[#inputs + 1] = { name = name, form = form, variable = variable }
  end
  for _, name in ipairs(query.sources) do add(name, sym("$" .. name)) end
  if #query.sources == 0 then add("db", sym "$") end
  for _, form in ipairs(forms) do
    if calls_rule(form) then
      add("rules", sym "%")
      break
    end
  end
  local function add_var(name)
    local value = args and args[name]
    local is_list = type(value) == "table"
    add(name, is_list and { sym("?" .. name), sym "..." } or sym("?" .. name), true)
  end
  for _, item in ipairs(query.declared) do
    if clause.is_clause(item) then
      add(item.name, item.form)
    else
      add_var(item.text:sub(2))
    end
  end
  for _, name in ipairs(free_vars(query, forms)) do add_var(name:sub(2)) end
  local more, names = {}, nil
  for name in pairs(args or {}) do
    if not seen[name] and not (name == "rules" and query.rule_set) then
      names = names or all_names(query, forms)
      if not names[name] then
        local needed = check.sorted(seen)
        for known in pairs(seen) do names[known] = true end
        error({ misuse = ("the query has no input %s%s; pass inputs by name; this query needs: %s"):format(
          type(name) == "string" and ("%q"):format(name) or "that is a " .. type(name), check.hint(name, names),
          needed) }, 0)
      end
      more[#more + 1] = name
    end
  end
  table.sort(more)
  for _, name in ipairs(more) do add_var(name) end
  return inputs
end

---The query as EDN data, and its inputs in order.
---@param args table? inputs by name
---@param how rille.Notation?
function Query:to_edn(args, how)
  local forms = where_section(self, how or BUILDER)
  local inputs = input_list(self, forms, args)
  local out = { kw "find" }
  find_section(self, out)
  if self.key_names then
    out[#out + 1] = kw "keys"
    for _, name in ipairs(self.key_names) do out[#out + 1] = sym(name) end
  end
  out[#out + 1] = kw "in"
  for _, input in ipairs(inputs) do out[#out + 1] = input.form end
  if #self.withs > 0 then
    out[#out + 1] = kw "with"
    for _, var in ipairs(self.withs) do out[#out + 1] = var end
  end
  out[#out + 1] = kw "where"
  for _, form in ipairs(forms) do out[#out + 1] = form end
  if #self.order > 0 then
    out[#out + 1] = kw "order-by"
    local order = {}
    for _, item in ipairs(self.order) do
      local desc = clause.is_clause(item) and item.kind == "desc"
      order[#order + 1] = find_elem(desc and item.elem or item)
      if desc then order[#order + 1] = kw "desc" end
    end
    out[#out + 1] = order
  end
  if self.limited then out[#out + 1], out[#out + 2] = kw "limit", self.limited end
  if self.skipped then out[#out + 1], out[#out + 2] = kw "offset", self.skipped end
  return out, inputs
end

---The query as EDN text. Attributes are shown as keywords, as they are written in EDN.
---@return string
function Query:text()
  return assert(edn.encode((self:to_edn(nil, SHOWN))))
end

query_meta.__tostring = function(self) return self:text() end
query_meta.__eq = function(a, b) return edn.encode((a:to_edn())) == edn.encode((b:to_edn())) end

-- ---- expressions ----

local function predicate(name)
  return function(...) return clause.new { kind = "call", name = name, ... } end
end

Q.eq, Q.ne, Q.lt, Q.le, Q.gt, Q.ge = predicate "=", predicate "not=", predicate "<", predicate "<=", predicate ">",
  predicate ">="

---A function or predicate by its name in query text: `Q.call("starts-with?", v.name, "A")`.
---@param name string
---@return rille.Clause
function Q.call(name, ...) return clause.new { kind = "call", name = name, ... } end

local function aggregate(name)
  return function(var, n)
    if n ~= nil then return clause.new { kind = "aggregate", name = name, n, var } end
    return clause.new { kind = "aggregate", name = name, var }
  end
end

Q.count, Q.count_distinct, Q.distinct = aggregate "count", aggregate "count-distinct", aggregate "distinct"
Q.sum, Q.avg, Q.median = aggregate "sum", aggregate "avg", aggregate "median"
Q.min, Q.max = aggregate "min", aggregate "max"
Q.variance, Q.stddev = aggregate "variance", aggregate "stddev"

---The largest first, in order_by.
function Q.desc(elem) return clause.new { kind = "desc", elem = elem } end

-- ---- clauses ----

local function group(name)
  return function(first, ...)
    if type(first) == "string" then return clause.new { kind = "group", name = name, source = first, ... } end
    return clause.new { kind = "group", name = name, first, ... }
  end
end

---No row for which all of these hold. A first string names the source.
Q.not_ = group "not"
---Rows for which one of these holds.
Q.or_ = group "or"
---Several clauses as one branch of Q.or_.
Q.and_ = group "and"

local function join_group(name)
  return function(vars, ...) return clause.new { kind = "group", name = name, join = vars, ... } end
end
---Like Q.not_, seeing only the variables listed first: `Q.not_join({v.p}, ...)`.
Q.not_join = join_group "not-join"
---Like Q.or_, seeing only the variables listed first.
Q.or_join = join_group "or-join"

---Binds what a function gives, as a clause: inside Q.or_ and its kin, and in rules.
---@param binding any a variable, {v.x, "..."}, {v.x, v.y} or {{v.x, v.y}}
---@param call rille.Clause
---@return rille.Clause
function Q.let(binding, call)
  if not clause.is_clause(call) or call.kind ~= "call" then
    raise("let: expected a call such as Q.call(\"*\", v.a, v.b)")
  end
  return clause.new { kind = "let", binding = binding, call = call }
end

---Calls a rule: `Q.rule("ancestor", v.a, v.b)`; on another source, `Q.rule("ancestor", v.a, v.b):on("stock")`.
---@param name string
---@return rille.Clause
function Q.rule(name, ...) return clause.new { kind = "rule", name = name, ... } end

---A pattern on rows of Lua: `Q.row("prices", v.sku, v.price)`; every place is a column.
---@param source string
---@return rille.Clause
function Q.row(source, ...) return clause.new { kind = "row", source = source, ... } end

---In inputs: a variable that takes each value of a list.
function Q.each(var)
  if not is_var(var) then raise "Q.each: expected a variable such as v.sku" end
  return clause.new { kind = "input", name = var.text:sub(2), form = { var, sym "..." } }
end

---In inputs: rows that give several variables, under a name: `Q.rows("pairs", v.a, v.b)`.
function Q.rows(name, ...) return clause.new { kind = "input", name = name, form = { { ... } } } end

-- ---- rules ----

---@class rille.RuleBuilder
local Rule = {}
local rule_meta = { __index = Rule, __name = "rille.rule" }

---One branch of a rule: `Q.define("ancestor", v.a, v.b):where({v.a, "person/parent", v.b})`.
---@param name string
---@return rille.RuleBuilder
function Q.define(name, ...) return setmetatable({ name = name, params = { ... }, clauses = {} }, rule_meta) end

---Adds clauses to the branch. A first argument that is a string names the source of all of them.
---@param ... string|table
---@return rille.RuleBuilder
function Rule:where(...)
  local first = ...
  local source = type(first) == "string" and first or nil
  local clauses = {}
  for i, x in ipairs(self.clauses) do clauses[i] = x end
  for i = source and 2 or 1, select("#", ...) do
    clauses[#clauses + 1] = { source = source, item = (select(i, ...)) }
  end
  return setmetatable({ name = self.name, params = self.params, clauses = clauses }, rule_meta)
end

local TABLE = { text = true }

local function branch_form(branch, shown)
  if getmetatable(branch) == rule_meta then
    local out = { edn.list { sym(branch.name), unpack(branch.params) } }
    for i, entry in ipairs(branch.clauses) do
      out[i + 1] = clause.numbered("rule " .. branch.name, i, entry.item, entry.source, shown and SHOWN or BUILDER)
    end
    return out
  end
  if type(branch[1]) ~= "table" then
    error("expected a rule such as {{\"ancestor\", \"?a\", \"?b\"}, clause, ...}, got one that begins with "
      .. check.kind(branch[1]), 0)
  end
  check.array(branch, 'a rule such as {{"ancestor", "?a", "?b"}, clause, ...}')
  check.array(branch[1], 'the head of a rule, such as {"ancestor", "?a", "?b"},')
  local head = {}
  for i, x in ipairs(branch[1]) do head[i] = i == 1 and sym(x) or clause.binding(x, TABLE) end
  local out = { edn.list(head) }
  for i = 2, #branch do
    out[i] = clause.numbered("rule " .. tostring(branch[1][1]), i - 1, branch[i], nil,
      { text = true, rules = true, show = shown })
  end
  return out
end

---EDN data of rules: of an array of Q.define branches, or of {{"ancestor", "?a", "?b"}, clause, ...}.
---@param branches table
---@param shown boolean? for reading
function Q.rules_form(branches, shown)
  check.array(branches, "the list of rules")
  local out = {}
  for i, branch in ipairs(branches) do
    if type(branch) ~= "table" then error("expected a rule: a table, or the result of Q.define", 0) end
    out[i] = branch_form(branch, shown)
  end
  return out
end

---Variables: `rille.vars().name` is ?name; `_` is the blank.
---@return table<string, rille.Value>
function Q.vars()
  return setmetatable({}, {
    __index = function(t, name)
      local var = name == "_" and sym "_" or sym("?" .. name)
      rawset(t, name, var)
      return var
    end,
  })
end

Q.methods = Query

-- query.where(...) for query:where(...)
local function with_self(class, meta, what)
  for name, method in pairs(class) do
    class[name] = function(self, ...)
      if type(self) ~= "table" or getmetatable(self) ~= meta then
        raise(("bad self: expected %s, got %s (call it as %s:%s(...))"):format(what, check.kind(self),
          what:match "%a+$", name))
      end
      return method(self, ...)
    end
  end
end
with_self(Query, query_meta, "a query")
with_self(Rule, rule_meta, "a rule")

return Q
