-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- Joins of a database here with one that is far away, which is a store that answers only when asked again: how much is
-- asked of the latter, counted.
local rille = require "rille"
local support = require "spec.support.init"

local PEOPLE = 60000
local GROUPS = 300

local function far_people()
  local url = support.plain_url "file"
  local conn = assert(rille.create(url))
  assert(conn:transact { support.attr("p/name", "string", support.identity),
    support.attr("p/group", "long", { ["db/index"] = true }), support.attr("p/age", "long") })
  local people = {}
  for i = 1, PEOPLE do
    people[i] = { ["p/name"] = "n" .. i, ["p/group"] = i * 7919 % GROUPS, ["p/age"] = i % 90 }
  end
  assert(conn:transact(people))
  assert(conn:flush())
  local ids = assert(conn:db():q "[:find [?e ...] :where [?e :p/age]]")
  conn:close()
  return url, ids
end

local function near(name, values)
  local conn = assert(rille.create(support.url "mem"))
  assert(conn:transact { support.attr("l/" .. name, "long") })
  local rows = {}
  for i, v in ipairs(values) do rows[i] = { ["l/" .. name] = v } end
  assert(conn:transact(rows))
  local db = conn:db()
  conn:close()
  return db
end

-- The answer as sorted text, and what was asked of the far source.
local function ask(url, query, ...)
  local function open()
    local conn = assert(rille.connect(url))
    local db = conn:db()
    conn:close()
    return db
  end
  local result = assert(rille.q(query, open(), ...))
  local answer = type(result) == "number" and { result } or support.lines(result)
  local data = assert(rille.explain_data(query, open(), ...))
  return answer, data.sources[1], data
end

local function labels(data)
  local out = {}
  for i, stage in ipairs(data.stages) do out[i] = stage.stage end
  return table.concat(out, ", ")
end

describe("a join with a source that is far away", function()
  local url, ids
  setup(function() url, ids = far_people() end)
  teardown(support.cleanup)

  local function some(n, step)
    local out = {}
    for i = 1, n do out[i] = ids[(i * step) % #ids + 1] end
    return out
  end

  it("looks for a few rows and reads no more", function()
    local query = "[:find ?e ?a :in $ $l :where [$l _ :l/e ?e] [?e :p/age ?a]]"
    local answer, source = ask("deferred:" .. url, query, near("e", some(10, 977)))
    assert.equal(10, #answer)
    local _, whole = ask("deferred:" .. url, "[:find (count ?e) . :in $ $l :where [?e :p/age ?a]]",
      near("e", { 1 }))
    assert.is_true(source.requests <= 10 + 4, source.requests)
    assert.is_true(source.requests * 2 < whole.requests, whole.requests)
  end)

  it("reads what a constant picks out once, instead of looking for many rows", function()
    local query = "[:find ?e :in $ $l :where [$l _ :l/e ?e] [?e :p/group 7] [?e :p/name ?n]]"
    local rows = near("e", some(150, 389))
    local answer, source, data = ask("deferred:" .. url, query, rows)
    local expected, _, here = ask(url, query, rows)
    assert.same(expected, answer)
    assert.matches("hash join", labels(data))
    assert.is_nil(labels(here):find "hash join") -- where leaves are near, rows decide as ever
    assert.is_true(source.requests <= 12, source.requests)
    assert.is_true(source.planning.requests <= source.requests)
  end)
end)
