-- SPDX-License-Identifier: MIT
--
-- What rille costs from Lua: bulk load of entity maps, look-ups by a unique key, the DataScript queries, row delivery.
-- Beside them, indented, floors in plain Lua: what the same costs over tables, without an engine.
-- Usage: lua5.4 bench/bench_lua.lua [PEOPLE [RUNS]]     (LUA_PATH and LUA_CPATH as for any program)
-- Prints the median, least and greatest of the runs, by wall clock.

local rille = require "rille"
local core = require "rille.core"

local PEOPLE = tonumber(arg[1]) or 100000
local RUNS = tonumber(arg[2]) or 5
local ATTRIBUTES = 5
local LOOKUPS = 20000

local function clock() return core.clock_us() / 1e6 end

local function first_line(command)
  local pipe = io.popen(command)
  local line = pipe and pipe:read "*l"
  if pipe then pipe:close() end
  return line or "?"
end

local function machine()
  local cpu = first_line "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2"
  local jit = rawget(_G, "jit")
  return ("%s x%s, load %s, %s, rille %s"):format((cpu:gsub("^%s+", "")), first_line "nproc",
    first_line "cut -d' ' -f1 /proc/loadavg", jit and jit.version or _VERSION, rille._VERSION)
end

local NAMES = { "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis" }
local LAST_NAMES = { "Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi" }

-- A small generator of its own, so that every Lua makes the same people.
local state = 42
local function random(n)
  state = (state * 16807) % 2147483647
  return state % n
end

