-- SPDX-License-Identifier: MIT
--
-- Clauses of queries and rules as Lua data, and on to EDN data, which the one parser of the engine reads. Two ways of
-- writing meet here:
--
--   builder   variables are rille.vars() values; all strings are text
--   tables    {find = {"?name"}, where = {{"?e", "person/name", "?name"}}}: strings with ?, $ or : in front, % and _
--             are variables, sources, keywords, rules and the blank, also inside of constants
--
-- A clause is a plain array (a pattern), or one of what Q.ge, Q.not_, Q.rule ... make. What a string or an array stands
-- for (the name of an attribute, an ident, a lookup ref, or itself) is not said here: the engine knows it when it knows
-- the source and the attribute.

local core = require "rille.core"
local edn = require "rille.edn"
local check = require "rille.check"

local M = {}

local sym, kw = core.sym, core.kw

---@class rille.Clause made by Q.ge, Q.not_, Q.rule and so on
local clause_meta = { __name = "rille.clause" }
clause_meta.__index = clause_meta

---The same clause on another source: `Q.rule("below", v.a, v.b):on("stock")`.
---@param source string
---@return rille.Clause
function clause_meta:on(source)
  if self.kind ~= "group" and self.kind ~= "rule" and self.kind ~= "row" or type(source) ~= "string" then
    core.raise "on: expected a source name, for a rule call, a row, not_, or_ or and_"
  end
  local copy = {}
  for key, value in pairs(self) do copy[key] = value end
  copy.source = source
  return setmetatable(copy, clause_meta)
end

---@return rille.Clause
function M.new(fields) return setmetatable(fields, clause_meta) end

function M.is_clause(x) return type(x) == "table" and getmetatable(x) == clause_meta end

---How clauses are written. text: the table form. rules: rules can be called (:in has %). show: for reading, with names
---of attributes as keywords.
---@class rille.Notation
---@field text boolean?
---@field rules boolean?
---@field show boolean?

local DEPTH_MAX = 64 -- of constants; deeper ones are left to the engine, which refuses them

-- "?x" "$src" "%" "_"
local function is_symbol(text)
  return text:find "^[?$]." ~= nil or text == "$" or text == "%" or text == "_"
end

local function is_plain_table(x) return type(x) == "table" and getmetatable(x) == nil end

local function text_term(x, depth)
  if type(x) == "string" then
    if is_symbol(x) then return sym(x) end
    return x:find "^:." and kw(x) or x
  end
  if not is_plain_table(x) or depth > DEPTH_MAX then return x end
  local out = {}
  for key, item in pairs(x) do out[key] = text_term(item, depth + 1) end
  return out
end

---A term: what stands for a variable, a source or a constant. Strings of the builder are constants whatever they begin
---with: data that happens to have a colon in front must be found as it was stored.
---@param x any
---@param how rille.Notation
function M.term(x, how)
  if how.text then return text_term(x, 1) end
  return x
end

---A term, or "..." or "." of :find and of bindings.
function M.word(x)
  if x == "..." or x == "." then return sym(x) end
  return M.term(x, { text = true })
end

local function is_source(x)
  return core.value_type(x) == "symbol" and x.text:sub(1, 1) == "$"
end

-- The source that a clause begins with, and where the rest begins.
local function source_of(items, how)
  local first = items[1]
  if type(first) == "string" and how.text and first:sub(1, 1) == "$" then return sym(first), 2 end
  if is_source(first) then return first, 2 end
  return nil, 1
end

local function call(fields, how)
  local out = { sym(fields.name) }
  for i = 1, #fields do out[i + 1] = M.term(fields[i], how) end
  return edn.list(out)
end

local special = { ["not"] = true, ["not-join"] = true, ["or"] = true, ["or-join"] = true, ["and"] = true }

-- {"not", {...}} or {"ancestor", "?a", "?b"} of the table form, maybe with a source in front. Where rules cannot be
-- called, {"$rows", "Ann", "?x"} is a pattern: a row of Lua may begin with text.
local function is_list_form(items, from, how)
  local head = items[from]
  if type(head) ~= "string" or is_symbol(head) or head:find "^:" or head == "" then return false end
  if from == 1 then return true end
  if special[head] then return type(items[from + 1]) == "table" end
  return how.rules and not head:find "[%s%c\"%[%]{}();,@~^`\\]" and not head:find "^[+-]?%d"
end

local to_edn

