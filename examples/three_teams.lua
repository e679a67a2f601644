-- SPDX-License-Identifier: MIT
--
-- Three teams, and no server of rille's: the catalogue is in a bucket, the stock in a directory, and the prices are a
-- directory behind a web server. One query joins them, with the prices as of last month.
--
--   rille run examples/three_teams.lua s3://BUCKET/catalogue file:stock https://HOST/prices 2026-10-31 [CA_FILE]
--
-- The catalogue and the stock are made if they are missing. Who publishes the prices has made them like this:
--
--   rille run examples/three_teams.lua --prices file:/srv/www/prices
local rille = require "rille"

local function schema(team, attribute, type)
  return {
    { ["db/ident"] = team .. "/sku", ["db/valueType"] = "db.type/string", ["db/unique"] = "db.unique/identity" },
    { ["db/ident"] = team .. "/" .. attribute, ["db/valueType"] = "db.type/" .. type },
  }
end

local function write(url, options, team, attribute, type, rows)
  local conn = assert(rille.connect(url, options))
  assert(conn:transact(schema(team, attribute, type)))
  local data = {}
  for sku, value in pairs(rows) do data[#data + 1] = { [team .. "/sku"] = sku, [team .. "/" .. attribute] = value } end
  local report = assert(conn:transact(data))
  conn:close()
  return report.tx
end

if arg[1] == "--prices" then
  local october = write(arg[2], { create = true }, "price", "eur", "double", { A1 = 40.5, B2 = 12.25 })
  write(arg[2], {}, "price", "eur", "double", { A1 = 45.0 })
  print(("%.0f"):format(october)) --> the transaction of the first prices
  return
end

local catalogue, stock, prices, when, ca_file = arg[1], arg[2], arg[3], arg[4], arg[5]
if not when then
  print "usage: three_teams.lua s3://BUCKET/catalogue file:stock https://HOST/prices WHEN [CA_FILE]"
  return
end
write(catalogue, { create = true }, "product", "name", "string", { A1 = "anvil", B2 = "bellows" })
write(stock, { create = true }, "stock", "qty", "long", { A1 = 12, B2 = 4 })

local worth = [=[ [:find ?name ?qty ?eur
                   :in $catalogue $stock $prices
                   :where [$stock ?s :stock/sku ?sku] [$stock ?s :stock/qty ?qty]
                          [$catalogue ?p :product/sku ?sku] [$catalogue ?p :product/name ?name]
                          [$prices ?e :price/sku ?sku] [$prices ?e :price/eur ?eur]
                   :order-by [?name]] ]=]
local sources = { assert(rille.db(catalogue)), assert(rille.db(stock)),
  assert(rille.db(prices, { as_of = tonumber(when) or when, ca_file = ca_file })) }
for name, qty, eur in rille.rows(worth, sources[1], sources[2], sources[3]) do
  print(("%s: %d at %.2f"):format(name, qty, eur))
end
