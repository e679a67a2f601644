-- SPDX-License-Identifier: MIT
--
-- What the drivers in Lua share: sizes, people, processor time, and the loop that answers `run` (README.md: protocol).
-- driver.h is the same in C.

local M = { size = {} }

for i = 1, #arg do
  local key, value = arg[i]:match "^(%w+)=(.*)$"
  M.size[key] = tonumber(value) or value
end

local NAMES = { "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis" }
local LAST_NAMES = { "Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi" }
local SEXES = { "male", "female" }

-- A hash of (row, column): two rounds of multiplication, with the halves multiplied between them. Exact in doubles.
local function random(row, column, n)
  local x = (row * 8 + column + 1) * 48271 % 2147483647
  x = (x % 65536 + 1) * (math.floor(x / 65536) + 1)
  return x * 16807 % 2147483647 % n
end

function M.person(i)
  return {
    uid = ("u%08d"):format(i),
    name = NAMES[random(i, 0, 8) + 1],
    last = LAST_NAMES[random(i, 1, 6) + 1],
    sex = SEXES[random(i, 2, 2) + 1],
    age = random(i, 3, 100),
    salary = random(i, 4, 100000),
  }
end

-- The i-th lookup among `count` people, all of them hits.
function M.sought(i, count) return ("u%08d"):format(random(i, 5, count) + 1) end

-- Text of the big table: distinct, and in no order.
function M.shuffled(i) return ("%d"):format(i * 7919 % 1000003) end

M.MIN_SALARY = 50000
M.LOOKUPS = 10000
M.RANGE_ROWS = 999

-- Microseconds of processor time for one call of f, which returns rows and sum. f runs until the sample is long enough.
function M.cost(f)
  local rows, sum = f()
  local begun, calls, us = os.clock(), 0
  repeat
    f()
    calls = calls + 1
    us = (os.clock() - begun) * 1e6
  until us >= M.size.sample
  return us / calls, rows, sum
end

-- The same for work that cannot be repeated in place.
function M.once(f)
  collectgarbage()
  local begun = os.clock()
  local rows, sum = f()
  return (os.clock() - begun) * 1e6, rows, sum
end

-- Answers each line of words with the values of operations[first word](other words): microseconds, rows, sum.
function M.serve(operations)
  for line in io.lines() do
    local words = {}
    for word in line:gmatch "%S+" do words[#words + 1] = word end
    local f = operations[table.remove(words, 1)]
    local us, rows, sum
    if f then us, rows, sum = f((table.unpack or unpack)(words)) end -- luacheck: ignore 143
    print(us and ("%.6f %d %.0f"):format(us, rows or 0, sum or 0) or "none")
    io.stdout:flush()
  end
end

return M
