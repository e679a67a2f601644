-- SPDX-License-Identifier: MIT
--
-- Driver: rille by its public Lua API. Queries are prepared, their rows streamed, and every value touched.

local driver = require "driver"
local rille = require "rille"

local size = driver.size

local function attr(name, kind, more)
  local map = { ["db/ident"] = name, ["db/valueType"] = "db.type/" .. kind, ["db/cardinality"] = "db.cardinality/one" }
  for key, value in pairs(more or {}) do map[key] = value end
  return map
end

local UNIQUE = { ["db/unique"] = "db.unique/identity" }

local PEOPLE = {
  attr("p/uid", "string", UNIQUE),
  attr("p/name", "string", { ["db/index"] = true }),
  attr("p/last", "string"),
  attr("p/sex", "string"),
  attr("p/age", "long"),
  attr("p/salary", "long"),
  attr("t/v", "long"),
}
local NUMBERS = { attr("n/u", "long", UNIQUE), attr("n/s", "string") }
local ONE = { attr("t/v", "long") }

-- By name: text, and the columns: "e" an entity, "n" a number, "s" a string.
local QUERIES = {
  q1 = { '[:find ?e :where [?e :p/name "Ivan"]]', "e" },
  q2 = { '[:find ?e ?a :where [?e :p/name "Ivan"] [?e :p/age ?a]]', "en" },
  q3 = { '[:find ?e ?a :where [?e :p/name "Ivan"] [?e :p/age ?a] [?e :p/sex "male"]]', "en" },
  q4 = { '[:find ?e ?l ?a :where [?e :p/name "Ivan"] [?e :p/last ?l] [?e :p/age ?a] [?e :p/sex "male"]]', "esn" },
  qpred = { "[:find ?e ?s :where [?e :p/salary ?s] [(> ?s " .. driver.MIN_SALARY .. ")]]", "en" },
  agg = { "[:find ?l (count ?s) (sum ?s) (min ?a) (max ?a) :with ?e"
    .. " :where [?e :p/last ?l] [?e :p/salary ?s] [?e :p/age ?a]]", "snnnn" },
  range = { "[:find ?e ?u :in $ ?from ?to :where [?e :n/u ?u] [(>= ?u ?from)] [(< ?u ?to)]]", "en" },
  top = { "[:find ?e ?s :where [?e :n/s ?s] :order-by ?s :limit 10]", "es" },
  top_index = { "[:find ?e ?u :where [?e :n/u ?u] :order-by ?u :limit 10]", "en" },
}

-- A function that streams all rows of a query, and returns their number and the sum of the values.
local TOUCH = { e = "", n = " + v%d", s = " + #v%d" }
local function loop(name)
  local text, kinds = QUERIES[name][1], QUERIES[name][2]
  local variables, sum = {}, {}
  for i = 1, #kinds do
    variables[i] = "v" .. i
    sum[i] = TOUCH[kinds:sub(i, i)]:format(i)
  end
  local code = "local query = ... return function(...) local n, sum = 0, 0 for %s in query:rows(...) do"
    .. " n = n + 1 sum = sum%s end return n, sum end"
  code = code:format(table.concat(variables, ", "), table.concat(sum))
  return (loadstring or load)(code)(assert(rille.prepare(text))) -- luacheck: ignore 113
end

local loops = {}
local function prepared(name)
  loops[name] = loops[name] or loop(name)
  return loops[name]
end

local function time_query(name, ...)
  local inputs = { ... }
  return driver.cost(function() return prepared(name)((table.unpack or unpack)(inputs)) end) -- luacheck: ignore 143
end

local function fresh(url, schema, options)
  if rille.exists(url) then assert(rille.drop(url)) end
  local conn = assert(rille.create(url, options))
  assert(conn:transact(schema))
  return conn
end

local function in_file(name) return "file:" .. size.dir .. "/" .. name end

local function person(i)
  local p = driver.person(i)
  return { ["p/uid"] = p.uid, ["p/name"] = p.name, ["p/last"] = p.last, ["p/sex"] = p.sex, ["p/age"] = p.age,
    ["p/salary"] = p.salary }
end

local function make(count)
  local maps = {}
  for i = 1, count do maps[i] = person(i) end
  return maps
end

-- ---- people in one transaction, or each in their own; still in the tail, or flushed ----

