-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- What new processes with a warm cache ask a server for, counted by the proxy between them: the step "servers" of
-- tools/test runs it, as web_spec.lua.
local rille = require "rille"
local Proxy = require "spec.support.proxy"
local support = require "spec.support.init"

local function env(name)
  local value = os.getenv("RILLE_TEST_" .. name)
  return value or error("RILLE_TEST_" .. name .. " is not set: run tools/test servers")
end

local run = support.path "caches":match "[^/]*/[^/]*$":gsub("%W", "-")
local PEOPLE = 20000
local QUERY = '[:find ?v . :where [?e :p/name "person 004711"] [?e :p/age ?v]]'
local proxy, web_proxy, s3_url, http_url
local point = {}

local function publish(url)
  local conn = assert(rille.create(url))
  assert(conn:transact { support.attr("p/name", "string", support.identity), support.attr("p/age", "long") })
  local people = {}
  for i = 1, PEOPLE do
    people[i] = { ["p/name"] = ("person %06d"):format(i), ["p/age"] = i % 97 }
  end
  assert(conn:transact(people))
  assert(conn:flush())
  local report = assert(conn:transact { { ["p/name"] = "late", ["p/age"] = 1 } })
  assert(conn:transact { { ["p/name"] = "later", ["p/age"] = 2 } })
  conn:close()
  return { tx = report.tx, commit = report.commit, instant = tostring(report.instant) }
end

-- What a new process prints, and the requests that the proxy has counted for it.
local function ask(p, url, options)
  local path = support.path "ask.lua"
  local file = assert(io.open(path, "w"))
  assert(file:write(([[
    local db = assert(require "rille".db(%q, { %s }))
    print(db:q(%q))
  ]]):format(url, options, QUERY)))
  file:close()
  p:faults ""
  local pipe = assert(io.popen("lua5.4 " .. path .. " 2>&1"))
  local text = pipe:read "a"
  pipe:close()
  local counts = p:counts()
  return tonumber(text) or text, counts.requests, counts.bytes_down
end

describe("a warm cache", function()
  setup(function()
    proxy = Proxy.start(env "S3_ENDPOINT")
    web_proxy = Proxy.start(env "HTTP")
    s3_url = ("s3://%s/%s?endpoint=%s"):format(env "S3_BUCKET", run, proxy.url)
    point[proxy] = publish(s3_url)
    point[web_proxy] = publish("file:" .. env "HTTP_ROOT" .. "/" .. run)
    http_url = web_proxy.url .. "/plain/" .. run
  end)
  teardown(function()
    rille.drop(s3_url)
    proxy:stop()
    web_proxy:stop()
    support.cleanup()
  end)

  it("leaves a new process one request, and none for the past or what may be old", function()
    for i, place in ipairs { { s3_url, proxy }, { http_url, web_proxy } } do
      local url, p = place[1], place[2]
      local cache = ("cache = %q"):format("file:" .. support.path("cache" .. i))
      local expected, cold, cold_bytes = ask(p, url, cache)
      assert.equal(4711 % 97, expected)
      assert.is_true(cold > 1)
      local answer, warm, warm_bytes = ask(p, url, cache)
      assert.same({ expected, 1 }, { answer, warm })
      print(("%s: cold %d requests, %d bytes; warm %d, %d"):format(url:match "^%w+", cold, cold_bytes, warm,
        warm_bytes))
      local at = point[p]
      local past = { ("as_of = %d"):format(at.tx), ("as_of = %q"):format(at.instant),
        ("commit = %q"):format(at.commit) }
      for _, how in ipairs(past) do
        ask(p, url, cache .. ", " .. how)
        answer, warm = ask(p, url, cache .. ", " .. how)
        assert.same({ expected, 0 }, { answer, warm }, how)
      end
      answer, warm = ask(p, url, cache .. ", max_staleness_ms = 600000")
      assert.same({ expected, 0 }, { answer, warm })
      answer, warm = ask(p, url, cache .. ", max_staleness_ms = 0")
      assert.same({ expected, 1 }, { answer, warm })
    end
  end)
end)
