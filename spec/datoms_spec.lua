-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

describe("datoms", function()
  after_each(support.cleanup)

  -- The binding guesses where an attribute is in a schema by the string that names it.
  it("find an attribute by its name, whichever databases and names were asked for before", function()
    local seed = support.seed()
    local names, values, made = {}, {}, {}
    for i = 1, 60 do names[i] = "n/" .. i end
    for i = 1, 6 do
      local schema, data = {}, {}
      values[i] = {}
      for j = 1, #names do
        local name = names[math.random(#names)]
        if not values[i][name] then
          values[i][name] = 100 * i + j
          schema[#schema + 1] = { ["db/ident"] = name, ["db/valueType"] = "db.type/long",
            ["db/cardinality"] = "db.cardinality/one", ["db/unique"] = "db.unique/identity" }
          data[#data + 1] = { [name] = 100 * i + j }
        end
      end
      local conn = assert(rille.create(support.url()))
      assert(conn:transact(schema))
      assert(conn:transact(data))
      made[i] = conn:db()
      conn:close()
    end
    for _ = 1, 2000 do
      local i, name = math.random(#made), names[math.random(#names)]
      local db, value = made[i], values[i][name]
      local e, message, code = db:entid { name, value or 1 }
      local why = ("seed %d, database %d, %s: %s"):format(seed, i, name, tostring(message))
      if value then
        local _, a, v = assert(db:datoms("eavt", assert(e, why), name))()
        assert.is_true(a == name and v == value, why)
      else
        assert.equal("ATTRIBUTE", code, why)
      end
    end
  end)

  for _, kind in ipairs(support.kinds()) do
    for _, flushed in ipairs { false, true } do
      describe(("in %s%s"):format(kind, flushed and ", flushed" or ""), function()
        local conn, db, ids

        before_each(function()
          local report
          conn, report = support.people(kind)
          if flushed then assert(conn:flush()) end
          db, ids = conn:db(), report.tempids
        end)
        after_each(function() conn:close() end)

        it("of an entity come by attribute and value", function()
          local rows = support.collect(db:datoms("eavt", ids.bob))
          local t = db:basis().t
          assert.same({
            { ids.bob, "person/name", "Bob", t, true },
            { ids.bob, "person/age", 20, t, true },
            { ids.bob, "person/nick", "B", t, true },
            { ids.bob, "person/nick", "Bobby", t, true },
          }, rows)
          assert.equal(2, #support.collect(db:datoms("eavt", ids.bob, "person/nick")))
          assert.equal(1, #support.collect(db:datoms("eavt", ids.bob, "person/nick", "B")))
          assert.equal(0, #support.collect(db:datoms("eavt", ids.bob, "person/nick", "C")))
        end)

        it("of an attribute come by entity", function()
          local names = {}
          for _, a, v in db:datoms("aevt", "person/name") do
            assert.equal("person/name", a)
            names[#names + 1] = v
          end
          assert.same({ "Ann", "Bob", "Cid", "Dan" }, names)
          assert.equal(1, #support.collect(db:datoms("aevt", "person/name", ids.ann)))
        end)

        it("of an indexed attribute come by value", function()
          assert.same({ { ids.cid, "person/name", "Cid", db:basis().t, true } },
            support.collect(db:datoms("avet", "person/name", "Cid")))
          assert.equal(4, #support.collect(db:datoms("avet", "person/name")))
        end)

        it("from a place on go to the end of the index", function()
          local function names(...)
            local found = {}
            for _, a, v in db:seek_datoms(...) do
              if a == "person/name" then found[#found + 1] = v end
            end
            return table.concat(found, " ")
          end
          assert.equal("Bob Cid Dan", names("eavt", ids.bob))
          assert.equal("Cid Dan", names("eavt", ids.bob, "person/nick"))
          assert.equal("Bob Cid Dan", names("aevt", "person/name", ids.bob))
          assert.equal("Cid Dan", names("avet", "person/name", "Bz"))
          assert.equal("", names("avet", "person/name", "Z"))
          assert.equal(db:count "eavt", #support.collect(db:seek_datoms "eavt"))
          assert.equal(#support.collect(db:datoms "avet"), #support.collect(db:seek_datoms "avet"))
          local vaet = support.collect(db:seek_datoms("vaet", ids.cid))
          assert.same({ ids.ann, "person/friend", ids.cid }, { vaet[1][1], vaet[1][2], vaet[1][3] })
        end)

        it("of a range of values come by value", function()
          local function names(...)
            local found = {}
            for e, a, v, _, added in db:index_range("person/name", ...) do
              assert.is_true(added and a == "person/name" and ids[v:lower()] == e)
              found[#found + 1] = v
            end
            return table.concat(found, " ")
          end
          assert.equal("Ann Bob Cid Dan", names())
          assert.equal("Bob Cid", names("Bob", "Dan"))
          assert.equal("Bob Cid Dan", names("B"))
          assert.equal("Ann Bob", names(nil, "Cid"))
          assert.equal("", names("Dan", "Ann"))
          assert.equal("", names("Bob", "Bob"))
        end)

        it("that refer to an entity are found by it", function()
          local from = {}
          for e, a, v in db:datoms("vaet", ids.bob) do
            assert.equal("person/friend", a)
            assert.equal(ids.bob, v)
            from[#from + 1] = e
          end
          assert.same({ ids.ann, ids.cid }, from)
          assert.equal(1, #support.collect(db:datoms("vaet", ids.bob, "person/friend", ids.ann)))
        end)

        it("are counted exactly", function()
          assert.equal(4, db:count("eavt", ids.bob))
          assert.equal(2, db:count("eavt", ids.bob, "person/nick"))
          assert.equal(4, db:count("aevt", "person/name"))
          assert.equal(2, db:count("vaet", ids.bob))
          assert.equal(1, db:count("avet", "person/name", "Ann"))
          assert.equal(#support.collect(db:datoms("eavt")), db:count("eavt"))
          assert.equal(#support.collect(db:datoms("avet")), db:count("avet"))
        end)
      end)
    end
  end

  it("take lookup refs and idents as entities", function()
    local conn, report = support.people()
    local db = conn:db()
    assert.equal(4, #support.collect(db:datoms("eavt", { "person/name", "Bob" })))
    assert.equal(1, #support.collect(db:datoms("eavt", ":person/age", "db/ident")))
    assert.equal(report.tempids.ann, db:entid { "person/name", "Ann" })
    assert.equal(db:entid "person/age", db:entid(rille.kw "person/age"))
    assert.equal("person/age", db:ident(db:entid "person/age"))
    assert.is_nil(db:ident(report.tempids.ann))
    local e, message, code = db:entid { "person/name", "Zed" }
    assert.is_nil(e)
    assert.equal("ENTITY_MISSING", code)
    assert.matches("Zed", message)
    assert.equal("ENTITY_MISSING", select(3, db:entid "no/ident"))
    conn:close()
  end)

  it("show in avet what was declared, and say so for the rest", function()
    local conn = support.people()
    local db = conn:db()
    for _, a in db:datoms "avet" do assert.not_equal("person/age", a) end
    assert.matches("person/age", support.failure(db.datoms, db, "avet", "person/age"))
    conn:close()
  end)

  it("raise errors for what is unknown", function()
    local conn = support.people()
    local db = conn:db()
    assert.matches("eavt", support.failure(db.datoms, db, "vea"))
    assert.matches("did you mean", support.failure(db.datoms, db, "aevt", "person/nmae"))
    assert.equal("ATTRIBUTE", select(3, db:count("aevt", "person/nmae")))
    conn:close()
  end)

  it("may be left in the middle", function()
    local conn = support.people()
    for _ = 1, support.many_of(100) do
      local n = 0
      for _ in conn:db():datoms "eavt" do
        n = n + 1
        if n == 3 then break end
      end
      assert.equal(3, n)
    end
    conn:close()
  end)

  it("of the schema are a table of attributes", function()
    local conn = support.people()
    local schema = conn:db():schema()
    assert.equal("string", schema["person/name"].type)
    assert.equal("identity", schema["person/name"].unique)
    assert.equal("many", schema["person/nick"].cardinality)
    assert.equal("one", schema["person/age"].cardinality)
    assert.equal("ref", schema["person/friend"].type)
    assert.is_nil(schema["db/ident"])
    conn:close()
  end)

  it("come in ranges of numbers and instants, and say what is not indexed", function()
    local conn = support.people()
    local indexed = { ["db/index"] = true }
    assert(conn:transact { support.attr("m/n", "long", indexed), support.attr("m/at", "instant", indexed),
      support.attr("m/to", "ref", indexed) })
    local data = {}
    for i = -50, 50 do data[#data + 1] = { ["m/n"] = i, ["m/at"] = rille.instant(i * 1000) } end
    local report = assert(conn:transact(data))
    local db = report.db_after
    local function count(...) return #support.collect(db:index_range(...)) end
    assert.equal(101, count "m/n")
    assert.equal(20, count("m/n", -10, 10))
    assert.equal(41, count("m/n", 10))
    assert.equal(40, count("m/n", nil, -10))
    assert.equal(2, count(":m/at", rille.instant(0), "1970-01-01T00:00:02Z"))
    assert.matches("person/age is not in the avet index", support.failure(db.index_range, db, "person/age", 1))
    assert.matches("m/n.*expected a long", support.failure(db.index_range, db, "m/n", "x"))
    assert.matches("did you mean", support.failure(db.index_range, db, "person/nmae"))
    assert.matches("expected an attribute name", support.failure(db.index_range, db))
    assert.equal(0, count "m/to")
    conn:close()
  end)

  it("never become all datoms because a component is missing", function()
    local conn = support.people()
    local db = conn:db()
    local nobody = { "person/name", "Nobody" }
    for _, f in ipairs { db.datoms, db.count } do
      assert.matches("component 1 %(e%) of the eavt index is nil.*entid",
        support.failure(f, db, "eavt", db:entid(nobody)))
      assert.matches("component 1 %(a%) of the aevt index is nil", support.failure(f, db, "aevt", nil, 5))
      assert.matches("component 2 %(a%) of the eavt index is nil", support.failure(f, db, "eavt", 5, nil, "Ann"))
      assert.matches("too many components: 4 .*first three of the eavt",
        support.failure(f, db, "eavt", 5, "person/name", "Ann", 7))
    end
    assert.equal(db:count "eavt", db:count("eavt", nil, nil)) -- nothing is behind them
    conn:close()
  end)

  it("that cannot be read say so each time", function()
    local url = support.plain_url "file"
    local conn = assert(rille.create(url))
    assert(conn:transact { support.attr("a/s", "string") })
    local report = assert(conn:transact { { ["a/s"] = ("long"):rep(1000) } })
    assert(conn:flush())
    conn:close()
    assert(os.execute(("rm -r '%s/blobs'"):format(url:match "^file:(.*)")))
    local db = assert(rille.db(url))
    local step, _, _, scan = db:datoms("aevt", "a/s")
    assert.matches("blob.*is missing", support.failure(step))
    assert.is_nil((step())) -- nothing is behind it, and the scan is not in use any more
    scan:close()
    for _ = 1, 2 do
      assert.matches("blob.*is missing", support.failure(function() return report.tx_data end))
    end
    report.db_after:close()
  end)

  it("with integers that this Lua has no number for leave their handles usable", function()
    if not (_VERSION == "Lua 5.1" or _VERSION == "Lua 5.2") or rawget(_G, "jit") then return end
    local conn = assert(rille.create(support.url()))
    assert(conn:transact { support.attr("a/l", "long"), support.attr("a/t", "tuple") })
    assert(conn:transact "[{:a/l 9007199254740993 :a/t [1 [9007199254740993]]} {:a/l 5}]")
    local db = conn:db()
    local none = "cannot represent the integer 9007199254740993 exactly"
    for _, name in ipairs { "a/l", "a/t" } do
      local step = db:datoms("aevt", name)
      assert.matches(none, support.failure(step))
      local fine, e = pcall(step) -- goes on behind it
      assert.is_true(fine and (e ~= nil) == (name == "a/l"))
    end
    rille.fn("spec/same", function(x) return x end)
    local op = assert(rille.prepare("[:find ?l ?m :where [_ :a/l ?l] [(spec/same ?l) ?m]]"):start(db))
    for _ = 1, 2 do
      local state, message, code = op:step()
      assert.is_nil(state)
      assert.equal("FUNCTION", code)
      assert.matches(none, message)
    end
    op = assert(rille.prepare("[:find ?l :where [_ :a/l ?l]]"):start(db))
    assert.equal("rows", op:step())
    local next_row = op:rows()
    pcall(next_row, op)
    pcall(next_row, op)
    assert.equal("done", op:step())
    conn:close()
  end)
end)
