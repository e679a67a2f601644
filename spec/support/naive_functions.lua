-- SPDX-License-Identifier: MIT
--
-- Values, functions and aggregates of the naive evaluator: plain Lua, one value at a time.
-- A value is a number, string, boolean, keyword (edn_lite.kw), NIL or tuple ({tag = "tuple", ...}).
local edn = require "spec.support.edn_lite"
local NIL = edn.NIL

local M = {}

-- ---- values ----

function M.tuple(items)
  local t = { tag = "tuple" }
  for i, v in ipairs(items) do t[i] = v end
  return t
end

-- One text for equal values: 1 and 1.0, and doubles that differ in the last digits only, are one.
function M.key(v)
  local kind = type(v)
  if kind == "number" then
    if v == math.floor(v) and v > -2 ^ 53 and v < 2 ^ 53 then return ("%.0f"):format(v == 0 and 0 or v) end
    return ("%.11g"):format(v)
  elseif kind == "string" then
    return '"' .. v:gsub('[\\"]', "\\%0") .. '"'
  elseif kind == "boolean" then
    return tostring(v)
  elseif kind == "table" then
    if v.tag == "kw" then return ":" .. v.name end
    if v.tag == "nil" then return "nil" end
    local out = {}
    for i, item in ipairs(v) do out[i] = M.key(item) end
    return "[" .. table.concat(out, " ") .. "]"
  end
  error("no value: " .. tostring(v))
end

function M.equal(a, b)
  return a == b or (type(a) == type(b) and M.key(a) == M.key(b))
end

local CLASS = { boolean = 1, number = 2, kw = 3, string = 4, tuple = 5 }
CLASS["nil"] = 0

local function class(v)
  return CLASS[type(v) == "table" and v.tag or type(v)]
end

