-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

local ROWS = { { "a", 1, true }, { "b", 2.5, false }, { "c", 3, true } }
local QUERY = "[:find ?x ?y ?z :in $r :where [$r ?x ?y ?z] :order-by ?x]"

describe("results", function()
  local function result() return assert(rille.q(QUERY, ROWS)) end

  it("know their length and give rows when asked", function()
    local r = result()
    assert.equal(3, #r)
    assert.same({ "a", 1, true }, r[1])
    assert.equal("b", r[2][1])
    assert.is_false(r[2][3])
    assert.is_nil(r[0])
    assert.is_nil(r[4])
    assert.is_nil(r[1.5])
    assert.is_nil(r.nothing)
    assert.not_equal(r[1], r[1]) -- a fresh table, the caller's own
  end)

  it("give columns by number and by name", function()
    local r = result()
    assert.same({ "a", "b", "c" }, r:column(1))
    assert.same({ 1, 2.5, 3 }, r:column "y")
    assert.same({ true, false, true }, r:column "z")
    assert.same({ "x", "y", "z" }, r:columns())
    assert.matches("unknown column 4: the result has 3 %(x, y, z%)", support.failure(r.column, r, 4))
    assert.matches("unknown column \"q\"; the columns are: x, y, z", support.failure(r.column, r, "q"))
  end)

  it("name aggregates as they are written", function()
    local r = assert(rille.q("[:find ?z (count ?x) (min 2 ?y) :in $r :where [$r ?x ?y ?z]]", ROWS))
    assert.same({ "z", "(count ?x)", "(min 2 ?y)" }, r:columns())
    assert.same(r:column(2), r:column "(count ?x)")
  end)

  it("iterate over values, without tables", function()
    local seen = {}
    for x, y, z in result():rows() do seen[#seen + 1] = { x, y, z } end
    assert.same(ROWS, seen)
    local first, second = result():rows(), result():rows()
    assert.equal("a", (first()))
    assert.equal("b", (first()))
    assert.equal("a", (second()))
  end)

  it("become plain tables", function()
    assert.same(ROWS, result():to_table())
    assert.same({}, assert(rille.q(QUERY, {})):to_table())
  end)

  it("may be empty", function()
    local r = assert(rille.q(QUERY, {}))
    assert.equal(0, #r)
    assert.is_nil(r[1])
    assert.same({}, r:column(1))
    for _ in r:rows() do error "there is no row" end
  end)

  it("hold many rows of mixed kinds", function()
    local rows = {}
    local count = support.many_of(5000)
    for i = 1, count do
      rows[i] = { i, i % 3 == 0 and "s" .. i or i % 3 == 1 and i + 0.5 or rille.kw("k" .. i) }
    end
    local r = assert(rille.q("[:find ?i ?v :in $r :where [$r ?i ?v] :order-by ?i]", rows))
    assert.equal(count, #r)
    for i, value in r:rows() do assert.equal(rows[i][2], value) end
    assert.same(rows, r:to_table())
  end)

  it("outlive what they came from", function()
    local r
    do
      local conn = support.people()
      r = assert(conn:db():q "[:find ?n :where [_ :person/name ?n] :order-by ?n]")
      conn:close()
      support.cleanup()
    end
    collectgarbage()
    collectgarbage()
    assert.same({ "Ann", "Bob", "Cid", "Dan" }, r:column(1))
  end)

  it("end their iterators when they are closed", function()
    local r = result()
    local step = r:rows()
    step()
    r:close()
    assert.matches("closed", support.failure(step))
  end)

  it("are closed by the end of a block on Lua 5.4", function()
    if _VERSION ~= "Lua 5.4" then return end
    local chunk = assert(load [[
      local r = ...
      do local held <close> = r end
      return pcall(function() return #r end)
    ]])
    assert.is_false((chunk(result())))
  end)
end)
