-- SPDX-License-Identifier: MIT
--
-- A prepared query keeps its plan from run to run: whatever it ran for before, it answers as a new one.

local rille = require "rille"

local SCHEMA = {
  { ["db/ident"] = "p/uid", ["db/valueType"] = "db.type/string", ["db/unique"] = "db.unique/identity" },
  { ["db/ident"] = "p/age", ["db/valueType"] = "db.type/long" },
  { ["db/ident"] = "p/note", ["db/valueType"] = "db.type/string" },
}
local POINT = "[:find ?a . :in $ ?uid :where [?e :p/uid ?uid] [?e :p/age ?a]]"
local NOTE = "[:find ?n . :in $ ?uid :where [?e :p/uid ?uid] [?e :p/note ?n]]"

local function people(name, count)
  local conn = assert(rille.create("mem:prepared_" .. name))
  finally(function()
    conn:close()
    rille.drop("mem:prepared_" .. name)
  end)
  assert(conn:transact(SCHEMA))
  local maps = {}
  for i = 1, count do
    maps[i] = { ["p/uid"] = "u" .. i, ["p/age"] = i, ["p/note"] = ("x"):rep(i * 40) }
  end
  assert(conn:transact(maps))
  return conn
end

describe("a prepared query", function()
  it("answers for other values, databases and types of values", function()
    local conn = people("values", 30)
    local point, note = assert(rille.prepare(POINT)), assert(rille.prepare(NOTE))
    local old = conn:db()
    for round = 1, 3 do
      for i = 1, 30 do
        assert.equal(i, point:run(old, "u" .. i))
        assert.equal(i * 40, #note:run(old, "u" .. i)) -- short values and long ones
      end
      assert.is_nil(point:run(old, "nobody"))
      assert.is_nil(point:run(old, round))
      assert.is_nil(point:run(old, rille.kw "u1"))
      assert(conn:transact { { ["p/uid"] = "u1", ["p/age"] = 100 + round } })
      local new = conn:db()
      assert.equal(100 + round, point:run(new, "u1"))
      assert.equal(1, point:run(old, "u1"))
      assert.equal(2, point:run(new:with { { ["p/uid"] = "u3", ["p/age"] = 2 } }.db_after, "u3"))
      assert.equal(3, point:run(new, "u3"))
      assert(conn:transact { { ["db/ident"] = "p/more" .. round, ["db/valueType"] = "db.type/long" } })
      assert.equal(100 + round, point:run(conn:db(), "u1"))
    end
    local other = people("other", 2)
    assert.equal(2, point:run(other:db(), "u2"))
    assert.is_nil(point:run(other:db(), "u3"))
  end)

  it("tells of errors as a new one does, and goes on", function()
    local conn = people("errors", 3)
    local db = conn:db()
    local point = assert(rille.prepare(POINT))
    assert.equal(2, point:run(db, "u2"))
    for _, inputs in ipairs { {}, { db }, { db, "u1", "u2" }, { "u1", "u2" }, { db, print } } do
      local unpack = table.unpack or unpack -- luacheck: ignore 143
      local _, message = point:run(unpack(inputs))
      local _, expected = rille.prepare(POINT):run(unpack(inputs))
      assert.is_string(message)
      assert.equal(expected, message)
      assert.equal(3, point:run(db, "u3"))
    end
    local closed = conn:db()
    closed:close()
    assert.has_error(function() point:run(closed, "u1") end)
    assert.equal(1, point:run(db, "u1"))
  end)

  it("can have many runs in flight", function()
    local conn = people("flight", 20)
    local db = conn:db()
    local older = assert(rille.prepare "[:find ?u ?a :in $ ?low :where [?e :p/age ?a] [(> ?a ?low)] [?e :p/uid ?u]]")
    for _ = 1, 3 do
      local count = 0
      for _, a in older:rows(db, 15) do
        for _, b in older:rows(db, a) do
          assert.is_true(b > a)
          count = count + 1
          if b == 19 then break end -- left in the middle
        end
        assert.equal(20 - a, #older:run(db, a))
      end
      assert.is_true(count > 4)
    end
  end)

  it("can be run by a function that it calls", function()
    local conn = people("inside", 8)
    local db = conn:db()
    local sum
    rille.fn("prepared-sum-below", function(a)
      if a <= 1 then return a end
      return a + sum:run(db, "u" .. (a - 1))
    end)
    sum = assert(rille.prepare
      "[:find ?s . :in $ ?uid :where [?e :p/uid ?uid] [?e :p/age ?a] [(prepared-sum-below ?a) ?s]]")
    for _ = 1, 3 do
      for i = 1, 8 do assert.equal(i * (i + 1) / 2, sum:run(db, "u" .. i)) end
    end
  end)

  it("keeps no database open", function()
    local conn = people("open", 3)
    local point = assert(rille.prepare(POINT))
    local db = conn:db()
    for _ = 1, 3 do assert.equal(3, point:run(db, "u3")) end
    db:close()
    conn:close()
    assert(rille.drop "mem:prepared_open")
    conn = people("open", 2)
    assert.is_nil(point:run(conn:db(), "u3"))
  end)
end)
