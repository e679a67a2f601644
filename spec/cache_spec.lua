-- SPDX-License-Identifier: MIT
--
-- Caches in front of a storage: what is asked of the storage all the same, and what is refused.
local rille = require "rille"
local support = require "spec.support.init"

local names = support.names

describe("a cache in front of the storage", function()
  after_each(support.cleanup)

  local url, cache, reports

  before_each(function()
    local conn = support.people "file"
    url, cache, reports = conn:url(), "file:" .. support.plain_url("file"):match "^file:(.*)$", {}
    for i = 1, 6 do
      reports[i] = assert(conn:transact { { ["person/name"] = "n" .. i, ["person/age"] = i } })
      if i == 3 then assert(conn:flush()) end
    end
    conn:close()
    local db = assert(rille.db("deferred:" .. url, { cache = cache }))
    names(db)
    for i = 1, 5 do
      for _, point in ipairs { reports[i].tx, reports[i].instant, reports[i].commit } do
        names(assert(rille.db("deferred:" .. url, { cache = cache, as_of = point })))
      end
    end
    db:close()
  end)

  -- Works only as long as nothing is asked of the storage.
  local function unasked(options)
    options.cache = cache
    return rille.db("faulty:io/all/0;deferred:" .. url, options)
  end

  it("leaves one request, for the head", function()
    local conn = assert(rille.connect("deferred:" .. url, { cache = cache }))
    names(conn:db())
    local stats = conn:stats()
    assert.equal(stats.head_reads, stats.requests)
    assert.equal(0, stats.reads)
    assert.is_true(stats.tier_hits > 0 and stats.tier_misses == 0 and stats.tier_bytes > 0)
    assert.is_true(stats.head_age_ms >= 0)
    conn:close()
  end)

  it("leaves none for the past", function()
    for i = 1, 5 do
      for _, point in ipairs { reports[i].tx, reports[i].instant } do
        local db = assert(unasked { as_of = point })
        assert.equal(names(reports[i].db_after), names(db))
        db:close()
      end
      assert.equal(reports[i].commit, assert(unasked { commit = reports[i].commit }):basis().commit)
    end
    assert.equal(names(reports[6].db_after), names(assert(unasked { as_of = reports[6].tx })))
  end)

  it("is not enough for a point that it may not know all of", function()
    local db, _, code = unasked { as_of = reports[6].instant } -- another one may follow at the same instant
    assert.is_nil(db)
    assert.equal("IO", code)
    for _, options in ipairs { { as_of = reports[6].tx + 1 }, { commit = ("0"):rep(64) }, {} } do
      db, _, code = unasked(options)
      assert.is_nil(db)
      assert.equal("IO", code)
    end
    local conn = assert(rille.connect(url))
    local later = assert(conn:transact { { ["person/name"] = "late" } })
    conn:close()
    local options = { cache = cache, as_of = later.tx }
    assert.equal(names(later.db_after), names(assert(rille.db("deferred:" .. url, options))))
    assert.equal(names(later.db_after), names(assert(unasked { as_of = later.tx }))) -- the head is known now
  end)

  it("leaves none for a value that may be old", function()
    local conn = assert(rille.connect(url))
    local later = assert(conn:transact { { ["person/name"] = "late" } })
    local old = assert(unasked { max_staleness_ms = 3600000 })
    assert.equal(names(reports[6].db_after), names(old))
    local db = assert(rille.db("deferred:" .. url, { cache = cache })) -- asks
    assert.equal(names(later.db_after), names(db))
    assert.equal(names(later.db_after), names(assert(unasked { max_staleness_ms = 3600000 })))
    local _, _, code = unasked { max_staleness_ms = 0 }
    assert.equal("IO", code)
    conn:close()
  end)

  it("serves operations in steps", function()
    local op = rille.start_connect("deferred:" .. url, { cache = cache, max_staleness_ms = 3600000 })
    assert.equal("done", op:step(1000))
    local conn = op:result()
    op = conn:start_db()
    assert.equal("done", op:step(1000))
    assert.equal(names(reports[6].db_after), names(op:result()))
    assert.equal(0, conn:stats().requests)
    conn:close()
  end)

  it("is refused where it must not be, with the reason", function()
    local place = url:match "file:.*$"
    local function refusal(options)
      local conn, message, code = rille.connect(url, options)
      assert.is_nil(conn)
      return code .. " " .. message
    end
    assert.matches("^FOREIGN cache file:.*choose a separate directory", refusal { cache = place })
    assert.matches("^FOREIGN cache file:.*choose a separate directory", refusal { cache = place .. "/cache" })
    assert.matches("^NOTFOUND cache file:.*does its parent exist", refusal { cache = "file:/no/such/place/here" })
    local secret = refusal { cache = "https://u:secret@h/p?k=v" }
    assert.matches("^UNSUPPORTED cache https://h/p: .*mem:NAME or file:DIR", secret)
    for _, text in ipairs { "/tmp/cache", "", "File:/tmp/cache", "nosuch:u:secret@h" } do
      assert.equal("SYNTAX cache: a cache must be mem:NAME or file:DIR", refusal { cache = text })
    end
    assert.matches("^SYNTAX cache: .*file: is not followed by a path", refusal { cache = "file:" })
    for text, options in pairs {
      ["cache_max_bytes is 5; it must be at least 1048576"] = { cache = "mem:", cache_max_bytes = 5 },
      ['option "cache" must be a string, got 5'] = { cache = 5 },
      ['option "max_staleness_ms" must be a non%-negative number, got %-1'] = { max_staleness_ms = -1 },
    } do
      local fine, message = pcall(rille.connect, url, options)
      assert.is_false(fine)
      assert.matches(text, message)
    end
  end)
end)
