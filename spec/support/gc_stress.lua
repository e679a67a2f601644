-- A garbage collector that never rests, so that a value which C holds but Lua does not is collected under its hands:
-- a cycle begins as soon as the last one ended, in many steps. (Pause 1 with a huge stepmul took minutes on LuaJIT.)
if _VERSION == "Lua 5.4" then
  collectgarbage("incremental", 1, 1000, 0)
else
  collectgarbage("setpause", 50)
  collectgarbage("setstepmul", 400)
end

-- At rest within luassert, which allocates more than what it looks at.
local state = getmetatable(require("luassert").state())
local check = state.__call
local function go_on(...)
  collectgarbage "restart"
  return ...
end
state.__call = function(...)
  collectgarbage "stop"
  return go_on(check(...))
end
