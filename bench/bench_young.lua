-- SPDX-License-Identifier: MIT
--
-- What data costs that is not flushed yet: the same queries on a database before and after a flush, in turns, as a
-- ratio of processor times. The data come in one transaction, in one a person, or on top of a flushed base.
-- Then: opening a head of unflushed datoms, and a reader's refresh beside a writer.
-- Usage: lua5.4 bench/bench_young.lua [PEOPLE [RUNS]]     (LUA_PATH and LUA_CPATH as for any program)

local rille = require "rille"

local PEOPLE = tonumber(arg[1]) or 7000 -- 63,000 datoms in a transaction each: below what a commit flushes
local RUNS = tonumber(arg[2]) or 15
local REPEAT_S = 0.004 -- a sample repeats a query until it takes so long
local REFRESHES = 60
local FLUSH_EVERY = 20
local REFRESH_PEOPLE = 140 -- about 1,000 datoms

local FIRST = { "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis" }
local LAST = { "Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi" }

local state = 42
local function random(n)
  state = (state * 16807) % 2147483647
  return state % n
end

local function attr(name, type, more)
  local map = { ["db/ident"] = name, ["db/valueType"] = "db.type/" .. type, ["db/cardinality"] = "db.cardinality/one" }
  for key, value in pairs(more or {}) do map[key] = value end
  return map
end

local SCHEMA = {
  attr("p/uid", "string", { ["db/unique"] = "db.unique/identity" }), attr("p/name", "string", { ["db/index"] = true }),
  attr("p/last", "string"), attr("p/sex", "string"), attr("p/age", "long"), attr("p/salary", "long"),
  attr("p/boss", "ref"),
}

local function uid(i) return ("u%07d"):format(i) end