local function fill(conn, how)
  local maps = make(size.people)
  if how == "one" then return assert(conn:transact(maps)) end
  for i = 1, #maps do assert(conn:transact { maps[i] }) end
end

local few = {}
local function people(how, state)
  local key = how .. "_" .. state
  if not few[key] then
    local conn = fresh("mem:" .. key, PEOPLE)
    fill(conn, how)
    if state == "flushed" then assert(conn:flush()) end
    few[key] = { db = conn:db(), conn = conn }
  end
  return few[key].db, few[key].conn
end

-- ---- lookups ----

local function time_lookups(count, one)
  local sought = {}
  for i = 1, driver.LOOKUPS do sought[i] = driver.sought(i, count) end
  local us, rows, sum = driver.cost(function()
    local sum = 0
    for i = 1, #sought do sum = sum + one(sought[i]) end
    return #sought, sum
  end)
  return us / driver.LOOKUPS, rows, sum
end

local function by_datoms(db)
  local ref = { "p/uid", "" }
  return function(uid)
    ref[2] = uid
    for _, _, salary in db:datoms("eavt", db:entid(ref), "p/salary") do return salary end -- luacheck: ignore 512
  end
end

local function by_query(db)
  local query = assert(rille.prepare "[:find ?s . :in $ ?uid :where [?e :p/uid ?uid] [?e :p/salary ?s]]")
  return function(uid) return query:run(db, uid) end
end

-- The first query of a value that a commit has just made; only what it shares with earlier values can help it.
local function time_first(name, how, state)
  local _, conn = people(how, state)
  local us, commits, rows, sum = 0, 10
  for i = 1, commits do
    assert(conn:transact { { ["t/v"] = i } })
    local db = conn:db()
    local begun = os.clock()
    if name == "point" then
      rows, sum = 1, by_datoms(db)(driver.sought(i, size.people))
    else
      rows, sum = prepared(name)(db)
    end
    us = us + (os.clock() - begun) * 1e6
  end
  return us / commits, rows, sum
end

-- ---- many people in a directory ----

local source, many

local function load_people()
  source = source or make(size.load)
  if many then many:close() end
  many = fresh(in_file "load", PEOPLE)
  return driver.once(function()
    assert(many:transact(source))
    return #source
  end)
end

local function loaded()
  if not many then load_people() end
  return many:db()
end

-- ---- plans ----

-- Of each pair of queries, the first may cost little more than the second one.
local PLANS = {
  attr_bound = "[:find (count ?v) . :in $ [?a ...] :where [?e :p/uid \"%s\"] [?e ?a ?v]]",
  attr_free = "[:find (count ?v) . :in $ [?a ...] :where [?e :p/uid \"%s\"] [?e ?free ?v]]",
  missing = "[:find (count ?e) . :where [?e :p/name \"Ivan\"] [(missing? $ ?e :t/v)]]",
  absent = "[:find (count ?e) . :where [?e :p/name \"Ivan\"] (not [?e :t/v _])]",
  min = "[:find (min ?s) . :where [_ :p/salary ?s]]",
  max = "[:find (max ?s) . :where [_ :p/salary ?s]]",
}

local function plan(name)
  local query = assert(rille.prepare(PLANS[name]:format(driver.person(size.load).uid)))
  local db, attributes = loaded(), { "p/age", "p/salary" }
  return driver.cost(function()
    if name:match "^attr" then assert(query:run(db, attributes)) else assert(query:run(db)) end
    return 1
  end)
end

-- A chain of people who are the next one's peer in some respect, as ten patterns.
local JOIN = {
  '[?a :p/uid ?u]', '[?a :p/name "Ivan"]', '[?a :p/age ?i]', '[?b :p/age ?i]', '[?b :p/last ?l]',
  '[?b :p/sex ?x]', '[?b :p/salary ?s]', '[?c :p/salary ?s]', '[?c :p/name "Petr"]', '[?c :p/uid ?v]',
}
local ORDERS, TIMES = 20, 5

local function written(order)
  local left, text = { (table.unpack or unpack)(JOIN) }, {} -- luacheck: ignore 143
  for i = #left, 1, -1 do text[#text + 1] = table.remove(left, (order * 7919 + i * 104729) % i + 1) end
  return assert(rille.prepare("[:find (count ?c) . :with ?a ?b :where " .. table.concat(text, " ") .. "]"))
