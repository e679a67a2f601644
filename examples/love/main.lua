-- SPDX-License-Identifier: MIT
-- luacheck: globals love
--
-- rille in a game (LÖVE): love examples/love. Scripts are straight-line code in coroutines. One that waits for storage,
-- or has used half a millisecond, goes on in the next frame.

local rille = require "rille"

rille.driver(function(op, state)
  if state == "need" then assert(op:fetch()) end
  coroutine.yield()
end, { budget_us = 500 })

local scripts, frames, line = {}, 0, ""

local function start(script) scripts[#scripts + 1] = coroutine.create(script) end

-- ---- scripts ----

local conn

local function play()
  conn = assert(rille.connect(os.getenv "GAME_URL" or "mem:game", { create = true }))
  assert(conn:transact {
    { ["db/ident"] = "player/name", ["db/valueType"] = "db.type/string", ["db/unique"] = "db.unique/identity" },
    { ["db/ident"] = "player/score", ["db/valueType"] = "db.type/long" },
  })
  for i = 1, 50 do -- fifty players, each with a script
    start(function()
      local name = "player " .. i
      for round = 1, 3 do assert(conn:transact { { ["player/name"] = name, ["player/score"] = i * round } }) end
    end)
  end
end

local function show()
  local leader = assert(conn:db():q [=[
    [:find [?name ?score] :where [?p :player/name ?name] [?p :player/score ?score] :order-by ?score :desc ] ]=])
  line = leader[1] .. " leads with " .. leader[2]
end

-- ---- the game ----

function love.load() start(play) end

function love.update()
  frames = frames + 1
  local playing = scripts
  scripts = {}
  for _, script in ipairs(playing) do
    local fine, message = coroutine.resume(script)
    if not fine then error(debug.traceback(script, message), 0) end
    if coroutine.status(script) ~= "dead" then scripts[#scripts + 1] = script end
  end
  if #scripts == 0 and line == "" then
    start(show)
  elseif #scripts == 0 and os.getenv "HEADLESS" then
    print(line)
    io.stderr:write(frames, " frames\n")
    love.event.quit()
  end
end

function love.draw() love.graphics.print(line, 100, 100) end
