-- SPDX-License-Identifier: MIT
--
-- Queries as Lua tables: {find = {"?name"}, where = {{"?e", "person/name", "?name"}}}.

local core = require "rille.core"
local check = require "rille.check"
local clause = require "rille.clause"
local edn = require "rille.edn"

local sym, kw, raise = core.sym, core.kw, core.raise

local M = {}

local TABLE = { text = true }
local TABLE_WITH_RULES = { text = true, rules = true }

local SECTIONS = { find = "any", keys = "table", ["in"] = "any", with = "any", where = "table", order_by = "any",
  limit = "number", offset = "number" }

-- The items of a section, or of an array inside it. calls: {"count", "?x"} is an aggregate.
local function text_terms(section, items, calls)
  if type(items) ~= "table" then items = { items } end
  check.array(items, section)
  local out = {}
  for i, x in ipairs(items) do
    if type(x) == "table" and getmetatable(x) == nil then
      local inner = text_terms("an item of " .. section, x, calls)
      local head = x[1]
      local is_aggregate = calls and type(head) == "string" and head:find "^%a"
      if is_aggregate then inner[1] = sym(head) end
      out[i] = is_aggregate and edn.list(inner) or inner
    else
      out[i] = clause.word(x)
    end
  end
  return out
end

local function has_rules(inputs)
  for _, input in ipairs(type(inputs) == "table" and inputs or { inputs }) do
    if input == "%" or input == sym "%" then return true end
  end
  return false
end

---Raises an error for sections that a query as a Lua table does not have.
function M.check(query)
  if query[1] ~= nil then
    raise "a query as a table names its sections, such as {find = {\"?x\"}, where = {...}}, but this one is an array"
  end
  check.options("a query as a table", query, SECTIONS)
end

---EDN data of a query given as a Lua table: {find = {"?name"}, where = {{"?e", "person/name", "?name"}}}.
function M.form(query)
  local out = {}
  local function section(name, items)
    out[#out + 1] = kw(name)
    for _, item in ipairs(items) do out[#out + 1] = item end
  end
  if query.find == nil then error("a query as a table needs find = {...}", 0) end
  section("find", text_terms("find", query.find, true))
  if query.keys then
    local names = {}
    check.array(query.keys, "keys")
    for i, name in ipairs(query.keys) do names[i] = sym(name) end
    section("keys", names)
  end
  if query["in"] then section("in", text_terms("in", query["in"])) end
  if query.with then section("with", text_terms("with", query.with)) end
  local forms = {}
  check.array(query.where or {}, "where")
  local how = has_rules(query["in"]) and TABLE_WITH_RULES or TABLE
  for i, item in ipairs(query.where or {}) do forms[i] = clause.numbered(":where", i, item, nil, how) end
  section("where", forms)
  if query.order_by then section("order-by", { text_terms("order_by", query.order_by, true) }) end
  if query.limit then section("limit", { query.limit }) end
  if query.offset then section("offset", { query.offset }) end
  return out
end

return M
