-- SPDX-License-Identifier: MIT
--
-- busted's plain output, and a line per test that is over in the file RILLE_TALLY: "1 0" for one that passed, "0 1" for
-- one that did not, "0 0" for one that is pending, and then its seconds and name. So tools/test knows what passed, in a
-- run that never ends, too, and what takes long.

local COUNTS = { success = "1 0", pending = "0 0" }

return function(options)
  local busted = require "busted"
  local path = os.getenv "RILLE_TALLY"
  busted.subscribe({ "test", "end" }, function(element, _, status)
    local file = path and io.open(path, "a")
    if file then
      local name = element.name:gsub("%s+", " ")
      file:write(("%s %.2f %s\n"):format(COUNTS[status] or "0 1", element.duration or 0, name))
      file:close()
    end
    return nil, true
  end)
  return require "busted.outputHandlers.plainTerminal"(options)
end
