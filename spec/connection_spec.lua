-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

describe("databases by URL", function()
  after_each(support.cleanup)

  for _, kind in ipairs(support.kinds()) do
    describe("in " .. kind, function()
      it("are created once, found by others, and dropped", function()
        local url = support.url(kind)
        assert.is_false(rille.exists(url))
        local conn = assert(rille.create(url))
        assert.is_true(rille.exists(url))
        local again, message, code = rille.create(url)
        assert.is_nil(again)
        assert.is_string(message)
        assert.equal("EXISTS", code)
        local other = assert(rille.connect(url))
        assert.same({ "main" }, rille.branches(url))
        other:close()
        conn:close()
        assert.is_true(rille.drop(url))
        assert.is_false(rille.exists(url))
        assert.equal("NOTFOUND", select(3, rille.connect(url)))
      end)

      it("can be made by connecting", function()
        local url = support.url(kind)
        local conn = assert(rille.connect(url, { create = true, keep_history = true }))
        assert.is_true(rille.exists(url))
        conn:close()
        assert(rille.connect(url, { create = true })):close()
      end)

      it("show one connection's commits to another", function()
        local conn = support.people(kind)
        local other = assert(rille.connect(conn:url()))
        local before = other:db()
        assert(conn:transact { { ["person/name"] = "Eve" } })
        assert.equal(4, before:count("aevt", "person/name"))
        assert.equal(5, other:db():count("aevt", "person/name"))
        assert.equal(5, assert(rille.db(conn:url())):count("aevt", "person/name"))
        other:close()
        conn:close()
      end)

      it("let two writers take turns without losing a commit", function()
        local a = support.people(kind)
        local b = assert(rille.connect(a:url()))
        for i = 1, 10 do
          assert(a:transact { { ["person/name"] = "a" .. i } })
          assert(b:transact { { ["person/name"] = "b" .. i } })
        end
        assert.equal(24, a:db():count("aevt", "person/name"))
        a:close()
        b:close()
      end)

      it("stay as they are when flushed", function()
        local conn = support.people(kind)
        local basis = conn:db():basis()
        assert.is_true(conn:flush())
        local db = conn:db()
        assert.equal(basis.commit, db:basis().commit)
        assert.equal(4, db:count("aevt", "person/name"))
        assert(conn:transact { { ["person/name"] = "Eve" } })
        assert.equal(5, conn:db():count("aevt", "person/name"))
        local report = assert(conn:verify())
        assert.is_true(report.datoms > 0)
        assert.is_true(conn:stats().head_swaps > 0)
        conn:close()
      end)
    end)
  end

  it("keep their values after the connection is closed", function()
    local conn = support.people()
    local db = conn:db()
    conn:close()
    assert.equal(4, db:count("aevt", "person/name"))
  end)

  it("count what they read and write", function()
    local conn = support.people("file")
    local stats = conn:stats()
    for _, name in ipairs { "reads", "writes", "head_reads", "head_swaps", "cache_bytes", "size_bytes" } do
      assert.is_number(stats[name], name)
    end
    conn:close()
  end)

  it("refuse what is missing or foreign", function()
    assert.equal("NOTFOUND", select(3, rille.connect("file:" .. support.path "nothing")))
    assert.equal("NOTFOUND", select(3, rille.db(support.plain_url "mem")))
    assert.is_nil((rille.connect "nonsense:place"))
    assert.is_string((select(2, rille.connect "nonsense:place")))
    local dir = support.path "foreign"
    os.execute(("mkdir -p '%s' && echo hello > '%s/notes.txt'"):format(dir, dir))
    local conn, message, code = rille.connect("file:" .. dir)
    assert.is_nil(conn)
    assert.is_string(message)
    assert.is_true(code == "FOREIGN" or code == "NOTFOUND", code)
    assert.is_nil((rille.create("file:" .. support.file("a-file", "x"))))
  end)
end)

