-- SPDX-License-Identifier: MIT
--
-- Large inputs of queries: their rows are read in steps, from tables that belong to the program meanwhile.

local core = require "rille.core"
local rille = require "rille"
local support = require "spec.support.init"

local unpack = table.unpack or unpack -- luacheck: ignore 143

describe("rows of inputs that are read in steps", function()
  local ROWS, SLICE = 700, 64
  local pairs_query = rille.prepare "[:find ?a ?b :in [[?a ?b]] :order-by ?a]"
  local list_query = rille.prepare "[:find [?a ...] :in [?a ...] :order-by ?a]"
  local source_query = rille.prepare "[:find ?a ?b :in $ [?c ...] :where [$ ?a ?b] [(not= ?a ?c)] :order-by ?a]"
  local rows, list

  before_each(function()
    rows, list = {}, {}
    for i = 1, ROWS do
      rows[i] = { i, "name " .. i * 7919 % ROWS }
      list[i] = i * 7919 % ROWS
    end
    core.pauses("each")
  end)
  after_each(function() core.pauses(nil) end)

  local function cases()
    return {
      { pairs_query, { rows } },
      { list_query, { list } },
      { source_query, { rows, { 3, 4 } } },
      { source_query, { rows, {} } },
      { list_query, { {} } },
      { pairs_query, { { rows[1] } } },
    }
  end

  local function text_of(result)
    local out = {}
    if type(result) == "table" then
      for i, value in ipairs(result) do out[i] = tostring(value) end
    else
      for a, b in result:rows() do out[#out + 1] = a .. " " .. b end
    end
    return table.concat(out, "\n")
  end

  -- Steps until it is done, or until f says so. What it gives, and how many steps it took.
  local function finish(op, f)
    for steps = 1, 100000 do
      local state, message, code = op:step(1)
      if not state then return nil, message, code, steps end
      if f and f(steps, state) then return nil, nil, nil, steps end
      if state == "rows" or state == "done" then
        return text_of(op:result()), nil, nil, steps
      end
    end
  end

  it("give the same wherever they are interrupted", function()
    for i, case in ipairs(cases()) do
      core.pauses(nil)
      local expected = text_of(assert(case[1]:run(unpack(case[2]))))
      core.pauses("each")
      local found, message, _, steps = finish(assert(case[1]:start(unpack(case[2]))))
      assert.equal(expected, found, message)
      assert.equal(expected, text_of(assert(case[1]:run(unpack(case[2])))))
      if #case[2][1] == ROWS then assert.is_true(steps > ROWS / SLICE, ("case %d: %d steps"):format(i, steps)) end
    end
  end)

  it("can be left at each step", function()
    for _, case in ipairs(cases()) do
      local _, _, _, steps = finish(assert(case[1]:start(unpack(case[2]))))
      for at = 1, math.min(steps, 40) do
        local op = assert(case[1]:start(unpack(case[2])))
        local last
        finish(op, function(step, state)
          last = state
          return step == at
        end)
        if at % 2 == 0 and at < 10 and #case[2][1] == ROWS then -- it is still reading
          assert.equal("again", last)
          op:cancel()
          for _ = 1, 2 do assert.same({ nil, "the query was cancelled", "CANCELLED" }, { op:step(1) }) end
        end
        op:close()
      end
      core.pauses(nil)
      assert(case[1]:run(unpack(case[2])))
      core.pauses("each")
    end
  end)

  -- Changes the table after so many steps, and goes on.
  local function with_change(query, table_, at, change)
    local op = assert(query:start(table_))
    local text, message, code = finish(op, function(step)
      if step == at then change(table_) end
    end)
    op:close()
    return text, message, code
  end

  it("are read as they are then", function()
    local text = with_change(list_query, list, 3, function(t) t[ROWS] = 1000000 end)
    assert.matches("1000000$", text)
    text = with_change(list_query, list, 3, function(t) t[ROWS] = "no number" end)
    assert.matches("no number", text)
  end)

  it("must stay there", function()
    for at = 1, 9 do
      for _, change in ipairs {
        function(t) t[ROWS] = nil end, function(t) t[ROWS - 1] = nil end,
        function(t) for i = 1, ROWS do t[i] = nil end end,
      } do
        local copy = {}
        for i = 1, ROWS do copy[i] = rows[i] end
        local text, message, code = with_change(pairs_query, copy, at, change)
        assert.equal(nil, text)
        assert.equal("INPUT", code)
        assert.is_true(message:find("input 1 (?a): the table was changed while it was being read", 1, true) ~= nil
          or message:find "^input 1 %(%?a%), row %d+: expected a row, got nil" ~= nil
          or message:find("input 1 (?a): array has a hole", 1, true) ~= nil, message)
      end
    end
  end)

  it("that are added later do not count, or are refused", function()
    for at = 1, 9 do
      local copy = {}
      for i = 1, ROWS do copy[i] = list[i] end
      local text, message, code = with_change(list_query, copy, at, function(t)
        for i = 1, ROWS do t[#t + 1] = 1000000 + i end
      end)
      if text then
        assert.equal(nil, text:find("1000001", 1, true))
      else
        assert.equal("INPUT", code)
        assert.matches("changed while it was being read", message)
      end
    end
  end)

  it("are refused by the same messages as at once", function()
    local bad = {
      { pairs_query, function(t) t[600] = { 1 } end },
      { pairs_query, function(t) t[600] = "text" end },
      { pairs_query, function(t) t[600] = { 1, print } end },
      { pairs_query, function(t) t.stray = 1 end },
      { list_query, function(t) t[5] = {} t[6] = print end },
    }
    for _, case in ipairs(bad) do
      local copy = {}
      for i = 1, ROWS do copy[i] = case[1] == list_query and list[i] or rows[i] end
      case[2](copy)
      core.pauses(nil)
      local _, expected, expected_code = case[1]:run(copy)
      core.pauses("each")
      local op, message, code = case[1]:start(copy)
      if op then -- it was not among the first ones
        local text
        text, message, code = finish(op)
        assert.equal(nil, text)
        assert.same({ nil, message, code }, { op:step(1) })
        op:close()
      end
      assert.same({ expected, expected_code }, { message, code })
    end
  end)

  it("are let go once they are read", function()
    if support.stressed then return end
    local weak = setmetatable({ rows }, { __mode = "v" })
    local op = assert(pairs_query:start(rows))
    repeat local state = op:step(1) until state ~= "again"
    rows = nil
    collectgarbage()
    collectgarbage()
    assert.equal(nil, weak[1])
    op:close()
  end)
end)
