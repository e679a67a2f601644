-- SPDX-License-Identifier: MIT
local rille = require "rille"
local shop = assert(rille.connect("file:shop", {create = true}))     -- team A: a directory
local depot = assert(rille.connect("lmdb:depot", {create = true}))   -- team B: LMDB
assert(shop:transact [=[ [{:db/ident :product/sku :db/valueType :db.type/string :db/unique :db.unique/identity}
                          {:db/ident :product/name :db/valueType :db.type/string}] ]=])
assert(depot:transact [=[ [{:db/ident :stock/sku :db/valueType :db.type/string :db/unique :db.unique/identity}
                           {:db/ident :stock/qty :db/valueType :db.type/long}] ]=])
assert(shop:transact {{["product/sku"] = "A1", ["product/name"] = "anvil"},
                      {["product/sku"] = "B2", ["product/name"] = "bellows"}})
local monday = assert(depot:transact {{["stock/sku"] = "A1", ["stock/qty"] = 12},
                                      {["stock/sku"] = "B2", ["stock/qty"] = 4}})
assert(depot:transact {{["stock/sku"] = "A1", ["stock/qty"] = 3}})

local sold = [=[ [:find ?name ?was ?is
                  :in $shop $monday $now
                  :where [$monday ?s :stock/qty ?was] [$now ?s :stock/qty ?is] [(< ?is ?was)]
                         [$now ?s :stock/sku ?sku] [$shop ?p :product/sku ?sku] [$shop ?p :product/name ?name]] ]=]
for name, was, is in rille.rows(sold, shop:db(), depot:db():as_of(monday.tx), depot:db()) do
  print(name, was, is)   --> anvil 12 3
end