local function list_form(items, from, source, how)
  local out = { source }
  out[#out + 1] = sym(items[from])
  local joins = items[from] == "not-join" or items[from] == "or-join"
  for i = from + 1, #items do
    local x = items[i]
    if special[items[from]] and not (joins and i == from + 1) then
      x = to_edn(x, nil, how)
    else
      x = M.term(x, how)
    end
    out[#out + 1] = x
  end
  return edn.list(out)
end

-- Is it {{">=", "?a", "?b"}} or {{"+", "?a", 1}, "?sum"}, and not a pattern whose entity is a lookup ref? What has a
-- variable is a call. {{"id", 5}, "?a"} can be both: it is a call, unless the name has a namespace or a colon, as in
-- {{":id", 5}, "?a"}.
local function is_call_form(items)
  local head, binding = items[1], items[2]
  if not is_plain_table(head) or type(head[1]) ~= "string" or head[1]:find "^:" or is_symbol(head[1]) then
    return false
  end
  for i = 2, #head do
    if type(head[i]) == "string" and is_symbol(head[i]) or core.value_type(head[i]) == "symbol" then return true end
  end
  if #items > 2 or type(binding) == "string" and not is_symbol(binding) then return false end
  return #head ~= 2 or not head[1]:find "/."
end

-- {">=", "?a", "?b"} as the first element: a predicate or function
local function call_form(items, how)
  local head = items[1]
  check.array(head, 'a call such as {">=", "?age", 18}')
  local out = { sym(head[1]) }
  for i = 2, #head do out[i] = M.term(head[i], how) end
  local clause = { edn.list(out) }
  for i = 2, #items do clause[i] = M.binding(items[i], how) end
  return clause
end

---A binding: a variable, {x, "..."}, {x, y}, {{x, y}}.
function M.binding(x, how)
  if not is_plain_table(x) then
    if how.text then return M.word(x) end
    return x == "..." and sym "..." or x
  end
  check.array(x, how.text and 'a binding such as {"?x", "?y"}' or "a binding such as {v.x, v.y}")
  local out = {}
  for i = 1, #x do out[i] = M.binding(x[i], how) end
  return out
end

-- "person/name" as a keyword, for reading; what no keyword can be stays text.
local function shown_name(x)
  if type(x) ~= "string" then return x end
  local fine, name = pcall(kw, x)
  return fine and name or x
end

local function pattern(items, source, how)
  local own, from = source_of(items, how)
  own = own or source and sym("$" .. source)
  local out = { own }
  local before = #out
  for i = from, #items do out[before + 1 + i - from] = M.term(items[i], how) end
  if how.show then
    out[before + 2] = shown_name(out[before + 2])
    local first = out[before + 1]
    if is_plain_table(first) and #first == 2 then out[before + 1] = { shown_name(first[1]), first[2] } end
  end
  return out
end

-- Rows of Lua have no attributes: every place is a column.
local function row_pattern(items, source, how)
  local out = { sym("$" .. source) }
  for i = 1, #items do out[i + 1] = M.term(items[i], how) end
  return out
end

local function group(clause, source, how)
  local out = {}
  source = clause.source or source
  if clause.source then out[1] = sym("$" .. clause.source) end
  out[#out + 1] = sym(clause.name)
  if clause.join then out[#out + 1] = clause.join end
  for i = 1, #clause do out[#out + 1] = to_edn(clause[i], source, how) end
  return edn.list(out)
end

local function made_by_builder(clause, source, how)
  if clause.kind == "group" then return group(clause, source, how) end
  how = { show = how.show }
  if clause.kind == "row" then return row_pattern(clause, clause.source or source, how) end
  if clause.kind == "rule" then
    local list = call(clause, how)
    if clause.source or source then table.insert(list, 1, sym("$" .. (clause.source or source))) end
    return list
  end
  if clause.kind == "let" then return { call(clause.call, how), M.binding(clause.binding, how) } end
  return { call(clause, how) }
end

---One clause as EDN data.
---@param clause any
---@param source string? the source of patterns that name none, without the $
---@param how rille.Notation
function to_edn(clause, source, how)
  if type(clause) ~= "table" then
    error(("a clause must be a table such as {v.e, \"person/name\", v.name}, got %s"):format(check.kind(clause)), 0)
  end
  if M.is_clause(clause) then return made_by_builder(clause, source, how) end
  if getmetatable(clause) ~= nil then return clause end -- EDN data
  check.array(clause, how.text and 'a clause such as {"?e", "person/name", "?x"} or {"rule", "?x"}'
    or 'a clause such as {v.e, "person/name", v.name}')
  if how.text then
    local own, from = source_of(clause, how)
    if is_list_form(clause, from, how) then return list_form(clause, from, own, how) end
    if is_call_form(clause) then return call_form(clause, how) end
  end
  return pattern(clause, source, how)
end

M.to_edn = to_edn

---One clause as EDN data; what is wrong with it is said with its place: ":where, clause 2".
---@param place string
---@param number integer
---@param clause any
---@param source string?
---@param how rille.Notation
function M.numbered(place, number, clause, source, how)
  local fine, form = pcall(to_edn, clause, source, how)
  if not fine then
    error(type(form) == "string" and ("%s, clause %d: %s"):format(place, number, form) or form, 0)
  end
  return form
end

---Calls f(name, is_bound) for the variables of a clause in EDN data: is_bound when the clause can give them a value.
function M.each_var(form, f)
  local function visit(x, is_bound)
    local kind = edn.type(x)
    if kind == "symbol" then
      if x.text:find "^%?." then f(x.text, is_bound) end
    elseif kind == "vector" then
      local is_call = edn.type(x[1]) == "list"
      for i = 1, #x do visit(x[i], is_bound and not (is_call and i == 1)) end
    elseif kind == "list" then
      for i = 1, #x do visit(x[i], is_bound) end
    end
  end
  visit(form, true)
end

return M
