-- SPDX-License-Identifier: MIT
--
-- Lua out of memory, at each of its allocations: nothing may crash, hang or leak, and with enough memory all works. The
-- sanitizers of the asan build look on. In a program of its own, since its allocator is replaced.
local support = require "spec.support.init"

local LUA = os.getenv "RILLE_TEST_LUA" or "lua5.4"

describe("Lua out of memory", function()
  local found = package.searchpath and package.searchpath("rille_test.alloc", package.cpath)
  local it_runs = found and not support.stressed and it or pending -- ABI 5.1 is built without tests

  it_runs("gives errors, and leaves nothing behind", function()
    local pipe = assert(io.popen(("%s spec/support/oom.lua 2>&1; echo \"exit $?\""):format(LUA)))
    local text = pipe:read "*a"
    pipe:close()
    local count = 0
    for line in text:gmatch "[^\n]+" do
      if line ~= "exit 0" then
        assert.matches("^[%a ]+: done$", line, nil, nil, text)
        count = count + 1
      end
    end
    assert.matches("exit 0\n$", text)
    assert.is_true(count >= 24, text)
  end)
end)
