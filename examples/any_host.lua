-- SPDX-License-Identifier: MIT
--
-- One script, several hosts: the script below is straight-line Lua. A driver decides what happens while it waits for
-- storage, so the same lines run in a command, in a server that serves other requests meanwhile, and in a game.
--
--     rille run examples/any_host.lua [HOST [URL]]    HOST: blocking, scheduler (the default), game, random
--
-- Without a URL, the storage answers later, as over a network. With file:DIR or mem:NAME it answers at once, and the
-- scripts hardly ever wait.

local rille = require "rille"

local host, url = (...) or "scheduler", select(2, ...) or "deferred:mem:any-host"
local SCRIPTS, TOWNS = 100, 10 -- ten shops in the same town share a database, and get into each other's way

-- ---- the script: a shop takes an order, and looks at what it had before ----

local function script(number)
  local shop = "shop-" .. number
  local conn = assert(rille.connect(url .. "-" .. number % TOWNS, { create = true }))
  assert(conn:transact {
    { ["db/ident"] = "order/id", ["db/valueType"] = "db.type/string", ["db/unique"] = "db.unique/identity" },
    { ["db/ident"] = "order/shop", ["db/valueType"] = "db.type/string", ["db/index"] = true },
    { ["db/ident"] = "order/total", ["db/valueType"] = "db.type/long" },
  })
  local function order(id, total)
    return assert(conn:transact { { ["order/id"] = shop .. id, ["order/shop"] = shop, ["order/total"] = total } })
  end
  local first = order("/1", number)
  order("/2", 1000)

  local now = assert(conn:db())
  local past = assert(now:as_of(first.tx))
  local total = "[:find (sum ?t) . :in $ ?shop :with ?o :where [?o :order/shop ?shop] [?o :order/total ?t]]"
  local line = ("%s: %d orders, total %d; before: %d"):format(shop, assert(now:count("avet", "order/shop", shop)),
    assert(now:q(total, shop)), assert(past:q(total, shop)))
  conn:close()
  return line
end

-- ---- the hosts ----

local lines, steps, waiting_most = {}, 0, 0

local function run_script(number) lines[number] = script(number) end

-- Scripts in coroutines; each that waits goes on when all others had their turn.
local function run_together(driver)
  local waiting = {}
  rille.driver(driver, { budget_us = 500 })
  for number = 1, SCRIPTS do waiting[number] = coroutine.create(run_script) end
  while #waiting > 0 do
    local still = {}
    waiting_most = math.max(waiting_most, #waiting)
    for i, co in ipairs(waiting) do
      local fine, message = coroutine.resume(co, i)
      if not fine then error(debug.traceback(co, message), 0) end
      if coroutine.status(co) ~= "dead" then still[#still + 1] = co end
    end
    waiting = still
  end
end

local hosts = {}

-- A command: it has nothing else to do.
function hosts.blocking()
  rille.driver(function(op, state)
    steps = steps + 1
    if state == "need" then assert(op:fetch()) end
  end)
  for number = 1, SCRIPTS do run_script(number) end
end

-- A server: all scripts are under way at once. One that needs storage asks for it, and the others go on.
function hosts.scheduler()
  run_together(function(op, state)
    steps = steps + 1
    coroutine.yield() -- a real one comes back when the storage has answered
    if state == "need" then assert(op:fetch()) end
  end)
end

-- A game: half a millisecond for each script in a frame.
function hosts.game()
  run_together(function(op, state)
    steps = steps + 1
    if state == "need" then assert(op:fetch()) end
    coroutine.yield() -- until the next frame
  end)
end

-- For tests: comes back now or later, having fetched or not.
function hosts.random()
  math.randomseed(1)
  run_together(function(op, state)
    steps = steps + 1
    while math.random(2) == 1 do coroutine.yield() end
    if state == "need" and math.random(3) > 1 then assert(op:fetch()) end
  end)
end

if not hosts[host] then
  io.stderr:write("usage: rille run examples/any_host.lua [blocking|scheduler|game|random [URL]]\n")
  os.exit(2)
end
hosts[host]()
rille.driver(nil)
for number = 1, SCRIPTS do print(lines[number]) end
io.stderr:write(("%d scripts, %d waits, at most %d at once\n"):format(SCRIPTS, steps, waiting_most))
