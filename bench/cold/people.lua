-- SPDX-License-Identifier: MIT
--
-- Makes the databases of bench/cold: rille run people.lua people=URL orders=URL count=N. The people are those of
-- bench/compare, in transactions of 100,000. 1,000 orders name one of them each, ten a day.
local rille = require "rille"
local driver = require "driver"

local BATCH = 100000
local ORDERS = 1000
local count = driver.size.count

local function create(url, schema)
  local conn = assert(rille.create(url))
  assert(conn:transact(schema))
  return conn
end

local people = create(driver.size.people, [=[
  [{:db/ident :uid :db/valueType :db.type/string :db/unique :db.unique/identity}
   {:db/ident :name :db/valueType :db.type/string :db/index true}
   {:db/ident :last :db/valueType :db.type/string}
   {:db/ident :sex :db/valueType :db.type/string}
   {:db/ident :age :db/valueType :db.type/long}
   {:db/ident :salary :db/valueType :db.type/long}] ]=])
for first = 1, count, BATCH do
  local maps = {}
  for i = first, math.min(first + BATCH - 1, count) do maps[#maps + 1] = driver.person(i) end
  assert(people:transact(maps))
end
assert(people:flush())
people:close()

local orders = create(driver.size.orders, [=[
  [{:db/ident :order/uid :db/valueType :db.type/string}
   {:db/ident :order/day :db/valueType :db.type/long}] ]=])
local maps = {}
for i = 0, ORDERS - 1 do
  maps[#maps + 1] = { ["order/day"] = i // 10, ["order/uid"] = driver.sought(i, count) }
end
assert(orders:transact(maps))
assert(orders:flush())
orders:close()
