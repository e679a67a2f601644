-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

local attr, identity = support.attr, support.identity

local SUPPLY = [=[ [:find ?name (sum ?qty)
                    :in $cat $stock ?min
                    :where [$cat ?p :product/sku ?sku] [$cat ?p :product/name ?name]
                           [$stock ?s :stock/sku ?sku] [$stock ?s :stock/qty ?qty] [(>= ?qty ?min)]] ]=]

describe("queries across sources", function()
  after_each(support.cleanup)

  local function catalog(kind)
    local conn = assert(rille.create(support.url(kind)))
    assert(conn:transact { attr("product/sku", "string", identity), attr("product/name", "string") })
    assert(conn:transact {
      { ["product/sku"] = "A1", ["product/name"] = "Bolt" },
      { ["product/sku"] = "B2", ["product/name"] = "Nut" },
      { ["product/sku"] = "C3", ["product/name"] = "Gear" },
    })
    return conn
  end

  local function stock(kind)
    local conn = assert(rille.create(support.url(kind)))
    -- Other attributes first, so that the ids of the two databases differ.
    assert(conn:transact { attr("filler/a", "long"), attr("filler/b", "long") })
    assert(conn:transact { attr("stock/sku", "string"), attr("stock/qty", "long") })
    assert(conn:transact {
      { ["stock/sku"] = "A1", ["stock/qty"] = 5 }, { ["stock/sku"] = "A1", ["stock/qty"] = 20 },
      { ["stock/sku"] = "B2", ["stock/qty"] = 100 }, { ["stock/sku"] = "Z9", ["stock/qty"] = 1000 },
    })
    return conn
  end

  for _, a in ipairs(support.kinds()) do
    for _, b in ipairs(support.kinds()) do
      it(("join a database in %s with one in %s"):format(a, b), function()
        local cat, sto = catalog(a), stock(b)
        assert.same({ "Bolt 20", "Nut 100" }, support.lines(assert(rille.q(SUPPLY, cat:db(), sto:db(), 10))))
        assert.same({ "Nut 100" }, support.lines(assert(rille.q(SUPPLY, cat:db(), sto:db(), 50))))
        assert(cat:flush())
        assert(sto:flush())
        assert.same({ "Bolt 25", "Nut 100" }, support.lines(assert(rille.q(SUPPLY, cat:db(), sto:db(), 1))))
        cat:close()
        sto:close()
      end)
    end
  end

  it("join different points in time of two databases", function()
    local cat, sto = catalog(), stock "file"
    local old = sto:db()
    assert(sto:transact { { ["stock/sku"] = "C3", ["stock/qty"] = 7 } })
    assert.same({ "Bolt 25", "Nut 100" }, support.lines(assert(rille.q(SUPPLY, cat:db(), old, 1))))
    assert.same({ "Bolt 25", "Gear 7", "Nut 100" }, support.lines(assert(rille.q(SUPPLY, cat:db(), sto:db(), 1))))
    local back = assert(sto:db():as_of(old:basis().t))
    assert.same({ "Bolt 25", "Nut 100" }, support.lines(assert(rille.q(SUPPLY, cat:db(), back, 1))))
    cat:close()
    sto:close()
  end)

  it("join databases with rows of Lua", function()
    local cat = catalog()
    local prices = { { "A1", 1.5 }, { "C3", 20 }, { "Q7", 1 } }
    local q = [=[ [:find ?name ?price :in $ $price :where [?p :product/sku ?sku] [?p :product/name ?name]
                                                          [$price ?sku ?price]] ]=]
    local found = {}
    for name, price in rille.rows(q, cat:db(), prices) do found[name] = price end
    assert.same({ Bolt = 1.5, Gear = 20 }, found)
    assert.same({}, support.lines(assert(rille.q(q, cat:db(), {}))))
    assert.equal("Bolt", rille.q([=[ [:find ?name . :in $ $price :where [$price ?sku 1.5] [?p :product/sku ?sku]
                                      [?p :product/name ?name]] ]=], cat:db(), prices))
    cat:close()
  end)

  it("join databases with CSV files", function()
    local cat = catalog()
    local path = support.file("prices.csv", 'sku,price,note\nA1,1.5,"cheap, good"\r\nB2,2,\nX,3,"say ""hi"""\n')
    local csv = assert(rille.csv(path, { types = { price = "double" } }))
    assert.same({ "sku", "price", "note" }, csv.columns)
    assert.same({ "X", 3.0, 'say "hi"' }, csv[3])
    local result = assert(rille.q([=[ [:find ?name ?price ?note :in $ $csv
      :where [$csv ?sku ?price ?note] [?p :product/sku ?sku] [?p :product/name ?name] :order-by ?name] ]=],
      cat:db(), csv))
    assert.equal(2, #result)
    assert.same({ "Bolt", 1.5, "cheap, good" }, result[1])
    assert.same({ "Nut", 2, "" }, result[2])
    cat:close()
  end)

  it("use the result of one query as the source of another", function()
    local cat, sto = catalog(), stock()
    local totals = assert(rille.q("[:find ?sku (sum ?q) :where [?s :stock/sku ?sku] [?s :stock/qty ?q]]", sto:db()))
    local result = assert(rille.q([=[ [:find ?name ?total :in $ $totals
      :where [$totals ?sku ?total] [?p :product/sku ?sku] [?p :product/name ?name]] ]=], cat:db(), totals))
    totals:close()
    assert.same({ "Bolt 25", "Nut 100" }, support.lines(result))
    cat:close()
    sto:close()
  end)

  it("work without any database", function()
    local result = assert(rille.q("[:find ?x (count ?y) :in $a :where [$a ?x ?y]]",
      { { "a", 1 }, { "a", 2 }, { "b", 1 } }))
    assert.same({ "a 2", "b 1" }, support.lines(result))
    assert.equal(6, rille.q("[:find (sum ?x) . :in [?x ...]]", { 1, 2, 3 }))
  end)

  it("compare entities by value, never by the ids of another database", function()
    local cat, sto = catalog(), stock()
    -- ?e stands for an entity in both: equal numbers join, as the user wrote it.
    local q = "[:find ?sku ?name :in $cat $stock :where [$cat ?p :product/sku ?sku] [$cat ?p :product/name ?name] "
      .. "[$stock ?s :stock/sku ?sku]]"
    assert.same({ "A1 Bolt", "B2 Nut" }, support.lines(assert(rille.q(q, cat:db(), sto:db()))))
    cat:close()
    sto:close()
  end)

  it("name the input that does not fit", function()
    local cat = catalog()
    local db = cat:db()
    local cases = {
      { { db }, "3 inputs" },
      { { db, db }, "3 inputs" },
      { { db, db, 1, 2 }, "3 inputs" },
      { { 5, db, 1 }, "%$cat" },
      { { db, "x", 1 }, "%$stock" },
      { { db, db, nil }, "%?min", 3 },
      { { db, { { 1 }, { 1, 2 } }, 1 }, "row 2" },
      { { db, { 1, 2 }, 1 }, "row 1" },
      { { db, { { "A1", print } }, 1 }, "column 2" },
    }
    for _, case in ipairs(cases) do
      local unpack = table.unpack or unpack
      local result, message, code = rille.q(SUPPLY, unpack(case[1], 1, case[3] or #case[1]))
      assert.is_nil(result)
      assert.is_true(code == "INPUT" or code == "TYPE", tostring(code) .. " " .. tostring(message))
      assert.matches(case[2], message)
    end
    cat:close()
  end)
end)

describe("CSV", function()
  after_each(support.cleanup)

  it("becomes values of the types asked for", function()
    local rows = assert(rille.csv_parse("1,2.5,true,a/b,2026-01-02,x\n-7,1e3,no,c,1970-01-01,\n",
      { header = false, types = { "long", "double", "boolean", "keyword", "instant" } }))
    assert.same({ 1, 2.5, true, rille.kw "a/b", rille.instant "2026-01-02", "x" }, rows[1])
    assert.same({ -7, 1000, false, rille.kw "c", rille.instant(0), "" }, rows[2])
    assert.same({}, rows.columns)
  end)

  it("takes other separators, and a value for empty fields", function()
    local rows = assert(rille.csv_parse("\239\187\191a;b\n1;\n", { separator = ";", types = { a = "long", b = "long" },
      empty = 0 }))
    assert.same({ { 1, 0 }, columns = { "a", "b" } }, rows)
  end)

  it("reads numbers alike in every Lua", function()
    local function value(type, text)
      local rows = rille.csv_parse("a\n" .. text .. "\n", { types = { a = type } })
      return rows and rows[1][1]
    end
    assert.equal(5, value("long", "+5"))
    assert.equal("1234567890123456789", tostring(value("long", "+1234567890123456789")))
    assert.equal("-9223372036854775808", tostring(value("long", "-9223372036854775808")))
    for _, text in ipairs { "9223372036854775808", "-9223372036854775809", "1.0", " 1", "1 ", "0x10", "1e3",
      "+-1" } do
      assert.is_nil(value("long", text), text)
    end
    for text, number in pairs { ["+1.5"] = 1.5, ["-.5"] = -0.5, ["2."] = 2, ["1e3"] = 1000, ["1E-2"] = 0.01 } do
      assert.equal(number, value("double", text), text)
    end
    for _, text in ipairs { "1e999", "-1e999", "inf", "nan", "NaN", "0x10", "0b1", " 1", "1 ", ".", "1.2.3", "1e",
      "1LL", "1i" } do
      assert.is_nil(value("double", text), text)
    end
  end)

  it("says where it is wrong", function()
    local function code(...)
      local rows, message, what = rille.csv_parse(...)
      assert.is_nil(rows)
      return what .. " " .. message
    end
    assert.equal("SYNTAX 2:1: expected 2 fields, got 1", code("a,b\n1\n"))
    assert.equal('SYNTAX 2:1: column a: "x" is not a long, expected an integer such as -12',
      code("a\nx\n", { types = { a = "long" } }))
    assert.equal("SYNTAX 1:1: unterminated quoted field", code('"a'))
    assert.equal("SYNTAX 1:4: unexpected text after a quoted field", code('"a"b,c'))
    assert.equal('SYNTAX 5:4: column b: "q" is not a long, expected an integer such as -12',
      code('a,b\n"x\ny",1\n"z\nz",q\n', { types = { b = "long" } }))
    assert.equal('SYNTAX 3:3: column b: "q" is not an instant, expected a date or time such as 2026-11-22 or '
      .. "2026-11-22T10:30:00Z", code('a,b\r\n1,2026\r\n2,q\r\n', { types = { b = "instant" } }))
    assert.equal("SYNTAX 2:3: column b: empty field, expected a double (the option empty gives it a value)",
      code("a,b\r1,\r", { types = { b = "double" } }))
    assert.equal("NOTFOUND", select(3, rille.csv(support.path "none.csv")))
    assert.equal("IO", select(3, rille.csv(support.dir())))
    assert.matches("unknown column \"pice\" %(did you mean price%?%)",
      support.failure(rille.csv_parse, "name,price\na,1\n", { types = { pice = "long" } }))
    assert.matches("unknown column 3", support.failure(rille.csv_parse, "a,b\n1,2\n", { types = { [3] = "long" } }))
    assert.matches("lng", support.failure(rille.csv_parse, "a\n1", { types = { a = "lng" } }))
    assert.matches("headr", support.failure(rille.csv_parse, "a", { headr = true }))
    assert.matches("separator", support.failure(rille.csv_parse, "a", { separator = "::" }))
  end)
end)
