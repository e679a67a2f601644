-- SPDX-License-Identifier: MIT
--
-- Clauses of queries and rules as Lua data, and on to EDN data. Two ways of writing meet here:
--
--   builder   variables are rille.vars() values; strings are constants, but for attribute names in second place
--   tables    {find = {"?name"}, where = {{"?e", "person/name", "?name"}}}: strings with ?, $, % or : in front,
--             and _, are variables, sources, rules and keywords
--
-- A clause is a plain array (a pattern), or one of what Q.ge, Q.not_, Q.rule ... make.

local core = require "rille.core"
local edn = require "rille.edn"

local M = {}

local sym, kw = core.sym, core.kw

---@class rille.Clause made by Q.ge, Q.not_, Q.rule and so on
local clause_meta = { __name = "rille.clause" }
clause_meta.__index = clause_meta

---@return rille.Clause
function M.new(fields) return setmetatable(fields, clause_meta) end

function M.is_clause(x) return type(x) == "table" and getmetatable(x) == clause_meta end

-- "?x" "$src" "%" "_" ":kw" of the table form, and "..." and "." of :find
local function is_name(text)
  return text:find "^[?$]." or text == "$" or text == "%" or text == "_" or text == "..." or text == "."
end

---A term: what stands for a variable, a source or a constant. Strings of the builder are constants whatever they begin
---with: data that happens to have a colon in front must be found as it was stored.
---@param x any
---@param by_text boolean the table form
function M.term(x, by_text)
  if type(x) == "string" and by_text then
    if is_name(x) then return sym(x) end
    if x:find "^:." then return kw(x) end
  end
  return x
end

local function attribute(x, by_text)
  if type(x) ~= "string" then return x end
  if by_text and is_name(x) then return sym(x) end
  return kw(x)
end

-- {"person/email", "a@b.c"} in the place of an entity or a ref
local function lookup_or_term(x, by_text)
  if type(x) == "table" and getmetatable(x) == nil and #x == 2 and type(x[1]) == "string" then
    return { attribute(x[1], by_text), M.term(x[2], by_text) }
  end
  return M.term(x, by_text)
end

local function is_source(x)
  return core.value_type(x) == "symbol" and x.text:sub(1, 1) == "$"
end

local function call(fields, by_text)
  local out = { sym(fields.name) }
  for i = 1, #fields do out[i + 1] = M.term(fields[i], by_text) end
  return edn.list(out)
end

local special = { ["not"] = true, ["not-join"] = true, ["or"] = true, ["or-join"] = true, ["and"] = true }

-- {"not", {...}} or {"ancestor", "?a", "?b"} of the table form
local function is_list_form(items)
  local head = items[1]
  return type(head) == "string" and not is_name(head) and not head:find "^:" and head ~= ""
end

local to_edn

local function list_form(items, source)
  local out = { sym(items[1]) }
  local is_group = special[items[1]]
  local joins = items[1] == "not-join" or items[1] == "or-join"
  for i = 2, #items do
    local x = items[i]
    if joins and i == 2 then
      local vars = {}
      for j = 1, #x do
        vars[j] = type(x[j]) == "table" and { M.term(x[j][1], true) } or M.term(x[j], true)
      end
      out[i] = vars
    elseif is_group then
      out[i] = to_edn(x, source, true)
    else
      out[i] = M.term(x, true)
    end
  end
  return edn.list(out)
end

-- {">=", "?a", "?b"} as the first element: a predicate or function
local function call_form(items)
  local head = items[1]
  local out = { sym(head[1]) }
  for i = 2, #head do out[i] = M.term(head[i], true) end
  local clause = { edn.list(out) }
  for i = 2, #items do clause[i] = M.binding(items[i], true) end
  return clause
end

---A binding: a variable, {x, "..."}, {x, y}, {{x, y}}.
function M.binding(x, by_text)
  if type(x) ~= "table" or getmetatable(x) ~= nil then
    if x == "..." then return sym "..." end
    return M.term(x, by_text)
  end
  local out = {}
  for i = 1, #x do out[i] = M.binding(x[i], by_text) end
  return out
end

local function pattern(items, source, by_text)
  local out, n = {}, 0
  local first = M.term(items[1], by_text)
  local from = 1
  if is_source(first) then
    out[1], n, from = first, 1, 2
  elseif source then
    out[1], n = sym("$" .. source), 1
  end
  for i = from, #items do
    n = n + 1
    local place = i - from
    local x = items[i]
    if place == 1 then
      out[n] = attribute(x, by_text)
    elseif place == 0 or place == 2 then
      out[n] = lookup_or_term(x, by_text)
    else
      out[n] = M.term(x, by_text)
    end
  end
  return out
end

-- Rows of Lua have no attributes: every place is a term.
local function row_pattern(items, source)
  local out = { sym("$" .. source) }
  for i = 1, #items do out[i + 1] = M.term(items[i], false) end
  return out
end

local function group(clause, source)
  local out = {}
  source = clause.source or source
  if clause.source then out[1] = sym("$" .. clause.source) end
  out[#out + 1] = sym(clause.name)
  if clause.join then out[#out + 1] = clause.join end
  for i = 1, #clause do out[#out + 1] = to_edn(clause[i], source, false) end
  return edn.list(out)
end

---One clause as EDN data.
---@param clause any
---@param source string? the source of patterns that name none, without the $
---@param by_text boolean the table form
function to_edn(clause, source, by_text)
  if type(clause) ~= "table" then
    error(("a clause is a table such as {v.e, \"person/name\", v.name}, but there is a %s"):format(type(clause)), 0)
  end
  if M.is_clause(clause) then
    if clause.kind == "group" then return group(clause, source) end
    if clause.kind == "row" then return row_pattern(clause, clause.source or source) end
    if clause.kind == "rule" then
      local list = call(clause, false)
      if clause.source or source then table.insert(list, 1, sym("$" .. (clause.source or source))) end
      return list
    end
    if clause.kind == "let" then return { call(clause.call, false), M.binding(clause.binding, false) } end
    return { call(clause, false) }
  end
  if getmetatable(clause) ~= nil then return clause end -- EDN data
  if by_text then
    if is_list_form(clause) then return list_form(clause, source) end
    if type(clause[1]) == "table" and type(clause[1][1]) == "string" and #clause <= 2
      and not clause[1][1]:find "/." then
      return call_form(clause)
    end
  end
  return pattern(clause, source, by_text)
end

M.to_edn = to_edn

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
