-- SPDX-License-Identifier: MIT
--
-- What the command says: its help, and what it answers to wrong command lines.
local command = require "spec.support.command"
local compat = require "rille.compat"
local support = require "spec.support.init"

local rille = command.run

local SCHEMA = [=[
[{:db/ident :order/sku :db/valueType :db.type/string :db/unique :db.unique/identity}
 {:db/ident :order/qty :db/valueType :db.type/long}]
[{:order/sku "SKU-001" :order/qty 5} {:order/sku "12" :order/qty 7}]
]=]

local BY_SKU = "[:find ?q . :in $ ?sku :where [?e :order/sku ?sku] [?e :order/qty ?q]]"
local SKUS = "[:find [?s ...] :where [_ :order/sku ?s]]"

-- Code, output and messages of a command line that ends well.
local function fine(...)
  local code, out, err = rille(...)
  assert.equal(0, code, err)
  return out, err
end

describe("the help of rille", function()
  after_each(support.cleanup)

  it("lists the commands when there is none", function()
    local code, out, err = rille()
    assert.equal(2, code)
    assert.equal("", out)
    assert.equal("rille: missing command\n\n" .. (fine "--help"):match "^(.-)%s*$" .. "\n", err)
  end)

  it("has the version in short, too", function()
    assert.equal((fine "--version"), (fine "-v"))
    assert.matches("^rille %d", (fine "-v"))
  end)

  it("describes each command by itself", function()
    for name, option in pairs { q = "--arg-string TEXT", transact = "--create", stat = "--as-of POINT",
      verify = "--branch NAME", run = "SCRIPT" } do
      local help = fine(name, "--help")
      assert.matches("^usage: rille " .. name .. " %u", help)
      assert.is_truthy(help:find(option, 1, true), help)
      assert.matches("\nexamples?\n  rille " .. name .. " ", help)
      assert.equal(help, (fine(name, "-h")))
      assert.equal(help, (fine("help", name)))
      assert.equal(help, (fine("--help", name, "and", "more")))
      for line in help:gmatch "[^\n]+" do assert.is_true(#line <= 110, line) end
    end
    assert.equal((fine "--help"), (fine "help"))
  end)

  it("has a script that loads a CSV file", function()
    local url = support.url "file"
    fine("transact", url, support.file("schema.edn", SCHEMA), "--create")
    local path = support.file("orders.csv", "sku,qty\nA1,3\nA2,4\n")
    local script = assert((fine("transact", "--help")):match '\n(  local conn.*)$')
    script = script:gsub('"file:shop"', function() return ("%q"):format(url) end)
    script = script:gsub('"orders.csv"', function() return ("%q"):format(path) end)
    fine("run", support.file("load.lua", script))
    assert.equal("[4]\n", (fine("q", BY_SKU, url, "--arg-string", "A2", "--format", "edn")))
  end)
end)

describe("the command's messages", function()
  local url, missing, data, orders

  before_each(function()
    url, missing = support.url "file", support.plain_url "file"
    data = support.file("data.edn", SCHEMA)
    orders = support.file("orders.csv", "sku,qty,paid\nA1,3,2026-11-22\nA2,x,\n")
    fine("transact", url, data, "--create")
  end)
  after_each(support.cleanup)

  -- Each case: the exit code, the whole message (% is any text), the arguments.
  local function check(cases)
    for _, case in ipairs(cases) do
      local code, out, err = rille(compat.unpack(case, 3))
      local pattern = "^" .. support.pattern("rille: " .. case[2]):gsub("%%%%", ".*") .. "\n$"
      assert.is_truthy(err:find(pattern), err .. "expected: " .. case[2])
      assert.equal(case[1], code, err)
      assert.equal("", out)
    end
  end

  it("name wrong words, and what is meant", function()
    check {
      { 2, "unknown command verfy (did you mean verify?); run rille --help for a list", "verfy", url },
      { 2, "unknown command frobnicate; run rille --help for a list", "help", "frobnicate" },
      { 2, "unknown command query (did you mean q?); run rille --help for a list", "query", SKUS, url },
      { 2, "unknown option --limt (did you mean --limit?)", "q", SKUS, url, "--limt", "3" },
      { 2, "unknown option -x", "q", "-x" },
      { 2, "option --limit requires a value: --limit N", "q", SKUS, url, "--limit" },
      { 2, 'option --limit expects a non-negative integer, got "-1"', "q", SKUS, url, "--limit", "-1" },
      { 2, "option --explain does not take a value", "q", SKUS, url, "--explain=yes" },
      { 2, "rille stat does not accept --arg; usage: rille stat URL [OPTION...]", "stat", url, "--arg-string", "1" },
      { 2, 'unknown format "jsn" (did you mean json?); use one of: csv, edn, json, table', "stat", url,
        "--format", "jsn" },
    }
  end)

  it("count what is given", function()
    check {
      { 2, "missing URL; usage: rille stat URL [OPTION...]", "stat" },
      { 2, "rille stat takes one URL, got 2 arguments (file:a file:b); usage: rille stat URL [OPTION...]", "stat",
        "file:a", "file:b" },
      { 2, "rille verify takes one URL, got 3 arguments (a b c); usage: rille verify URL [OPTION...]", "verify", "a",
        "b", "c" },
      { 2, "missing FILE; usage: rille transact URL FILE [OPTION...]", "transact", url },
      { 2, "rille transact takes one URL and one FILE, got 3 arguments (%); usage: %", "transact", url, data, data },
      { 2, "missing script; usage: rille run SCRIPT [ARG...]", "run" },
      { 2, "missing query; usage: rille q QUERY [SOURCE...] [OPTION...]", "q" },
      { 2, "missing source for $: pass a database URL or a CSV file", "q", SKUS },
      { 2, "too many sources: the query does not use file:b", "q", SKUS, url, "file:b" },
      { 2, "missing value for ?sku: pass --arg EDN or --arg-string TEXT", "q", BY_SKU, url },
      { 2, "too many inputs: the query does not use --arg-string two", "q", BY_SKU, url, "--arg", "1",
        "--arg-string", "two" },
      { 2, "the query uses rules: pass --rules FILE", "q", "[:find ?e :in $ % :where (r ?e)]", url },
      { 2, "the query does not use --rules r.edn: add % to :in", "q", SKUS, url, "--rules", "r.edn" },
    }
  end)

  it("say what to do about a database that is not there", function()
    check {
      { 1, missing .. ": % [NOTFOUND]; --create creates the database", "transact", missing, data },
      { 1, missing .. "/a/b: cannot create the directory (create its parent directory first): % [NOTFOUND]", "transact",
        missing .. "/a/b", data, "--create" },
      { 1, missing .. ": % [NOTFOUND]; \"rille transact URL FILE --create\" creates a database", "stat", missing },
      { 1, missing .. ": % [NOTFOUND]; \"rille transact URL FILE --create\" creates a database", "verify", missing },
      { 1, missing .. ": % [NOTFOUND]; \"rille transact URL FILE --create\" creates a database", "q", SKUS, missing },
    }
    local _, _, err = rille("stat", missing)
    assert.is_nil(err:find("create = true", 1, true), err)
  end)

  it("tell transactions from other things", function()
    local expected = 'transact expects EDN such as [{:product/sku "A1"}]; "rille transact --help" shows a script that '
      .. "loads CSV files"
    local text = support.file("orders.txt", "sku,qty\nA1,3\n")
    local times = support.file("times.txt", "sku,time\nA1,2:3\n")
    local bad = support.file("bad.edn", "[{:order/qty 2:3}]")
    local names = support.file("names.edn", "[name]")
    check {
      { 2, orders .. " is a CSV file: " .. expected, "transact", url, orders },
      { 1, text .. ": transaction 1 failed: % [TX_SYNTAX] (0 earlier transactions were committed); " .. expected,
        "transact", url, text },
      { 1, times .. ":2:4: 2:3 % [SYNTAX]; " .. expected, "transact", url, times },
      { 1, bad .. ":1:14: 2:3 % [SYNTAX]", "transact", url, bad },
      { 1, names .. ": transaction 1 failed: % [TX_SYNTAX] (0 earlier transactions were committed)", "transact", url,
        names },
      { 2, "the URL comes first: rille transact " .. url .. " shop.edn; usage: %", "transact", "shop.edn", url },
    }
  end)

  it("list the branches when there is none of that name", function()
    local none = "%file:% there is no database on branch dev [NOTFOUND]; it has only the branch main"
    check {
      { 1, none, "q", SKUS, url, "--branch", "dev" },
      { 1, none, "stat", url, "--branch", "dev" },
      { 1, none, "verify", url, "--branch", "dev" },
      { 1, none, "transact", url, data, "--branch", "dev" },
      { 1, missing .. ": there is no such directory [NOTFOUND]", "q", SKUS, missing, "--branch", "dev" },
    }
    fine("transact", url, data, "--branch", "other", "--create")
    check { { 1, "%file:% there is no database on branch dev [NOTFOUND]; it has the branches main, other", "q", SKUS,
      url, "--branch", "dev" } }
  end)

  it("know points in time", function()
    local forms = "expected a transaction id, a commit id, or an instant such as 2026-11-22 or 2026-11-22T10:30:00Z "
      .. "(UTC unless it has an offset such as +02:00)"
    check {
      { 2, "--as-of yesterday: " .. forms, "q", SKUS, url, "--as-of", "yesterday" },
      { 2, "--as-of 22.11.2026: " .. forms, "stat", url, "--as-of", "22.11.2026" },
      { 1, "--as-of 12345: % [NOTFOUND]", "stat", url, "--as-of", "12345" },
      { 1, "1:24: attribute :order/sku is not in the schema [ATTRIBUTE]; --as-of 2020-01-01 selects the version of "
        .. "1970-01-01T00:00:00.000Z (transaction 1099511627776), in which attributes added later are unknown", "q",
        SKUS, url, "--as-of", "2020-01-01" },
      { 1, "1:24: attribute :nope is not in the schema [ATTRIBUTE]", "q", "[:find [?s ...] :where [_ :nope ?s]]", url,
        "--as-of", "2100-01-01" }, -- the newest version
      { 2, "--as-of 2020-01-01 applies to databases, but no source is one: " .. orders .. " is a CSV file", "q",
        "[:find ?sku :where [?sku]]", orders, "--as-of", "2020-01-01" },
      { 2, "--branch main applies to databases, but no source is one: " .. orders .. " is a CSV file", "q",
        "[:find ?x :in $r ?x]", orders, "--branch", "main", "--arg", "1" },
      { 2, "--as-of 2020-01-01 applies to databases, but no source is one", "q", "[:find ?x :in ?x]", "--arg", "1",
        "--as-of", "2020-01-01" },
    }
  end)

  it("name the file or the option that does not parse", function()
    local query = support.file("query.edn", "[:find ?x\n :where [?x")
    local rules = support.file("rules.edn", "[[(r ?x)] [")
    check {
      { 1, "query: 1:10: % [SYNTAX]", "q", "[:find ?x", url },
      { 1, query .. ":2:12: % [SYNTAX]", "q", "@" .. query, url },
      { 1, "input 2 (rules)% [SYNTAX]; input 2 is --rules " .. rules, "q", "[:find ?x :in $ % :where (r ?x)]", url,
        "--rules", rules },
      { 2, "--arg 2026-11-22: 1:1: % [SYNTAX]; for text, use --arg-string 2026-11-22; for an instant, --arg '#inst "
        .. "\"2026-11-22\"'", "q", BY_SKU, url, "--arg", "2026-11-22" },
      { 2, "--arg two words: % [SYNTAX]; for text, use --arg-string 'two words'", "q", BY_SKU, url, "--arg",
        "two words" },
      { 2, "--arg 1 it's: % [SYNTAX]; for text, use --arg-string '1 it'\\''s'", "q", BY_SKU, url, "--arg", "1 it's" },
    }
  end)

  it("say what an --arg was read as when nothing is found", function()
    local function note(...)
      local _, err = fine("q", ...)
      return err
    end
    local form = "rille: no rows; note that --arg %s was read as the %s %s (for text, use --arg-string %s or --arg "
      .. "'\"%s\"')\n"
    for text, kind in pairs { ["SKU-001"] = "symbol", ["13"] = "number", ["true"] = "boolean" } do
      assert.equal(form:format(text, kind, text, text, text), note(BY_SKU, url, "--arg", text))
    end
    local many = "[:find ?q :in $ [?sku ...] :where [?e :order/sku ?sku] [?e :order/qty ?q]]"
    assert.equal('rille: no rows; note that --arg [x SKU-001] contains the symbol x (for text, use "x" with quotes)\n',
      note(many, url, "--arg", "[x SKU-001]"))
    assert.equal("", note(BY_SKU, url, "--arg-string", "SKU-009")) -- was meant as it is
    assert.equal("", note(BY_SKU, url, "--arg", '"SKU-009"'))
    assert.equal("", note("[:find ?x :in $ ?x :where [_ :order/qty]]", url, "--arg", "SKU-001")) -- and here are rows
    assert.equal("[5]\n", (fine("q", BY_SKU, url, "--arg-string", "SKU-001", "--format", "edn")))
    assert.equal("[7]\n", (fine("q", BY_SKU, url, "--arg-string=12", "--format", "edn")))
    local both = "[:find ?a ?b ?c :in ?a ?b ?c]"
    assert.equal('["1" 2 "--x"]\n', (fine("q", both, "--arg-string", "1", "--arg", "2", "--arg-string", "--x",
      "--format", "edn")))
  end)
end)

describe("CSV files of the command", function()
  after_each(support.cleanup)

  local SUM = "[:find (sum ?qty) . :with ?sku :where [?sku ?qty]]"

  local function q(...) return (fine("q", ...)) end

  it("have the types that --types gives to their columns", function()
    local path = support.file("all.csv", "s,l,d,b,k,i,u,y,bi,bd\na,-3,1.5,yes,red/blue,2026-11-22T10:30:00Z,"
      .. "6ba7b810-9dad-11d1-80b4-00c04fd430c8,sym,12345678901234567890,1.50\n")
    local types = "l=long,d=double,b=boolean,k=keyword,i=instant,u=uuid"
    local query = "[:find ?s ?l ?d ?b ?k ?i ?u ?y ?bi ?bd :where [?s ?l ?d ?b ?k ?i ?u ?y ?bi ?bd]]"
    assert.matches('^%["a" %-3 1.5 true :red/blue #inst "2026%-11%-22T10:30:00[%d.]*[-+Z][%d:]*" '
      .. '#uuid "6ba7b810%-9dad%-11d1%-80b4%-00c04fd430c8" sym 12345678901234567890N 1.5M%]\n$',
      q(query, path, "--types", types, "--types", "y = symbol, bi=bigint,10=bigdec,s=string", "--format", "edn"))
  end)

  it("can be summed", function()
    local path = support.file("orders.csv", "sku,qty,price\nA1,3,0.5\nA2,4,1.375\n")
    assert.equal("[7]\n", q(SUM, path, "--types", "qty=long,price=double", "--format", "edn"))
    assert.equal("[7]\n", q(SUM, path, "--types=2=long", "--format", "edn"))
    assert.equal("[5.5]\n", q("[:find (max ?x) . :where [_ ?q ?p] [(* ?q ?p) ?x]]", path,
      "--types", "qty=long,price=double", "--format", "edn"))
  end)

  it("share the types of columns with one name", function()
    local orders = support.file("orders.csv", "sku,qty\nA1,3\nA2,4\n")
    local stock = support.file("stock.CSV", "qty,place,sku\n10,x,A1\n2,y,A2\n")
    assert.equal("sku,o,s\nA2,4,2\n", q("[:find ?sku ?o ?s :in $o $s :where [$o ?sku ?o] [$s ?s _ ?sku] [(> ?o ?s)]]",
      orders, stock, "--types", "qty=long"))
  end)

  it("say where a cell, a column or a type is wrong", function()
    local path = support.file("orders.csv", 'sku,qty,paid\n"A\n1",3,2026-11-22\nA2,"x",\n')
    local other = support.file("other.csv", "qty\n1\n")
    local valid = "valid types: bigdec, bigint, boolean, double, instant, keyword, long, string, symbol, uuid"
    for _, case in ipairs {
      { 1, path .. ':4:4: column qty: "x" is not a long, expected an integer such as -12 [SYNTAX]', "qty=long" },
      { 1, path .. ":4:8: column paid: empty field, expected an instant (--empty gives it a value) [SYNTAX]",
        "paid=instant" },
      { 2, "--types: unknown column qt (did you mean qty?); " .. path .. " has sku, qty, paid", "qt=long" },
      { 2, "--types: unknown column 4; " .. path .. " has sku, qty, paid", "4=long" },
      { 2, '--types qty=lng: unknown type "lng" (did you mean long?); ' .. valid, "qty=lng" },
      { 2, '--types qty=int: unknown type "int"; ' .. valid, "qty=int" },
      { 2, '--types qty: expected COLUMN=TYPE, such as qty=long, got "qty"', "qty" },
      { 2, '--types =long: expected COLUMN=TYPE, such as qty=long, got "=long"', "=long" },
      { 2, "--types: duplicate column qty", "qty=long,qty=double" },
    } do
      local code, out, err = rille("q", "[:find ?a :where [?a _ _]]", path, "--types", case[3])
      assert.equal("rille: " .. case[2] .. "\n", err)
      assert.equal(case[1], code)
      assert.equal("", out)
    end
    local _, _, err = rille("q", "[:find ?a :in $a $b :where [$a ?a _ _] [$b ?a]]", path, other, "--types", "x=long")
    assert.equal(("rille: --types: unknown column x; %s has sku, qty, paid; %s has qty\n"):format(path, other), err)
    err = select(3, rille("q", "[:find ?x :in ?x]", "--arg", "1", "--types", "x=long"))
    assert.equal("rille: --types: unknown column x; no source is a CSV file\n", err)
    err = select(3, rille("q", "[:find (sum ?q) . :where [_ ?q _]]", path))
    assert.matches('%[TYPE%]; the cells of CSV files are strings unless %-%-types names a type, such as %-%-types '
      .. "qty=long\n$", err)
  end)

  it("can have empty cells", function()
    local path = support.file("orders.csv", "sku,qty\nA1,3\nA2,\n")
    assert.equal("[3]\n", q(SUM, path, "--types", "qty=long", "--empty", "0", "--format", "edn"))
    assert.equal('["A1" 3]\n["A2" :none]\n', q("[:find ?s ?q :where [?s ?q] :order-by ?s]", path, "--types", "qty=long",
      "--empty", ":none", "--format", "edn"))
    assert.equal("rille: --empty needs --types: strings may be empty\n",
      select(3, rille("q", SUM, path, "--empty", "0")))
    assert.matches("^rille: %-%-empty %[: 1:", select(3, rille("q", SUM, path, "--types", "qty=long", "--empty", "[")))
    assert.equal("rille: --empty nil: nil is not a value, expected one such as 0\n",
      select(3, rille("q", SUM, path, "--types", "qty=long", "--empty", "nil")))
  end)

  it("have columns instead of attributes, commas, and text in UTF-8", function()
    local path = support.file("orders.csv", "sku,qty\nA1,3\n")
    local note = ("rille: no rows; note that CSV files have columns instead of attributes: a pattern on %s is "
      .. "[?sku ?qty], in this order, and :order/sku matches only that keyword\n"):format(path)
    assert.equal(note, select(3, rille("q", "[:find ?q :where [?q :order/sku]]", path)))
    assert.equal(note, select(3, rille("q", "[:find ?q :in $a :where [$a ?q :order/sku]]", path)))
    local semicolons = support.file("semicolons.csv", "sku;qty\nA1;3\n")
    assert.equal("rille: 1:21: a pattern on source $ has 2 terms, but its rows have only 1 value [QUERY]; "
      .. semicolons .. ' has one column, "sku;qty": the command expects commas between fields, and rille.csv in a '
      .. "script takes the option separator\n", select(3, rille("q", "[:find ?s ?q :where [?s ?q]]", semicolons)))
    local latin1 = support.file("latin1.csv", "sku,name\nA1,anvil\nB2,B\228lg\n")
    local code, _, err = rille("q", "[:find ?n :where [_ ?n]]", latin1)
    assert.equal(1, code)
    assert.equal("rille: " .. latin1 .. ": row 2, column name: the text is not valid UTF-8 (byte 2 is 0xe4); "
      .. 'convert the file, for example with "iconv -f ISO-8859-1 -t UTF-8" [TYPE]\n', err)
  end)
end)

describe("infinity", function()
  it("is a string in JSON, which has no such number, and never null", function()
    local args = { "--arg", "##Inf", "--arg", "##-Inf" }
    local query = "[:find ?a ?b :in ?a ?b]"
    local function out(format) return (fine("q", query, "--format", format, compat.unpack(args))) end
    assert.equal('[{"a":"##Inf","b":"##-Inf"}]\n', out "json")
    assert.equal("[##Inf ##-Inf]\n", out "edn")
    assert.equal("a,b\n##Inf,##-Inf\n", out "csv")
    support.cleanup()
  end)
end)
