-- SPDX-License-Identifier: MIT
--
-- Makes a database of version 1 one of version 2, by commits until there is a segment, or by a flush and some commits.
-- usage: rille run test/reader/convert.lua DIR commit|flush
local rille = require "rille"

local conn = assert(rille.connect("file:" .. arg[1], { durability = "none" }))
local by_flush = arg[2] == "flush"
if by_flush then assert(conn:flush()) end
for i = 1, by_flush and 20 or 300 do
  assert(conn:transact { { ["db/id"] = "new", ["db/doc"] = "number " .. i } })
end
conn:close()