-- < 0, 0, > 0 in the one order of values.
function M.compare(a, b)
  local ca, cb = class(a), class(b)
  if ca ~= cb then return ca - cb end
  if M.equal(a, b) then return 0 end
  if ca == 1 then return a and 1 or -1 end
  if ca == 3 then return a.name < b.name and -1 or 1 end
  if ca == 5 then
    for i = 1, math.max(#a, #b) do
      if a[i] == nil then return -1 end
      if b[i] == nil then return 1 end
      local order = M.compare(a[i], b[i])
      if order ~= 0 then return order end
    end
    return 0
  end
  return a < b and -1 or 1
end

-- ---- functions: fn(args...) -> value, NIL drops the row ----

local F = {}
M.functions = F

local function fail(code, ...)
  error({ code = code, message = table.concat({ ... }, " ") }, 0)
end

local function number(name, v)
  if type(v) ~= "number" then fail("TYPE", name, "wants a number, not", M.key(v)) end
  return v
end

local function text(name, v)
  if type(v) ~= "string" then fail("TYPE", name, "wants a string, not", M.key(v)) end
  return v
end

F["="] = function(first, ...)
  for _, v in ipairs({ ... }) do
    if not M.equal(first, v) then return false end
  end
  return true
end
F["=="] = F["="]
F["not="] = function(...) return not F["="](...) end
F["!="] = F["not="]

local function chain(name, holds)
  F[name] = function(...)
    local args = { ... }
    local all = true
    for i = 1, #args - 1 do
      if class(args[i]) ~= class(args[i + 1]) or args[i] == NIL then
        fail("TYPE", name, "cannot order", M.key(args[i]), M.key(args[i + 1]))
      end
      all = all and holds(M.compare(args[i], args[i + 1]))
    end
    return all
  end
end
chain("<", function(o) return o < 0 end)
chain(">", function(o) return o > 0 end)
chain("<=", function(o) return o <= 0 end)
chain(">=", function(o) return o >= 0 end)
F.compare = function(a, b)
  local o = M.compare(a, b)
  return o < 0 and -1 or o > 0 and 1 or 0
end

local function fold(name, unit, f)
  F[name] = function(first, ...)
    local rest = { ... }
    if #rest == 0 then return unit and f(unit, number(name, first)) or number(name, first) end
    local r = number(name, first)
    for _, v in ipairs(rest) do r = f(r, number(name, v)) end
    return r
  end
end
local function divisor(b)
  if b == 0 then fail("FUNCTION", "divides by zero") end
  return b
end
local function truncate(x) return x < 0 and math.ceil(x) or math.floor(x) end
fold("+", nil, function(a, b) return a + b end)
fold("*", nil, function(a, b) return a * b end)
fold("-", 0, function(a, b) return a - b end)
fold("/", 1, function(a, b) return a / divisor(b) end)
fold("min", nil, function(a, b) return a <= b and a or b end)
fold("max", nil, function(a, b) return a >= b and a or b end)
F.quot = function(a, b) return truncate(number("quot", a) / divisor(number("quot", b))) end
F.rem = function(a, b) return number("rem", a) - divisor(number("rem", b)) * truncate(a / b) end
F.mod = function(a, b) return number("mod", a) - divisor(number("mod", b)) * math.floor(a / b) end
F.inc = function(a) return number("inc", a) + 1 end
F.dec = function(a) return number("dec", a) - 1 end
F.abs = function(a) return math.abs(number("abs", a)) end
F.long = function(a) return truncate(number("long", a)) end
F.double = function(a) return number("double", a) end
F["even?"] = function(a) return number("even?", a) % 2 == 0 end
F["odd?"] = function(a) return number("odd?", a) % 2 == 1 end
F["pos?"] = function(a) return number("pos?", a) > 0 end
F["neg?"] = function(a) return number("neg?", a) < 0 end
F["zero?"] = function(a) return number("zero?", a) == 0 end

F["nil?"] = function(v) return v == NIL end
F["some?"] = function(v) return v ~= NIL end
F["true?"] = function(v) return v == true end
F["false?"] = function(v) return v == false end
F["not"] = function(v) return v == NIL or v == false end
F.identity = function(v) return v end
F.ground = F.identity
F.untuple = F.identity
F.tuple = function(...) return M.tuple({ ... }) end
F.count = function(v)
  if v == NIL then return 0 end
  if type(v) == "string" then return #v:gsub("[\128-\191]", "") end
  return #v
end
F["empty?"] = function(v) return F.count(v) == 0 end
F["contains?"] = function(t, v)
  for _, item in ipairs(t) do
    if M.equal(item, v) then return true end
  end
  return false
end
F.get = function(t, i, otherwise)
  local v = t[i + 1]
  if v ~= nil then return v end
  return otherwise == nil and NIL or otherwise
end
F.nth = F.get

F.str = function(...)
  local out = {}
  for i, v in ipairs({ ... }) do
    out[i] = v == NIL and "" or type(v) == "string" and v or M.key(v)
  end
  return table.concat(out)
end
F.subs = function(s, from, to)
  if from > #s or (to or #s) > #s or from < 0 or (to or #s) < from then fail("FUNCTION", "subs is out of range") end
  return text("subs", s):sub(from + 1, to or #s)
end
F["upper-case"] = function(s) return text("upper-case", s):upper() end
F["lower-case"] = function(s) return text("lower-case", s):lower() end
F.trim = function(s) return (text("trim", s):gsub("^%s+", ""):gsub("%s+$", "")) end
F["starts-with?"] = function(s, p) return text("starts-with?", s):sub(1, #text("starts-with?", p)) == p end
F["ends-with?"] = function(s, p) return #p <= #s and text("ends-with?", s):sub(#s - #p + 1) == p end
F["includes?"] = function(s, p) return text("includes?", s):find(text("includes?", p), 1, true) ~= nil end
F["blank?"] = function(s) return s == NIL or text("blank?", s):find("^%s*$") ~= nil end
F.keyword = function(a, b)
  if type(a) == "table" and a.tag == "kw" then return a end
  return edn.kw(b and a .. "/" .. b or a)
end
F.name = function(v) return type(v) == "string" and v or v.name:match("^[^/]+/(.+)$") or v.name end
F.namespace = function(v) return v.name:match("^([^/]+)/") or NIL end

-- ---- aggregates: fn(list of values, n) -> value ----

local A = {}
M.aggregates = A

local function sorted(list, descending)
  local copy = {}
  for i, v in ipairs(list) do copy[i] = v end
  table.sort(copy, function(a, b)
    local order = M.compare(a, b)
    if descending then return order > 0 end
    return order < 0
  end)
  return copy
end

local function distinct(list)
  local seen, out = {}, {}
  for _, v in ipairs(list) do
    local k = M.key(v)
    if not seen[k] then
      seen[k] = true
      out[#out + 1] = v
    end
  end
  return out
end

A.count = function(list) return #list end
A["count-distinct"] = function(list) return #distinct(list) end
A.distinct = function(list) return M.tuple(sorted(distinct(list))) end
A.sum = function(list)
  local sum = 0
  for _, v in ipairs(list) do sum = sum + number("sum", v) end
  return sum
end
A.avg = function(list) return A.sum(list) / #list end
A.median = function(list)
  local s = sorted(list)
  local middle = math.floor(#s / 2)
  return #s % 2 == 1 and s[middle + 1] or (s[middle] + s[middle + 1]) / 2
end
A.variance = function(list)
  local mean, sum = A.avg(list), 0
  for _, v in ipairs(list) do sum = sum + (v - mean) ^ 2 end
  return sum / #list
end
A.stddev = function(list) return math.sqrt(A.variance(list)) end
local function best(descending)
  return function(list, n)
    local s = sorted(list, descending)
    if not n then return s[1] end
    local out = {}
    for i = 1, math.min(n, #s) do out[i] = s[i] end
    return M.tuple(out)
  end
end
A.min = best(false)
A.max = best(true)

return M
