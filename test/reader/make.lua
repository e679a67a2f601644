-- SPDX-License-Identifier: MIT
--
-- Makes a database in a directory for rille_format.py to read: values of every type, trees of several levels, flushes
-- and spilled segments between them, retractions, long values, a schema that changes, and transactions in the head.
-- usage: rille run test/reader/make.lua DIR [ENTITIES]
local rille = require "rille"

local dir, entities = arg[1], tonumber(arg[2] or 4000)
local conn = assert(rille.create("file:" .. dir, { durability = "none" }))

local function attr(name, type, more)
  local map = { ["db/ident"] = name, ["db/valueType"] = "db.type/" .. type }
  for key, value in pairs(more or {}) do map["db/" .. key] = value end
  return map
end

local MANY = { cardinality = "db.cardinality/many" }
local INDEXED = { cardinality = "db.cardinality/many", index = true }

-- ---- one value and more of each type ----

local long_text = ("é"):rep(700)
local values = {
  boolean = { true, false },
  long = { 0, 1, -1, 255, 256, 2 ^ 53 - 1, -(2 ^ 53) + 1 },
  double = { 0.5, -1.5, 1e308, -5e-324, 1 / 0, -1 / 0, 1e22 },
  bigint = { rille.bigint "123456789012345678901", rille.bigint "-9223372036854775809", rille.bigint "7" },
  bigdec = { rille.bigdec "1.25", rille.bigdec "-0.001", rille.bigdec "0", rille.bigdec("0." .. ("3"):rep(900)) },
  instant = { rille.instant(0), rille.instant(-1), rille.instant "2026-11-22T10:00:00Z" },
  uuid = { rille.uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", rille.uuid "00000000-0000-0000-0000-000000000000" },
  keyword = { rille.kw "a", rille.kw "a/b", rille.kw "ü/é" },
  symbol = { rille.sym "a", rille.sym "?x" },
  string = { "", "a", "é", "\0zero\0", ("x"):rep(1024), ("x"):rep(1025), ("x"):rep(64) .. "y", long_text },
  bytes = { rille.bytes "", rille.bytes "\0\1\255", rille.bytes(("b"):rep(1025)), rille.bytes(("b"):rep(1024)) },
  floats = { { 1.5, -2.25 }, { 0.0 } },
  tuple = { { 1, "a", rille.kw "k" }, { 1, "a" }, { "x", { 1, { 2.5, "deep" } } } },
  ref = { "ann", "bob" },
}

local schema, firsts = {}, {}
for type, list in pairs(values) do
  schema[#schema + 1] = attr("one/" .. type, type)
  schema[#schema + 1] = attr("many/" .. type, type, INDEXED)
  firsts[#firsts + 1] = { ["db/id"] = "all", ["one/" .. type] = list[1], ["many/" .. type] = list }
end
assert(conn:transact(schema))
firsts[#firsts + 1] = { ["db/id"] = "ann", ["one/string"] = ("q"):rep(70000) }
firsts[#firsts + 1] = { ["db/id"] = "bob", ["one/string"] = "bob" }
assert(conn:transact(firsts))
assert(conn:transact [=[ [{:one/tuple [1 nil "x"]}] ]=])
assert(conn:flush())

-- ---- many entities: leaves of every tree, separators of text with shared beginnings ----

assert(conn:transact {
  attr("p/key", "string", { unique = "db.unique/identity" }), attr("p/name", "string", { index = true }),
  attr("p/age", "long"), attr("p/weight", "double"), attr("p/tag", "keyword", INDEXED), attr("p/friend", "ref", MANY),
  attr("p/bio", "string"), attr("p/gone", "string", { noHistory = true }),
})

local function person(i)
  return {
    ["db/id"] = "e" .. i,
    ["p/key"] = ("https://example.org/people/%08d"):format(i * 7919 % 1000003),
    ["p/name"] = ("Jürgen von Größe %d %s"):format(i % 97, ("é"):rep(i % 5)),
    ["p/age"] = i % 90 - 3,
    ["p/weight"] = i / 7,
    ["p/tag"] = { rille.kw("t/x" .. i % 13), rille.kw("t/y" .. i % 7) },
    ["p/friend"] = i > 2 and { "e" .. (i - 1), "e" .. math.floor(i / 2) } or nil,
    ["p/bio"] = i % 97 == 0 and ("bio %d "):format(i):rep(200) or nil,
  }
end

local people = {}
for i = 1, entities do people[i] = person(i) end
local ids = assert(conn:transact(people)).tempids
assert(conn:flush())

-- ---- small transactions: segments are spilled, flushed, and spilled again; facts come and go and come back ----

for round = 1, 600 do
  local e = ids["e" .. (round * 37 % entities + 1)]
  local data = { { ["db/id"] = e, ["p/age"] = round, ["p/name"] = "renamed " .. ("x"):rep(round % 50) } }
  if round % 3 == 0 then data[#data + 1] = { "db.fn/retractAttribute", e, "p/tag" } end
  if round % 7 == 0 then data[#data + 1] = { ["db/id"] = e, ["p/gone"] = "round " .. round } end
  if round % 50 == 0 then data[#data + 1] = { "db/retractEntity", ids["e" .. round] } end
  assert(conn:transact(data, round % 10 == 0 and { meta = { ["db/doc"] = "round " .. round } } or nil))
  if round == 250 then assert(conn:flush()) end
end

-- ---- what an equal value of another type does, and a schema that changes ----

local tuple = assert(conn:transact { { ["db/id"] = "t", ["many/tuple"] = { { 1, 2 }, { 3, 4 } } } }).tempids.t
assert(conn:transact { { "db/retract", tuple, "many/tuple", { 1.0, 2.0 } } })
assert(conn:transact { { ["db/id"] = ":p/age", ["db/cardinality"] = "db.cardinality/many" } })
assert(conn:transact { { ["db/id"] = ":p/bio", ["db/ident"] = "p/story" } })
assert(conn:transact { { ["db/ident"] = "just/a-name" } })
assert(conn:transact { { ["db/id"] = "last", ["p/key"] = "in the head", ["p/story"] = long_text } })
assert(conn:verify())
conn:close()
