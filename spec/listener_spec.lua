-- SPDX-License-Identifier: MIT
--
-- The order in which listeners hear of transactions, when they transact, end and fail themselves.
local support = require "spec.support.init"

local function eve(i) return { { ["person/name"] = "Eve", ["person/age"] = i } } end

describe("listeners that transact", function()
  local conn, base

  before_each(function()
    conn = support.people()
    base = conn:db():basis().t
  end)
  after_each(function()
    conn:close()
    support.cleanup()
  end)

  -- A listener that notes what it hears, then runs actions[which transaction it was].
  local function listen(name, heard, actions)
    return conn:listen(function(report)
      local t = report.tx - base
      heard[#heard + 1] = name .. t
      if actions and actions[t] then actions[t](report) end
    end)
  end

  it("let every listener hear of transactions in the order of commits", function()
    local heard = {}
    listen("a", heard)
    listen("b", heard, { [1] = function() assert(conn:transact(eve(2))) end })
    listen("c", heard)
    assert(conn:transact(eve(1)))
    assert.same({ "a1", "b1", "c1", "a2", "b2", "c2" }, heard)
  end)

  it("are delivered by the outermost transact, nested twice", function()
    local heard, inner = {}, {}
    listen("a", heard, {
      [1] = function()
        assert(conn:transact(eve(2)))
        inner[#inner + 1] = table.concat(heard, " ")
        assert(conn:transact(eve(3)))
      end,
      [2] = function() assert(conn:transact(eve(4))) end,
    })
    listen("b", heard, { [2] = function() assert(conn:transact(eve(5))) end })
    assert(conn:transact(eve(1)))
    assert.same({ "a1" }, inner) -- the nested transact returned before anybody heard of it
    assert.equal("a1 b1 a2 b2 a3 b3 a4 b4 a5 b5", table.concat(heard, " "))
    assert(conn:transact(eve(6)))
    assert.equal("a6 b6", table.concat(heard, " ", #heard - 1))
  end)

  it("do not call who ended before its turn, and call the new ones from the next commit on", function()
    local heard, ids = {}, {}
    ids.a = listen("a", heard, { [1] = function()
      assert(conn:transact(eve(2))) -- b and c listen still
      conn:unlisten(ids.b)
      listen("d", heard)
      assert(conn:transact(eve(3)))
    end, [2] = function() conn:unlisten(ids.c) end })
    ids.b = listen("b", heard)
    ids.c = listen("c", heard)
    assert(conn:transact(eve(1)))
    assert.equal("a1 c1 a2 a3 d3", table.concat(heard, " "))
  end)

  it("raise the first error once everything is delivered", function()
    local heard = {}
    listen("a", heard, { [1] = function()
      assert(conn:transact(eve(2)))
      error("first", 0)
    end })
    listen("b", heard, { [1] = function() error({ "second" }, 0) end, [2] = function() error("third", 0) end })
    assert.equal("first", support.failure(conn.transact, conn, eve(1)))
    assert.equal("a1 b1 a2 b2", table.concat(heard, " "))
    assert(conn:transact(eve(3)))
    assert.equal("a3 b3", table.concat(heard, " ", #heard - 1))
  end)

  it("may close the connection", function()
    local heard, code = {}, nil
    listen("a", heard, { [1] = function()
      assert(conn:transact(eve(2)))
      conn:close()
      code = select(2, pcall(conn.transact, conn, eve(3)))
    end })
    listen("b", heard)
    assert(conn:transact(eve(1)))
    assert.matches("closed", code)
    assert.equal("a1 b1 a2 b2", table.concat(heard, " "))
  end)

  it("do not wait for a coroutine that was left in the middle of one", function()
    local heard = {}
    local first = true
    conn:listen(function(report)
      heard[#heard + 1] = "a" .. report.tx - base
      if first then
        first = false
        pcall(coroutine.yield) -- plain Lua 5.1 cannot yield here
      end
    end)
    listen("b", heard)
    local left = coroutine.wrap(function() assert(conn:transact(eve(1))) end)
    left()
    assert(conn:transact(eve(2)))
    assert.equal("a1 b1 a2 b2", table.concat(heard, " "))
  end)

  -- Programs: what each listener does when it hears of transaction t. The model: a list of commits, each with who
  -- listened then, told in order.
  local function random_program(random)
    local program = {}
    for l = 1, 4 do
      program[l] = {}
      for t = 1, 12 do
        local what = random(8)
        program[l][t] = what == 1 and "transact" or what == 2 and "twice" or what == 3 and "end" .. random(4)
          or what == 4 and "fail" or what == 5 and "new" or "nothing"
      end
    end
    return program
  end

  local function run_model(program, commits_max)
    local told, on, queue, commits, errors = {}, { true, true, true, true }, {}, 0, {}
    local count = 4
    local function commit()
      if commits == commits_max then return end
      commits = commits + 1
      local ids = {}
      for l = 1, count do if on[l] then ids[#ids + 1] = l end end
      queue[#queue + 1] = { t = commits, ids = ids }
    end
    commit()
    local at = 1
    while queue[at] do
      for _, l in ipairs(queue[at].ids) do
        if on[l] then
          local t = queue[at].t
          told[#told + 1] = l .. ":" .. t
          local what = program[(l - 1) % 4 + 1][t]
          if what == "transact" then commit() end
          if what == "twice" then commit() commit() end
          if what:match "^end" then on[tonumber(what:sub(4))] = nil end
          if what == "new" then
            count = count + 1
            on[count] = true
          end
          if what == "fail" then errors[#errors + 1] = l .. ":" .. t end
        end
      end
      at = at + 1
    end
    return told, errors[1]
  end

  it("hear the same as a queue says, whatever they do", function()
    local seed = support.seed()
    for round = 1, support.many_of(100) do
      local program = random_program(math.random)
      local start = conn:db():basis().t
      local told, ids, count, made = {}, {}, 0, 0
      local function commit()
        if made == 12 then return end
        made = made + 1
        assert(conn:transact(eve(made)))
      end
      local function add()
        count = count + 1
        local l = count
        ids[l] = conn:listen(function(report)
          local t = report.tx - start
          told[#told + 1] = l .. ":" .. t
          local what = program[(l - 1) % 4 + 1][t]
          if what == "transact" then commit() end
          if what == "twice" then commit() commit() end
          if what:match "^end" then
            local other = tonumber(what:sub(4))
            if ids[other] then conn:unlisten(ids[other]) end
            ids[other] = nil
          end
          if what == "new" then add() end
          if what == "fail" then error(l .. ":" .. t, 0) end
        end)
      end
      for _ = 1, 4 do add() end
      local fine, why = pcall(commit)
      local expected, first_error = run_model(program, 12)
      local where = ("seed %d, round %d"):format(seed, round)
      assert.same(expected, told, where)
      assert.equal(first_error, not fine and why or nil, where)
      for _, id in pairs(ids) do conn:unlisten(id) end
    end
  end)
end)
