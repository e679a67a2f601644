-- SPDX-License-Identifier: MIT
--
-- Names between Lua and the engine: every row of the table "Where a string is a name" in docs/lua-api.md, in every
-- notation. What a constant or an input means is said by its position and the attribute's type, never before.
local rille = require "rille"
local support = require "spec.support.init"

local unpack = table.unpack or unpack -- luacheck: ignore 113
local v, Q, kw = rille.vars(), rille.query, rille.kw
local UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"

local function open(url)
  local conn = assert(rille.create(url or support.url "mem"))
  local many = { ["db/cardinality"] = "db.cardinality/many" }
  local unique = { ["db/unique"] = "db.unique/identity" }
  assert(conn:transact {
    support.attr("id", "long", unique), support.attr("kid", "keyword", unique), support.attr("uid", "uuid", unique),
    support.attr("boss", "ref", unique), support.attr("n", "string"), support.attr("l", "long"),
    support.attr("k", "keyword"), support.attr("tu", "tuple"), support.attr("tus", "tuple", many),
    support.attr("up", "ref"), support.attr("likes", "ref", many), support.attr("red", "string"),
  })
  local report = assert(conn:transact {
    { ["db/id"] = "a", ["db/ident"] = kw "who/a", id = 1, kid = kw "red", uid = UUID, boss = "b", n = "a", l = 1 },
    { ["db/id"] = "b", ["db/ident"] = kw "who/b", id = 2, n = "b", l = 2, up = "a", likes = { "a", "b" },
      k = kw "who/a" },
    { ["db/id"] = "c", id = 3, n = "who/a", up = "b", tu = { kw "id", 1 }, tus = { { "id", 1 }, { kw "red", 1 },
      { 5 } } },
    { ["db/id"] = "d", id = 4, n = ":who/a", red = "x", tu = { "id", 1 } },
    { ["db/id"] = "e", id = 5, n = "e", tus = { { kw "red", 1 } } },
  })
  assert(conn:transact '[{:id 6 :n "f" :tu []}]')
  return conn, report.tempids
end

-- Ways to name entity a. `bare`: without a colon it is a tempid in transactions.
local function spellings(a)
  return { a, kw "who/a", ":who/a", "who/a", { "id", 1 }, { ":id", 1 }, { kw "id", 1 }, { "kid", kw "red" },
    { "kid", "red" }, { "kid", ":red" }, { "uid", UUID }, { "uid", rille.uuid(UUID) }, { "boss", { "id", 2 } },
    { "boss", "who/b" }, { "boss", kw "who/b" } }
end

local function show(x)
  return type(x) == "table" and "{" .. show(x[1]) .. ", " .. show(x[2]) .. "}" or tostring(x)
end

local function sorted(list)
  table.sort(list, function(x, y) return tostring(x) < tostring(y) end)
  return list
end

local function q(where, query, ...)
  local result, message = rille.q(query, ...)
  assert(result ~= nil, where .. ": " .. tostring(message))
  return sorted(result)
end

local RULES = rille.rules {
  Q.define("named", v.e, v.n):where { v.e, "n", v.n },
  Q.define("below", v.e, v.x):where { v.x, "up", v.e },
  Q.define("like", v.e, v.x):where { v.x, "likes", v.e },
  Q.define("far", v.e, v.x):where(Q.rule("below", v.e, v.x)),
}

