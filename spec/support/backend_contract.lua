-- SPDX-License-Identifier: MIT
-- luacheck: std max+busted
--
-- What every backend written in Lua must do: the properties of test/test_backends_contract.c, asked of its functions.

local assert = require "luassert"
local rille = require "rille"

local M = {}

local unpack = table.unpack or unpack

-- An id of its own for each number.
local function id(number) return ("%064x"):format(number) end

local function bytes_of(length)
  local all = {}
  for i = 0, 255 do all[i + 1] = string.char(i) end
  local block = table.concat(all)
  return (block:rep(math.ceil(length / 256)):sub(1, length))
end

---Describes the contract of a backend.
---@param it function busted's
---@param backend fun(): rille.Backend
---@param place fun(): string a place that is not in use
---@param more {run: (fun(f: function))?, far: boolean?}? run: around each test; far: heads are named by their contents
function M.describe(it, backend, place, more)
  more = more or {}
  local b, where, state

  local function open(create)
    if not b.open then return where end
    return assert(b.open(where, { create = create }))
  end

  local function it_does(name, f)
    it(name, function()
      local function body()
        b, where = backend(), place()
        state = open(true)
        f()
        if b.drop then assert.is_true(b.drop(state)) end
        if b.close then b.close(state) end
      end
      if more.run then more.run(body) else body() end
    end)
  end

  local function node_kind() return b.rows and "node" or "pack" end

  local function put(...) assert.is_true(b.put_many(state, { ... })) end

  local function object(kind, number, bytes) return { kind = kind, id = id(number), bytes = bytes } end

  local function get(kind, number, offset, length)
    local results = assert(b.get_many(state, { { kind = kind, id = id(number), offset = offset or 0,
      length = length or 0 } }))
    assert.equal(1, #results)
    return results[1]
  end

  local function swap(branch, expected, bytes, kept, objects)
    local revision, message, code = b.head_swap(state, { branch = branch, expected = expected, bytes = bytes,
      kept = kept or 0, objects = objects or {}, durable = true })
    if revision == nil and code == "CONFLICT" then return false end
    if revision == nil then error(message, 0) end
    if revision then assert.is_true(#revision >= 1 and #revision <= 32 and not revision:find("\0", 1, true)) end
    return revision
  end

  local function head(branch, known)
    local bytes, revision, code = b.head_read(state, branch, known)
    if bytes == nil then
      assert.equal("NOTFOUND", code, revision)
      return false
    end
    return bytes, revision
  end

  it_does("reads objects as they were put", function()
    assert.is_false(get("blob", 1))
    put(object("blob", 1, "hello, world"))
    put(object("blob", 1, "hello, world"), object(node_kind(), 2, "b")) -- again is no error
    assert.equal("hello, world", get("blob", 1))
    assert.equal("b", get(node_kind(), 2))
    assert.is_false(get(node_kind(), 1)) -- another kind is another object
  end)

  it_does("reads exact ranges, and what there is of one that reaches beyond the end", function()
    put(object(node_kind(), 1, "0123456789"))
    assert.equal("3456", get(node_kind(), 1, 3, 4))
    assert.equal("3456789", get(node_kind(), 1, 3, 7))
    assert.equal("3456789", get(node_kind(), 1, 3, 0))
    assert.equal("", get(node_kind(), 1, 10, 0))
    local beyond = get(node_kind(), 1, 3, 8)
    assert.is_true(beyond == false or #beyond < 8)
  end)

  it_does("gives each of many ranges its result", function()
    local gets, puts = {}, {}
    for i = 1, 64 do
      if i % 2 == 0 then puts[#puts + 1] = object(node_kind(), i, "object " .. i) end
      gets[i] = { kind = node_kind(), id = id(i), offset = 0, length = 0 }
    end
    put(unpack(puts))
    local results = assert(b.get_many(state, gets))
    assert.equal(64, #results)
    for i = 1, 64 do assert.equal(i % 2 == 0 and "object " .. i or false, results[i]) end
  end)

  it_does("keeps empty objects and large ones with any bytes", function()
    local large = bytes_of(1000000)
    put(object("blob", 1, large), object("blob", 2, ""))
    assert.is_true(get("blob", 1) == large)
    assert.equal("", get("blob", 2))
    assert.equal(large:sub(999990), get("blob", 1, 999989, 11))
    if b.size_bytes then assert.is_true(b.size_bytes(state) >= #large) end
  end)

  it_does("lists and deletes objects", function()
    if not (b.list and b.delete_many) then return end
    local puts, blobs = {}, {}
    for i = 1, 20 do
      puts[i], puts[i + 20] = object(node_kind(), i, "n"), object("blob", i + 100, "b")
      blobs[i] = { kind = "blob", id = id(i + 100) }
    end
    put(unpack(puts))
    local ids = assert(b.list(state, "blob"))
    table.sort(ids)
    assert.equal(20, #ids)
    for i = 1, 20 do assert.equal(id(i + 100), ids[i]) end
    assert.is_true(b.delete_many(state, blobs))
    assert.is_true(b.delete_many(state, blobs)) -- what is not there needs no deleting
    assert.same({}, b.list(state, "blob"))
    assert.equal(20, #b.list(state, node_kind()))
    assert.is_false(get("blob", 101))
    assert.equal("n", get(node_kind(), 7))
  end)

  it_does("begins and replaces heads", function()
    assert.is_false(head "main")
    local revision = swap("main", nil, "base")
    local bytes, read = head "main"
    assert.equal("base", bytes)
    assert.equal(revision, read)
    assert.is_true((head("main", revision))) -- it is still the known one
    local known = revision
    for _, cell in ipairs { "base+1", "base+1+22", "base+1+4", "new", "new and more" } do
      revision = assert(swap("main", revision, cell, 3))
      assert.equal(cell, (head "main"))
    end
    bytes, read = head("main", known)
    assert.equal("new and more", bytes)
    assert.equal(revision, read)
  end)

  it_does("changes nothing for who lost a race", function()
    local first = assert(swap("main", nil, "base"))
    assert.is_false(swap("main", nil, "other")) -- there is one
    local second = assert(swap("main", first, "base+1", 4))
    assert.is_false(swap("main", first, "base+2", 4))
    assert.is_false(swap("main", first, "else"))
    assert.equal("base+1", (head "main"))
    assert.is_false(swap("side", second, "base+4")) -- a head of another branch
    assert.is_false(head "side")
    assert.is_false(swap("main", "another", "base+5"))
    assert.equal("base+1", (head "main"))
  end)

  it_does("never gives a revision again", function()
    local old = assert(swap("main", nil, "same"))
    local between = assert(swap("main", old, "else"))
    local now = assert(swap("main", between, more.far and "same, later" or "same"))
    assert.is_false(swap("main", old, "lost"))
    if not b.head_delete then return end
    assert.is_true(b.head_delete(state, "main"))
    assert.is_false(swap("main", now, "lost"))
    assert(swap("main", nil, more.far and "same, after that" or "same"))
    assert.is_false(swap("main", now, "lost"))
  end)

  it_does("stores the objects of a swap before the head", function()
    local revision = assert(swap("main", nil, "head", 0, { object(node_kind(), 1, "one"), object("blob", 2, "two") }))
    assert.equal("one", get(node_kind(), 1))
    assert.equal("two", get("blob", 2))
    assert(swap("main", revision, "head and tail", 4, { object(node_kind(), 1, "one") }))
    assert.equal("head and tail", (head "main"))
  end)

  it_does("keeps branches apart and lists them", function()
    local names = { "main", "a/b", "..", ".hidden", "with space%", "h/x", "\195\164", "MAIN" }
    for _, name in ipairs(names) do
      assert.is_false(head(name))
      local revision = assert(swap(name, nil, name))
      assert(swap(name, revision, name .. "+", #name))
    end
    for _, name in ipairs(names) do assert.equal(name .. "+", (head(name))) end
    if not (b.head_list and b.head_delete) then return end
    local listed = assert(b.head_list(state))
    table.sort(listed)
    table.sort(names)
    assert.same(names, listed)
    assert.is_true(b.head_delete(state, "a/b"))
    assert.is_false(head "a/b")
    assert.equal("MAIN+", (head "MAIN"))
    assert.equal(#names - 1, #b.head_list(state))
  end)

  it_does("agrees with a model of random heads", function()
    local model, revisions, stale = {}, {}, {}
    for i = 1, 60 do
      local branch = "b" .. math.random(3)
      local cell = (model[branch] or ""):sub(1, math.random(0, 20)) .. i
      if stale[branch] and math.random(4) == 1 then
        assert.is_false(swap(branch, stale[branch], cell))
      else
        stale[branch] = revisions[branch]
        revisions[branch] = assert(swap(branch, revisions[branch], cell))
        model[branch] = cell
      end
      if model[branch] then
        local bytes, revision = head(branch)
        assert.equal(model[branch], bytes)
        assert.equal(revisions[branch], revision)
      end
    end
  end)

  it_does("has everything after it was opened again, and two who opened it see each other", function()
    put(object(node_kind(), 1, "kept"))
    local revision = assert(swap("main", nil, "head"))
    local one = state
    state = open(false)
    assert.equal("kept", get(node_kind(), 1))
    assert.equal("head", (head "main"))
    assert(swap("main", revision, "of the other", 0))
    local two = state
    state = one
    assert.is_false(swap("main", revision, "too late"))
    assert.equal("of the other", (head "main"))
    if b.close then b.close(two) end
  end)

  it_does("has nothing of what was dropped", function()
    if not b.drop then return end
    put(object(node_kind(), 1, "x"), object("blob", 1, "x"))
    assert(swap("main", nil, "base"))
    assert.is_true(b.drop(state))
    state = open(true)
    assert.is_false(head "main")
    assert.is_false(get(node_kind(), 1))
    assert(swap("main", nil, "second life"))
  end)

  it_does("holds a database", function()
    local scheme = "contract"
    rille.backend(scheme, b)
    local url = scheme .. ":" .. where
    local conn = assert(rille.create(url))
    assert(conn:transact '[{:db/ident :n :db/valueType :db.type/long} {:db/ident :doc :db/valueType :db.type/string}]')
    local items = {}
    for i = 1, 3000 do items[i] = { n = i } end
    assert(conn:transact(items))
    assert(conn:transact { { n = 0, doc = ("long "):rep(5000) } })
    assert(conn:flush())
    assert(conn:transact { { n = 3001 } })
    assert.is_true(conn:verify().datoms > 3000)
    conn:close()
    local db = assert(rille.db(url))
    assert.equal(3000 * 3001 / 2 + 3001, db:q "[:find (sum ?n) . :where [_ :n ?n]]")
    assert.equal(25000, #db:q "[:find ?d . :where [_ :doc ?d]]")
    db:close()
    rille.backend(scheme, nil)
  end)
end

return M
