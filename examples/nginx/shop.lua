-- SPDX-License-Identifier: MIT
-- luacheck: globals ngx
--
-- The requests of nginx.conf: straight-line code. While one waits for storage or has used up its budget, the driver
-- lets the worker serve others.

local rille = require "rille"

local M = {}
local conn

-- In a worker that starts, nothing can wait, so calls still block here.
function M.open()
  conn = assert(rille.connect(os.getenv "SHOP_URL" or "file:shop", { create = true }))
  assert(conn:transact {
    { ["db/ident"] = "order/shop", ["db/valueType"] = "db.type/string", ["db/index"] = true },
    { ["db/ident"] = "order/total", ["db/valueType"] = "db.type/long" },
  })
  rille.driver(function(op, state)
    ngx.ctx.waits = (ngx.ctx.waits or 0) + 1
    if state == "again" then return ngx.sleep(0) end -- other requests first
    while not op:poll() do ngx.sleep(0.001) end
  end, { budget_us = 1000 })
end

local function fail(message, code)
  ngx.status = code == "CONFLICT" and 409 or 500
  ngx.say(code, ": ", message)
end

function M.order(shop, total)
  local report, message, code = conn:transact { { ["order/shop"] = shop, ["order/total"] = tonumber(total) } }
  if not report then return fail(message, code) end
  ngx.say(shop, " has ordered for ", total)
end

function M.total(shop)
  local db, message, code = conn:db()
  if not db then return fail(message, code) end
  local q = "[:find (sum ?t) . :in $ ?shop :with ?o :where [?o :order/shop ?shop] [?o :order/total ?t]]"
  ngx.say(shop, ": ", db:q(q, shop) or 0)
end

-- A long one: it takes many steps, and after each the worker serves others.
function M.triples()
  local q = [=[ [:find (count ?o) . :with ?p ?q
                 :where [?o :order/total ?t] [?p :order/total ?u] [?q :order/total ?w] [(< ?t ?u ?w)]] ]=]
  ngx.ctx.waits = 0
  local count, message, code = conn:db():q(q)
  if not count and code then return fail(message, code) end
  ngx.say(count or 0, " triples, and others were served ", ngx.ctx.waits, " times")
end

return M
