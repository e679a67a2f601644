-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

local names = support.names

describe("values over time", function()
  after_each(support.cleanup)

  for _, kind in ipairs(support.kinds()) do
    it("stay what they were, in " .. kind, function()
      local conn = support.people(kind)
      local reports, texts = {}, {}
      for i = 1, 12 do
        reports[i] = assert(conn:transact {
          { ["person/name"] = "n" .. i, ["person/age"] = i },
          i % 3 == 0 and { "db/retractEntity", { "person/name", "n" .. (i - 1) } } or { ["person/name"] = "Ann",
            ["person/age"] = i },
        })
        texts[i] = names(reports[i].db_after)
        if i % 5 == 0 then assert(conn:flush()) end
      end
      local db = conn:db()
      for i = 1, 12 do
        local report = reports[i]
        for _, point in ipairs { report.tx, report.commit, report.instant, tostring(report.instant) } do
          local old = assert(db:as_of(point))
          assert.equal(texts[i], names(old), ("%d by %s"):format(i, tostring(point)))
          assert.equal(report.commit, old:basis().commit)
        end
        assert.is_true(assert(db:as_of(report.tx)) == report.db_after)
      end
      assert.equal(texts[4], names(assert(rille.db(conn:url(), { as_of = reports[4].tx }))))
      assert.equal(texts[5], names(assert(rille.db(conn:url(), { commit = reports[5].commit }))))
      conn:close()
    end)
  end

  it("are joined with one another", function()
    local conn = support.people()
    local before = conn:db()
    assert(conn:transact { { ["person/name"] = "Ann", ["person/age"] = 31 }, { ["person/name"] = "Bob",
      ["person/age"] = 20 } })
    local result = assert(rille.q([=[
      [:find ?name ?then ?now :in $then $now
       :where [$then ?p :person/name ?name] [$then ?p :person/age ?then]
              [$now ?p :person/age ?now] [(not= ?then ?now)]] ]=], before, conn:db()))
    assert.same({ "Ann 30 31" }, support.lines(result))
    conn:close()
  end)

  it("hold the long values of what was only supposed", function()
    local conn = support.people()
    local long = { ("a"):rep(2000), ("b"):rep(3000) }
    local function name(text) return { ["person/name"] = text } end
    local first = assert(conn:db():with { name(long[1]) })
    local both = assert(first.db_after:with { name(long[2]) }).db_after
    assert.equal(long[1], first.tx_data[1][3])
    local earlier = assert(both:as_of(first.tx))
    for _, case in ipairs { { first.db_after, 1 }, { both, 2 }, { earlier, 1 } } do
      local db, count = case[1], case[2]
      local seen = {}
      for _, _, value in db:datoms("aevt", "person/name") do seen[value] = true end
      for i = 1, 2 do assert.equal(i <= count or nil, seen[long[i]]) end
      local query = "[:find [?n ...] :where [_ :person/name ?n] [(count ?n) ?c] [(> ?c 1000)]]"
      assert.equal(count, #assert(db:q(query)))
      local joined = assert(rille.q([=[ [:find [?n ...] :in $a $b :where [$a ?p :person/name ?n] [(count ?n) ?c]
        [(> ?c 1000)] (not [$b ?p :person/name ?n])] ]=], db, conn:db()))
      assert.equal(count, #joined)
      assert.is_true(seen[joined[1]])
    end
    assert.equal(0, #assert(conn:db():q("[:find [?n ...] :where [_ :person/name ?n] [(count ?n) ?c] [(> ?c 1000)]]")))
    conn:close()
  end)

  it("say when there is nothing that early", function()
    local conn = support.people()
    local db = conn:db()
    local old, message, code = db:as_of(5)
    assert.is_nil(old)
    assert.equal("NOTFOUND", code)
    assert.is_string(message)
    assert.equal("NOTFOUND", select(3, db:as_of(("0"):rep(64))))
    conn:close()
  end)

  it("refuse what is no point in time", function()
    local conn = support.people()
    local db = conn:db()
    assert.matches("point in time", support.failure(db.as_of, db, "yesterday"))
    assert.matches("point in time", support.failure(db.as_of, db, {}))
    assert.matches("point in time", support.failure(db.as_of, db))
    conn:close()
  end)

  it("tell where they stand", function()
    local conn, report = support.people()
    local basis = conn:db():basis()
    assert.same({ t = report.tx, instant = report.instant, commit = report.commit, branch = "main" }, basis)
    conn:close()
  end)

  it("let a new value be made from an old one", function()
    local conn, report = support.people()
    assert(conn:transact { { "db/retractEntity", { "person/name", "Ann" } } })
    local old = assert(conn:db():as_of(report.tx))
    local tried = assert(old:with { { ["person/name"] = "Eve" } })
    assert.equal("Ann Bob Cid Dan Eve", names(tried.db_after))
    conn:close()
  end)
end)
