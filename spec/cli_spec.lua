-- SPDX-License-Identifier: MIT
--
-- The command, run as a program with the Lua that runs the specs.
local compat = require "rille.compat"
local command = require "spec.support.command"
local support = require "spec.support.init"

local rille, rille_to = command.run, command.run_to

local SCHEMA = [=[
; the schema, then data
[{:db/ident :p/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
 {:db/ident :p/qty :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]
[{:p/name "Bolt" :p/qty 5} {:p/name "Nut, \"M4\"" :p/qty 1000}]
]=]

local QUERY = "[:find ?name ?qty :where [?e :p/name ?name] [?e :p/qty ?qty] :order-by ?name]"

describe("the command rille", function()
  local url

  before_each(function() url = support.url "file" end)
  after_each(support.cleanup)

  local function filled()
    local path = support.file("data.edn", SCHEMA)
    local code, _, err = rille("transact", url, path, "--create")
    assert.equal(0, code, err)
    return url
  end

  it("says what it is", function()
    local code, out = rille "--version"
    assert.equal(0, code)
    assert.matches("^rille %d+%.%d+%.%d+", out)
    code, out = rille "--help"
    assert.equal(0, code)
    assert.matches("usage: rille COMMAND", out)
    for _, name in ipairs { "run", "q", "transact", "stat", "verify" } do assert.matches("\n  " .. name .. " ", out) end
  end)

  it("commits the transactions of a file", function()
    local path = support.file("data.edn", SCHEMA)
    local code, _, err = rille("transact", url, path)
    assert.equal(1, code)
    assert.matches("NOTFOUND", err)
    local out
    code, out, err = rille("transact", url, path, "--create", "--format", "csv")
    assert.equal(0, code, err)
    assert.matches("2 transactions, %d+ datoms", err)
    assert.matches("^tx,instant,commit\n%d+,2%d%d%d%-", out)
    assert.equal("1 transaction, 1 datom\n", select(3, rille("transact", url, support.file("none.edn", "[]"))))
  end)

  it("says what a part of the rows and a source are", function()
    for _, number in ipairs { "2.5", "-1", "x", "1e999" } do
      local code, _, err = rille("q", QUERY, url, "--limit", number)
      assert.equal(2, code)
      assert.matches("option %-%-limit expects a non%-negative integer, got", err)
    end
    local code, _, err = rille("q", QUERY, url, "--timeout", "x")
    assert.equal(2, code)
    assert.matches('option %-%-timeout expects a non%-negative number, got "x"', err)
    code, _, err = rille("q", QUERY, "st")
    assert.equal(1, code)
    assert.matches('"st" is not a URL: did you mean file:st%?.*; a source can also be a file NAME.csv %[SYNTAX%]', err)
  end)

  it("stops at the first transaction that fails, and says which", function()
    local path = support.file("bad.edn", SCHEMA .. "[{:p/qty \"x\"}]")
    local code, _, err = rille("transact", url, path, "--create")
    assert.equal(1, code)
    assert.matches("transaction 3", err)
    assert.matches("TYPE", err)
  end)

  it("prints rows for people and for programs", function()
    filled()
    local code, out, err = rille("q", QUERY, url, "--format", "table")
    assert.equal(0, code, err)
    assert.equal("name        qty\n---------  ----\nBolt          5\nNut, \"M4\"  1000\n(2 rows)\n", out)
    code, out = rille("q", QUERY, url, "--format=csv")
    assert.equal(0, code)
    assert.equal('name,qty\nBolt,5\n"Nut, ""M4""",1000\n', out)
    out = select(2, rille("q", QUERY, url, "--format", "json"))
    assert.equal('[{"name":"Bolt","qty":5},\n {"name":"Nut, \\"M4\\"","qty":1000}]\n', out)
    out = select(2, rille("q", QUERY, url, "--format", "edn"))
    assert.equal('["Bolt" 5]\n["Nut, \\"M4\\"" 1000]\n', out)
    out = select(2, rille("q", QUERY, url))
    assert.equal('name,qty\nBolt,5\n"Nut, ""M4""",1000\n', out)
  end)

  it("prints lists, values and rows alone", function()
    filled()
    local function csv(query) return (select(2, rille("q", query, url, "--format", "csv"))) end
    assert.equal('name\nBolt\n"Nut, ""M4"""\n', csv "[:find [?name ...] :where [_ :p/name ?name] :order-by ?name]")
    assert.equal("(sum ?q)\n1005\n", csv "[:find (sum ?q) . :where [_ :p/qty ?q]]")
    assert.equal("n,q\nBolt,5\n", csv "[:find [?n ?q] :where [?e :p/name ?n] [?e :p/qty ?q] [(< ?q 10)]]")
    assert.equal("a,b\nBolt,5\n", csv "[:find ?n ?q :keys a b :where [?e :p/name ?n] [?e :p/qty ?q] [(< ?q 10)]]")
    assert.equal("n\n", csv "[:find ?n . :where [?e :p/name ?n] [?e :p/qty 7]]")
  end)

  it("takes inputs, rules, limits and several sources", function()
    filled()
    local code, out, err = rille("q", "[:find ?n :in $ ?min :where [?e :p/name ?n] [?e :p/qty ?q] [(> ?q ?min)]]", url,
      "--arg", "10", "--format", "edn")
    assert.equal(0, code, err)
    assert.equal('["Nut, \\"M4\\""]\n', out)
    code, out, err = rille("q", "[:find ?x ?v :in [?x ...] ?v]", "--arg", "[1]", "--arg", "false", "--format", "edn")
    assert.equal(0, code, err)
    assert.equal("[1 false]\n", out)
    local rules = support.file("rules.edn", "[[(many ?e) [?e :p/qty ?q] [(> ?q 10)]]]")
    out = select(2, rille("q", "[:find (count ?e) . :in $ % :where (many ?e)]", url, "--rules", rules,
      "--format", "edn"))
    assert.equal("[1]\n", out)
    out = select(2, rille("q", QUERY, url, "--limit", "1", "--offset", "1", "--format", "edn"))
    assert.equal('["Nut, \\"M4\\"" 1000]\n', out)
    out = select(2, rille("q", "[:find (count ?n) . :in $a $b :where [$a _ :p/name ?n] [$b _ :p/name ?n]]", url, url,
      "--format", "edn"))
    assert.equal("[2]\n", out)
    local prices = support.file("prices.csv", "name,price\nBolt,0.10\nScrew,0.05\n")
    out = select(2, rille("q", "[:find ?n ?p :in $a $b :where [$a _ :p/name ?n] [$b ?n ?p]]", url, prices))
    assert.equal("n,p\nBolt,0.10\n", out)
    local file = support.file("query.edn", QUERY)
    out = select(2, rille("q", "@" .. file, url, "--format", "edn"))
    assert.matches("Bolt", out)
    code, out = rille("q", QUERY, url, "--explain")
    assert.equal(0, code)
    assert.matches("p/name", out)
  end)

  it("asks earlier values", function()
    filled()
    local _, out = rille("q", "[:find [?t ...] :where [_ :p/name _ ?t]]", url, "--format", "csv")
    local t = out:match "(%d+)\n$"
    assert.equal(0, (rille("transact", url, support.file("more.edn", '[{:p/name "Gear" :p/qty 1}]'))))
    out = select(2, rille("q", "[:find (count ?e) . :where [?e :p/name]]", url, "--format", "edn"))
    assert.equal("[3]\n", out)
    out = select(2, rille("q", "[:find (count ?e) . :where [?e :p/name]]", url, "--format", "edn", "--as-of", t))
    assert.equal("[2]\n", out)
  end)

  it("shows what a database holds, and checks it", function()
    filled()
    local code, out = rille("stat", url, "--format", "csv")
    assert.equal(0, code)
    assert.matches("attributes,2\n", out)
    assert.matches("branch,main\n", out)
    code, out = rille("verify", url, "--format", "csv")
    assert.equal(0, code)
    assert.matches("transactions,%d+\n", out)
  end)

  it("shows what a database holds where storage tells neither its size nor its branches", function()
    filled()
    local hide = [[rille = require "rille"; rille.branches = function() return nil, "cannot", "UNSUPPORTED" end; ]]
      .. [[local connect = rille.connect; rille.connect = function(...) ]]
      .. [[local conn = assert(connect(...)); return setmetatable({}, { __index = function(_, name) ]]
      .. [[if name == "stats" then return function() return { size_bytes = 0 } end end; ]]
      .. [[return function(_, ...) return conn[name](conn, ...) end end }) end]]
    local out = support.path "out"
    local code = command.shell(("LUA_INIT=%s %s > %s"):format(command.quote(hide),
      command.words("stat", url, "--format", "csv"), command.quote(out)))
    assert.equal(0, code)
    out = support.read(out)
    assert.matches("datoms,%d+\n$", out)
  end)

  it("runs scripts with their arguments", function()
    filled()
    local script = support.file("script.lua", [[
      local where, minimum = ...
      assert(arg[1] == where and arg[2] == minimum)
      local db = assert(rille.db(where))
      for name in rille.rows("[:find ?n :in $ ?min :where [?e :p/name ?n] [?e :p/qty ?q] [(> ?q ?min)] ]", db,
        tonumber(minimum)) do print(name) end
      assert(arg[3] == "--format")
    ]])
    local code, out, err = rille("run", script, url, "10", "--format")
    assert.equal(0, code, err)
    assert.equal('Nut, "M4"\n', out)
    code, out, err = rille("run", support.file("bad.lua", "error 'oh no'"))
    assert.equal("", out)
    assert.equal(1, code)
    assert.matches("oh no", err)
    code = rille("run", support.file("syntax.lua", "x ="))
    assert.equal(1, code)
  end)

  it("gives 1 when it fails and 2 when it is used wrongly", function()
    local missing = support.plain_url "file"
    for _, case in ipairs {
      { 2 }, { 2, "frobnicate" }, { 2, "q" }, { 2, "q", QUERY }, { 2, "stat" }, { 2, "stat", url, "--bogus" },
      { 2, "q", QUERY, url, "--limit", "many" }, { 2, "q", QUERY, url, "--format" }, { 2, "run" }, { 2, "-x" },
      { 1, "q", QUERY, missing }, { 1, "q", "[:find", missing }, { 1, "verify", missing },
      { 1, "transact", missing, support.path "none.edn" }, { 1, "run", support.path "none.lua" },
    } do
      local code, out, err = rille((table.unpack or unpack)(case, 2))
      assert.equal(case[1], code, table.concat(case, " ") .. ": " .. err)
      assert.equal("", out)
      assert.matches("^rille: ", err)
    end
    filled()
    local code, out, err = rille("q", QUERY, url, "--format", "jsn")
    assert.equal("", out)
    assert.equal(2, code)
    assert.matches("did you mean json", err)
    assert.matches("; %-%-create creates the database\n",
      select(3, rille("transact", missing, support.file("e.edn", "[]"))))
    assert.matches("did you mean %-%-limit", select(3, rille("q", QUERY, url, "--limt", "1")))
    code, out, err = rille("q", QUERY, url, url)
    assert.equal("", out)
    assert.equal(2, code)
    assert.matches("too many sources: the query does not use " .. support.pattern(url), err)
    code = rille("q", "[:find ?x :in $ ?x :where [_ :p/qty ?x]]", url)
    assert.equal(2, code)
  end)

  it("fails when its output cannot be written", function()
    local full = io.open("/dev/full", "wb")
    if not full then return end
    full:close()
    filled()
    local data = support.file("more.edn", '[{:p/name "Nut" :p/qty 1}]')
    for _, words in ipairs { { "--help" }, { "--version" }, { "q", QUERY, url }, { "q", QUERY, url, "--explain" },
      { "stat", url }, { "verify", url }, { "transact", url, data } } do
      local code, _, err = rille_to("/dev/full", compat.unpack(words))
      assert.equal(1, code, words[1])
      assert.matches("rille: cannot write output: [^\n]+\n$", err)
    end
    assert.equal(0, (rille_to("/dev/full", "run", support.file("quiet.lua", "local _ = rille._VERSION"))))
  end)

  it("takes a tuple for one value", function()
    local path = support.file("tuples.edn", [=[
      [{:db/ident :p/t :db/valueType :db.type/tuple}] [{:p/t [1 2]} {:p/t [3 4]}] ]=])
    assert.equal(0, (rille("transact", url, path, "--create")))
    local function csv(query) return (select(2, rille("q", query, url, "--format", "csv"))) end
    assert.equal("t\n[1 2]\n[3 4]\n", csv "[:find ?t :where [_ :p/t ?t] :order-by ?t]")
    assert.equal("t\n[1 2]\n[3 4]\n", csv "[:find [?t ...] :where [_ :p/t ?t] :order-by ?t]")
    assert.equal("t\n[1 2]\n", csv "[:find ?t . :where [_ :p/t ?t] :order-by ?t]")
    assert.equal("t\n[1 2]\n", csv "[:find [?t] :where [_ :p/t ?t] :order-by ?t]")
  end)

  it("refuses options that a command does not have", function()
    filled()
    for _, words in ipairs { { "stat", url, "--arg", "1" }, { "verify", url, "--as-of", "5" },
      { "transact", url, "x.edn", "--limit", "1" }, { "q", QUERY, url, "--create" } } do
      local code, _, err = rille(compat.unpack(words))
      assert.equal(2, code)
      assert.matches("rille " .. words[1] .. " does not accept %-%-", err)
    end
  end)

  it("commits nothing when the command line is wrong", function()
    filled()
    local data = support.file("more.edn", '[{:p/name "Nut" :p/qty 1}]')
    assert.equal(2, (rille("transact", url, data, "--format", "jsn")))
    local _, out = rille("q", "[:find (count ?e) . :where [?e :p/qty _]]", url, "--format", "edn")
    assert.equal("[2]\n", out)
  end)
end)

describe("output for people", function()
  local format = require "rille.format"

  it("is aligned by the columns of a terminal", function()
    local text = {}
    format.table({ "name", "n" }, { { "\230\151\165\230\156\172", 1 }, { "e\204\129", 2 }, { "\195\169", 3 },
      { ("\230\188\162"):rep(60), 4 } }, function(piece) text[#text + 1] = piece end)
    assert.equal("\230\151\165\230\156\172" .. (" "):rep(77) .. "1\n", text[3]) -- two of two columns
    assert.equal("e\204\129" .. (" "):rep(80) .. "2\n", text[4]) -- a mark has none
    assert.equal("\195\169" .. (" "):rep(80) .. "3\n", text[5])
    assert.equal(("\230\188\162"):rep(39) .. "\226\128\166  4\n", text[6])
  end)

  it("has nothing that a terminal would obey", function()
    local text = {}
    format.table({ "a" }, { { "x\194\155y\27z\127" } }, function(piece) text[#text + 1] = piece end)
    assert.equal("x y z\n", text[3])
    assert.equal('"x\\u009by\\u001bz\\u007f\195\169"', format.json_value "x\194\155y\27z\127\195\169")
  end)
end)

describe("output for programs", function()
  it("has the integers of LuaJIT as numbers", function()
    local format = require "rille.format"
    local big = require("rille").edn.decode "[9007199254740993]"
    if not big then return end -- Lua 5.1 has none
    local text = {}
    local function write(piece) text[#text + 1] = piece end
    format.json({ "n" }, { big }, write)
    format.table({ "n" }, { big, { 5 } }, write)
    assert.equal('[{"n":9007199254740993}]\n' .. "               n\n----------------\n9007199254740993\n"
      .. "               5\n(2 rows)\n", table.concat(text))
  end)
end)
