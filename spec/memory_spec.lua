-- SPDX-License-Identifier: MIT
--
-- Memory of the engine is nothing that Lua's collector sees: handles that the program forgets must not pile up. Each
-- case is a program of its own, which tells by how many MiB it has grown at most.
local support = require "spec.support.init"

local LUA = os.getenv "RILLE_TEST_LUA" or "lua5.4"

local PRELUDE = [==[
  local rille = require "rille"
  local function resident()
    local file = assert(io.open "/proc/self/status")
    local kib = file:read("*a"):match "VmRSS:%s*(%d+)"
    file:close()
    return tonumber(kib) / 1024
  end
  local dir = ...
  local list = {}
  for i = 1, 20000 do list[i] = i end
  local values = rille.prepare "[:find ?x :in [?x ...]]"
  local schema = { { ["db/ident"] = "a/n", ["db/valueType"] = "db.type/long" },
    { ["db/ident"] = "a/s", ["db/valueType"] = "db.type/string" } }
  local function filled(url, count)
    local conn = assert(rille.connect(url, { create = true }))
    assert(conn:transact(schema))
    local data = {}
    for i = 1, count do data[i] = { ["a/n"] = i, ["a/s"] = "text " .. i * 7919 } end
    assert(conn:transact(data))
    assert(conn:flush())
    return conn
  end
  local function grown(rounds, f)
    collectgarbage()
    collectgarbage()
    local before, most = resident(), 0
    for i = 1, rounds do
      f(i)
      if i % 10 == 0 then most = math.max(most, resident() - before) end
    end
    print(("grown by %d MiB"):format(math.floor(most)))
  end
]==]

-- What the program grows by at most, in MiB.
local function growth(program)
  local path = support.file("memory.lua", PRELUDE .. program)
  local pipe = assert(io.popen(("%s '%s' '%s' 2>&1"):format(LUA, path, support.dir())))
  local text = pipe:read "*a"
  pipe:close()
  return assert(tonumber(text:match "^grown by (%d+) MiB\n$"), text)
end

describe("memory that the program forgets", function()
  after_each(support.cleanup)
  local status = io.open "/proc/self/status"
  if status then status:close() end
  local sanitized = (os.getenv "RILLE_TEST_BUILD" or ""):find "san" -- keeps what is freed
  local it_grows = status and not sanitized and it or pending

  -- Without being told of it the collector lets each case grow by hundreds of MiB.
  local cases = {
    ["large results"] = [=[grown(600, function() assert(values:run(list)) end)]=],
    ["small results, beside many objects of Lua"] = [=[
      local ballast = {}
      for i = 1, 50000 do ballast[i] = { i } end
      local few = {}
      for i = 1, 50 do few[i] = i end
      grown(30000, function() assert(values:run(few)) end)
      assert(#ballast == 50000)]=],
    ["operations that were begun"] = [=[grown(400, function() assert(values:start(list)) end)]=],
    ["operations left between two steps"] = [=[grown(400, function() assert(values:start(list)):step() end)]=],
    ["loops that were left"] = [=[grown(400, function() for _ in values:rows(list) do break end end)]=],
    ["parsed queries"] = [=[
      grown(20000, function(i) rille.prepare("[:find ?x :in ?x :where [(< ?x " .. i .. ")]]") end)]=],
    ["reports"] = [=[
      local db = filled("mem:reports", 10):db()
      local data = {}
      for i = 1, 1000 do data[i] = { ["a/n"] = i } end
      grown(400, function() assert(db:with(data)) end)]=],
    ["connections"] = [=[
      filled("mem:connections", 10)
      grown(5000, function() assert(rille.connect "mem:connections") end)]=],
    ["values opened by URL, with what they read"] = [=[
      filled("file:" .. dir .. "/values", 20000):close()
      grown(300, function()
        assert(assert(rille.db("file:" .. dir .. "/values")):q "[:find (count ?s) . :where [_ :a/s ?s]]")
      end)]=],
    ["values opened by URL, and scanned"] = [=[
      filled("file:" .. dir .. "/scans", 20000):close()
      grown(100, function()
        for _ in assert(rille.db("file:" .. dir .. "/scans")):datoms "eavt" do end
      end)]=],
    ["names of functions"] = [=[grown(500000, function() rille.fn("again", print) end)]=],
  }
  for name, program in pairs(cases) do
    it_grows(name .. " are collected in time", function()
      local mib = growth(program)
      assert.is_true(mib < 64, ("grown by %d MiB"):format(mib))
    end)
  end

  it("does not start a collector that the program stopped", function()
    if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then return end -- there nobody can ask whether it is stopped
    local rille = require "rille"
    local list = {}
    for i = 1, 20000 do list[i] = i end
    local weak = setmetatable({ {} }, { __mode = "v" })
    collectgarbage "stop"
    for _ = 1, 30 do assert(rille.q("[:find ?x :in [?x ...]]", list)) end
    local kept = weak[1] ~= nil
    collectgarbage "restart"
    assert.is_true(kept)
  end)
end)
