-- SPDX-License-Identifier: MIT
--
-- db:warm: what it reads, within which budget, and that queries then read nothing.

local rille = require "rille"
local support = require "spec.support.init"
local table_backend = require "spec.support.table_backend"

local COUNT = 30000

-- A database whose trees have several levels; its URL.
local function make(url)
  local conn = assert(rille.create(url))
  assert(conn:transact { support.attr("p/name", "string", support.identity), support.attr("p/age", "long"),
    support.attr("p/note", "string") })
  local people = {}
  for i = 1, COUNT do
    people[i] = { ["p/name"] = ("n%06d"):format(i), ["p/age"] = i % 1000, ["p/note"] = "note " .. i * 7919 % COUNT }
  end
  assert(conn:transact(people))
  assert(conn:flush())
  conn:close()
  return url
end

local function reads_of(conn)
  local stats = conn:stats()
  return stats.read_ranges, stats.read_bytes
end

-- A fresh connection with nothing in its cache but what opening reads, and its newest value.
local function open(url, options)
  local conn = assert(rille.connect(url, options))
  return conn, assert(conn:db())
end

describe("warming", function()
  local urls = {}
  setup(function()
    rille.backend("warm", (table_backend.new()))
    for _, kind in ipairs(support.kinds()) do
      if kind ~= "mem" then urls[#urls + 1] = make(kind .. ":" .. support.path(kind)) end
    end
    urls[#urls + 1] = "deferred:" .. urls[1]
    urls[#urls + 1] = make "warm:place"
  end)
  teardown(function()
    rille.backend("warm", nil)
    support.cleanup()
  end)
  after_each(function() rille.driver(nil) end)

  local ALL = "[:find (count ?e) (sum ?a) :where [?e :p/name ?n] [?e :p/age ?a]]"
  local SOME = "[:find (count ?e) . :where [?e :p/name ?n] [(>= ?n \"n000100\")] [(< ?n \"n005000\")]]"

  it("reads all of some attributes, and queries of them then read nothing", function()
    for _, url in ipairs(urls) do
      local conn, db = open(url)
      local before, before_bytes = reads_of(conn)
      local warmed = assert(db:warm { attributes = { "p/name", "p/age" } })
      local after, after_bytes = reads_of(conn)
      assert.is_true(warmed.complete)
      assert.is_true(warmed.nodes > 10, url)
      assert.is_true(after - before >= 1 and after - before <= warmed.nodes, url)
      if url:find "file:" then assert.equal(after_bytes - before_bytes, warmed.bytes) end
      assert.equal(COUNT, assert(db:q(ALL))[1][1])
      assert.equal(4900, db:q(SOME))
      for i = 1, 50 do assert.is_number(db:entid { "p/name", ("n%06d"):format(i * 100) }) end
      assert.equal(after, (reads_of(conn)))
      local again = assert(db:warm { attributes = { "p/name", "p/age" } })
      assert.equal(0, again.nodes)
      assert.equal(0, again.bytes)
      assert.equal(warmed.nodes + warmed.cached_nodes, again.cached_nodes)
      assert.is_true(again.complete)
      assert.equal(after, (reads_of(conn)))
      db:q "[:find (count ?x) . :where [_ :p/note ?x]]" -- what was not warmed is read
      assert.is_true((reads_of(conn)) > after)
      conn:close()
    end
  end)

  it("reads a range of values, and no more than its leaves and branches", function()
    for _, url in ipairs(urls) do
      local conn, db = open(url)
      local all = select(2, open(url)):warm { attributes = { "p/name" }, index = "avet" }
      local warmed = assert(db:warm { attributes = { "p/name" }, from = "n000100", to = "n005000" })
      assert.is_true(warmed.complete)
      assert.is_true(warmed.nodes < all.nodes / 2, url)
      local reads = reads_of(conn)
      local count = 0
      for _ in db:index_range("p/name", "n000100", "n005000") do count = count + 1 end
      assert.equal(4900, count)
      assert.equal(reads, (reads_of(conn)))
      conn:close()
    end
  end)

  it("reads a whole index, or components of it, or everything", function()
    for _, url in ipairs(urls) do
      local conn, db = open(url)
      local e = assert(db:entid { "p/name", "n000200" })
      assert.is_true(assert(db:warm { index = "eavt", from = { e }, to = { e + 1000 } }).complete)
      local reads = reads_of(conn)
      for i = 0, 999, 100 do for _ in db:datoms("eavt", e + i) do reads = reads + 0 end end
      assert.equal(reads, (reads_of(conn)))
      assert.is_true(assert(db:warm { index = "vaet" }).complete)
      assert.is_true(assert(db:warm()).complete)
      reads = reads_of(conn)
      for _, index in ipairs { "eavt", "aevt", "avet", "vaet" } do
        for _ in db:datoms(index) do reads = reads + 0 end
      end
      assert.equal(reads, (reads_of(conn)))
      conn:close()
    end
  end)

  it("stays within its budget", function()
    for _, url in ipairs(urls) do
      for _, limit in ipairs { 1, 2, 5, 17 } do
        local conn, db = open(url)
        local before = reads_of(conn)
        local warmed = assert(db:warm { attributes = { "p/note" }, max_nodes = limit })
        assert.is_true(warmed.nodes <= limit)
        assert.is_true((reads_of(conn)) - before <= limit)
        assert.is_false(warmed.complete)
        conn:close()
      end
      if not url:find "lmdb" then -- which does not know the length of a node before it reads it
        for _, limit in ipairs { 1, 20000, 100000 } do
          local conn, db = open(url)
          local _, before = reads_of(conn)
          local warmed = assert(db:warm { max_bytes = limit })
          assert.is_true(warmed.bytes <= limit)
          assert.is_true(select(2, reads_of(conn)) - before <= limit)
          assert.is_false(warmed.complete)
          conn:close()
        end
      end
      local conn, db = open(url, { cache_bytes = 200000 })
      local warmed = assert(db:warm())
      assert.is_false(warmed.complete, url) -- the cache could not keep it
      assert.is_true(conn:stats().cache_bytes <= 200000)
      conn:close()
    end
  end)

  it("asks for a level at once", function()
    for _, url in ipairs { "deferred:" .. urls[1], "warm:place" } do
      local conn, db = open(url)
      local before = conn:stats().reads
      local warmed = assert(db:warm { attributes = { "p/name", "p/note" } })
      local rounds = conn:stats().reads - before
      assert.is_true(rounds <= 4 + warmed.nodes / 64, rounds .. " rounds for " .. warmed.nodes)
      conn:close()
    end
  end)

  it("is the same in steps, whatever else is done between them", function()
    for _, url in ipairs(urls) do
      local conn, db = open(url)
      local expected = assert(db:warm { attributes = { "p/name" } })
      conn:close()
      conn, db = open(url)
      local op = db:start_warm { attributes = { "p/name" } }
      local state
      repeat
        state = assert(op:step(1))
        if state == "need" then assert(op:fetch()) end
        assert(conn:db():entid "db/ident")
      until state == "done"
      local got = op:result()
      assert.is_true(got.complete)
      assert.equal(expected.nodes + expected.cached_nodes, got.nodes + got.cached_nodes)
      op:close()
      op = db:start_warm { attributes = { "p/note" } }
      op:step(1)
      op:cancel()
      assert.equal("CANCELLED", select(3, op:step()))
      op:close()
      conn:close()
    end
  end)

  it("refuses what it cannot mean", function()
    local conn, db = open(urls[1])
    local function refused(pattern, options) assert.matches(pattern, support.failure(db.warm, db, options)) end
    refused("unknown option \"attribute\" %(did you mean attributes%?%)", { attribute = {} })
    refused("option \"index\" must be \"aevt\", \"avet\", \"eavt\" or \"vaet\"", { index = "x" })
    refused("from needs one attribute, or an index and components", { from = 7 })
    refused("from and to are values of one attribute", { attributes = { "p/name", "p/age" }, from = "x" })
    assert.equal("ATTRIBUTE", select(3, db:warm { attributes = { "p/nmae" } }))
    assert.equal("ATTRIBUTE", select(3, db:warm { attributes = { "p/note" }, from = "a" })) -- it is not in avet
    assert.equal("TYPE", select(3, db:warm { attributes = { "p/age" }, from = "a" }))
    conn:close()
  end)
end)
