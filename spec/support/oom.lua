-- SPDX-License-Identifier: MIT
--
-- The program of spec/oom_spec.lua: does what rille can do again and again, each time with one allocation of Lua more
-- before its memory is at an end, until the memory suffices. Prints a line a piece of work; "crash" is what a sanitizer
-- or the kernel says of it.

local alloc = require "rille_test.alloc"
local rille = require "rille"

local STEPS_MAX = 400

rille.fn("oom/double", function(x) return x * 2 end)
local conn = assert(rille.create "mem:oom")
assert(conn:transact [=[ [{:db/ident :p/name :db/valueType :db.type/string :db/unique :db.unique/identity}
                          {:db/ident :p/l :db/valueType :db.type/long} {:db/ident :p/k :db/valueType :db.type/keyword}
                          {:db/ident :p/t :db/valueType :db.type/tuple}
                          {:db/ident :p/n :db/valueType :db.type/string :db/cardinality :db.cardinality/many}] ]=])
local data = {}
for i = 1, 20 do
  data[i] = { ["p/name"] = "name" .. i, ["p/l"] = i, ["p/k"] = "k" .. i, ["p/t"] = { 1, "x" .. i },
    ["p/n"] = { "a" .. i, ("long"):rep(400) .. i } }
end
assert(conn:transact(data))
local db = conn:db()
local prepared = assert(rille.prepare "[:find ?n ?k ?t :where [?e :p/name ?n] [?e :p/k ?k] [?e :p/t ?t]]")
local v, Q = rille.vars(), rille.query
local fresh = 0

local works = {
  { "query", function()
    local r = assert(db:q "[:find ?n ?m :where [?e :p/name ?n] [?e :p/n ?m]]")
    r:to_table()
    r:column(2)
    r:rows()()
    r:columns()
  end },
  { "list", function() assert(db:q "[:find [?k ...] :where [?e :p/k ?k]]") end },
  { "function", function() assert(db:q "[:find ?l ?m :where [?e :p/l ?l] [(oom/double ?l) ?m]]") end },
  { "rules", function() assert(rille.q("[:find ?a :in $ % :where (r ?a)]", db, "[[(r ?a) [?a :p/name]]]")) end },
  { "rows", function() for _ in prepared:rows(db) do local _ = nil end end },
  { "steps", function()
    local op = assert(prepared:start(db))
    repeat
      local state = assert(op:step(1000))
      if state == "need" then assert(op:fetch()) end
      for _ in op:rows() do local _ = nil end
    until state == "done"
    op:close()
  end },
  { "inputs", function()
    assert(rille.q("[:find ?x ?y :in [[?x ?y]] [?z ...]]", { { 1, "a" }, { 2, { 1, 2 } } }, { rille.kw "zzz", 5 }))
  end },
  { "builder", function()
    assert(Q.find(v.n):where { v.e, "p/name", v.n }:filter(Q.ne(v.n, v.x)):run { db = db, x = "name1" })
  end },
  { "with", function() assert(#assert(db:with(data)).tx_data > 0) end },
  { "with EDN", function() assert(#assert(db:with '[{:p/name "zz" :p/t [1 2]}]').tx_data > 0) end },
  { "transact", function()
    fresh = fresh + 1
    assert(conn:transact({ { ["p/name"] = "fresh" .. fresh } }, { meta = { ["db/doc"] = "why" } }))
  end },
  { "wrong data", function()
    db:with { { ["p/t"] = { 1, io.stdout } } }
    db:with { { ["p/t"] = { 1, { 2, { 3, 4 } } }, ["p/name"] = 5 } }
    db:with { { ["p/n"] = { "a", b = 1 } } }
  end },
  { "EDN", function()
    local text = '[{:a #{1 2} "b" (c d)} #foo [1 2.5 \\c] #inst "2020-01-01" 12345678901234567890N]'
    assert(rille.edn.encode(assert(rille.edn.decode(text))))
    assert(rille.edn.decode_all "1 [2 {:q 3}] :x")
    assert(rille.edn.split "[1] [2]")
  end },
  { "datoms", function()
    for _ in db:datoms "eavt" do local _ = nil end
    db:count("aevt", "p/n", 5, ("long"):rep(400))
    db:entid { "p/name", "name3" }
    pcall(db.entid, db, { "p/name", io.stdout })
  end },
  { "one datom", function()
    for _ in db:datoms("avet", "p/name", "name3") do local _ = nil end
    for _ in db:datoms("eavt", { "p/name", "name3" }, "p/k") do local _ = nil end
    for _ in db:datoms("eavt", { "p/name", "name3" }, "p/t") do local _ = nil end
  end },
  { "points in time", function()
    local past = assert(db:as_of(db:basis().t))
    past:schema()
    rille.branches "mem:oom"
    rille.db("mem:oom"):close()
  end },
  { "prepare", function()
    local q = assert(rille.prepare { find = { "?e" }, where = { { "?e", "p/name", "x" } } })
    q:text()
    q:columns()
    q:inputs()
    q:explain(db)
  end },
  { "values", function()
    fresh = fresh + 1
    rille.kw("n" .. fresh)
    rille.bigint("123456789012345678901" .. fresh)
    rille.uuid()
    rille.instant()
    pcall(rille.kw)
  end },
  { "open", function()
    local c = assert(rille.connect "mem:oom")
    c:stats()
    c:url()
    c:close()
  end },
  { "CSV", function() assert(rille.csv_parse("a,b\n1,x\n2,y\n", { types = { a = "long" } })) end },
}

for _, work in ipairs(works) do
  local name, f = work[1], work[2]
  local n, steps = 0, 0
  while steps < STEPS_MAX do
    if steps % 16 == 0 then collectgarbage() end
    alloc.arm(n)
    local fine, message = pcall(f)
    local failed = alloc.disarm()
    if not failed then
      if not fine then print(("%s fails with enough memory: %s"):format(name, tostring(message))) end
      break
    end
    steps = steps + 1
    n = n + 1
  end
  print(("%s: %s"):format(name, steps < STEPS_MAX and "done" or "needs more steps"))
end

-- What is looked up often makes little for the collector: so many allocations are enough.
local e = assert(db:entid { "p/name", "name3" })
local ref = { "p/name", "name3" }
local value = assert(rille.prepare "[:find ?l . :in $ ?n :where [?e :p/name ?n] [?e :p/l ?l]]")
local bounded = {
  { "an entity", 0, function() assert(db:entid(ref) == e) end },
  { "a datom", 1, function()
    for _, _, l in db:datoms("eavt", e, "p/l") do assert(l == 3) end
  end },
  { "no datom", 0, function()
    for _ in db:datoms("avet", "p/name", "nobody") do error "there is one" end
  end },
  { "a prepared value", 0, function() assert(value:run(db, "name3") == 3) end },
}
for _, work in ipairs(bounded) do
  local name, most, f = work[1], work[2], work[3]
  collectgarbage() -- before, and at the same depth of calls: it drops records of calls, which Lua would allocate again
  for _ = 1, 3 do assert(pcall(f)) end
  alloc.arm(most)
  local fine, message = pcall(f)
  local failed = alloc.disarm()
  print(("%s: %s"):format(name, fine and not failed and "done" or tostring(message)))
end
