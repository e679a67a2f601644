-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- 100 queries in flight on one thread, each of whose requests takes 200 ms: over s3:, over http:, and over a backend
-- written in Lua. With the variables of tools/s3-server and tools/http-server, and RILLE_TEST_HTTP_ROOT.

local rille = require "rille"
local rest = require "examples.rest"
local Proxy = require "spec.support.proxy"
local Scripts = require "test.servers.scripts"
local support = require "spec.support.init"

local DELAY_MS, QUERIES, BUDGET_US = 200, 100, 2000

local function env(name)
  local value = os.getenv("RILLE_TEST_" .. name)
  return value or error("RILLE_TEST_" .. name .. " is not set: run tools/test servers", 0)
end

local function fill(url)
  local conn = assert(rille.create(url))
  assert(conn:transact { support.attr("p/name", "string", support.identity), support.attr("p/age", "long") })
  local people = {}
  for i = 1, 3000 do people[i] = { ["p/name"] = "n" .. i, ["p/age"] = i } end
  assert(conn:transact(people))
  assert(conn:flush())
  conn:close()
end

describe("100 queries on one thread", function()
  local run = support.path "run":match "[^/]*/[^/]*$":gsub("%W", "-")
  local rest_pipe, rest_port, proxy
  setup(function()
    rest_pipe, rest_port = Scripts.start_server()
    rille.backend("rest", rest.backend())
  end)
  teardown(function()
    rille.backend("rest", nil)
    rest_pipe:close()
    support.cleanup()
  end)
  after_each(function()
    rille.driver(nil)
    if proxy then proxy:stop() end
    proxy = nil
  end)

  -- as(i): what script i opens.
  local function check(as)
    local function query(i)
      local db = assert(rille.db(as))
      local age = assert(db:q(("[:find ?a . :where [?e :p/name \"n%d\"] [?e :p/age ?a]]"):format(i)))
      db:close()
      return age
    end
    rille.driver(Scripts.driver, { budget_us = BUDGET_US })
    proxy:faults("delay=" .. DELAY_MS)
    local alone = Scripts.run { function() assert.equal(7, query(7)) end }
    local requests = proxy:counts().requests
    local scripts, sum = {}, 0
    for i = 1, QUERIES do
      scripts[i] = function()
        local age = query(i)
        sum = sum + age
      end
    end
    proxy:faults("delay=" .. DELAY_MS)
    Scripts.step_ms = 0
    local all = Scripts.run(scripts)
    assert.equal(QUERIES * (QUERIES + 1) / 2, sum)
    assert.equal(QUERIES, all.most)
    assert.equal(QUERIES * requests, proxy:counts().requests)
    -- One after the other they would take 100 times as long as one; a busy machine makes them a little longer than one.
    assert.is_true(all.seconds < 5 * alone.seconds, ("%.2f s and %.2f s"):format(all.seconds, alone.seconds))
    -- A step may end a little later than its budget, after the unit of work that it is in.
    assert.is_true(Scripts.step_ms < 5 * BUDGET_US / 1000, ("a step of %.1f ms"):format(Scripts.step_ms))
    assert.is_true(all.longest_ms < 100, ("a turn of %.1f ms"):format(all.longest_ms))
    print(("%s: one %.2f s with %d requests, 100 %.2f s; at most %d waited at once; CPU of the longest step %.1f ms, "
      .. "of the longest turn %.1f ms"):format(as:match "^%a%w*", alone.seconds, requests, all.seconds, all.most,
      Scripts.step_ms, all.longest_ms))
  end

  it("over a backend written in Lua", function()
    proxy = Proxy.start("http://127.0.0.1:" .. rest_port)
    fill("rest://127.0.0.1:" .. rest_port .. "/" .. run)
    check("rest:" .. proxy.url:match "//.*" .. "/" .. run)
  end)

  it("over http:", function()
    proxy = Proxy.start(env "HTTP")
    fill("file:" .. env "HTTP_ROOT" .. "/" .. run)
    check(proxy.url .. "/plain/" .. run)
  end)

  it("over s3:", function()
    proxy = Proxy.start(env "S3_ENDPOINT")
    local url = ("s3://%s/%s?endpoint="):format(env "S3_BUCKET", run)
    fill(url .. env "S3_ENDPOINT")
    check(url .. proxy.url)
    rille.driver(nil)
    assert(rille.drop(url .. env "S3_ENDPOINT"))
  end)
end)