-- A query for the entities or texts ?x of a pattern {e, a, v} in all notations, `name` standing for what is at `place`
-- ("?e" itself is what is named). Returns a list of {notation, answer}.
local function ask(db, pattern, name)
  local out = {}
  local function add(notation, query, ...) out[#out + 1] = { notation, q(notation .. " " .. show(name), query, db,
    ...) } end
  local function with(x, by_builder)
    local clause = {}
    for i, part in ipairs(pattern) do
      if part == "?e" then clause[i] = x
      elseif type(part) == "string" and part:sub(1, 1) == "?" and by_builder then clause[i] = v[part:sub(2)]
      else clause[i] = part end
    end
    return clause
  end
  local text = {}
  for i, part in ipairs(with(name, false)) do
    text[i] = type(part) == "string" and part:sub(1, 1) == "?" and part or i == 2 and ":" .. part
      or assert(rille.edn.encode(part))
  end
  text = ("[%s]"):format(table.concat(text, " "))
  add("text", ("[:find [?x ...] :where %s]"):format(text))
  local is_bare = type(name) == "string" and name:sub(1, 1) ~= ":"
  if not (is_bare and pattern[1] == "?e") then -- there, {"who/a", ...} calls a rule
    add("table", { find = { { "?x", "..." } }, where = { with(name, false) } })
  end
  add("builder", Q.find_list(v.x):where(with(name, true)))
  local var = ("[?e :%s ?x]"):format(pattern[2])
  if pattern[3] == "?e" then var = ("[?x :%s ?e]"):format(pattern[2]) end
  for form, input in pairs { ["?e"] = name, ["[?e ...]"] = { name }, ["[?e _]"] = { name, 1 },
    ["[[?e _]]"] = { { name, 1 } } } do
    add("input " .. form, ("[:find [?x ...] :in $ %s :where %s]"):format(form, var), input)
  end
  -- several rows: the names are a column
  add("list of two", ("[:find [?x ...] :in $ [?e ...] :where %s]"):format(var), { name, -1 })
  add("rows", ("[:find [?x ...] :in $ [[?e ?i]] :where %s]"):format(var), { { name, 1 }, { -1, 2 } })
  out[#out + 1] = { "builder, by name",
    sorted(assert(Q.find_list(v.x):where(with(v.e, true)):run { db = db, e = { name, -1 } })) }
  return out
end

