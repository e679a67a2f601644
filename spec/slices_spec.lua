-- SPDX-License-Identifier: MIT
--
-- Calls on long values. A call works off a batch in slices of about a MiB of arguments; here a batch has at least five,
-- and queries are interrupted before each.
local rille = require "rille"
local support = require "spec.support.init"

describe("calls on long texts", function()
  local COUNT, LENGTH, SLICES = 24, 250000, 5
  local conn, db, texts

  before_each(function()
    conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("id", "long"), support.attr("text", "string") })
    local list = {}
    texts = {}
    for i = 1, COUNT do
      texts[i] = ("%d%s-"):format(i, ("x"):rep(LENGTH + i))
      list[i] = { id = i, text = i % 6 ~= 0 and texts[i] or nil }
    end
    db = assert(conn:transact(list)).db_after
    rille.fn("spec/last", function(text) return #text % 5 > 0 and text:sub(-3) or nil end)
    rille.fn("spec/some", function(text)
      local out = {}
      for i = 1, #text % 3 do out[i] = { i, text } end
      return out
    end)
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  -- The rows that expected(i, text or nil) gives for all entities: arrays of a number and a text.
  local function rows_of(expected)
    local out = {}
    for i = 1, COUNT do
      for _, row in ipairs(expected(i, i % 6 ~= 0 and texts[i] or nil) or {}) do
        out[#out + 1] = ("%d %s"):format(row[1], row[2])
      end
    end
    table.sort(out)
    return out
  end

  local function one(f)
    return function(i, text)
      local x = text and f(text)
      return x and { { i, x } }
    end
  end

  it("give the same wherever they are interrupted", function()
    local from = "[:find ?i ?x :where [?e :id ?i] "
    local cases = {
      { from .. "[?e :text ?t] [(subs ?t 0 2) ?x]]", one(function(text) return text:sub(1, 2) end) },
      { from .. "[?e :text ?t] [(str ?t ?i) ?u] [(count ?u) ?x]]",
        function(i, text) return text and { { i, #text + #tostring(i) } } end },
      { from .. '[?e :text ?t] [(includes? ?t "2x")] [(identity ?t) ?x]]',
        one(function(text) return text:find("2x", 1, true) and text end) },
      { from .. "[?e :text ?t] (not [(starts-with? ?t \"1\")]) [(count ?t) ?x]]",
        one(function(text) return text:sub(1, 1) ~= "1" and #text end) },
      { from .. "[?e :text ?t] [(spec/last ?t) ?x]]",
        one(function(text) return #text % 5 > 0 and text:sub(-3) or nil end) },
      { from .. "[?e :text ?t] [(spec/some ?t) [[_ ?x]]]]",
        function(i, text) return text and #text % 3 > 0 and { { i, text } } end },
      { '[:find ?i ?x :where [?e :id ?i] [(get-else $ ?e :text "none") ?x]]',
        function(i, text) return { { i, text or "none" } } end },
      { from .. "[(get-some $ ?e :text) [_ ?x]]]", one(function(text) return text end) },
      { from .. "[(missing? $ ?e :text)] [(str ?i) ?x]]", function(i, text) return not text and { { i, i } } end },
    }
    for _, case in ipairs(cases) do
      local expected = rows_of(case[2])
      support.in_all_ways(case[1], function(query, how)
        local got = {}
        for i, x in rille.rows(query, db) do got[#got + 1] = ("%d %s"):format(i, x) end
        table.sort(got)
        assert.equal(#expected, #got, how .. " " .. case[1])
        for i, row in ipairs(expected) do assert.is_true(row == got[i], how .. " " .. case[1]) end
      end)
    end
  end)

  it("are interrupted at each slice", function()
    local function units(query)
      local before = support.pause "each"
      assert(rille.q(query, db))
      return support.pause() - before
    end
    local without = units "[:find ?i :where [?e :id ?i] [?e :text ?t]]"
    for _, call in ipairs { "[(count ?t) ?c]", "[(spec/last ?t) ?c]", "[(str ?t 1) ?c]" } do
      assert.is_true(units("[:find ?i :where [?e :id ?i] [?e :text ?t] " .. call .. "]") >= without + SLICES, call)
    end
  end)
end)