end

-- The cheapest or the dearest of the orders in which the patterns of a join are written. Samples of all orders
-- alternate, so that what else the machine does falls on all of them.
local function orders(which)
  local db = people("one", "flushed")
  local queries, least, rows, sum = {}, {}
  for order = 1, ORDERS do queries[order], least[order] = written(order), math.huge end
  for _ = 1, TIMES do
    for order = 1, ORDERS do
      local cost
      cost, rows, sum = driver.cost(function() return 1, queries[order]:run(db) end)
      least[order] = math.min(least[order], cost)
    end
  end
  table.sort(least)
  return which == "fastest" and least[1] or least[ORDERS], rows, sum
end

-- ---- many numbers ----

local numbers

local function big()
  if not numbers then
    numbers = fresh("mem:numbers", NUMBERS)
    local count, part = size.numbers, 50000
    for from = 1, count, part do
      local maps = {}
      for i = from, math.min(from + part - 1, count) do
        maps[#maps + 1] = { ["n/u"] = i, ["n/s"] = driver.shuffled(i) }
      end
      assert(numbers:transact(maps))
    end
    assert(numbers:flush())
  end
  return numbers:db()
end

local function bounds()
  local from = math.floor(size.numbers / 2)
  return from, from + driver.RANGE_ROWS
end

local function range_index()
  local db = big()
  local from, to = bounds()
  return driver.cost(function()
    local n, sum = 0, 0
    for _, _, u in db:index_range("n/u", from, to) do
      n, sum = n + 1, sum + u
    end
    return n, sum
  end)
end

-- ---- opening ----

local closed = {}

local function open(state)
  local url = in_file("open_" .. state)
  if not closed[state] then
    local conn = fresh(url, PEOPLE, { durability = "none" })
    fill(conn, "each")
    if state == "flushed" then assert(conn:flush()) end
    conn:close()
    closed[state] = true
  end
  return driver.cost(function()
    local conn = assert(rille.connect(url))
    local db = conn:db()
    local salary = by_datoms(db)(driver.person(size.people).uid)
    db:close()
    conn:close()
    return 1, salary
  end)
end

-- ---- small transactions ----

-- Their ids, in order; the tail of the database is as the automatic flushes left it.
local past = {}
local function small_transactions(of)
  if not past[of] then
    local conn = fresh(of == "past" and in_file "past" or "mem:" .. of, ONE, { durability = "none" })
    local points = { conn = conn }
    for i = 1, size[of] do points[i] = assert(conn:transact { { ["t/v"] = i } }).tx end
    past[of] = points
  end
  return past[of]
end

-- Points spread over all of the history, another one each time.
local function as_of(of)
  local points = small_transactions(of)
  local db = points.conn:db()
  local i = 0
  return driver.cost(function()
    i = (i * 5 + 1234) % #points
    for _, _, v in db:as_of(points[i + 1]):datoms("aevt", "t/v") do return v end -- luacheck: ignore 512
  end)
end

local function one_by_one(conn, count)
  for i = 1, count do assert(conn:transact { { ["t/v"] = i } }) end
  return count
end

driver.serve {
  query = function(name, how, state)
    local db = people(how or "one", state or "flushed")
    if name == "point" then return time_lookups(size.people, by_datoms(db)) end
    return time_query(name, db)
  end,
  first = time_first,
  load = load_people,
  point = function() return time_lookups(size.load, by_datoms(loaded())) end,
  point_query = function() return time_lookups(size.load, by_query(loaded())) end,
  range = function() return time_query("range", big(), bounds()) end,
  range_index = range_index,
  top = function() return time_query("top", big()) end,
  top_index = function() return time_query("top_index", big()) end,
  open = open,
  as_of = as_of,
  plan = plan,
  orders = orders,
  ones = function()
    local conn = fresh("mem:ones", ONE)
    local us, rows = driver.once(function() return one_by_one(conn, size.ones) end)
    conn:close()
    assert(rille.drop "mem:ones")
    return us / size.ones, rows
  end,
  create = function(name)
    fresh(in_file(name), ONE):close()
    return 0
  end,
  write = function(name, count)
    local conn = assert(rille.connect(in_file(name)))
    local us, rows = driver.once(function() return one_by_one(conn, tonumber(count)) end)
    conn:close()
    return us, rows
  end,
}
