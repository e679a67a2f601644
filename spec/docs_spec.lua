-- SPDX-License-Identifier: MIT
--
-- The examples of docs/query.md. A ```clojure block that begins with ;transact is transacted; in one with a line ;=>
-- the query stands in front of it, an optional line ;in has the inputs, and behind ;=> is what it gives.
local rille = require "rille"
local support = require "spec.support.init"

local edn = rille.edn

local function blocks(text)
  local found = {}
  for block in text:gmatch "\n```clojure\n(.-)\n```" do found[#found + 1] = block end
  return found
end

-- {query =, inputs = text of EDN forms, result = text}; nil: a block that is not run
local function example(block)
  local body, result = block:match "^(.-)\n;=> (.*)$"
  if not body then return nil end
  local query, inputs = body:match "^(.-)\n;in (.*)$"
  return { query = query or body, inputs = inputs or "$", result = result }
end

local function inputs_of(prepared, text, sources)
  local kinds, inputs = prepared:inputs(), {}
  for i, form in ipairs(assert(edn.split(text))) do
    inputs[i] = sources[form] or (kinds[i].kind == "rules" and form) or assert(edn.decode(form))
  end
  return inputs
end

-- As text; rows in no order are sorted by theirs.
local function shown(value, any_order)
  if not any_order then return edn.encode(value) end
  local lines = {}
  for i, row in ipairs(value) do lines[i] = edn.encode(row) end
  table.sort(lines)
  return table.concat(lines, "\n")
end

local function value_of(result)
  return type(result) == "userdata" and result.to_table and result:to_table() or result
end

describe("docs/query.md", function()
  local conn, sources
  local all = blocks(support.read "docs/query.md")

  setup(function()
    conn = assert(rille.create(support.url()))
    for _, block in ipairs(all) do
      local data = block:match "^;transact\n(.*)$"
      if data then
        local report = assert(conn:transact(data))
        sources = { ["$"] = report.db_after, ["$old"] = report.db_before }
      end
    end
  end)
  teardown(function()
    conn:close()
    support.cleanup()
  end)

  local count = 0
  for _, block in ipairs(all) do
    local case = example(block)
    if case then
      count = count + 1
      it(("shows what example %d gives: %s"):format(count, (case.query:gsub("%s+", " "))), function()
        support.in_all_ways(case.query, function(query, how)
          local prepared = assert(rille.prepare(query))
          local inputs = inputs_of(prepared, case.inputs, sources)
          local result = value_of(assert(prepared:run((table.unpack or unpack)(inputs)))) -- luacheck: ignore
          local any_order = type(result) == "table" and not query:find(":order-by", 1, true)
          -- Maps of rows have strings as keys; in EDN text they are read with a mark.
          assert.equal(shown(assert(edn.decode(case.result)), any_order),
            shown(assert(edn.decode(edn.encode(result))), any_order), how)
        end)
      end)
    end
  end

  it("has examples that are run", function()
    assert.is_true(count >= 20)
  end)
end)
