-- SPDX-License-Identifier: MIT
--
-- One grammar, three notations: random queries as EDN text, as Lua tables and by the builder give the same answers, and
-- broken ones the same errors. RILLE_SEED chooses the first seed, RILLE_CASES how many follow.
local rille = require "rille"
local support = require "spec.support.init"
local edn = require "spec.support.edn_lite"
local notations = require "spec.support.notations"
local random_query = require "spec.support.random_query"

local unpack = table.unpack or unpack -- luacheck: ignore 113
local Q, v = rille.query, rille.vars()
local FIRST = tonumber(os.getenv "RILLE_SEED") or 1
local CASES = tonumber(os.getenv "RILLE_CASES") or support.stressed and 20 or 200
local SHARED = 20 -- cases that ask the same data

-- ---- data ----

local function load(case, source)
  local conn, maps = assert(rille.create(support.plain_url "mem")), {}
  assert(conn:transact(support.schema_of(case)))
  for i, e in ipairs(source.entities) do
    maps[i] = { ["db/id"] = "e" .. e.id }
    for name, values in pairs(e) do
      local list = {}
      for j, value in ipairs(name ~= "id" and values or {}) do
        list[j] = type(value) == "table" and value.ref and "e" .. value.ref
          or name == "db/ident" and rille.kw(value) or notations.to_lua(value)
      end
      if name == "item/tus" or #list > 1 then maps[i][name] = list elseif #list == 1 then maps[i][name] = list[1] end
    end
  end
  assert(conn:transact(maps))
  local db = conn:db()
  conn:close()
  return db
end

local function inputs_of(case, dbs)
  local inputs = { ["$"] = dbs[1], ["$b"] = dbs[2], ["$r"] = case.relation, ["?min"] = case.min }
  for name, list in pairs { ["?who"] = case.who, ["?at"] = case.at, ["?val"] = case.val } do
    inputs[name] = {}
    for i, item in ipairs(list) do
      inputs[name][i] = item.id and dbs[1]:entid { "item/id", item.id } or notations.to_lua(item.value)
    end
  end
  return inputs
end

-- ---- broken queries ----

local function is_tag(form, tag) return type(form) == "table" and form.tag == tag end
local function sym(name) return { tag = "sym", name = name } end

