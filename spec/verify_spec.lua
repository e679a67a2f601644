-- SPDX-License-Identifier: MIT
local rille = require "rille"
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
      assert.matches("as of transaction", message)
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
