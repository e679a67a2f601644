-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- What explain says that a query asked of each database, against what their storages have counted meanwhile.
local rille = require "rille"
local support = require "spec.support.init"

local PEOPLE = 6000
local QUERIES = {
  "[:find (count ?e) :in $ $b :where [?e :p/name ?n] [$b ?f :p/name ?n]]",
  "[:find ?n :in $ $b :where [?e :p/age 7] [?e :p/name ?n] (not [$b _ :p/name ?n])]",
  '[:find ?a :in $ $b :where [?e :p/name "name 17"] [?e :p/age ?a] [$b ?f :p/age ?a] [?f :p/name "name 18"]]',
  "[:find (max ?t) :in $ $b :where [$b ?f :p/text ?t] [?e :p/name ?n] [?f :p/name ?n]]",
}

local function fill(url, from)
  local conn = assert(rille.create(url))
  assert(conn:transact { support.attr("p/name", "string", support.identity), support.attr("p/age", "long"),
    support.attr("p/text", "string") })
  local people = {}
  for i = 1, PEOPLE do people[i] = { ["p/name"] = "name " .. (i * 7 + from) % PEOPLE, ["p/age"] = i % 31 } end
  for i = 1, 9 do people[i]["p/text"] = ("%d"):format(i):rep(3000) end -- stored as blobs
  assert(conn:transact(people))
  assert(conn:flush())
  conn:close()
end

local function read_so_far(conn)
  local stats = conn:stats()
  return { requests = stats.requests, received_bytes = stats.received_bytes, waits = stats.rounds }
end

local function difference(after, before)
  local out = {}
  for name, number in pairs(after) do out[name] = number - before[name] end
  return out
end

local function said(source)
  return { requests = source.requests, received_bytes = source.received_bytes, waits = source.waits }
end

-- Ways to run a query to its end; each returns what explain_data says.
local function stepped(wait)
  return function(query, a, b)
    local op = assert(assert(rille.prepare(query)):start(a, b))
    local state
    repeat
      state = assert(op:step(200))
      if state == "rows" then
        local take, rows = op:rows()
        take(rows)
      end
      if state == "need" then wait(op) end
    until state == "done"
    local data = assert(op:explain_data())
    op:close()
    return data
  end
end

local WAYS = {
  blocking = function(query, a, b) return assert(rille.explain_data(query, a, b)) end,
  fetch = stepped(function(op) assert(op:fetch()) end),
  poll = stepped(function(op) while not op:poll() do end end),
  driver = function(query, a, b)
    rille.driver(function(op, state) if state == "need" then assert(op:fetch()) end end)
    local data, message = rille.explain_data(query, a, b)
    rille.driver(nil)
    return assert(data, message)
  end,
}

describe("explain says what a query asked", function()
  after_each(function()
    rille.driver(nil)
    support.cleanup()
  end)

  for _, scheme in ipairs { "file", "lmdb", "deferred:file", "deferred:lmdb" } do
    it("of each database: " .. scheme, function()
      local place_a, place_b = support.path "a", support.path "b"
      local inner = scheme:gsub("deferred:", "")
      fill(inner .. ":" .. place_a, 0)
      fill(inner .. ":" .. place_b, 3)
      for how, explained in pairs(WAYS) do
        for i, query in ipairs(QUERIES) do
          local a = assert(rille.connect(scheme .. ":" .. place_a))
          local b = assert(rille.connect("deferred:" .. inner .. ":" .. place_b))
          local db_a, db_b = a:db(), b:db()
          local before_a, before_b = read_so_far(a), read_so_far(b)
          local sources = explained(query, db_a, db_b).sources
          local about = ("%s, query %d"):format(how, i)
          assert.same({ "$" }, sources[1].names, about)
          assert.equal(b:url(), sources[2].url, about)
          assert.same(difference(read_so_far(a), before_a), said(sources[1]), about)
          assert.same(difference(read_so_far(b), before_b), said(sources[2]), about)
          assert.is_true(sources[2].requests > 0, about)
          for _, name in ipairs { "requests", "received_bytes", "waits" } do
            assert.is_true(sources[2].planning[name] <= sources[2][name], about)
          end
          db_a:close()
          db_b:close()
          a:close()
          b:close()
        end
      end
    end)
  end

  it("of a second run of a prepared query, from 0", function()
    local place = support.path "again"
    fill("file:" .. place, 0)
    local conn = assert(rille.connect("deferred:file:" .. place))
    local query = assert(rille.prepare "[:find (count ?e) . :where [?e :p/name ?n] [?e :p/age ?a]]")
    assert.is_true(query:explain_data(conn:db()).sources[1].requests > 0)
    local again = query:explain_data(conn:db()).sources[1]
    assert.same({ 0, 0, 0 }, { again.requests, again.received_bytes, again.planning.requests })
    conn:close()
  end)

  it("once for sources that share a storage", function()
    local conn = support.people()
    local db = conn:db()
    local query = "[:find ?n :in $ $b ?x :where [?e :person/name ?n] [$b ?e :person/age ?x]]"
    local sources = assert(rille.explain_data(query, db, db, 1)).sources
    assert.equal(1, #sources)
    assert.same({ "$", "$b" }, sources[1].names)
    assert.matches("source %$, %$b  %S*mem:", assert(rille.explain(query, db, db, 1)))
    conn:close()
  end)

  it("with its stages as data", function()
    local conn = support.people()
    local data = assert(rille.explain_data("[:find ?n :where [?e :person/name ?n] (not [?e :person/age 1])]",
      conn:db()))
    local clauses = {}
    for i, stage in ipairs(data.stages) do clauses[i] = stage.clause or stage.stage end
    assert.same({ "inputs", "[?e :person/name ?n]" }, { clauses[1], clauses[2] })
    assert.is_true(data.stages[2].rows > 0)
    conn:close()
  end)
end)
