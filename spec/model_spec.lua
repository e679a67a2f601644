-- SPDX-License-Identifier: MIT
--
-- Random data and queries: the engine against the naive evaluator. RILLE_SEED chooses the first seed, RILLE_CASES how
-- many follow. A failure prints the seed and the query; `RILLE_SEED=n RILLE_CASES=1` runs that case again.
local support = require "spec.support.init"
local model = require "spec.support.model"

local CASES = tonumber(os.getenv "RILLE_CASES") or support.stressed and 20 or 1000

describe("queries against the naive model", function()
  local first = tonumber(os.getenv "RILLE_SEED") or 1

  after_each(support.cleanup)

  local size = 100
  for from = first, first + CASES - 1, size do
    local to = math.min(from + size, first + CASES) - 1
    it(("are right for the seeds %d to %d"):format(from, to), function()
      for seed = from, to do
        model.run(seed)
        support.cleanup()
      end
    end)
  end
end)
