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
    { ["db/ident"] = "w/key", ["db/valueType"] = "db.type/long", ["db/unique"] = "db.unique/value" },
  })
  conn:close()
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- Each transaction takes a key that others want as well, and most get one that is free.
function modes.write(url, name, path, stop)
  local notes = assert(io.open(path, "a"))
  notes:setvbuf "line"
  local conn = assert(rille.connect(url))
  local number = 0
  while not exists(stop) do
    number = number + 1
    local id = name .. "-" .. number
    local key = number % 4 == 0 and number or math.random(1, 1000000)
    local report, message, code = conn:transact { { ["w/id"] = id, ["w/key"] = key } }
    if report then
      notes:write(("done %s %.0f %d\n"):format(id, report.tx, key))
    elseif code == "TX_UNIQUE" or code == "BUSY" then
      notes:write(("none %s %s\n"):format(id, code))
    elseif code == "IO" or code == "TIMEOUT" then
      notes:write(("open %s %s\n"):format(id, message))
    else
      error(tostring(code) .. ": " .. tostring(message))
    end
  end
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
