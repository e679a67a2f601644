-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- What connections and queries say that they asked a server for, against what the proxy between them has counted: the
-- step "servers" of tools/test runs it, as web_spec.lua.
local rille = require "rille"
local Proxy = require "spec.support.proxy"
local support = require "spec.support.init"

local function env(name)
  local value = os.getenv("RILLE_TEST_" .. name)
  return value or error("RILLE_TEST_" .. name .. " is not set: run tools/test servers")
end

local run = support.path "stats":match "[^/]*/[^/]*$":gsub("%W", "-")
local SCHEMA = { support.attr("p/name", "string", support.identity), support.attr("p/age", "long"),
  support.attr("p/friend", "ref") }
local PEOPLE = 20000
local proxy, web_proxy, s3_url, http_url

local function publish(url)
  local conn = assert(rille.create(url))
  assert(conn:transact(SCHEMA))
  local people = {}
  for i = 1, PEOPLE do
    people[i] = { ["p/name"] = ("person %06d"):format(i * 7919 % PEOPLE), ["p/age"] = i % 97 }
  end
  assert(conn:transact(people))
  assert(conn:flush())
  conn:close()
end

-- What the proxy counted under our names.
local function counted(p)
  local counts = p:counts()
  return { requests = counts.requests, received_bytes = counts.bytes_down, sent_bytes = counts.bytes_up }
end

local function said(conn)
  local stats = conn:stats()
  return { requests = stats.requests, received_bytes = stats.received_bytes, sent_bytes = stats.sent_bytes }
end

describe("counters of a server's database", function()
  setup(function()
    proxy = Proxy.start(env "S3_ENDPOINT")
    web_proxy = Proxy.start(env "HTTP")
    s3_url = ("s3://%s/%s?endpoint=%s"):format(env "S3_BUCKET", run, proxy.url)
    publish(s3_url)
    publish("file:" .. env "HTTP_ROOT" .. "/" .. run)
    http_url = web_proxy.url .. "/plain/" .. run
  end)
  teardown(function()
    proxy:faults ""
    rille.drop(s3_url)
    proxy:stop()
    web_proxy:stop()
    support.cleanup()
  end)
  before_each(function()
    proxy:faults ""
    web_proxy:faults ""
  end)

  local function places()
    return { { s3_url, proxy }, { http_url, web_proxy } }
  end

  it("are exactly what was sent and received", function()
    for _, place in ipairs(places()) do
      place[2]:faults "gather=50" -- what is sent at once comes at once
      local conn = assert(rille.connect(place[1]))
      assert.equal(PEOPLE, conn:db():q "[:find (count ?e) . :where [?e :p/age]]")
      assert.same(counted(place[2]), said(conn))
      assert.equal(0, conn:stats().retries)
      local before = place[2]:counts().rounds
      assert.is_true(conn:stats().rounds >= before, before)
      assert.is_true(conn:stats().wait_us > 0)
      conn:close()
    end
  end)

  it("are exact for writes", function()
    local url = s3_url:gsub("%?", "-writes?")
    local conn = assert(rille.create(url))
    assert(conn:transact(SCHEMA))
    assert(conn:transact { { ["p/name"] = "Ada" } })
    assert(conn:flush())
    local expected, found = counted(proxy), said(conn)
    assert.equal(expected.requests, found.requests)
    assert.equal(expected.sent_bytes, found.sent_bytes)
    assert.is_true(found.sent_bytes > 0)
    assert.is_true(found.received_bytes <= expected.received_bytes) -- the proxy counts the frames of chunks, too
    conn:close()
    rille.drop(url)
  end)

  -- In each way to run a query, also where requests fail and are sent again.
  local ways = {
    blocking = function(query, ...) return assert(rille.explain_data(query, ...)) end,
    stepped = function(query, ...)
      local op = assert(assert(rille.prepare(query)):start(...))
      local state
      repeat
        state = assert(op:step(200))
        while state == "need" and not op:poll() do end
      until state == "done"
      local data = assert(op:explain_data())
      op:close()
      return data
    end,
  }
  for how, explained in pairs(ways) do
    it("are the sum of what explain says of its queries: " .. how, function()
      for _, faults in ipairs { "", "slowdown,m=GET,every=4 lost,m=GET,every=7" } do
        local s3, http = assert(rille.connect(s3_url)), assert(rille.connect(http_url))
        local db, other = s3:db(), http:db()
        for _, query in ipairs {
          "[:find (count ?e) . :in $ $b :where [?e :p/name ?n] [$b ?f :p/name ?n]]",
          "[:find (count ?n) . :in $ $b :where [?e :p/age 7] [?e :p/name ?n] (not [$b _ :p/name ?n])]",
          '[:find ?m :in $ $b :where [?e :p/name "person 000007"] [?e :p/age ?a] [$b ?f :p/age ?a] [$b ?f :p/name ?m]]',
        } do
          proxy:faults(faults)
          web_proxy:faults(faults)
          local sources = explained(query, db, other).sources
          for i, p in ipairs { proxy, web_proxy } do
            local counts = p:counts()
            assert.equal(counts.requests, sources[i].requests, query)
            assert.equal(counts.bytes_down, sources[i].received_bytes, query)
            assert.is_true(sources[i].requests == 0 or sources[i].waits > 0 and sources[i].wait_us > 0)
          end
        end
        db:close()
        other:close()
        s3:close()
        http:close()
      end
    end)
  end

  -- Statuses, connections that end before and after the request was passed on (libcurl repeats it silently on a kept
  -- connection), and redirects.
  for _, fault in ipairs { "slowdown", "error", "busy", "reset", "lost", "close" } do
    it("count each request that was sent again: " .. fault, function()
      for _, place in ipairs(places()) do
        local conn = assert(rille.connect(place[1]))
        place[2]:faults(fault .. ",m=GET,every=3")
        local before = conn:stats()
        assert.equal(PEOPLE, conn:db():q "[:find (count ?e) . :where [?e :p/age]]")
        assert.is_true(#conn:db():q "[:find [?n ...] :where [?e :p/age 5] [?e :p/name ?n]]" > 100)
        local counts, stats = place[2]:counts(), conn:stats()
        assert.equal(counts.requests, stats.requests - before.requests, fault)
        assert.equal(counts.bytes_down, stats.received_bytes - before.received_bytes, fault)
        assert.equal(fault == "close" and 0 or counts[fault], stats.retries - before.retries, fault)
        assert.is_true(counts[fault] > 0)
        conn:close()
      end
    end)
  end
end)
