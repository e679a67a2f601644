-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- Databases in a bucket and behind a web server, over real servers: the step "servers" of tools/test runs it, with the
-- variables of tools/s3-server and tools/http-server, and RILLE_TEST_HTTP_ROOT, the directory behind the latter.
local rille = require "rille"
local Proxy = require "spec.support.proxy"
local support = require "spec.support.init"

local function env(name)
  return assert(os.getenv("RILLE_TEST_" .. name), "RILLE_TEST_" .. name .. " is not set: run tools/test servers")
end

local ENDPOINT, BUCKET, PUBLIC = env "S3_ENDPOINT", env "S3_BUCKET", env "S3_PUBLIC_BUCKET"
local HTTP, ROOT = env "HTTP", env "HTTP_ROOT"
local CA = { ca_file = env "CA_FILE" }
local READER = { access_key = env "S3_READER_KEY_ID", secret_key = env "S3_READER_KEY" }
local SECRETS = { os.getenv "AWS_SECRET_ACCESS_KEY", env "S3_READER_KEY", env "HTTP_PASSWORD", env "HTTP_TOKEN",
  "wrong-secret", "wrong-token", "wrong-password" }
local run = support.path "run":match "[^/]*/[^/]*$":gsub("%W", "-")
local SCHEMA = { support.attr("p/name", "string", support.identity), support.attr("p/age", "long") }
local NAMES = "[:find [?n ...] :where [_ :p/name ?n] :order-by ?n]"

local number = 0

local function name()
  number = number + 1
  return ("%s-%d"):format(run, number)
end

