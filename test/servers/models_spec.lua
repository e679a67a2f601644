-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- Random data and queries against the naive evaluator, as spec/model_spec.lua, with the databases in a bucket, behind a
-- web server, in files and in LMDB, and with servers that fail at random while databases are made, opened and queried.
-- Where bytes were damaged on their way, there may be an error that says so, and the right answer later.
--
-- The step "servers" of tools/test runs it for RILLE_MODEL_SECONDS (40); RILLE_SEED is the first seed, RILLE_CASES how
-- many cases a test has at most. A failure prints the seed, the faults and the query; `RILLE_SEED=n RILLE_CASES=1` runs
-- that case again.
local rille = require "rille"
local Proxy = require "spec.support.proxy"
local model = require "spec.support.model"
local random_query = require "spec.support.random_query"
local support = require "spec.support.init"

local function env(name)
  local value = os.getenv("RILLE_TEST_" .. name)
  return value or error("RILLE_TEST_" .. name .. " is not set: run tools/test servers")
end

local SECONDS = tonumber(os.getenv "RILLE_MODEL_SECONDS") or 40
local FIRST = tonumber(os.getenv "RILLE_SEED") or 70001
local CASES = tonumber(os.getenv "RILLE_CASES") or math.huge
local TIMES = 20 -- that a query with damaged bytes is asked again
local FAULTS = { "slowdown", "error", "busy,arg=0", "reset", "lost", "repeat", "truncate,m=GET", "close",
  "conflict,m=PUT", "trickle,m=GET,arg=0" }
local run = support.path "models":match "[^/]*/[^/]*$":gsub("%W", "-")

local proxy, damaging_proxy, web_proxy -- writes go through one that damages nothing
local number = 0
local used = {} -- files; the bucket ends with its server

local seen = { cases = 0, damaged = 0, faults = 0 }

-- Bytes that were changed on their way are found out by their hashes; the next time they may be right.
local function again(f, ...)
  local value, message, code
  for _ = 1, TIMES do
    value, message, code = f(...)
    if value ~= nil or code ~= "CORRUPT" then break end
    seen.damaged = seen.damaged + 1
  end
  return value, message, code
end

local function open(url, options)
  return function()
    local conn = assert(again(rille.connect, url, options))
    local db = assert(again(conn.db, conn))
    conn:close()
    return db
  end
end

-- Where the databases of a case are made and opened, each somewhere else.
local function places(kinds, options)
  return function(rng)
    number = number + 1
    local kind, name = kinds[rng:below(#kinds) + 1], ("%s-%d"):format(run, number)
    if kind == "s3" then
      local url = ("s3://%s/%s?endpoint="):format(env "S3_BUCKET", name)
      return { url = url .. proxy.url, options = { timeout_ms = options.timeout_ms },
        open = open(url .. damaging_proxy.url, options) }
    elseif kind == "http" then
      local url = "file:" .. env "HTTP_ROOT" .. "/" .. name
      used[#used + 1] = url
      return { url = url, open = open(("%s/plain/%s"):format(web_proxy.url, name), options) }
    end
    local url = support.url(kind)
    return { url = url, open = open(url, { cache_bytes = options.cache_bytes }) }
  end
end

-- Some kinds of faults at once, each rare enough for requests to get through, and now and then one answer that never
-- comes.
local function faults(rng, damages)
  local words = { ("seed=%d jitter=%d"):format(rng:below(1000000), rng:below(3)) }
  for _ = 1, 3 do
    words[#words + 1] = ("%s,p=0.%02d"):format(FAULTS[rng:below(#FAULTS) + 1], 2 + rng:below(10))
  end
  if damages and rng:chance(40) then words[#words + 1] = ("flip,m=GET,p=0.%02d"):format(2 + rng:below(15)) end
  if rng:chance(10) then words[#words + 1] = "hang,skip=5,first=1" end
  return table.concat(words, " ")
end

describe("queries of servers that fail, against the naive model", function()
  setup(function()
    proxy = Proxy.start(env "S3_ENDPOINT")
    damaging_proxy = Proxy.start(env "S3_ENDPOINT")
    web_proxy = Proxy.start(env "HTTP")
  end)
  teardown(function()
    proxy:stop()
    damaging_proxy:stop()
    web_proxy:stop()
  end)
  after_each(function()
    for _, url in ipairs(used) do rille.drop(url) end
    used = {}
    support.cleanup()
  end)

  local function cases(share, first, kinds, cache_bytes)
    local ends_at = os.time() + math.ceil(SECONDS * share)
    local seed, last = first, first + CASES - 1
    seen = { cases = 0, damaged = 0, faults = 0 }
    repeat
      local rng = random_query.rng(seed + 11)
      local words, damaging = faults(rng), faults(rng, true)
      proxy:faults(words)
      damaging_proxy:faults(damaging)
      web_proxy:faults(damaging)
      model.run(seed, { place = places(kinds, { cache_bytes = cache_bytes, timeout_ms = 15000 }),
        ask = function(...) return again(rille.q, ...) end,
        about = (", faults %q, then %q"):format(words, damaging) })
      for _, p in ipairs { proxy, damaging_proxy, web_proxy } do
        local counts = p:counts()
        for _, fault in ipairs(FAULTS) do seen.faults = seen.faults + counts[fault:match "%a+"] end
        seen.faults = seen.faults + counts.flip + counts.hang
      end
      for _, url in ipairs(used) do rille.drop(url) end
      used = {}
      support.cleanup()
      seed, seen.cases = seed + 1, seen.cases + 1
    until seed > last or os.time() >= ends_at
    io.write(("%d cases, %d faults, %d errors of damaged bytes: %s\n"):format(seen.cases, seen.faults, seen.damaged,
      table.concat(kinds, ", ")))
    assert.is_true(CASES < math.huge or seen.faults > 0)
  end

  it("are right in a bucket", function() cases(0.3, FIRST, { "s3" }) end)
  it("are right behind a web server", function() cases(0.2, FIRST + 10000, { "http" }) end)
  it("are right with hardly any cache", function() cases(0.2, FIRST + 20000, { "s3", "http" }, 4096) end)
  it("are right across all kinds of storage", function()
    cases(0.3, FIRST + 30000, { "s3", "http", "file", "lmdb" })
  end)
end)