describe("names", function()
  local conn, id, db

  before_each(function()
    conn, id = open()
    db = conn:db()
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  it("of entities are read alike in entity position, in every notation", function()
    for _, name in ipairs(spellings(id.a)) do
      for _, got in ipairs(ask(db, { "?e", "n", "?x" }, name)) do
        assert.same({ "a" }, got[2], got[1] .. " " .. show(name))
      end
    end
  end)

  it("of entities are read alike as values of refs, in every notation", function()
    for _, name in ipairs(spellings(id.a)) do
      for _, attr in ipairs { "up", "likes" } do
        for _, got in ipairs(ask(db, { "?x", attr, "?e" }, name)) do
          assert.same({ id.b }, got[2], got[1] .. " " .. attr .. " " .. show(name))
        end
      end
    end
  end)

  it("of entities are read alike as arguments of rules, in every notation", function()
    local builder = Q.find_list(v.x)
    for _, name in ipairs(spellings(id.a)) do
      local text = assert(rille.edn.encode(name))
      for rule, expected in pairs { named = { "a" }, below = { id.b }, like = { id.b }, far = { id.b } } do
        local where = rule .. " " .. show(name)
        assert.same(expected, q(where, ("[:find [?x ...] :in $ %% :where (%s %s ?x)]"):format(rule, text), db, RULES),
          where)
        assert.same(expected, q(where, { find = { { "?x", "..." } }, ["in"] = { "$", "%" }, where = { { rule, name,
          "?x" } } },
          db, RULES), where)
        assert.same(expected, q(where, builder:where(Q.rule(rule, name, v.x)), db, RULES), where)
        assert.same(expected, q(where, ("[:find [?x ...] :in $ %% ?e :where (%s ?e ?x)]"):format(rule), db, RULES,
          name), where)
        assert.same(expected, q(where, ("[:find [?x ...] :in $ %% [?e ...] :where (%s ?e ?x)]"):format(rule), db, RULES,
          { name, -1 }), where)
      end
    end
  end)

  it("of entities are read alike by get-else, get-some and missing?", function()
    for _, name in ipairs(spellings(id.a)) do
      local text = assert(rille.edn.encode(name))
      local calls = { { "get-else", "n", "none", "?x" }, { "get-some", "n", "id", "[_ ?x]" } }
      for _, call in ipairs(calls) do
        local clause = ("[(%s $ %%s :%s %s) %s]"):format(call[1], call[2],
          call[3] == "id" and ":id" or '"none"', call[4])
        local where = clause .. show(name)
        assert.same({ "a" }, q(where, ("[:find [?x ...] :where %s]"):format(clause:format(text)), db), where)
        assert.same({ "a" }, q(where, ("[:find [?x ...] :in $ ?e :where %s]"):format(clause:format "?e"), db, name),
          where)
        assert.same({ "a" }, q(where, ("[:find [?x ...] :in $ [?e _] :where %s]"):format(clause:format "?e"), db,
          { name, 1 }), where)
      end
      for _, attr in ipairs { "n", ":n", kw "n" } do
        local where = "get-else " .. show(attr) .. show(name)
        assert.same({ "a" }, q(where, { find = { { "?x", "..." } },
          where = { { { "get-else", "$", name, attr, 0 }, "?x" } } }, db), where)
        assert.same({ "a" }, q(where, Q.find_list(v.x):let(v.x, Q.call("get-else", rille.sym "$", name, attr, 0)),
          db), where)
      end
      assert.same({ 1 }, q("missing?", ("[:find [?x ...] :where [(ground 1) ?x] [(missing? $ %s :up)]]"):format(text),
        db))
      assert.same({}, q("missing?", ("[:find [?x ...] :where [(ground 1) ?x] [(missing? $ %s :n)]]"):format(text), db))
    end
  end)

  it("of entities are read alike outside of queries", function()
    local function e_of(iterator, ...)
      local list = {}
      for e in iterator, ... do list[#list + 1] = e end
      return sorted(list)
    end
    for i, name in ipairs(spellings(id.a)) do
      assert.equal(id.a, db:entid(name), show(name))
      assert.same({ id.a }, e_of(db:datoms("eavt", name, "n")), show(name))
      assert.same({ id.b }, e_of(db:datoms("vaet", name, "up")), show(name))
      assert.same({ id.b }, e_of(db:datoms("aevt", "up", id.b, name)), show(name))
      assert.equal(id.a, (e_of(db:seek_datoms("eavt", name, "n")))[1], show(name))
      assert.equal(1, db:count("vaet", name, "up"), show(name))
      if name ~= "who/a" and type(name) ~= "table" or type(name) == "table" and name[1] ~= "boss" then
        local report = assert(conn:transact { { "db/add", name, "l", 100 + i } }, show(name))
        local is_there = false
        for _, d in ipairs(report.tx_data) do is_there = is_there or d.e == id.a and d.v == 100 + i end
        assert.is_true(is_there, show(name))
        report = assert(conn:transact { { ["db/id"] = "new", up = name } }, show(name))
        assert.same({ id.a }, q("up", "[:find [?v ...] :in $ ?e :where [?e :up ?v]]", report.db_after,
          report.tempids.new))
      end
    end
    local report = assert(conn:transact { { ["db/id"] = "who/a", n = "new" } })
    assert.not_equal(id.a, report.tempids["who/a"]) -- a tempid
  end)

  it("of attributes are strings or keywords, with a colon or without", function()
    for _, name in ipairs { "n", ":n", kw "n", assert(db:entid "n") } do
      local where = show(name)
      local text = assert(rille.edn.encode(name))
      assert.same({ "a" }, q(where, ("[:find [?x ...] :where [?e :id 1] [?e %s ?x]]"):format(text), db), where)
      assert.same({ "a" }, q(where, "[:find [?x ...] :in $ ?a :where [?e :id 1] [?e ?a ?x]]", db, name), where)
      assert.same({ 1, "a" }, q(where, "[:find [?x ...] :in $ [?a ...] :where [?e :id 1] [?e ?a ?x]]", db,
        { name, "l" }), where)
      assert.same({ "a" }, q(where, "[:find [?x ...] :in $ [[?a ?id]] :where [?e :id ?id] [?e ?a ?x]]", db,
        { { name, 1 }, { name, 77 } }), where)
      assert.same({ "a" }, q(where, "[:find [?x ...] :in $ $r :where [$r ?a] [?e :id 1] [?e ?a ?x]]", db,
        { { name } }), where)
      assert.same({ "a" }, q(where, { find = { { "?x", "..." } }, where = { { "?e", "id", 1 }, { "?e", name,
        "?x" } } }, db), where)
      assert.same({ "a" }, q(where, Q.find_list(v.x):where({ v.e, "id", 1 }, { v.e, name, v.x }), db), where)
      local rules = "[[(has ?e ?a ?x) [?e ?a ?x]]]"
      assert.same({ "a" }, q(where, { find = { { "?x", "..." } }, ["in"] = { "$", "%" },
        where = { { "has", { "id", 1 }, name, "?x" } } }, db, rules), where)
      assert.same({ "a" }, q(where, Q.find_list(v.x):where(Q.rule("has", { "id", 1 }, name, v.x)), db, rules), where)
      local seen = {}
      for _, _, x in db:datoms("eavt", id.a, name) do seen[#seen + 1] = x end
      assert.same({ "a" }, seen, where)
    end
    for _, name in ipairs { "l", ":l", kw "l" } do
      assert(conn:transact { { [name] = 9, id = 1 } })
      assert(conn:transact { { "db/retract", { "id", 1 }, name, 9 } })
    end
    for _, name in ipairs { "id", ":id", kw "id" } do
      local seen = {}
      for _, _, x in db:index_range(name, 2, 4) do seen[#seen + 1] = x end
      assert.same({ 2, 3 }, seen, show(name))
    end
  end)

  it("come out as they are: attributes of datoms as strings, others as keywords and ids", function()
    for e, a in db:datoms("eavt", id.a, "kid") do
      assert.equal("number", type(e))
      assert.equal("kid", a)
    end
    assert.equal("who/a", db:ident(id.a))
    assert.is_table(db:schema().kid)
    assert.same({ kw "n" }, q("ident", "[:find [?i ...] :where [?e ?a \"a\"] [?a :db/ident ?i]]", db))
    assert.same({ db:entid "n" }, q("id", "[:find [?a ...] :where [?e ?a \"a\"]]", db))
    assert.same({ kw "who/a" }, q("kept", "[:find [?e ...] :in $ ?e :where [?e :n]]", db, kw "who/a"))
    assert.same({ "who/a" }, q("kept", "[:find [?e ...] :in $ ?e :where [?e :n]]", db, "who/a"))
    assert.same({ { "id", 1 } }, q("kept", "[:find [?e ...] :in $ [?e ...] :where [?e :n]]", db, { { "id", 1 },
      { "id", 99 } }))
  end)
end)

describe("constants", function()
  local conn, id, db

  before_each(function()
    conn, id = open()
    db = conn:db()
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  -- The entities whose attribute has the value, asked for in every notation, and those that are left by a not.
  local function expect(attr, value, ids)
    sorted(ids)
    local where = attr .. " " .. show(value)
    for _, got in ipairs(ask(db, { "?x", attr, "?e" }, value)) do
      assert.same(ids, got[2], got[1] .. " " .. where)
    end
    local text = assert(rille.edn.encode(value))
    local rest = {}
    for _, e in pairs(q("all", "[:find [?x ...] :where [?x :id]]", db)) do
      local found = false
      for _, x in ipairs(ids) do found = found or x == e end
      if not found then rest[#rest + 1] = e end
    end
    local has, hasnt = ("[?x :%s %s]"):format(attr, text), ("[?x :%s ?v]"):format(attr)
    assert.same(sorted(rest), q(where, ("[:find [?x ...] :where [?x :id] (not %s)]"):format(has), db), where)
    assert.same(ids, q(where, ("[:find [?x ...] :where (or %s (and %s [?x :id -1]))]"):format(has, has), db), where)
    assert.same(ids, q(where, ("[:find [?x ...] :in $ %% :where (has ?x %s)]"):format(text), db,
      ("[[(has ?x ?v) %s]]"):format(hasnt)), where)
    assert.same(ids, q(where, ("[:find [?x ...] :in $ ?v :where %s]"):format(hasnt), db, value), where)
    assert.same(ids, q(where, ("[:find [?x ...] :in $ [?v ...] :where %s]"):format(hasnt), db, { value, 12345 }), where)
    assert.same(ids, q(where, ("[:find [?x ...] :where %s [(= ?v %s)]]"):format(hasnt, text), db), where)
  end

  it("that look like lookup refs are tuples where the attribute is not a ref", function()
    expect("tu", { kw "id", 1 }, { id.c })
    expect("tu", { "id", 1 }, { id.d })
    expect("tu", { kw "id", 2 }, {})
    expect("tu", { kw "red", 1 }, {})
    expect("tus", { kw "red", 1 }, { id.c, id.e })
    expect("tus", { "id", 1 }, { id.c })
    expect("tus", { 5 }, { id.c })
    expect("tu", {}, { db:entid { "id", 6 } })
    expect("tus", {}, {})
    for _, attr in ipairs { "l", "n", "k", "id" } do
      for _, pair in ipairs { { kw "n", "a" }, { kw "nope", 1 }, { kw "id", 1 }, { "zz top", 1 }, { "id", 1 } } do
        expect(attr, pair, {})
      end
    end
  end)

  it("that are keywords or strings are themselves where the attribute is not a ref", function()
    expect("k", kw "who/a", { id.b })
    expect("n", kw "who/a", {})
    expect("l", kw "who/a", {})
    -- In the table form a string with a colon is a keyword, so text and builder only.
    assert.same({ id.c }, q("n", '[:find [?x ...] :where [?x :n "who/a"]]', db))
    assert.same({ id.d }, q("n", '[:find [?x ...] :where [?x :n ":who/a"]]', db))
    assert.same({ id.c }, q("n", Q.find_list(v.x):where { v.x, "n", "who/a" }, db))
    assert.same({ id.d }, q("n", Q.find_list(v.x):where { v.x, "n", ":who/a" }, db))
    assert.same({}, q("k", '[:find [?x ...] :where [?x :k "who/a"]]', db))
  end)

  it("keep rows of a not whose attribute cannot have the value", function()
    assert.same({ "a", "b" }, q("not", '[:find [?n ...] :where [?e :l] [?e :n ?n] (not [?e :l [:n "a"]])]', db))
    assert.same({ "a", "b" }, q("not", { find = { { "?n", "..." } }, where = { { "?e", "l" }, { "?e", "n", "?n" },
      { "not", { "?e", "l", { ":n", "a" } } } } }, db))
    assert.same({ "a", "b" }, q("not", Q.find_list(v.n):where({ v.e, "l" }, { v.e, "n", v.n },
      Q.not_ { v.e, "l", { kw "n", "a" } }), db))
  end)

  it("mean both where the attribute is not known, but strings are text", function()
    for _, attr in ipairs { "_", "?a" } do
      local function any(value) return q(attr, ("[:find [?x ...] :where [?x %s %s]]"):format(attr, value), db) end
      assert.same(sorted { id.b, id.c }, any "[:id 1]")
      assert.same({ id.b, id.c, id.d }, any '["id" 1]')
      assert.same({ id.a, id.b }, any ":who/a")
      assert.same({ id.c }, any '"who/a"')
      assert.same({ id.d }, any '":who/a"')
      assert.same({}, any "[:nope 1]")
      assert.same(sorted { id.c, id.e }, any "[:red 1]")
    end
    local function given(...) return q("given", "[:find [?x ...] :in $ [?v ...] :where [?x _ ?v]]", db, { ... }) end
    assert.same({ id.b, id.c }, given({ kw "id", 1 }, -5))
    assert.same({ id.b, id.c, id.d }, given({ "id", 1 }, -5))
    assert.same({ id.a, id.b }, given(kw "who/a", -5))
    assert.same({ id.c }, given("who/a", -5))
    assert.same({ id.c, id.e }, given({ kw "red", 1 }, -5))
    assert.same({ id.c, id.d }, given("who/a", ":who/a"))
  end)

  it("mean the same for a variable attribute, however many values an input gives it", function()
    local function code_or(query, ...)
      local result, _, code = rille.q(query, db, ...)
      return code or sorted(result)
    end
    local values = { { "nope", 1 }, { "n", "a" }, { kw "nope", 1 }, "who/a", ":who/a", kw "who/a", { "id", 1 },
      { "id", 3 } }
    for _, attr in ipairs { "up", "tu", "n", "k" } do
      for _, value in ipairs(values) do
        local where = attr .. show(value)
        local one = code_or("[:find [?x ...] :in $ ?a ?v :where [?x ?a ?v]]", attr, value)
        assert.is_table(one, where)
        for form, inputs in pairs {
          ["[?a ...] ?v"] = { { attr, "uid" }, value },
          ["?a [?v ...]"] = { attr, { value, -7 } },
          ["[?a ...] [?v ...]"] = { { attr, "uid" }, { value, -7 } },
          ["[[?a ?v]]"] = { { { attr, value }, { "uid", 0 } } },
        } do
          local query = ("[:find [?x ...] :in $ %s :where [?x ?a ?v]]"):format(form)
          assert.same(one, code_or(query, unpack(inputs)), form .. where)
        end
        assert.same(one, code_or("[:find [?x ...] :in $ % ?a ?v :where (has ?x ?a ?v)]",
          "[[(has ?x ?a ?v) [?x ?a ?v]]]", attr, value), where)
      end
    end
  end)

  it("are plain in rows of a source, in arguments of functions and in defaults", function()
    local rows = { { { "id", 1 }, "t" }, { { kw "id", 1 }, "k" }, { "who/a", "s" }, { kw "who/a", "w" }, { {}, "e" } }
    local values = { { "id", 1 }, { kw "id", 1 }, "who/a", kw "who/a", {} }
    for i, value in ipairs(values) do
      local text, expected = assert(rille.edn.encode(value)), { rows[i][2] }
      local where = show(value)
      assert.same(expected, q(where, ("[:find [?x ...] :in $r :where [$r %s ?x]]"):format(text), rows), where)
      assert.same(expected, q(where, { find = { { "?x", "..." } }, ["in"] = { "$r" }, where = { { "$r", value,
        "?x" } } },
        rows), where)
      assert.same(expected, q(where, Q.find_list(v.x):from("r"):where(Q.row("r", value, v.x)), rows), where)
      assert.same(expected, q(where, Q.find_list(v.x):from("r"):where("r", { value, v.x }), rows), where)
      assert.same(expected, q(where, "[:find [?x ...] :in $r [?v ...] :where [$r ?v ?x]]", rows, { value, 7 }), where)
      assert.same({ value }, q(where, ("[:find [?v ...] :in :where [(ground [%s]) [?v ...]]]"):format(text)), where)
      assert.same({ value }, q(where, ("[:find [?v ...] :where [?e :id 1] [(get-else $ ?e :k %s) ?v]]"):format(text),
        db), where)
      assert.same({ id.a }, q(where,
        ("[:find [?e ...] :where [?e :id 1] [(get-else $ ?e :k %s) ?v] [(= ?v %s)]]"):format(
        text, text), db), where)
    end
    -- a string in the second column of rows is text, in a pattern on a database an attribute
    local pairs_of = { { 1, "n" }, { 2, "m" } }
    assert.same({ 1 }, q("rows", { find = { { "?x", "..." } }, ["in"] = { "$r" }, where = { { "$r", "?x", "n" } } },
      pairs_of))
    assert.same({ 1 }, q("rows", Q.find_list(v.x):from("r"):where("r", { v.x, "n" }), pairs_of))
    assert.same({ 1 }, q("rows", Q.find_list(v.x):from("r"):where(Q.row("r", v.x, "n")), pairs_of))
    -- what comes out of data is what it is
    assert.same({}, q("data", "[:find [?x ...] :where [_ :k ?k] [?x :up ?k]]", db))
    assert.same({}, q("data", "[:find [?x ...] :in $ $r :where [$r ?k] [?x :up ?k]]", db, { { kw "who/a" },
      { "who/a" }, { { "id", 1 } } }))
    assert.same({}, q("data", '[:find [?x ...] :where [(str "who/a") ?k] [?x :up ?k]]', db))
  end)

  it("are keywords for a keyword attribute in transactions, datoms, ranges and lookup refs", function()
    local report = assert(conn:transact { { ["db/id"] = "x", id = 70, k = "zoo", kid = "zoo" } })
    db = report.db_after
    local x = report.tempids.x
    for _, name in ipairs { "zoo", ":zoo", kw "zoo" } do
      local where = show(name)
      for _, attr in ipairs { "k", "kid" } do
        assert.equal(1, db:count("aevt", attr, x, name), where)
        for e, _, value in db:datoms("eavt", x, attr, name) do
          assert.same({ x, kw "zoo" }, { e, value }, where)
        end
        assert.equal(0, #assert(conn:transact { { "db/add", x, attr, name } }).tx_data - 1, where) -- is there already
      end
      local range = {}
      for e, _, value in db:index_range("kid", name, nil) do range[#range + 1] = { e, value } end
      assert.same({ { x, kw "zoo" } }, range, where)
      assert.equal(x, db:entid { "kid", name }, where)
      assert.equal(x, assert(conn:transact { { ["db/id"] = "y", kid = name, l = 1 } }).tempids.y, where)
      assert.equal(x, assert(conn:transact { { ["db/id"] = "y", kid = name, l = 2 } }).tempids.y, where)
      local after = assert(db:with { { "db/cas", x, "k", name, "other" } }).db_after
      assert.same({ kw "other" }, q(where, "[:find [?v ...] :in $ ?e :where [?e :k ?v]]", after, x), where)
      after = assert(db:with { { "db/retract", x, "k", name } }).db_after
      assert.equal(0, after:count("eavt", x, "k"), where)
    end
  end)

  it("are text in a pattern on a keyword attribute, but with a colon a keyword in the table form", function()
    assert(conn:transact { { id = 71, k = "zoo" }, { id = 72, n = "zoo" }, { id = 73, n = ":zoo" } })
    db = conn:db()
    -- The ids that are found by attribute and value: in text and the builder, as an input, and in the table form.
    local function found(attr, value, plain, in_table)
      local where = tostring(attr) .. " " .. show(value)
      local text = ("[:find [?i ...] :where [?e %s %s] [?e :id ?i]]"):format(attr, assert(rille.edn.encode(value)))
      assert.same(plain, q(where, text, db), where)
      local given = "[:find [?i ...] :in $ ?v :where [?e %s ?v] [?e :id ?i]]"
      assert.same(plain, q(where, given:format(attr), db, value), where)
      local name = attr == "_" and v._ or attr
      assert.same(plain, q(where, Q.find_list(v.i):where({ v.e, name, value }, { v.e, "id", v.i }), db), where)
      assert.same(in_table, q(where, { find = { { "?i", "..." } }, where = { { "?e", attr, value }, { "?e", "id",
        "?i" } } }, db), where)
    end
    found(":k", "zoo", {}, {})
    found(":k", ":zoo", {}, { 71 })
    found(":k", kw "zoo", { 71 }, { 71 })
    found(":n", "zoo", { 72 }, { 72 })
    found(":n", ":zoo", { 73 }, {})
    found("_", "zoo", { 72 }, { 72 })
    found("_", ":zoo", { 73 }, { 71 })
    found("_", kw "zoo", { 71 }, { 71 })
  end)

  it("are text as arguments of functions and as defaults, but with a colon keywords in the table form", function()
    local function ask_both(value)
      local text = assert(rille.edn.encode(value))
      local call, default = "[:find ?x . :where [(identity %s) ?x]]", "[:find ?x . :where [?e :id 1] "
        .. "[(get-else $ ?e :k %s) ?x]]"
      local function in_table(clause) return { find = { "?x", "." }, where = { { "?e", "id", 1 }, clause } } end
      return { rille.q(call:format(text), db), rille.q(default:format(text), db),
        rille.q(in_table { { "identity", value }, "?x" }, db),
        rille.q(in_table { { "get-else", "$", "?e", "k", value }, "?x" }, db),
        rille.q(Q.find_value(v.x):where({ v.e, "id", 1 }, Q.let(v.x, Q.call("identity", value))), db) }
    end
    assert.same({ "s", "s", "s", "s", "s" }, ask_both "s")
    assert.same({ ":s", ":s", kw "s", kw "s", ":s" }, ask_both ":s")
    assert.same({ kw "s", kw "s", kw "s", kw "s", kw "s" }, ask_both(kw "s"))
  end)

  it("are text in cells of CSV files and in results, and names in attribute position only", function()
    local path = support.file("cells.csv", "what,value\nn,a\n:n,b\nwho/a,1\n:who/a,2\n")
    local cells = assert(rille.csv(path))
    local result = assert(rille.q("[:find ?w ?v :in $r :where [$r ?w ?v]]", cells))
    for kind, rows in pairs { file = cells, text = assert(rille.csv_parse(support.read(path))), result = result } do
      local function given(query) return q(kind, query, db, rows) end
      assert.same({ "1", "2", "a", "b" }, given "[:find [?v ...] :in $ $r :where [$r _ ?v]]")
      assert.same({ "1" }, given '[:find [?v ...] :in $ $r :where [$r "who/a" ?v]]')
      assert.same({ "2" }, given '[:find [?v ...] :in $ $r :where [$r ":who/a" ?v]]')
      assert.same({}, given "[:find [?v ...] :in $ $r :where [$r :who/a ?v]]")
      -- not entities, not keywords
      assert.same({}, given "[:find [?x ...] :in $ $r :where [$r ?e] [?e :n ?x]]")
      assert.same({}, given "[:find [?x ...] :in $ $r :where [$r ?e] [?x :up ?e]]")
      assert.same({}, given "[:find [?x ...] :in $ $r :where [$r ?k] [?x :k ?k]]")
      assert.same({ id.c, id.d }, given "[:find [?x ...] :in $ $r :where [$r ?t] [?x :n ?t]]")
      -- attributes, with a colon or without
      assert.same({ "a", "b" }, given "[:find [?v ...] :in $ $r :where [$r ?a ?v] [_ ?a ?v]]")
      assert.same({ id.a, id.b }, given "[:find [?e ...] :in $ $r :where [$r ?a ?v] [?e ?a ?v]]")
      assert.same({ ":n", "n" }, given "[:find [?a ...] :in $ $r :where [$r ?a] [_ ?a]]")
    end
    local keywords = assert(rille.csv(path, { types = { what = "keyword" } }))
    assert.same({ kw "n" }, q("keywords", "[:find [?a ...] :in $ $r :where [$r ?a] [_ ?a]]", db, keywords))
    assert.same({ id.b }, q("keywords", "[:find [?x ...] :in $ $r :where [$r ?k] [?x :k ?k]]", db, keywords))
    assert.same({}, q("keywords", "[:find [?x ...] :in $ $r :where [$r ?e] [?x :up ?e]]", db, keywords))
  end)

  it("are refused as lookup refs only where nothing but an entity can be meant", function()
    local function code(clause, ...)
      return select(3, rille.q(("[:find [?x ...] :in $ ?v :where %s]"):format(clause), db, ...))
    end
    for _, clause in ipairs { "[?v :n ?x]", "[?x :up ?v]", "[?x :n _ ?v]", "[(get-else $ ?v :n 0) ?x]" } do
      assert.equal("ATTRIBUTE", code(clause, { "nope", 1 }), clause)
      assert.equal("ATTRIBUTE", code(clause, { kw "nope", 1 }), clause)
      assert.equal("QUERY", code(clause, { "n", "a" }), clause)
      assert.is_nil(code(clause, { 1, 2 }), clause)
      assert.is_nil(code(clause, { "id" }), clause)
      assert.is_nil(code(clause, { "id", 1, 2 }), clause)
      assert.is_nil(code(clause, { "id", 99 }), clause)
      assert.is_nil(code(clause, { "id", "text" }), clause)
      assert.is_nil(code(clause, { "boss", { "id", 99 } }), clause)
      assert.is_nil(code(clause, "nobody"), clause)
    end
    for _, clause in ipairs { "[?x :tu ?v]", "[?x :l ?v]", "[?x _ ?v]", "[?x :n] [(= ?x ?v)]" } do
      for _, value in ipairs { { "nope", 1 }, { kw "nope", 1 }, { "n", "a" } } do assert.is_nil(code(clause, value),
        clause) end
    end
  end)
end)

describe("empty tuples", function()
  after_each(support.cleanup)

  it("are inputs of every shape, cells of rows, arguments and results", function()
    local conn = open()
    local db = conn:db()
    local six = assert(db:entid { "id", 6 })
    assert.same({}, rille.q("[:find ?v . :where [?e :id 6] [?e :tu ?v]]", db))
    assert.same({ six }, q("?v", "[:find [?e ...] :in $ ?v :where [?e :tu ?v]]", db, {}))
    assert.same({ six }, q("[?v ...]", "[:find [?e ...] :in $ [?v ...] :where [?e :tu ?v]]", db, { {} }))
    assert.same({ six }, q("[?v ...]", "[:find [?e ...] :in $ [?v ...] :where [?e :tu ?v]]", db, { {}, { 1 } }))
    assert.same({ six }, q("[?v ?w]", "[:find [?e ...] :in $ [?v ?w] :where [?e :tu ?v] [?e :id ?w]]", db, { {}, 6 }))
    assert.same({ six }, q("[[?v]]", "[:find [?e ...] :in $ [[?v]] :where [?e :tu ?v]]", db, { { {} }, { 5 } }))
    assert.same({ six }, q("[[?v]]", "[:find [?e ...] :in $ [[?v]] :where [?e :tu ?v]]", db, { { {} } }))
    assert.same({ six }, q("$r", "[:find [?e ...] :in $ $r :where [$r ?v] [?e :tu ?v]]", db, { { {} } }))
    assert.same({ six }, q("nested", "[:find [?e ...] :in $ ?t :where [(untuple ?t) [?v _]] [?e :tu ?v]]", db, { {},
      1 }))
    assert.same({ {} }, q("list", "[:find [?v ...] :in [?v ...]]", { {} }))
    assert.same({}, q("no values", "[:find [?v ...] :in [?v ...]]", {}))
    assert.same({}, q("entity", "[:find [?n ...] :in $ ?e :where [?e :n ?n]]", db, {}))
    assert.equal("TYPE", select(3, rille.q("[:find ?v :in ?v]", { a = 1 })))
    conn:close()
  end)
end)
