-- SPDX-License-Identifier: MIT
--
-- Driver: plain Lua tables and loops written by hand, the least that anything costs in Lua.

local driver = require "driver"

local queries = {}

function queries.q1(people)
  local rows = {}
  for i, person in ipairs(people.by_name.Ivan) do rows[i] = { person } end
  return #rows, 0
end

function queries.q2(people)
  local rows, sum = {}, 0
  for i, person in ipairs(people.by_name.Ivan) do
    rows[i] = { person, person.age }
    sum = sum + person.age
  end
  return #rows, sum
end

function queries.q3(people)
  local rows, sum = {}, 0
  for _, person in ipairs(people.by_name.Ivan) do
    if person.sex == "male" then
      rows[#rows + 1] = { person, person.age }
      sum = sum + person.age
    end
  end
  return #rows, sum
end

function queries.q4(people)
  local rows, sum = {}, 0
  for _, person in ipairs(people.by_name.Ivan) do
    if person.sex == "male" then
      rows[#rows + 1] = { person, person.last, person.age }
      sum = sum + #person.last + person.age
    end
  end
  return #rows, sum
end

function queries.qpred(people)
  local rows, sum = {}, 0
  for _, person in ipairs(people) do
    if person.salary > driver.MIN_SALARY then
      rows[#rows + 1] = { person, person.salary }
      sum = sum + person.salary
    end
  end
  return #rows, sum
end

function queries.agg(people)
  local groups, rows, sum = {}, {}, 0
  for _, person in ipairs(people) do
    local g = groups[person.last]
    if not g then
      g = { person.last, 0, 0, person.age, person.age }
      groups[person.last], rows[#rows + 1] = g, g
    end
    g[2], g[3] = g[2] + 1, g[3] + person.salary
    g[4], g[5] = math.min(g[4], person.age), math.max(g[5], person.age)
  end
  for _, g in ipairs(rows) do sum = sum + #g[1] + g[2] + g[3] + g[4] + g[5] end
  return #rows, sum
end

local function lookups(people)
  local sought = {}
  for i = 1, driver.LOOKUPS do sought[i] = driver.sought(i, #people) end
  local us, rows, sum = driver.cost(function()
    local sum = 0
    for i = 1, #sought do sum = sum + people.by_uid[sought[i]].salary end
    return #sought, sum
  end)
  return us / driver.LOOKUPS, rows, sum
end

local function make(count)
  local people = {}
  for i = 1, count do people[i] = driver.person(i) end
  return people
end

local function load(source)
  local people = { by_uid = {}, by_name = {} }
  for i, p in ipairs(source) do
    local person = { uid = p.uid, name = p.name, last = p.last, sex = p.sex, age = p.age, salary = p.salary }
    local same = people.by_name[p.name] or {}
    people[i], people.by_uid[p.uid], people.by_name[p.name] = person, person, same
    same[#same + 1] = person
  end
  return people
end

local few, source, many

local function loaded()
  many = many or load(make(driver.size.load))
  return many
end

driver.serve {
  query = function(name)
    few = few or load(make(driver.size.people))
    if name == "point" then return lookups(few) end
    return driver.cost(function() return queries[name](few) end)
  end,
  load = function()
    source = source or make(driver.size.load)
    return driver.once(function()
      many = load(source)
      return #many
    end)
  end,
  point = function() return lookups(loaded()) end,
}
