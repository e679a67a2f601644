-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- What a new process asks a web server for, counted by the proxy between them: the step "servers" of tools/test runs
-- it, as web_spec.lua. test_query_cold.c counts the same of each operator, on storage in memory; bench/cold prints it
-- with times.
local rille = require "rille"
local Proxy = require "spec.support.proxy"
local support = require "spec.support.init"

local function env(name)
  local value = os.getenv("RILLE_TEST_" .. name)
  return value or error("RILLE_TEST_" .. name .. " is not set: run tools/test servers")
end

local run = support.path "cold":match "[^/]*/[^/]*$":gsub("%W", "-")
local PEOPLE, ORDERS = 100000, 1000
local NAMES = { "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis" }
local people_url, orders_url, proxy

local function spread(i, n) return i * 7919 % 1000003 % n end

local function make(path, schema, count, entity)
  local conn = assert(rille.create("file:" .. env "HTTP_ROOT" .. "/" .. path))
  local maps = {}
  assert(conn:transact(schema))
  for i = 1, count do maps[i] = entity(i) end
  assert(conn:transact(maps))
  assert(conn:flush())
  conn:close()
end

-- The result of f, and what the proxy has counted for it. "gather": requests that are sent at once are one round, also
-- on a busy machine.
local function counted(f)
  proxy:faults "gather=50"
  local result = f()
  return result, proxy:counts()
end

describe("a cold read", function()
  setup(function()
    proxy = Proxy.start(env "HTTP")
    local schema = { support.attr("uid", "string", support.identity),
      support.attr("name", "string", { ["db/index"] = true }), support.attr("age", "long") }
    make(run .. "-people", schema, PEOPLE, function(i)
      return { uid = ("u%08d"):format(i), name = NAMES[spread(i, 8) + 1], age = spread(i, 100) }
    end)
    schema = { support.attr("order/uid", "string"), support.attr("order/day", "long") }
    make(run .. "-orders", schema, ORDERS, function(i)
      return { ["order/uid"] = ("u%08d"):format(spread(i, PEOPLE) + 1), ["order/day"] = i // 10 }
    end)
    people_url = ("%s/plain/%s-people"):format(proxy.url, run)
    orders_url = ("%s/plain/%s-orders"):format(proxy.url, run)
  end)
  teardown(function() proxy:stop() end)

  it("of one person takes 5 round trips at most", function()
    local name, counts = counted(function()
      return assert(rille.db(people_url)):q '[:find ?v . :where [?e :uid "u00004711"] [?e :name ?v]]'
    end)
    assert.equal(NAMES[spread(4711, 8) + 1], name)
    assert.is_true(counts.rounds <= 5, counts.rounds)
    assert.is_true(counts.bytes_down <= 256 * 1024, counts.bytes_down)
  end)

  it("of one in eight, and their ages, takes 24 requests at most, in either order", function()
    for _, clauses in ipairs { '[?e :name "Ivan"] [?e :age ?a]', '[?e :age ?a] [?e :name "Ivan"]' } do
      local rows, counts = counted(function()
        return assert(rille.db(people_url)):q("[:find ?e ?a :where " .. clauses .. "]")
      end)
      local expected = 0
      for i = 1, PEOPLE do expected = expected + (spread(i, 8) == 0 and 1 or 0) end
      assert.equal(expected, #rows)
      assert.is_true(counts.requests <= 24, counts.requests)
    end
  end)

  it("of all datoms takes a sixteenth of the round trips that there are nodes", function()
    local conn = assert(rille.connect(people_url))
    local nodes
    local datoms, counts = counted(function()
      local n = 0
      for _ in conn:db():datoms "eavt" do n = n + 1 end
      nodes = conn:stats().read_ranges
      return n
    end)
    conn:close()
    assert.is_true(datoms > 3 * PEOPLE)
    assert.is_true(nodes > 100, nodes)
    assert.is_true(16 * counts.rounds <= nodes, ("%d rounds, %d nodes"):format(counts.rounds, nodes))
  end)

  it("of ten orders and their people reads their leaves, and few others", function()
    local conn = assert(rille.connect(people_url))
    local join = [=[[:find ?o ?n :in $ $people :where [?o :order/day 7] [?o :order/uid ?u]
      [$people ?p :uid ?u] [$people ?p :name ?n]]]=]
    local orders, people = assert(rille.db(orders_url)), conn:db()
    local rows, counts = counted(function() return assert(rille.q(join, orders, people)) end)
    assert.equal(10, #rows)
    assert.is_true(counts.rounds <= 10, counts.rounds)
    -- ten leaves for each of two attributes, of some 10 kB at most, and what the plan was made from
    assert.is_true(counts.bytes_down <= 2 * 20 * 10240, counts.bytes_down)
    conn:close()
  end)
end)
