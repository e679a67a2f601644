-- SPDX-License-Identifier: MIT
--
-- Writers of one bucket, for writers.sh:
--   writers.lua make URL                  makes the database
--   writers.lua write URL NAME NOTES END  commits until the file END exists. NOTES has a line per transaction:
--                                         "done ID TX KEY" when it is acknowledged, "none ID" when it surely was not
--                                         committed, "open ID" if that is unknown
--   writers.lua check URL DIR             compares DIR/*.notes with what the database has
local rille = require "rille"

local modes = {}

function modes.make(url)
  local conn = assert(rille.create(url))
  assert(conn:transact {
    { ["db/ident"] = "w/id", ["db/valueType"] = "db.type/string", ["db/index"] = true },
    { ["db/ident"] = "w/text", ["db/valueType"] = "db.type/string" },
    { ["db/ident"] = "w/key", ["db/valueType"] = "db.type/long", ["db/unique"] = "db.unique/value" },
  })
  conn:close()
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- ---- the writers of a process: coroutines that share a connection, so that their transactions share swaps ----

local TOGETHER = 6
local LONG = ("x"):rep(3000) -- such a text now and then, so that the tail of the log is moved within bundles, too

-- One that is closed while it waits: it is committed or absent.
local function abandon(conn, tx)
  local op = conn:start_transact(tx)
  local waits = math.random(0, 3)
  local state = op:step(1000)
  while state == "need" and waits > 0 or state == "again" do
    if state == "need" then
      waits = waits - 1
      coroutine.yield(op)
    end
    state = op:step(1000)
  end
  local report = state == "done" and op:result() or nil
  op:close()
  return report, "closed", "CANCELLED"
end

-- Each transaction takes a key that others want as well, and most get one that is free.
local function write_some(conn, name, notes, stop)
  local number = 0
  while not exists(stop) do
    number = number + 1
    local id = name .. "-" .. number
    local key = number % 4 == 0 and number or math.random(1, 1000000)
    local tx = { { ["w/id"] = id, ["w/key"] = key, ["w/text"] = math.random(8) == 1 and LONG or nil } }
    local transact = math.random(12) == 1 and abandon or conn.transact
    local report, message, code = transact(conn, tx)
    if report then
      notes:write(("done %s %.0f %d\n"):format(id, report.tx, key))
    elseif code == "TX_UNIQUE" or code == "BUSY" then
      notes:write(("none %s %s\n"):format(id, code))
    elseif code == "IO" or code == "TIMEOUT" or code == "CANCELLED" then
      notes:write(("open %s %s\n"):format(id, message))
    else
      error(tostring(code) .. ": " .. tostring(message))
    end
  end
end

-- Lets them run in turn. When all wait for storage, one fetches, and what the others have asked for goes on meanwhile.
local function run_together(writers)
  local waits = {}
  while #writers > 0 do
    local still, idle = {}, {}
    for _, co in ipairs(writers) do
      local op = waits[co]
      if op and not op:poll() then
        idle[#idle + 1] = op
      else
        local fine, what = coroutine.resume(co)
        if not fine then error(debug.traceback(co, what), 0) end
        waits[co] = what
      end
      if coroutine.status(co) ~= "dead" then still[#still + 1] = co end
    end
    if #idle > 0 and #idle == #still then idle[math.random(#idle)]:fetch() end
    writers = still
  end
end

function modes.write(url, name, path, stop)
  local notes = assert(io.open(path, "a"))
  notes:setvbuf "line"
  local conn = assert(rille.connect(url))
  local writers = {}
  rille.driver(function(op, state) coroutine.yield(state == "need" and op or nil) end)
  for i = 1, TOGETHER do
    writers[i] = coroutine.create(function() write_some(conn, name .. "/" .. i, notes, stop) end)
  end
  run_together(writers)
  rille.driver(nil)
  conn:close()
end

local function stored(url)
  local db = assert(rille.db(url))
  local found, keys, wrong = {}, {}, {}
  for id, tx, key in rille.rows("[:find ?id ?tx ?key ?e :where [?e :w/id ?id ?tx] [?e :w/key ?key]]", db) do
    if found[id] then wrong[#wrong + 1] = "twice: " .. id end
    if keys[key] then wrong[#wrong + 1] = ("a key of two entities: %d"):format(key) end
    found[id] = { tx = tx, key = key }
    keys[key] = id
  end
  return found, wrong
end

function modes.check(url, dir)
  local found, wrong = stored(url)
  local counts = { done = 0, none = 0, open = 0 }
  local list = io.popen(("cat '%s'/*.notes"):format(dir))
  for line in list:lines() do
    local outcome, id, tx, key = line:match "^(%S+) (%S+) ?(%S*) ?(%S*)"
    local is = found[id]
    counts[outcome] = counts[outcome] + 1
    if outcome == "done" and not (is and is.tx == tonumber(tx) and is.key == tonumber(key)) then
      wrong[#wrong + 1] = "acknowledged and lost: " .. line
    elseif outcome == "none" and is then
      wrong[#wrong + 1] = "refused and yet there: " .. line
    end
  end
  list:close()
  local conn = assert(rille.connect(url))
  assert(conn:verify())
  conn:close()
  for _, what in ipairs(wrong) do print("FAILED: " .. what) end
  print(("%d acknowledged, %d refused, %d unknown"):format(counts.done, counts.none, counts.open))
  if #wrong > 0 or counts.done == 0 then os.exit(1) end
end

modes[arg[1]](arg[2], arg[3], arg[4], arg[5])
