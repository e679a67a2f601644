-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- examples/rest.lua, a backend written in Lua, over a small server, also through the proxy that makes faults.

local rille = require "rille"
local rest = require "examples.rest"
local Proxy = require "spec.support.proxy"
local Scripts = require "test.servers.scripts"
local contract = require "spec.support.backend_contract"
local support = require "spec.support.init"

local is_plain_51 = _VERSION == "Lua 5.1" and not rawget(_G, "jit") -- luacheck: ignore

local number = 0
local pipe, port, proxy, proxy_port

local function place(at)
  number = number + 1
  return ("//127.0.0.1:%s/db-%d"):format(at or port, number)
end

local SCHEMA = { support.attr("p/name", "string", support.identity), support.attr("p/age", "long") }

describe("examples/rest.lua", function()
  setup(function()
    pipe, port = Scripts.start_server()
    proxy = Proxy.start("http://127.0.0.1:" .. port)
    proxy_port = proxy.url:match "%d+$"
    rille.backend("rest", rest.backend())
  end)
  teardown(function()
    rille.backend("rest", nil)
    proxy:stop()
    pipe:close()
    support.cleanup()
  end)
  after_each(function() proxy:faults "" end)

  describe("keeps the contract", function() contract.describe(it, rest.backend, place) end)

  if not is_plain_51 then
    describe("keeps the contract in a coroutine", function()
      contract.describe(it, rest.backend, place, { run = function(f) Scripts.run { f } end })
    end)
  end

  describe("keeps the contract behind a proxy", function()
    contract.describe(it, rest.backend, function() return place(proxy_port) end)
  end)

  it("finds out what became of a commit whose reply was lost", function()
    local url = "rest:" .. place(proxy_port)
    local conn = assert(rille.create(url))
    assert(conn:transact(SCHEMA))
    for i = 1, 20 do
      proxy:faults(i % 2 == 0 and "lost,m=PUT,first=1" or "reset,m=PUT,first=1")
      assert(conn:transact { { ["p/name"] = "n" .. i, ["p/age"] = i } })
    end
    proxy:faults ""
    local db = assert(rille.db(url))
    assert.equal(20, db:count("aevt", "p/name"))
    local txs = {}
    for _, _, _, tx in db:datoms("aevt", "p/age") do txs[tx] = (txs[tx] or 0) + 1 end
    for _, count in pairs(txs) do assert.equal(1, count) end
    conn:close()
    assert(rille.drop(url))
  end)

  it("says what is wrong", function()
    local function fails(code, pattern, url, options)
      local conn, message, found = rille.connect(url, options)
      assert.is_nil(conn)
      assert.equal(code, found, message)
      assert.matches(pattern, message)
    end
    fails("SYNTAX", "expected a URL such as rest://HOST", "rest:nowhere")
    fails("IO", "^rest://127%.0%.0%.1:1/x: head_read: 127%.0%.0%.1:1: connection refused", "rest://127.0.0.1:1/x")
    fails("NOTFOUND", "there is no database on branch main", "rest:" .. place())
    proxy:faults "hang"
    fails("TIMEOUT", "did not answer in time", "rest:" .. place(proxy_port), { timeout_ms = 200 })
    proxy:faults "error"
    fails("IO", "the server answers 500", "rest:" .. place(proxy_port))
  end)
end)