local function person(i)
  return {
    ["p/uid"] = uid(i), ["p/name"] = FIRST[random(#FIRST) + 1], ["p/last"] = LAST[random(#LAST) + 1],
    ["p/sex"] = random(2) == 0 and "male" or "female", ["p/age"] = random(100), ["p/salary"] = random(100000),
    ["p/boss"] = i > 10 and { "p/uid", uid(random(i // 2) + 1) } or nil,
  }
end

local function some(from, to)
  local people = {}
  for i = from, to do people[#people + 1] = person(i) end
  return people
end

local function fresh(url)
  if rille.exists(url) then assert(rille.drop(url)) end
  local conn = assert(rille.create(url))
  assert(conn:transact(SCHEMA))
  assert(conn:transact(some(1, 10)))
  return conn
end

local SETS = {
  { "one transaction", function(conn) assert(conn:transact(some(11, PEOPLE))) end },
  { "a transaction each", function(conn)
    for i = 11, PEOPLE do assert(conn:transact { person(i) }) end
  end },
  { "a tenth changed on a base", function(conn)
    assert(conn:transact(some(11, PEOPLE)))
    assert(conn:flush())
    local changes = some(PEOPLE + 1, PEOPLE + PEOPLE // 20)
    for i = 1, PEOPLE // 20 do
      changes[#changes + 1] = { ["p/uid"] = uid(i * 20 - random(20)), ["p/age"] = 100 + i }
    end
    assert(conn:transact(changes))
  end },
}

local ONE = { uid(PEOPLE // 2) }
local SOME = {} -- in no order, each elsewhere in memory
for i = 1, 1000 do SOME[i] = { "p/uid", uid(random(PEOPLE) + 1) } end
local QUERIES = {
  { "q1", '[:find ?e :where [?e :p/name "Ivan"]]' },
  { "q2", '[:find ?e ?a :where [?e :p/name "Ivan"] [?e :p/age ?a]]' },
  { "q3", '[:find ?e ?a :where [?e :p/name "Ivan"] [?e :p/age ?a] [?e :p/sex "male"]]' },
  { "q4", '[:find ?e ?l ?a :where [?e :p/name "Ivan"] [?e :p/last ?l] [?e :p/age ?a] [?e :p/sex "male"]]' },
  { "qpred", "[:find ?e ?s :where [?e :p/salary ?s] [(> ?s 50000)]]" },
  { "agg", "[:find ?l (count ?s) (sum ?s) (min ?a) :with ?e :where [?e :p/last ?l] [?e :p/salary ?s] [?e :p/age ?a]]" },
  { "refs", "[:find (count ?e) :where [?e :p/boss ?b] [?b :p/boss ?c] [?c :p/sex \"male\"]]" },
  { "reverse", "[:find ?e :in $ ?u :where [?b :p/uid ?u] [?e :p/boss ?b]]", ONE },
  { "eavt", "[:find ?a ?v :in $ ?u :where [?e :p/uid ?u] [?e ?a ?v]]", ONE },
  { "point", "[:find ?s . :in $ ?u :where [?e :p/uid ?u] [?e :p/salary ?s]]", ONE },
  { "everything", "[:find (count ?e) :with ?a ?v :where [?e ?a ?v]]" },
}

local CALLS = {
  { "entid", function(db) return db:entid { "p/uid", ONE[1] } end },
  { "entid of some", function(db)
    local n = 0
    for i = 1, #SOME do n = n + db:entid(SOME[i]) end
    return n
  end },
  { "datoms of one", function(db)
    local n = 0
    for _ in db:datoms("eavt", { "p/uid", ONE[1] }) do n = n + 1 end
    return n
  end },
  { "datoms aevt", function(db)
    local n = 0
    for _ in db:datoms("aevt", "p/age") do n = n + 1 end
    return n
  end },
}

local function median(samples)
  table.sort(samples)
  return samples[(#samples + 1) // 2]
end

local function sample(f, repeats)
  local start = os.clock()
  for _ = 1, repeats do f() end
  return (os.clock() - start) / repeats
end

-- Both in turns: median times, and the median ratio.
local function compare(name, young, old)
  assert(young() == old(), name .. ": answers differ")
  local once = math.max(sample(young, 1), 1e-6)
  local repeats = math.max(1, math.floor(REPEAT_S / once))
  local a, b, ratios = {}, {}, {}
  for i = 1, RUNS do
    a[i], b[i] = sample(young, repeats), sample(old, repeats)
    ratios[i] = a[i] / b[i]
  end
  print(("  %-14s %10.1f us before  %10.1f us after  x%.2f"):format(name, median(a) * 1e6, median(b) * 1e6,
    median(ratios)))
end

local function compare_all(title, fill)
  local conn = fresh "mem:young"
  fill(conn)
  local young = assert(conn:db())
  assert(conn:flush())
  local old = assert(conn:db())
  print(title)
  for _, q in ipairs(QUERIES) do
    local query = assert(rille.prepare(q[2]))
    local function on(db)
      return function()
        local n = 0
        if q[3] then
          for _ in query:rows(db, q[3][1]) do n = n + 1 end
        else
          for _ in query:rows(db) do n = n + 1 end
        end
        return n
      end
    end
    compare(q[1], on(young), on(old))
  end
  for _, call in ipairs(CALLS) do
    compare(call[1], function() return call[2](young) end, function() return call[2](old) end)
  end
  conn:close()
end

local function percentile(samples, share) return samples[math.max(1, math.ceil(#samples * share))] end

local function clock() return math.floor(os.clock() * 1e6) end

-- A writer of about 1,000 datoms at a time, which flushes now and then, and a reader with a connection of its own: how
-- long it takes to follow, to have the first answer too, and to drop a value.
local function refreshes(url)
  local writer = fresh(url)
  local reader = assert(rille.connect(url))
  local query = assert(rille.prepare(QUERIES[6][2]))
  local open, first, drop = {}, {}, {}
  local at = 11
  for i = 1, REFRESHES do
    assert(writer:transact(some(at, at + REFRESH_PEOPLE - 1)))
    at = at + REFRESH_PEOPLE
    if i % FLUSH_EVERY == 0 then assert(writer:flush()) end
    local start = clock()
    local held = { db = assert(reader:db()) }
    local opened = clock()
    for _ in query:rows(held.db) do end
    open[i], first[i] = opened - start, clock() - start
    collectgarbage()
    start, held.db = clock(), nil
    collectgarbage()
    drop[i] = clock() - start
  end
  table.sort(open)
  table.sort(first)
  table.sort(drop)
  print(("refresh by %d people: db() %d us p50, %d p99; with agg answered %d us p50, %d p99; dropped %d us p50, %d p99")
    :format(REFRESH_PEOPLE, percentile(open, 0.5), percentile(open, 0.99), percentile(first, 0.5),
      percentile(first, 0.99), percentile(drop, 0.5), percentile(drop, 0.99)))
  writer:close()
  reader:close()
end

local function opening(url, fill, title)
  local conn = fresh(url)
  fill(conn)
  conn:close()
  local open, point, agg = {}, {}, {}
  for i = 1, RUNS do
    local start = clock()
    local reader = assert(rille.connect(url))
    local db = assert(reader:db())
    open[i] = clock() - start
    assert(db:entid { "p/uid", ONE[1] })
    point[i] = clock() - start
    for _ in assert(rille.prepare(QUERIES[6][2])):rows(db) do end
    agg[i] = clock() - start
    reader:close()
  end
  print(("open %d people, %s: %d us; with a look-up %d; with agg %d"):format(PEOPLE, title, median(open),
    median(point), median(agg)))
end

for _, set in ipairs(SETS) do compare_all(set[1], set[2]) end
local dir = os.getenv "TMPDIR" or "/tmp"
for i = 1, 2 do
  local url = ("file:%s/rille-bench-young-%d"):format(dir, i)
  opening(url, SETS[i][2], SETS[i][1])
  assert(rille.drop(url))
end
local url = ("file:%s/rille-bench-young-refresh"):format(dir)
refreshes(url)
assert(rille.drop(url))