local used = {}
local function in_bucket(endpoint, bucket)
  local url = ("s3://%s/%s?endpoint=%s"):format(bucket or BUCKET, name(), endpoint or ENDPOINT)
  used[#used + 1] = url
  return url
end

local function with(options, more)
  local all = {}
  for k, v in pairs(options or {}) do all[k] = v end
  for k, v in pairs(more or {}) do all[k] = v end
  return all
end

-- Two people, then a third one; the instant in between.
local function fill(conn)
  assert(conn:transact(SCHEMA))
  local report = assert(conn:transact { { ["p/name"] = "Ada", ["p/age"] = 36 }, { ["p/name"] = "Ben", ["p/age"] = 7 } })
  assert(conn:flush())
  assert(conn:transact { { ["p/name"] = "Cid", ["p/age"] = 9 }, { ["p/name"] = "Ada", ["p/age"] = 37 } })
  return report.tx
end

-- A directory behind the web server, as its path there.
local function published()
  local path = name()
  local conn = assert(rille.create("file:" .. ROOT .. "/" .. path))
  local tx = fill(conn)
  assert(conn:flush())
  conn:close()
  return path, tx
end

-- What a failure must be like: its code, the URL without secrets, and what to do. It comes within its deadline, with
-- time to spare for a machine that is busy.
local function fails(code, url, remedy, f)
  local begin = os.time()
  local value, message, found = f()
  assert.is_nil(value)
  assert.equal(code, found, message)
  assert.matches("^" .. support.pattern((url:gsub("%?.*", ""))) .. ":", message)
  assert.matches(remedy, message)
  for _, secret in ipairs(SECRETS) do assert.is_nil(message:find(secret, 1, true), message) end
  assert.is_true(os.time() - begin < 100)
end

local proxy, web_proxy

describe("databases of servers", function()
  setup(function()
    proxy = Proxy.start(ENDPOINT)
    web_proxy = Proxy.start(HTTP)
  end)
  teardown(function()
    proxy:stop()
    web_proxy:stop()
  end)
  after_each(function()
    rille.driver(nil)
    proxy:faults ""
    web_proxy:faults ""
    for _, url in ipairs(used) do rille.drop(url) end
    used = {}
    support.cleanup()
  end)

  describe("in a bucket", function()
    local endpoints = { plain = { ENDPOINT }, TLS = { env "S3_TLS_ENDPOINT", CA },
      ["HTTP/2"] = { env "S3_HTTP2_ENDPOINT", CA } }
    for how, place in pairs(endpoints) do
      it("are made, written, read as of the past, branched and dropped: " .. how, function()
        local options = place[2]
        local url = ("s3://%s/%s?endpoint=%s"):format(BUCKET, name(), place[1])
        assert.is_false(rille.exists(url, options))
        assert.equal("NOTFOUND", select(3, rille.connect(url, options)))
        local conn = assert(rille.create(url, options))
        assert.equal("EXISTS", select(3, rille.create(url, options)))
        assert.is_true(rille.exists(url, options))
        local tx = fill(conn)
        assert.same({ "Ada", "Ben", "Cid" }, conn:db():q(NAMES))
        assert.same({ "Ada", "Ben" }, conn:db():as_of(tx):q(NAMES))
        assert.same({ "Ada", "Ben" }, assert(rille.db(url, with(options, { as_of = tx }))):q(NAMES))
        assert(rille.connect(url, with(options, { branch = "next", create = true }))):close()
        local branches = assert(rille.branches(url, options))
        table.sort(branches)
        assert.same({ "main", "next" }, branches)
        assert.is_true(conn:verify().datoms > 0)
        assert.is_nil(tostring(conn):find("endpoint", 1, true))
        conn:close()
        assert.is_true(rille.drop(url, options))
        assert.is_false(rille.exists(url, options))
      end)
    end

    it("commit by one PUT", function()
      local conn = assert(rille.create(in_bucket(proxy.url)))
      fill(conn)
      for i = 1, 5 do
        proxy:faults ""
        assert(conn:transact { { ["p/name"] = "n" .. i } })
        assert.equal(1, proxy:counts().PUT)
        assert.is_true(proxy:counts().requests <= 2) -- the other one asks whether the head is the newest
      end
      conn:close()
    end)

    it("keep a commit whose answer is lost, once", function()
      local conn = assert(rille.create(in_bucket(proxy.url)))
      fill(conn)
      for i, fault in ipairs { "lost,m=PUT,first=1", "repeat,m=PUT", "late,m=PUT,first=1", "reset,m=PUT,first=2",
        "slowdown,m=PUT,first=2", "error,m=PUT,first=2", "busy,m=PUT,first=1", "conflict,m=PUT,first=2",
        "truncate,first=1", "etag,m=GET,first=1" } do
        proxy:faults("quirks=1 " .. fault)
        local report, message = conn:transact { { ["p/age"] = 1000 + i } }
        assert(report, fault .. ": " .. tostring(message))
        assert.equal(1, conn:db():q(("[:find (count ?e) . :where [?e :p/age %d]]"):format(1000 + i)), fault)
      end
      conn:close()
    end)

    it("are read without waiting for a reply that does not come", function()
      local url = in_bucket(proxy.url)
      local conn = assert(rille.create(url, { timeout_ms = 12000 }))
      assert(conn:transact(SCHEMA))
      for _ = 1, 40 do conn:db() end
      proxy:faults "hang,m=GET,every=20"
      local begin, before = os.time(), conn:stats()
      for i = 1, 200 do
        assert(conn:db())
        local now = conn:stats()
        assert.is_true((now.hedges - before.hedges) * 20 <= i + 60) -- as many as the reads before have earned
      end
      local seconds, after = os.time() - begin, conn:stats()
      assert.is_true(after.hedges - before.hedges >= 9)
      assert.is_true(seconds < 20) -- 40 without hedges: a try takes 4 s, and each 20th hangs
      assert.equal(after.requests - before.requests, proxy:counts().GET)
      assert.is_true(proxy:counts().GET <= 215)
      conn:close()
    end)

    it("are read by everybody where the bucket is public", function()
      local url = in_bucket(nil, PUBLIC)
      local conn = assert(rille.create(url))
      local tx = fill(conn)
      conn:close()
      local public = ENDPOINT .. url:match "^s3:/(/[^?]*)"
      assert.same({ "Ada", "Ben", "Cid" }, assert(rille.db(public)):q(NAMES))
      assert.same({ "Ada", "Ben" }, assert(rille.db(public, { as_of = tx })):q(NAMES))
    end)

    it("tell caches what never changes", function()
      local url = in_bucket(proxy.url, PUBLIC)
      local conn = assert(rille.create(url))
      assert(conn:transact { { ["db/ident"] = "p/long", ["db/valueType"] = "db.type/string",
        ["db/cardinality"] = "db.cardinality/one" } })
      proxy:faults ""
      assert(conn:transact { { ["p/long"] = ("long "):rep(20000) } })
      assert(conn:flush())
      conn:close()
      local kinds = {}
      for _, line in ipairs(proxy:log()) do
        local path, kind = line:match "PUT (/%S+/(%a+)/%w+%S*) 200"
        if kind then
          local pipe = io.popen(("curl -sI --max-time 60 '%s%s'"):format(ENDPOINT, path))
          local policy = pipe:read("*a"):lower():match "cache%-control: *([^\r\n]*)"
          pipe:close()
          assert.equal(kind == "heads" and "no-cache" or "max-age=31536000, immutable", policy, path)
          kinds[kind] = true
        end
      end
      assert.same({ heads = true, packs = true, blobs = true }, kinds)
    end)

    it("are what a web server has of a directory, when that is copied", function()
      local path = published()
      local url = in_bucket()
      local command = ([[cd '%s/%s' && find . -type f | sed 's:^\./::' | while read -r f; do
        curl -sSf -X PUT --aws-sigv4 aws:amz:us-east-1:s3 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
          -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --data-binary "@$f" '%s'"/$f"; done]]):format(ROOT, path,
          ENDPOINT .. url:match "^s3:/(/[^?]*)")
      assert.is_true(os.execute(command) ~= nil)
      local conn = assert(rille.connect(url))
      assert.same({ "Ada", "Ben", "Cid" }, conn:db():q(NAMES))
      assert(conn:transact { { ["p/name"] = "Dot" } })
      assert.equal(4, #conn:db():q(NAMES))
      conn:close()
    end)
  end)

  describe("behind a web server", function()
    local netrc = ("machine 127.0.0.1\nlogin %s\npassword %s\n"):format(env "HTTP_USER", env "HTTP_PASSWORD")
    local ways = {
      { "/plain" }, { "/no-ranges" }, { "/gzip" }, { "/no-etags" }, { "/listing" }, { "/moved" },
      { "/basic", function() return { user = env "HTTP_USER", password = env "HTTP_PASSWORD" } end },
      { "/basic", function() return { netrc = support.file("netrc", netrc) } end },
      { "/bearer", function() return { bearer = env "HTTP_TOKEN" } end },
      { "/plain", function() return CA end, env "HTTPS" },
    }
    for _, way in ipairs(ways) do
      local at = (way[3] and "TLS " or "") .. way[1]
      it("are read as of any time: " .. at, function()
        local path, tx = published()
        local options = way[2] and way[2]() or nil
        local url = (way[3] or HTTP) .. way[1] .. "/" .. path
        assert.is_true(rille.exists(url, options))
        assert.same({ "Ada", "Ben", "Cid" }, assert(rille.db(url, options)):q(NAMES))
        assert.same({ "Ada", "Ben" }, assert(rille.db(url, with(options, { as_of = tx }))):q(NAMES))
        local conn = assert(rille.connect(url, options))
        local writer = assert(rille.connect("file:" .. ROOT .. "/" .. path))
        assert(writer:transact { { ["p/name"] = "Dot" } })
        writer:close()
        assert.equal(4, #conn:db():q(NAMES)) -- also in the second in which it was written
        assert.equal("READONLY", select(3, conn:transact { { ["p/name"] = "Eve" } }))
        conn:close()
        fails("READONLY", url, "write to its directory or bucket", function() return rille.drop(url, options) end)
      end)
    end

    it("fail with the reason and a remedy", function()
      local path = published()
      local function fail(code, url, remedy, options)
        fails(code, url, remedy, function() return rille.db(url, options) end)
      end
      fail("NOTFOUND", HTTP .. "/plain/none", "no database on branch main; check the URL")
      fail("PERMISSION", HTTP .. "/basic/" .. path, "user and password")
      fail("PERMISSION", HTTP .. "/basic/" .. path, "user and password",
        { user = "reader", password = "wrong-password" })
      fail("PERMISSION", HTTP .. "/bearer/" .. path, "bearer", { bearer = "wrong-token" })
      fail("IO", HTTP .. "/loop/" .. path, "redirects")
      fail("FOREIGN", HTTP .. "/portal/" .. path, "login page")
      fail("PERMISSION", env "HTTPS" .. "/plain/" .. path, "ca_file")
      fail("PERMISSION", env "HTTPS_OTHER" .. "/plain/" .. path, "certificate", CA)
      fail("PERMISSION", env "HTTPS_EXPIRED" .. "/plain/" .. path, "certificate", CA)
      fail("IO", "http://127.0.0.1:1/" .. path, "server running")
      fail("IO", "http://no-such-host.invalid/" .. path, "host")
      local _, message, code = rille.db(("http://me:wrong-secret@%s/x"):format(HTTP:match "//(.*)"))
      assert.equal("SYNTAX", code)
      assert.is_nil(message:find("wrong-secret", 1, true), message)
    end)

    it("notice bytes that are wrong, and answers that never come", function()
      local path = published()
      local url = web_proxy.url .. "/plain/" .. path
      local function names() return assert(rille.q(NAMES, (assert(rille.db(url))))) end
      local all = names()
      web_proxy:faults ""
      names()
      local gets = web_proxy:counts().GET
      web_proxy:faults "flip,path=packs/,first=1" -- on its way
      assert.same(all, names())
      assert.is_true(web_proxy:counts().GET <= gets + 1)
      assert.equal(1, web_proxy:counts().flip)
      web_proxy:faults "flip,path=packs/"
      fails("CORRUPT", url, ".", function()
        local db, message, code = rille.db(url)
        if not db then return db, message, code end
        return rille.q(NAMES, db)
      end)
      web_proxy:faults "flip,path=heads/"
      fails("CORRUPT", url, ".", function() return rille.db(url) end)
      for _, fault in ipairs { "hang", "stall", "truncate", "slowdown", "error", "reset", "lost" } do
        web_proxy:faults(fault)
        local _, message, code = rille.db(url, { timeout_ms = 300 })
        assert.is_true(code == "TIMEOUT" or code == "IO", fault .. ": " .. tostring(message))
        assert.matches("^" .. support.pattern(url) .. ":", message)
      end
      web_proxy:faults "hang"
      fails("TIMEOUT", url, "timeout_ms", function() return rille.db(url, { timeout_ms = 300 }) end)
      web_proxy:faults "html"
      fails("FOREIGN", url, "login page", function() return rille.db(url) end)
      web_proxy:faults "truncate,first=2 reset,first=2 slowdown,first=2"
      assert.same({ "Ada", "Ben", "Cid" }, assert(rille.db(url)):q(NAMES))
    end)
  end)

  it("of a bucket fail with the reason and a remedy", function()
    local url = in_bucket()
    assert(rille.create(url)):close()
    local function fail(code, at, remedy, options)
      fails(code, at, remedy, function() return rille.connect(at, options) end)
    end
    local key = os.getenv "AWS_ACCESS_KEY_ID"
    fail("PERMISSION", url, "secret_key", { access_key = key, secret_key = "wrong-secret" })
    fail("PERMISSION", url, "access_key", { access_key = "nobody", secret_key = "wrong-secret" })
    fail("IO", "s3://no-such-bucket/x?endpoint=" .. ENDPOINT, "create it")
    fails("IO", "s3://no-such-bucket/x", "create it", function()
      return rille.create("s3://no-such-bucket/x?endpoint=" .. ENDPOINT)
    end)
    fail("IO", ("s3://%s/x?endpoint=http://127.0.0.1:1"):format(BUCKET), "server running")
    fail("IO", ("s3://%s/x?endpoint=http://no-such-host.invalid"):format(BUCKET), "host")
    fail("SYNTAX", ("s3://%s/x?endpoint=http://127.0.0.1:99999"):format(BUCKET), "the endpoint")
    for _, host in ipairs { "127.0.0.1:99999", "127.0.0.1:x", "a b" } do
      fail("SYNTAX", "http://" .. host .. "/x", "the host or the port is not valid")
    end
    fail("PERMISSION", ("s3://%s/x?endpoint=%s"):format(BUCKET, env "S3_TLS_ENDPOINT"), "ca_file")
    local conn = assert(rille.connect(url, READER))
    fails("PERMISSION", url, "policy", function() return conn:transact(SCHEMA) end)
    conn:close()
    local new = in_bucket()
    fails("PERMISSION", new, "policy", function() return rille.create(new, READER) end)
    local at = url:gsub("endpoint=.*", "endpoint=" .. proxy.url)
    proxy:faults "hang"
    fail("TIMEOUT", at, "timeout_ms", { timeout_ms = 300 })
    proxy:faults "html"
    fail("FOREIGN", at, "login page")
    proxy:faults "flip,path=heads/"
    fail("CORRUPT", at, ".")
    proxy:faults ""
    conn = assert(rille.connect(at, { timeout_ms = 5000 }))
    assert(conn:transact(SCHEMA))
    proxy:faults "hang,m=PUT"
    fails("TIMEOUT", at, "unknown whether", function() return conn:transact { { ["p/name"] = "Ada" } } end)
    conn:close()
  end)

  it("say that a session has expired", function()
    local pipe = io.popen(("tools/s3-server session '%s' 1"):format(env "S3_DIR"))
    local keys = {}
    for k, v in pipe:read "*a":gmatch "export (%S+)=(%S+)" do keys[k] = v end
    pipe:close()
    local options = { access_key = keys.AWS_ACCESS_KEY_ID, secret_key = keys.AWS_SECRET_ACCESS_KEY,
      session_token = assert(keys.AWS_SESSION_TOKEN) }
    local url = in_bucket()
    assert(rille.create(url)):close()
    fails("PERMISSION", url, "session_token", function()
      return rille.db(url, with(options, { session_token = options.session_token:sub(1, -9) }))
    end)
    local tries, db, message, code = 0
    repeat
      db, message, code = rille.db(url, options)
      tries = tries + 1
    until not db or tries == 10000
    assert.equal("PERMISSION", code, message)
    assert.matches("session_token", message)
    assert.is_nil(message:find(keys.AWS_SESSION_TOKEN, 1, true))
  end)

  -- What each call gives; the same however it is run.
  local function script(s3, http, file)
    local out = {}
    local conn = assert(rille.create(s3))
    local tx = fill(conn)
    out[1] = conn:db():q(NAMES)
    out[2] = conn:db():as_of(tx):q(NAMES)
    local past = { rille.db(s3, { as_of = tx }), rille.db(http.url, { as_of = http.tx }), rille.db(file.url,
      { as_of = file.tx }) }
    out[3] = rille.q([=[ [:find ?n ?a ?b :in $s $h $f :where [$s ?e :p/name ?n] [$s ?e :p/age ?a] [$h ?g :p/name ?n]
      [$h ?g :p/age ?b] [$f ?i :p/name ?n] :order-by ?n] ]=], past[1], past[2], past[3])
    out[3] = support.lines(out[3])
    out[4] = select(3, conn:transact { { ["p/none"] = 1 } })
    out[5] = conn:verify().datoms
    out[6] = rille.branches(s3)
    conn:close()
    out[7] = rille.drop(s3)
    return out
  end

  it("join in one query as of the past, blocking, under a driver and with faults", function()
    local path, tx = published()
    local http = { url = web_proxy.url .. "/plain/" .. path, tx = tx }
    local file = { url = support.url "file" }
    local conn = assert(rille.create(file.url))
    file.tx = fill(conn)
    conn:close()
    local expected = script(in_bucket(proxy.url), http, file)
    used = {}
    assert.same({ "Ada 36 36", "Ben 7 7" }, expected[3])
    assert.same({ "Ada", "Ben", "Cid" }, expected[1])
    local hosts = {
      fetch = function(op, state) if state == "need" then assert(op:fetch()) end end,
      poll = function(op, state)
        if state == "need" then
          while not op:poll() do end -- luacheck: ignore
        end
      end,
    }
    for _, faults in ipairs { "", "seed=5 slowdown,p=0.04 lost,p=0.04 reset,p=0.04 truncate,p=0.04 repeat,p=0.04" } do
      proxy:faults("quirks=1 " .. faults)
      web_proxy:faults(faults)
      assert.same(expected, script(in_bucket(proxy.url), http, file))
      used = {}
      for _, host in pairs(hosts) do
        rille.driver(host, { budget_us = 1 })
        assert.same(expected, script(in_bucket(proxy.url), http, file))
        rille.driver(nil)
        used = {}
      end
    end
  end)

  it("are opened, written and asked in steps", function()
    local url = in_bucket(proxy.url)
    assert(rille.create(url)):close()
    local needs = 0
    local function finish(op)
      while true do
        local state = assert(op:step(50))
        if state == "need" then
          needs = needs + 1
          while not op:poll() do end -- luacheck: ignore
        end
        if state == "done" then return op:result() end
      end
    end
    local conn = assert(finish(rille.start_connect(url)))
    finish(conn:start_transact(SCHEMA))
    local report = assert(finish(conn:start_transact { { ["p/name"] = "Ada" } }))
    finish(conn:start_flush())
    finish(conn:start_transact { { ["p/name"] = "Ben" } })
    local db = assert(finish(conn:start_db()))
    assert.equal(2, finish(db:start_count("aevt", "p/name")))
    assert.equal(1, finish(assert(finish(db:start_as_of(report.tx))):start_count("aevt", "p/name")))
    assert.is_true(finish(conn:start_verify()).datoms > 0)
    assert.is_true(needs >= 6)
    conn:close()
  end)
end)
