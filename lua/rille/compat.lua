-- SPDX-License-Identifier: MIT
--
-- What differs between Lua 5.1, LuaJIT, 5.2, 5.3 and 5.4: asked here, once.

local M = {}

---Values of a list from `first` to `last`.
M.unpack = table.unpack or unpack

---`{n = count, ...}`
M.pack = table.pack or function(...)
  return { n = select("#", ...), ... }
end

---The length of a table, whatever its metatable says.
---@type fun(t: table): integer
M.rawlen = rawget(_G, "rawlen") or function(t) return #t end

---Has this Lua integers of 64 bits besides floats?
M.has_integers = math.type ~= nil

---Is it LuaJIT?
M.is_jit = rawget(_G, "jit") ~= nil

---A string for `x` that Lua reads back as the same number.
---@param x number
---@return string
function M.number_text(x)
  if M.has_integers and math.type(x) == "integer" then return ("%d"):format(x) end
  return ("%.17g"):format(x)
end

---Runs a chunk of a file with its own arguments.
---@param path string
---@return function? chunk
---@return string? message
function M.loadfile(path)
  return loadfile(path)
end

---A function that LuaJIT does not compile: machine code calls no hooks.
---@generic F
---@param f F
---@return F
function M.interpreted(f)
  if M.is_jit then rawget(_G, "jit").off(f) end
  return f
end

---Is it the error by which the interpreter ends a program at Ctrl-C? What catches errors passes this one on.
---@param message any
---@return boolean
function M.is_interrupt(message)
  return type(message) == "string" and message:find "interrupted!$" ~= nil
end

---An error's text, whatever was raised: a value's own __tostring may raise another error, or return no string.
---@param message any
---@return string
function M.error_text(message)
  local fine, text = pcall(tostring, message)
  if fine and type(text) == "string" then return text end
  return ("an error that is a %s without a text"):format(type(message))
end

---Ends the program. On Lua 5.1 there is no way to close the state first.
---@param code integer
function M.exit(code)
  if _VERSION == "Lua 5.1" then os.exit(code) end
  os.exit(code, true)
end

return M