local function make_people(count)
  local people = {}
  for i = 1, count do
    people[i] = {
      ["person/uid"] = i,
      ["person/name"] = NAMES[random(#NAMES) + 1],
      ["person/last"] = LAST_NAMES[random(#LAST_NAMES) + 1],
      ["person/male"] = random(2) == 0,
      ["person/age"] = random(100),
    }
  end
  return people
end

local function attr(name, type, more)
  local map = { ["db/ident"] = name, ["db/valueType"] = "db.type/" .. type, ["db/cardinality"] = "db.cardinality/one" }
  for key, value in pairs(more or {}) do map[key] = value end
  return map
end

local SCHEMA = {
  attr("person/uid", "long", { ["db/unique"] = "db.unique/identity" }),
  attr("person/name", "string", { ["db/index"] = true }),
  attr("person/last", "string"),
  attr("person/male", "boolean"),
  attr("person/age", "long"),
}

-- Times f(run) RUNS times after one warm-up; f may give the seconds itself.
local function measure(f, runs)
  f(0)
  local times = {}
  for run = 1, runs or RUNS do
    collectgarbage()
    local begun = clock()
    local own = f(run)
    times[run] = own or clock() - begun
  end
  table.sort(times)
  return times[math.floor(#times / 2) + 1], times[1], times[#times]
end

local function report(name, unit, convert, median, least, greatest)
  local a, b, c = convert(median), convert(least), convert(greatest)
  if b > c then b, c = c, b end
  print(("%-34s %14.6g %-10s (%.6g .. %.6g)"):format(name, a, unit, b, c))
end

local function per_second(n) return function(seconds) return n / seconds end end
local function nanoseconds(n) return function(seconds) return seconds / n * 1e9 end end
local function milliseconds(seconds) return seconds * 1000 end

local function directory()
  local path = os.tmpname()
  os.remove(path)
  return path
end

local function bench_load(name, people, new_url)
  report(name, "datoms/s", per_second(PEOPLE * ATTRIBUTES), measure(function()
    local url = new_url()
    local conn = assert(rille.create(url))
    assert(conn:transact(SCHEMA))
    local begun = clock()
    assert(conn:transact(people))
    local seconds = clock() - begun
    conn:close()
    assert(rille.drop(url))
    return seconds
  end))
end

-- Every attribute of every map is looked at, and nothing kept.
local function floor_load(people)
  report("  floor: pairs() over the maps", "datoms/s", per_second(PEOPLE * ATTRIBUTES), measure(function()
    local count = 0
    for i = 1, #people do
      for _, value in pairs(people[i]) do
        if value ~= nil then count = count + 1 end
      end
    end
    assert(count == PEOPLE * ATTRIBUTES)
  end))
end

local function floor_lookups()
  local by_uid = {}
  for i = 1, PEOPLE do by_uid[i * 2] = i end -- a hash table: half of the places are empty
  report("  floor: a table by uid", "ns", nanoseconds(LOOKUPS), measure(function()
    for i = 1, LOOKUPS do assert(by_uid[((i * 7919) % PEOPLE + 1) * 2]) end
  end))
end

local function bench_lookups(db)
  report("point look-up, db:entid", "ns", nanoseconds(LOOKUPS), measure(function()
    local ref = { "person/uid", 0 }
    for i = 1, LOOKUPS do
      ref[2] = (i * 7919) % PEOPLE + 1
      assert(db:entid(ref))
    end
  end))
  report("point look-up, db:datoms avet", "ns", nanoseconds(LOOKUPS), measure(function()
    for i = 1, LOOKUPS do
      for e in db:datoms("avet", "person/uid", (i * 7919) % PEOPLE + 1) do assert(e) end
    end
  end))
  local query = assert(rille.prepare "[:find ?age . :in $ ?uid :where [?e :person/uid ?uid] [?e :person/age ?age]]")
  report("point look-up, prepared query", "ns", nanoseconds(LOOKUPS), measure(function()
    for i = 1, LOOKUPS do assert(query:run(db, (i * 7919) % PEOPLE + 1)) end
  end))
end

local QUERIES = {
  { "q1", "[:find ?e :where [?e :person/name \"Ivan\"]]" },
  { "q2", "[:find ?e ?a :where [?e :person/name \"Ivan\"] [?e :person/age ?a]]" },
  { "q3", "[:find ?e ?a :where [?e :person/name \"Ivan\"] [?e :person/age ?a] [?e :person/male true]]" },
  { "q4", "[:find ?e ?l ?a :where [?e :person/name \"Ivan\"] [?e :person/last ?l] [?e :person/age ?a]"
    .. " [?e :person/male true]]" },
}

local function bench_queries(db)
  for _, pair in ipairs(QUERIES) do
    local rows
    local median, least, greatest = measure(function()
      rows = #assert(rille.q(pair[2], db))
    end, RUNS * 4)
    report(("%s, %d rows, result"):format(pair[1], rows), "ms", milliseconds, median, least, greatest)
    report(("%s, into Lua columns"):format(pair[1]), "ms", milliseconds, measure(function()
      local result = assert(rille.q(pair[2], db))
      for c = 1, #result:columns() do result:column(c) end
    end, RUNS * 4))
  end
end

local function bench_delivery(db)
  local all = "[:find ?u ?n ?a :where [?e :person/uid ?u] [?e :person/name ?n] [?e :person/age ?a]]"
  local result = assert(rille.q(all, db))
  local per_row = nanoseconds(#result)
  report(("query of %d rows x 3"):format(#result), "ns/row", per_row, measure(function()
    assert(rille.q(all, db))
  end))
  report("deliver: iterator result:rows()", "ns/row", per_row, measure(function()
    local sum = 0
    for u, _, a in result:rows() do sum = sum + u + a end
  end))
  report("deliver: result[i] row tables", "ns/row", per_row, measure(function()
    local sum = 0
    for i = 1, #result do
      local row = result[i]
      sum = sum + row[1] + row[3]
    end
  end))
  report("deliver: result:column(j) x 3", "ns/row", per_row, measure(function()
    for c = 1, 3 do result:column(c) end
  end))
  report("deliver: result:to_table()", "ns/row", per_row, measure(function() result:to_table() end))
  report("query and deliver: rille.rows", "ns/row", per_row, measure(function()
    local sum = 0
    for u, _, a in rille.rows(all, db) do sum = sum + u + a end
  end))
end

print(machine())
print(("%d people x %d attributes, %d runs: median (least .. greatest)"):format(PEOPLE, ATTRIBUTES, RUNS))
local people = make_people(PEOPLE)
local number = 0
bench_load("bulk load into mem:", people, function()
  number = number + 1
  return "mem:bench-" .. number
end)
bench_load("bulk load into file:", people, function() return "file:" .. directory() end)
floor_load(people)

local conn = assert(rille.create "mem:bench")
assert(conn:transact(SCHEMA))
assert(conn:transact(people))
people = nil -- luacheck: ignore
local db = conn:db()
bench_lookups(db)
floor_lookups()
bench_queries(db)
bench_delivery(db)
