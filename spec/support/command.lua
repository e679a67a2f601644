-- SPDX-License-Identifier: MIT
--
-- The command rille, run as a program with the Lua that runs the specs.

local support = require "spec.support.init"

local M = {}

local LUA = arg and arg[-1] or "lua"
for i = -1, -20, -1 do
  if arg and arg[i] and arg[i]:find "lua" then LUA = arg[i] end
end

---A word for the shell.
function M.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

---The shell's words that start rille with these arguments.
function M.words(...)
  local words = { "LUA_PATH=" .. M.quote(package.path), "LUA_CPATH=" .. M.quote(package.cpath), M.quote(LUA),
    "bin/rille" }
  for i = 1, select("#", ...) do words[#words + 1] = M.quote((select(i, ...))) end
  return table.concat(words, " ")
end

---Runs a command of the shell; its exit code.
function M.shell(text)
  local first, _, third = os.execute(text)
  local code = third or (type(first) == "number" and first or 0)
  if code >= 256 then code = code / 256 end -- Lua 5.1 returns the status of wait
  return code
end

---Runs rille with its standard output in a file; exit code, that file, standard error.
function M.run_to(out, ...)
  local err = support.path "err"
  local code = M.shell(("%s > %s 2> %s"):format(M.words(...), M.quote(out), M.quote(err)))
  return code, out, support.read(err)
end

---Runs rille; exit code, standard output, standard error.
function M.run(...)
  local code, out, err = M.run_to(support.path "out", ...)
  return code, support.read(out), err
end

return M
