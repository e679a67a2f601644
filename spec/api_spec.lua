-- SPDX-License-Identifier: MIT
--
-- Every name that the manual promises is there.
local rille = require "rille"
local support = require "spec.support.init"

describe("the public surface", function()
  after_each(support.cleanup)

  it("has its functions", function()
    local names = {
      "create", "connect", "db", "exists", "drop", "branches", "q", "rows", "prepare", "explain", "explain_data",
      "options", "rules", "fn", "vars", "csv", "csv_parse", "kw", "sym", "uuid", "instant", "bytes", "bigint", "bigdec",
      "value_type",
    }
    for _, name in ipairs(names) do assert.equal("function", type(rille[name]), name) end
    for _, name in ipairs { "decode", "decode_all", "encode", "split", "list", "set", "map", "tagged", "char",
      "type" } do
      assert.equal("function", type(rille.edn[name]), name)
    end
    for _, name in ipairs { "find", "find_list", "find_value", "find_row", "eq", "ne", "lt", "le", "gt", "ge", "call",
      "count", "count_distinct", "sum", "min", "max", "avg", "median", "variance", "stddev", "distinct", "desc", "not_",
      "or_", "and_", "not_join", "or_join", "rule", "row", "each", "rows", "define" } do
      assert.equal("function", type(rille.query[name]), name)
    end
    assert.matches("^%d+%.%d+%.%d+$", rille._VERSION)
    assert.equal("userdata", type(rille.null))
  end)

  it("has methods on its handles", function()
    local conn = support.people()
    local db = conn:db()
    local query = assert(rille.prepare "[:find ?n :where [_ :person/name ?n]]")
    local op = assert(query:start(db))
    local result = assert(query:run(db))
    local builder = rille.query.find(rille.vars().x)
    local expected = {
      { conn, "db transact listen unlisten flush stats verify url close start_db start_verify" },
      { db, "q datoms seek_datoms index_range count as_of with basis schema entid ident close" },
      { db, "start_datoms start_seek_datoms start_index_range start_count start_as_of start_with start_entid" },
      { conn:start_db(), "step rows wanted supply fetch poll cancel result run close" },
      { query, "run rows start explain explain_data text columns inputs close" },
      { op, "step rows count wanted supply fetch poll cancel result run explain explain_data close" },
      { result, "column columns rows to_table close" },
      { builder, "from where filter let with order_by limit offset keys inputs rules run rows explain explain_data" },
      { builder, "text" },
    }
    for _, pair in ipairs(expected) do
      for name in pair[2]:gmatch "%S+" do assert.equal("function", type(pair[1][name]), name) end
      assert.is_string(tostring(pair[1]))
    end
    conn:close()
  end)

  it("does not touch globals", function()
    for name in pairs { rille = 1, core = 1, edn = 1, M = 1 } do assert.is_nil(rawget(_G, name)) end
  end)

  it("runs the lines that greet its users", function()
    local conn = assert(rille.create(support.url "file", { keep_history = true }))
    assert(conn:transact {
      { ["db/ident"] = "product/sku", ["db/valueType"] = "db.type/string", ["db/cardinality"] = "db.cardinality/one",
        ["db/unique"] = "db.unique/identity" },
      { ["db/ident"] = "product/name", ["db/valueType"] = "db.type/string",
        ["db/cardinality"] = "db.cardinality/one" },
    })
    assert(conn:transact { { ["product/sku"] = "A1", ["product/name"] = "Bolt" } })
    local seen
    for name in rille.rows("[:find ?n :where [_ :product/name ?n]]", conn:db()) do seen = name end
    assert.equal("Bolt", seen)
    conn:close()
  end)

  it("loads and works where unknown globals are errors", function()
    local path = support.file("strict.lua", [==[
      setmetatable(_G, { __index = function(_, name) error("undeclared " .. tostring(name), 2) end })
      local rille = require "rille"
      local conn = assert(rille.create "mem:strict")
      assert(conn:transact { { ["db/ident"] = "a/b", ["db/valueType"] = "db.type/long" } })
      assert(#assert(rille.q("[:find ?x :in [?x ...]]", { 1, 2 })) == 2)
      assert(rille.csv_parse "a\n1\n")
      assert(require("rille.cli").run { "--version" } == 0)
    ]==])
    local pipe = assert(io.popen(("%s '%s' 2>&1"):format(os.getenv "RILLE_TEST_LUA" or "lua5.4", path)))
    local text = pipe:read "*a"
    pipe:close()
    assert.matches("^rille [%d.]+ [^\n]*\n$", text)
  end)

  it("says so where a promised name is not there yet", function()
    local conn = support.people()
    local db = conn:db()
    local later = 'not supported yet .see "Status" in the README.'
    assert.matches("conn:merge is " .. later, support.failure(conn.merge, conn, "other"))
    assert.matches("db:share is " .. later, support.failure(db.share, db))
    assert.matches("rille.adopt is " .. later, support.failure(rille.adopt, "token"))
    local _, message, code = conn:transact { { "db/purge", 5 } }
    assert.equal("TX_SYNTAX", code)
    assert.matches("db/purge is " .. later, message)
    conn:close()
  end)
end)
