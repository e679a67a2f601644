-- SPDX-License-Identifier: MIT
--
-- One connection with keys that expire, for roles.sh:
--   roles.lua URL write RENEW     commits for longer than the keys last, while the command RENEW makes others; then
--                                 each transaction is there, and no secret where the connection is shown
--   roles.lua URL refused RENEW   the service of the keys refuses
local rille = require "rille"
local url, mode, renew = arg[1], arg[2], arg[3]

if mode == "refused" then
  local conn, message, code = rille.connect(url)
  assert(not conn and code == "PERMISSION", message)
  assert(message:find("401", 1, true) and message:find("AWS_CONTAINER_", 1, true), message)
  assert(not message:find("wrong-token", 1, true), message)
  return
end
local conn = assert(rille.create(url))
assert(conn:transact { { ["db/ident"] = "n", ["db/valueType"] = "db.type/long" } })
local begin, count = os.time(), 0
while os.time() - begin < 9 do
  assert(os.execute(renew))
  count = count + 1
  assert(conn:transact { { n = count } })
end
assert(conn:db():q "[:find (count ?e) . :where [?e :n _]]" == count)
assert(#assert(rille.branches(url)) == 1)
for _, text in ipairs { tostring(conn), url } do assert(not text:find("oken", 1, true), text) end
conn:close()