describe("options", function()
  after_each(support.cleanup)

  it("that do not exist are errors that name them", function()
    local url = support.url()
    local message = support.failure(rille.create, url, { keep_hstory = true })
    assert.matches("keep_hstory", message)
    assert.matches("did you mean keep_history", message)
    assert.matches("colour", support.failure(rille.connect, url, { colour = 1 }))
    assert.matches("branhc", support.failure(rille.db, url, { branhc = "x" }))
    assert.matches("limt", support.failure(rille.options, { limt = 1 }))
  end)

  it("of the wrong type are errors", function()
    local url = support.url()
    assert.matches("keep_history", support.failure(rille.create, url, { keep_history = "yes" }))
    assert.matches("durability", support.failure(rille.connect, url, { durability = "maybe" }))
    assert.matches("table", support.failure(rille.connect, url, "branch"))
    assert.is_string(support.failure(rille.connect, nil))
    assert.is_string(support.failure(rille.options, { limit = -1 }))
  end)

  it("choose durability and branch", function()
    local url = support.url()
    for _, durability in ipairs { "commit", "group", "none" } do
      local conn = assert(rille.connect(url, { create = true, durability = durability, branch = "main" }))
      assert.equal("main", conn:db():basis().branch)
      conn:close()
    end
    local missing = "there is no database on branch other; rille.branches(url) lists the branches"
    for _, open in ipairs { rille.connect, rille.db, function(...) return rille.start_connect(...):run() end } do
      local conn, message, code = open(url, { branch = "other" })
      assert.is_nil(conn)
      assert.equal("NOTFOUND", code)
      assert.equal(missing, message:sub(-#missing))
    end
  end)

  it("choose who flushes", function()
    local url = support.url()
    assert.matches("flush", support.failure(rille.connect, url, { flush = "never" }))
    local conn = assert(rille.create(url, { flush = "manual" }))
    assert(conn:transact { { ["db/ident"] = "n/key", ["db/valueType"] = "db.type/long",
      ["db/unique"] = "db.unique/identity" } })
    conn:close()
    for _, flush in ipairs { "manual", "auto" } do
      conn = assert(rille.connect(url, { flush = flush }))
      assert(conn:transact { { ["n/key"] = 1 } })
      assert.is_true(conn:flush())
      conn:close()
    end
    assert.equal(1, assert(rille.db(url)):count("aevt", "n/key"))
  end)
end)

describe("listeners", function()
  after_each(support.cleanup)

  it("hear of each transaction until they are gone", function()
    local conn = support.people()
    local heard = {}
    local id = conn:listen(function(report) heard[#heard + 1] = report.tx end)
    local first = assert(conn:transact { { ["person/name"] = "Eve" } })
    assert.is_nil((conn:transact { { ["person/nmae"] = "x" } }))
    conn:unlisten(id)
    assert(conn:transact { { ["person/name"] = "Fay" } })
    assert.same({ first.tx }, heard)
    assert.is_string(support.failure(conn.unlisten, conn, id))
    conn:close()
  end)

  it("leave nothing behind when they are gone", function()
    local conn = support.people()
    local heard = {}
    local ids = {}
    for i = 1, 3 do ids[i] = conn:listen(function() heard[#heard + 1] = i end) end
    for _ = 1, support.stressed and 2000 or 200000 do conn:unlisten(conn:listen(print)) end
    conn:unlisten(ids[2])
    local thousands = 0 -- instructions of Lua
    debug.sethook(function() thousands = thousands + 1 end, "", 1000)
    for _ = 1, 50 do assert(conn:transact { { ["person/name"] = "Eve" } }) end
    debug.sethook()
    assert.is_true(thousands < 1000, thousands) -- 50 walks over all that ever were would take more
    assert.equal(100, #heard)
    assert.same({ 1, 3 }, { heard[1], heard[2] })
    conn:close()
  end)

  it("may end themselves and others", function()
    local conn = support.people()
    local first, second
    local heard = ""
    first = conn:listen(function()
      heard = heard .. "a"
      conn:unlisten(first)
      conn:unlisten(second)
    end)
    second = conn:listen(function() heard = heard .. "b" end)
    conn:listen(function() heard = heard .. "c" end)
    for _ = 1, 2 do assert(conn:transact { { ["person/name"] = "Eve" } }) end
    assert.equal("acc", heard)
    conn:close()
  end)

  it("that fail do not undo the commit", function()
    local conn = support.people()
    local others = 0
    conn:listen(function() error("listener broke", 0) end)
    conn:listen(function() others = others + 1 end)
    assert.equal("listener broke", support.failure(conn.transact, conn, { { ["person/name"] = "Eve" } }))
    assert.equal(1, others)
    assert.equal(5, conn:db():count("aevt", "person/name"))
    conn:close()
  end)
end)

describe("closed handles", function()
  after_each(support.cleanup)

  it("raise an error that says so", function()
    local conn = support.people()
    local db = conn:db()
    local result = assert(db:q "[:find ?n :where [_ :person/name ?n]]")
    local query = assert(rille.prepare "[:find ?n :where [_ :person/name ?n]]")
    local op = assert(query:start(db))
    for _, handle in ipairs { conn, result, query, op } do
      handle:close()
      handle:close()
      assert.matches("closed", tostring(handle))
    end
    assert.matches("connection is closed", support.failure(conn.db, conn))
    assert.matches("connection is closed", support.failure(conn.transact, conn, {}))
    assert.matches("result is closed", support.failure(function() return #result end))
    assert.matches("result is closed", support.failure(function() return result[1] end))
    assert.matches("query is closed", support.failure(query.run, query, db))
    assert.matches("operation is closed", support.failure(op.step, op))
    db:close()
    assert.matches("database is closed", support.failure(db.basis, db))
    assert.matches("closed", support.failure(rille.q, "[:find ?n :where [_ :person/name ?n]]", db))
  end)

  it("are refused in the place of one another", function()
    local conn = support.people()
    local db = conn:db()
    assert.matches("expected a connection", support.failure(conn.db, db))
    assert.matches("expected a database", support.failure(db.basis, conn))
    assert.matches("expected a database", support.failure(db.basis, {}))
    assert.matches("expected a database", support.failure(db.basis, io.stdout))
    conn:close()
  end)

  it("are no inputs of queries", function()
    local result = assert(rille.q("[:find ?x :in [?x ...]]", { 1 }))
    result:close()
    for _, query in ipairs { "[:find ?x :in $ :where [$ ?x]]", "[:find ?x :in [[?x]]]", "[:find ?x :in ?x]" } do
      assert.matches("input 1 .*the result is closed", support.failure(rille.q, query, result))
    end
  end)
end)

describe("options", function()
  after_each(support.cleanup)

  it("are refused when they cannot be meant", function()
    local conn = support.people()
    local url = conn:url()
    assert.matches("zero byte", support.failure(rille.connect, url, { branch = "main\0x" }))
    assert.matches('rille.connect: option "cache_bytes" must be a non%-negative number, got %-1',
      support.failure(rille.connect, url, { cache_bytes = -1 }))
    assert.matches('rille.create: option "cache_bytes" must be a non%-negative number, got %-?nan',
      support.failure(rille.create, url, { cache_bytes = 0 / 0 }))
    local basis = conn:db():basis()
    assert.matches("either commit or as_of", support.failure(rille.db, url, { commit = basis.commit, as_of = basis.t }))
    assert.is_true(assert(rille.db(url, { commit = basis.commit })) == conn:db())
    conn:close()
  end)
end)