-- All vectors and lists of a form, itself included.
local function sequences(form, out)
  if is_tag(form, "vector") or is_tag(form, "list") then
    out[#out + 1] = form
    for _, item in ipairs(form) do sequences(item, out) end
  end
  return out
end

-- Something in the query, or in its clauses only, is made wrong, most often.
local function break_form(form, rng, in_clauses)
  local all, section = in_clauses and {} or { form }, ""
  for _, item in ipairs(form) do
    if is_tag(item, "kw") then section = item.name
    elseif section == "where" or not in_clauses then sequences(item, all) end
  end
  local at = all[rng:below(#all) + 1]
  local roll = rng:below(8)
  if roll == 0 then table.remove(at, rng:below(#at) + 1)
  elseif roll == 1 then table.insert(at, rng:below(#at) + 1, at[rng:below(#at) + 1])
  else
    local nope, n, id = edn.kw "item/nope", edn.kw "item/n", edn.kw "item/id"
    local values = { sym "?nowhere", sym "$nowhere", sym "_", sym "name", nope, n, 7, "text", true, edn.NIL,
      { tag = "vector" }, { tag = "vector", id, sym "?e" }, { tag = "vector", nope, 1 }, { tag = "vector", n, 1 },
      { tag = "vector", "item/id", 1 } }
    at[rng:below(#at) + 1] = values[rng:below(#values) + 1]
  end
end

-- ---- answers ----

local function plain(value)
  if type(value) == "userdata" then return tostring(value) end
  if type(value) ~= "table" then return type(value) == "string" and ("%q"):format(value) or tostring(value) end
  local out = {}
  for i, item in ipairs(value) do out[i] = plain(item) end
  return "[" .. table.concat(out, " ") .. "]"
end

-- An answer as text; or the error's code, and its message without the position, with names spelled in one way.
local function answer(result, message, code)
  if code ~= nil then
    message = tostring(message):gsub("^rules ", ""):gsub("^%d+:%d+: ", ""):gsub("^:where, clause %d+: ", "")
      :gsub("^:find: ", ""):gsub("^:with: ", ""):gsub("^:order%-by: ", "")
      :gsub("^(rule [^:,]+), clause %d+", "%1"):gsub('":?([%a/]+)"', ":%1")
    return code, message
  end
  if result == nil then return "nothing" end
  if type(result) == "userdata" and type(result.to_table) == "function" then result = result:to_table() end
  if type(result) ~= "table" then return plain(result) end
  local rows = {}
  for i, row in ipairs(result) do rows[i] = plain(row) end
  table.sort(rows)
  return table.concat(rows, "\n")
end

-- Where a form that is shown was cut, it may have been cut elsewhere.
local function same_message(a, b)
  return a == b or a:find("...", 1, true) ~= nil and a:sub(-20) == b:sub(-20)
end

local function write(form)
  local out = {}
  if type(form) ~= "table" then return type(form) == "string" and '"' .. form .. '"' or tostring(form) end
  if form.tag == "nil" then return "nil" end
  if form.name then return (form.tag == "kw" and ":" or "") .. form.name end
  for i, item in ipairs(form) do out[i] = write(item) end
  return (is_tag(form, "list") and "(%s)" or "[%s]"):format(table.concat(out, " "))
end

-- With a limit or an order, several answers are right: how many there are must agree.
local function is_free(case) return case.query:find ":limit" or case.query:find ":offset" end

local function compare(case, form, rules, dbs, rng, broken)
  local inputs = inputs_of(case, dbs)
  local text = write(form)
  local where = ("seed %d: %s"):format(case.seed, text)
  local function how(n) return rng:below(n) end
  local function given(rule_set)
    local list = {}
    for i, name in ipairs(case.inputs) do
      if name == "%" then list[i] = rule_set else list[i] = inputs[name] end
    end
    return unpack(list, 1, #case.inputs)
  end
  local expected, message = answer(rille.q(text, given(write(rules))))
  local is_table, as_table = pcall(notations.table_form, form, how)
  if not is_table and not broken and not as_table:find "means something else" then error(where .. as_table, 0) end
  if is_table then
    local tables = broken and write(rules) or rille.rules(notations.table_rules(rules, how))
    local got, other = answer(rille.q(as_table, given(tables)))
    assert.equal(expected, got, where .. "\n  as a table, " .. tostring(other or message))
    if message and not same_message(message, other) then assert.equal(message, other, where .. "\n  as a table") end
  end
  local is_built, built, names = pcall(notations.builder, form, how)
  if broken and (not is_built or broken == "anywhere") then return expected, is_table, false end
  if not is_built then error(where .. ": " .. tostring(built), 0) end
  local built_rules = broken and write(rules) or rille.rules(notations.builder_rules(rules, how))
  local got = answer(rille.q(built, given(built_rules)))
  local note = where .. "\n  by the builder: "
  -- The builder makes the inputs itself: an unbound variable is one, and rules are only when some is called.
  if broken and got == "INPUT" then return expected, is_table, true end
  assert.equal(expected, got, note .. tostring(built))
  local args, values = {}, { given(built_rules) }
  for i, name in ipairs(names) do args[name] = values[i] end
  assert.equal(expected, (answer(built:run(args))), where .. "\n  by the builder, inputs by name")
  return expected, is_table, is_built
end

-- ---- the test ----

local function each_case(from, to, f)
  local dbs, data
  for seed = from, to do
    local case = random_query.case(seed)
    if (seed - from) % SHARED == 0 then
      dbs, data = { load(case, case.sources[1]), load(case, case.sources[2]) }, case
    end
    for _, name in ipairs { "who", "at", "val", "relation", "sources", "schema" } do case[name] = data[name] end
    f(case, dbs)
  end
end

describe("the three notations", function()
  after_each(support.cleanup)

  it(("give the same answers, for the seeds %d to %d"):format(FIRST, FIRST + CASES - 1), function()
    local answered = 0
    each_case(FIRST, FIRST + CASES - 1, function(case, dbs)
      if is_free(case) then return end
      local rng = random_query.rng(case.seed + 3)
      local result = compare(case, edn.read(case.query), edn.read(case.rules), dbs, rng, false)
      if result ~= "" then answered = answered + 1 end
    end)
    assert.is_true(CASES < 100 or answered > CASES / 5)
  end)

  it("give the same errors for broken queries", function()
    local failed, tables, built = 0, 0, 0
    each_case(FIRST, FIRST + CASES - 1, function(case, dbs)
      if is_free(case) then return end
      local rng = random_query.rng(case.seed + 5)
      local form = edn.read(case.query)
      local place = rng:chance(60) and "clauses" or "anywhere"
      break_form(form, rng, place == "clauses")
      local result, is_table, is_built = compare(case, form, edn.read(case.rules), dbs, rng, place)
      if result:find "^%u+$" then
        failed = failed + 1
        tables, built = tables + (is_table and 1 or 0), built + (is_built and 1 or 0)
      end
    end)
    assert.is_true(CASES < 100 or failed > CASES / 4 and tables > failed / 2 and built > failed / 4)
  end)

  it("call rules on a source, and have not and or on one", function()
    local conn = support.people()
    local other = assert(rille.create(support.plain_url "mem"))
    assert(other:transact(support.people_schema()))
    assert(other:transact { { ["db/id"] = "x", ["person/name"] = "Xen", ["person/friend"] = { "y" } },
      { ["db/id"] = "y", ["person/name"] = "Yan", ["person/nick"] = "B" } })
    local rules = rille.rules {
      { { "knows", "?a", "?b" }, { "?a", "person/friend", "?b" } },
      { { "knows", "?a", "?b" }, { "?a", "person/friend", "?x" }, { "knows", "?x", "?b" } },
      { { "there", "?a", "?b" }, { "$b", "knows", "?a", "?b" } },
    }
    assert.matches("(%$b knows %?a %?b)", tostring(rules))
    local built_rules = rille.rules {
      Q.define("knows", v.a, v.b):where { v.a, "person/friend", v.b },
      Q.define("knows", v.a, v.b):where({ v.a, "person/friend", v.x }, Q.rule("knows", v.x, v.b)),
      Q.define("there", v.a, v.b):where("b", Q.rule("knows", v.a, v.b)),
    }
    assert.equal(tostring(rules), tostring(built_rules))
    local name = { "$b", "?b", "person/name", "?n" }
    local built_name = { rille.sym "$b", v.b, "person/name", v.n }
    local both = {
      [{ "$b", "knows", { "person/name", "Xen" }, "?b" }] = Q.rule("knows", { "person/name", "Xen" }, v.b):on "b",
      [{ "$b", "knows", "?a", "?b" }] = Q.rule("knows", v.a, v.b):on "b",
      [{ "there", "?a", "?b" }] = Q.rule("there", v.a, v.b),
      [{ "$b", "or", { "?b", "person/nick", "B" }, { "knows", { ":person/name", "Xen" }, "?b" } }] =
        Q.or_("b", { v.b, "person/nick", "B" }, Q.rule("knows", { "person/name", "Xen" }, v.b)),
      [{ "$b", "not", { "knows", "?b", "_" } }] = Q.not_("b", Q.rule("knows", v.b, v._)),
      [{ "$b", "not-join", { "?b" }, { "knows", "?b", "?c" } }] = Q.not_join({ v.b }, Q.rule("knows", v.b, v.c)):on "b",
      [{ "$b", "or-join", { { "?b" } }, { "and", { "knows", "?a", "?b" } } }] =
        Q.or_join({ { v.b } }, Q.and_(Q.rule("knows", v.a, v.b))):on "b",
    }
    local db, db2 = conn:db(), other:db()
    for as_table, made in pairs(both) do
      local query = { find = { { "?n", "..." } }, ["in"] = { "$", "$b", "%" }, where = { name, as_table } }
      assert.same({ "Yan" }, assert(rille.q(query, db, db2, rules)), as_table[1] .. as_table[2])
      local built = Q.find_list(v.n):from("a", "b"):where("a", built_name, made)
      assert.same({ "Yan" }, assert(built:run { a = db, b = db2, rules = built_rules }), tostring(built))
      assert.same({ "Yan" }, assert(rille.q(tostring(built), db, db2, tostring(built_rules))), tostring(built))
    end
    local by_where = Q.find_list(v.n):from("a", "b"):where("b", { v.b, "person/name", v.n }, Q.rule("knows", v.a, v.b))
    assert.same({ "Yan" }, assert(by_where:run { a = db, b = db2, rules = rules }))
    -- without %, a row may begin with text
    local rows = { { "knows", 1 }, { "not", 2 } }
    for i, word in ipairs { "knows", "not" } do
      assert.equal(i, rille.q({ find = { "?x", "." }, ["in"] = { "$r" }, where = { { "$r", word, "?x" } } }, rows))
    end
    assert.equal("QUERY", select(3, rille.q({ find = { "?a" }, where = { { "knows", "?a", "?b" } } }, db)))
    assert.is_string(support.failure(function() return Q.eq(v.x, 1):on "b" end))
    conn:close()
    other:close()
  end)

  it("bind results inside of groups and rules", function()
    local conn = support.people()
    local db = conn:db()
    local rules = rille.rules { Q.define("next", v.a, v.b):where(Q.let(v.b, Q.call("+", v.a, 1))) }
    local query = Q.find_list(v.x):where({ v.p, "person/age", v.a }, Q.rule("next", v.a, v.b),
      Q.or_(Q.let(v.x, Q.call("+", v.b, 1)), Q.let(v.x, Q.call("+", v.b, 100))))
    local got = assert(query:run { db = db, rules = rules })
    table.sort(got)
    assert.same({ 22, 32, 121, 131 }, got)
    assert.is_string(support.failure(Q.let, v.x, Q.rule("next", v.a, v.b)))
    conn:close()
  end)

  it("read a lookup ref before one or two places as a pattern", function()
    local conn = support.people()
    assert(conn:transact { support.attr("id", "long", { ["db/unique"] = "db.unique/value" }) })
    assert(conn:transact { { id = 7, ["person/name"] = "Sev" } })
    local db = conn:db()
    for _, clause in ipairs { { { "id", 7 }, "person/name", "?x" }, { { ":id", 7 }, ":person/name", "?x" },
      { { rille.kw "id", 7 }, "person/name", "?x" } } do
      assert.equal("Sev", rille.q({ find = { "?x", "." }, where = { clause } }, db))
    end
    local function count(clause)
      return rille.q({ find = { { "count", "?y" }, "." }, where = { clause, { "?y", "person/name", "Sev" } } }, db)
    end
    local short = { { { "id", 7 }, "person/name" }, { { "person/name", "Sev" }, "_" }, { { ":id", 7 }, "_" } }
    for _, clause in ipairs(short) do
      assert.equal(1, count(clause))
    end
    assert.is_nil(count { { "id", 8 }, "person/name" })
    assert.equal(8, rille.q({ find = { "?x", "." }, where = { { { "inc", 7 }, "?x" } }, ["in"] = {} }))
    conn:close()
  end)
end)
