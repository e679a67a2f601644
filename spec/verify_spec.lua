-- SPDX-License-Identifier: MIT
local rille = require "rille"
local command = require "spec.support.command"
local support = require "spec.support.init"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes
end

local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

-- Three generations of facts, each flushed into packs that the next one shares nothing with.
local function three_generations()
  local url = support.url "file"
  local dir = url:match "file:(.*)"
  local conn = assert(rille.create(url))
  assert(conn:transact { support.attr("a/n", "long") })
  local packs, known = {}, {}
  for generation = 1, 3 do
    local data = {}
    for i = 1, 500 do data[i] = { ["a/n"] = generation * 1000 + i } end
    if generation > 1 then
      for e in conn:db():datoms("aevt", "a/n") do data[#data + 1] = { "db/retractEntity", e } end
    end
    assert(conn:transact(data))
    assert(conn:flush())
    local pipe = assert(io.popen("ls '" .. dir .. "/packs'"))
    for name in pipe:lines() do
      if not known[name] then
        known[name] = true
        packs[generation] = dir .. "/packs/" .. name
      end
    end
    pipe:close()
  end
  conn:close()
  return url, packs
end

local function verify(url)
  local conn = assert(rille.connect(url))
  local report, message, code = conn:verify()
  conn:close()
  return report, message, code
end

describe("verification", function()
  after_each(support.cleanup)

  it("reads what only the past needs", function()
    local url, packs = three_generations()
    assert(verify(url))
    local good = read(packs[1])
    for _, at in ipairs { 100, 700, 1500 } do
      write(packs[1], good:sub(1, at - 1) .. string.char((good:byte(at) + 1) % 256) .. good:sub(at + 1))
      local report, message, code = verify(url)
      assert.is_nil(report)
      assert.equal("CORRUPT", code)
      -- Far storage is read between the steps of a verification, where it is not known what for.
      assert.matches(url:find "^deferred:" and "is corrupt" or "as of transaction", message)
    end
    write(packs[1], good)
    assert(verify(url))
  end)

  it("finds packs under each other's names, though every node is found", function()
    local url, packs = three_generations()
    local first, second = read(packs[1]), read(packs[2])
    write(packs[1], second)
    write(packs[2], first)
    local report, message, code = verify(url)
    assert.is_nil(report)
    assert.equal("CORRUPT", code)
    assert.matches("does not match its name", message)
    write(packs[1], first)
    write(packs[2], second .. "x")
    assert.equal("CORRUPT", select(3, verify(url)))
  end)
end)

describe("bytes that were changed on their way", function()
  after_each(support.cleanup)

  it("are read again, wherever they were read", function()
    local url = support.plain_url "file"
    local conn = assert(rille.create(url))
    assert(conn:transact { support.attr("a/text", "string"), support.attr("a/n", "long") })
    local data = {}
    for i = 1, 3000 do data[i] = { ["a/n"] = i } end
    for i = 1, 3 do data[i]["a/text"] = ("%d"):format(i):rep(5000) end -- stored as blobs
    assert(conn:transact(data))
    assert(conn:flush())
    conn:close()
    -- In a program without hooks, where large objects are not checked in slices.
    local script = support.file("ask.lua", [[
      local rille = require "rille"
      local conn = assert(rille.connect(arg[1], { cache_bytes = 4096 })) -- so that nodes are read one by one
      local texts = assert(rille.q("[:find [?t ...] :where [?e :a/n ?n] [?e :a/text ?t] :order-by ?t]", conn:db()))
      io.write(conn:stats().reads, " ", #table.concat(texts))
    ]])
    local function answer(place)
      local code, out, err = command.run("run", script, place)
      assert.equal(0, code, err)
      local reads, len = out:match "^(%d+) (%d+)"
      assert.equal("15000", len)
      return tonumber(reads)
    end
    local reads = answer("deferred:" .. url)
    local more = 0
    for at = 1, reads do more = more + answer(("deferred:faulty:trunc/get/%d;%s"):format(at - 1, url)) - reads end
    assert.is_true(reads > 2 and more >= reads - 1, more)
    rille.drop(url)
  end)
end)
