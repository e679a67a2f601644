-- SPDX-License-Identifier: MIT
--
-- Ranges of an index, as the three notations of a query ask for them: for each type of attribute and each predicate,
-- with inputs from Lua, in a query and in a rule. Expected are the same plan, in which the range stands, no row more
-- than the answer out of it, and the answer that looking at every value gives.
local rille = require "rille"
local support = require "spec.support.init"

local unpack = table.unpack or unpack -- luacheck: ignore 113
local Q, v = rille.query, rille.vars()

local LONG = ("x"):rep(1100) -- an index has only its first bytes, so a range has it at either end
-- Values in ascending order.
local TYPES = {
  { "long", { -7, 0, 1, 5, 9 } },
  { "double", { -1.5, 0.5, 1.5, 2.5 } },
  { "boolean", { false, true } },
  { "instant", { rille.instant "1969-01-01", rille.instant "2026-11-01", rille.instant "2026-11-02" } },
  { "string", { "", "a", "ab", "b", LONG } },
  { "keyword", { rille.kw "a", rille.kw "a/b", rille.kw "b" } },
  { "uuid", { rille.uuid "00000000-0000-0000-0000-000000000001", rille.uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6" } },
  { "bytes", { rille.bytes "\0", rille.bytes "\0\1", rille.bytes "\255" } },
  { "bigint", { rille.bigint "-99999999999999999999", rille.bigint "0", rille.bigint "99999999999999999999" } },
  { "bigdec", { rille.bigdec "-1.5", rille.bigdec "0.1", rille.bigdec "2" } },
  { "tuple", { { 1 }, { 1, "a" }, { 2 } } },
}

-- Does a value at place i stand in this relation to the one at place j?
local HOLDS = {
  ["<"] = function(i, j) return i < j end,
  ["<="] = function(i, j) return i <= j end,
  [">"] = function(i, j) return i > j end,
  [">="] = function(i, j) return i >= j end,
  ["="] = function(i, j) return i == j end,
  ["starts-with?"] = function(i, j, values) return values[i]:sub(1, #values[j]) == values[j] end,
}

-- Rows that scans of patterns gave: the last number of their lines.
local function rows_read(plan)
  local rows = 0
  for line in plan:gmatch "[^\n]+" do
    if line:find "^%s*scan" then rows = rows + tonumber(line:match "(%d+)$") end
  end
  return rows
end

describe("a range", function()
  local db

  setup(function()
    local conn = assert(rille.create(support.plain_url "mem"))
    for _, t in ipairs(TYPES) do
      local attr = "t/" .. t[1]
      assert(conn:transact { { ["db/ident"] = attr, ["db/valueType"] = "db.type/" .. t[1], ["db/index"] = true } })
      for _, value in ipairs(t[2]) do assert(conn:transact { { [attr] = value } }) end
    end
    db = conn:db()
    conn:close()
  end)
  teardown(support.cleanup)

  local function check(name, attr, values, j)
    local expected, limit = {}, values[j]
    for i = 1, #values do expected[i] = HOLDS[name](i, j, values) or nil end
    local count = 0
    for _ in pairs(expected) do count = count + 1 end

    local rules = ("[[(r ?e ?v ?c) [?e :%s ?v] [(%s ?v ?c)]]]"):format(attr, name)
    local asked = {
      { ("[:find ?e ?v :in $ ?c :where [?e :%s ?v] [(%s ?v ?c)]]"):format(attr, name) },
      { { find = { "?e", "?v" }, ["in"] = { "$", "?c" },
          where = { { "?e", attr, "?v" }, { { name, "?v", "?c" } } } } },
      { Q.find(v.e, v.v):where { v.e, attr, v.v }:filter(Q.call(name, v.v, v.c)):inputs(v.c) },
      { "[:find ?e ?v :in $ ?c % :where (r ?e ?v ?c)]", rules },
      { { find = { "?e", "?v" }, ["in"] = { "$", "?c", "%" }, where = { { "r", "?e", "?v", "?c" } } }, rules },
    }
    for way, q in ipairs(asked) do
      local where = ("%s %s, way %d"):format(name, attr, way)
      local plan = assert(rille.explain(q[1], db, limit, unpack(q, 2)))
      assert.matches(("in [(%s ?v ?c)]"):format(name):gsub("%p", "%%%0"), plan, where)
      assert.equal(count, #assert(rille.q(q[1], db, limit, unpack(q, 2))), where)
      assert.is_true(rows_read(plan) <= count + (limit == LONG and 1 or 0), where .. "\n" .. plan)
    end
  end

  for _, t in ipairs(TYPES) do
    it("of " .. t[1] .. " is the same in each notation", function()
      for name in pairs(HOLDS) do
        for j = 1, #t[2] do
          if name ~= "starts-with?" or t[1] == "string" then check(name, "t/" .. t[1], t[2], j) end
        end
      end
    end)
  end
end)
