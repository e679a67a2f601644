-- SPDX-License-Identifier: MIT
--
-- The proxy of the specs. What stands behind it is another one, which answers by itself.
local Proxy = require "spec.support.proxy"

describe("the proxy", function()
  local server, proxy

  local function ask(path)
    local pipe = io.popen(("curl -s -o /dev/null -w '%%{http_code}' --max-time 60 '%s%s'"):format(proxy.url, path))
    local status = pipe:read "*a"
    pipe:close()
    return tonumber(status)
  end

  before_each(function()
    server = Proxy.start("http://127.0.0.1:1", "html")
    proxy = Proxy.start(server.url)
  end)
  after_each(function()
    proxy:stop()
    server:stop()
  end)

  it("passes requests on and counts them", function()
    assert.equal(200, ask "/a")
    assert.equal(200, ask "/b")
    local counts = proxy:counts()
    assert.equal(2, counts.requests)
    assert.equal(2, counts.rounds)
    assert.equal(2, counts.GET)
    assert.equal(2, counts[200])
    assert.equal(0, counts[503])
    assert.same({ "1 GET /a 200 75 - none", "2 GET /b 200 75 - none" }, proxy:log())
  end)

  it("makes the faults that it is told to make", function()
    proxy:faults "slowdown,skip=1,first=1"
    assert.equal(200, ask "/a")
    assert.equal(503, ask "/a")
    assert.equal(200, ask "/a")
    assert.equal(1, proxy:counts().slowdown)
    assert.equal(2, server:counts().requests)
    assert.has_error(function() proxy:faults "slow" end, "unknown setting or rule: slow\n")
  end)
end)
