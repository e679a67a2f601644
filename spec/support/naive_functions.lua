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

-- A double: as it is where it has a fraction, else marked, since 2.0 is not 2.
function M.double(x)
  if x == math.floor(x) then return { tag = "double", n = x } end
  return x
end

local function plain(v)
  if type(v) == "table" and v.tag == "double" then return v.n end
  return v
end

function M.is_double(v)
  return type(v) == "table" and v.tag == "double" or type(v) == "number" and v ~= math.floor(v)
end

-- The simplest form of a number, and of the numbers in a tuple.
function M.simplest(v)
  if type(v) ~= "table" or v.tag ~= "tuple" then return plain(v) end
  local t = { tag = "tuple" }
  for i, item in ipairs(v) do t[i] = M.simplest(item) end
  return t
end

-- Of two equal values: has the first the simpler form?
function M.simpler(a, b)
  if type(a) == "table" and a.tag == "tuple" then
    for i, item in ipairs(a) do
      if M.form(item) ~= M.form(b[i]) then return M.simpler(item, b[i]) end
    end
    return false
  end
  return M.is_double(b) and not M.is_double(a)
end

-- One text for equal values: 1 and 1.0, and doubles that differ in the last digits only, are one.
function M.key(v)
  v = plain(v)
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

-- The same, but 1 and 1.0 differ: the value as EDN.
function M.form(v)
  if M.is_double(v) then
    local text = M.key(v)
    return text:find("[.e]") and text or text .. ".0"
  end
  if type(v) ~= "table" or v.tag ~= "tuple" then return M.key(v) end
  local out = {}
  for i, item in ipairs(v) do out[i] = M.form(item) end
  return "[" .. table.concat(out, " ") .. "]"
end

local function is_whole(x) return x % 1 == 0 and x > -2 ^ 53 and x < 2 ^ 53 end

-- Are their keys equal? Without a key where that is plain.
function M.equal(a, b)
  a, b = plain(a), plain(b)
  if a == b then return true end
  local kind = type(a)
  if kind ~= type(b) or kind == "string" or kind == "boolean" then return false end
  if kind == "number" and is_whole(a) and is_whole(b) then return false end
  if kind == "table" and a.tag ~= b.tag then return false end
  return M.key(a) == M.key(b)
end

local CLASS = { boolean = 1, number = 2, kw = 3, string = 4, tuple = 5 }
CLASS["nil"] = 0

local function class(v)
  v = plain(v)
  return CLASS[type(v) == "table" and v.tag or type(v)]
end

-- < 0, 0, > 0 in the one order of values.
function M.compare(a, b)
  a, b = plain(a), plain(b)
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
  v = plain(v)
  if type(v) ~= "number" then fail("TYPE", name, "wants a number, not", M.key(v)) end
  return v
end

-- A number made of others: a double where one of them is.
local function made_of(result, ...)
  for _, v in ipairs({ ... }) do
    if M.is_double(v) then return M.double(result) end
  end
  return result
end

local function long(name, v)
  if M.is_double(v) then fail("TYPE", name, "wants a long, not", M.form(v)) end
  return number(name, v)
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
    number(name, first)
    if #rest == 0 then return unit and made_of(f(unit, number(name, first)), first) or first end
    local r = first
    for _, v in ipairs(rest) do r = made_of(f(number(name, r), number(name, v)), r, v) end
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
-- One of the arguments, as it is.
local function best(name, better)
  F[name] = function(first, ...)
    number(name, first)
    for _, v in ipairs({ ... }) do
      if better(number(name, v), number(name, first)) then first = v end
    end
    return first
  end
end
best("min", function(a, b) return a < b end)
best("max", function(a, b) return a > b end)
F.quot = function(a, b)
  return made_of(truncate(number("quot", a) / divisor(number("quot", b))), a, b)
end
F.rem = function(a, b)
  local x, y = number("rem", a), divisor(number("rem", b))
  return made_of(x - y * truncate(x / y), a, b)
end
F.mod = function(a, b)
  local x, y = number("mod", a), divisor(number("mod", b))
  return made_of(x - y * math.floor(x / y), a, b)
end
F.inc = function(a) return made_of(number("inc", a) + 1, a) end
F.dec = function(a) return made_of(number("dec", a) - 1, a) end
F.abs = function(a) return made_of(math.abs(number("abs", a)), a) end
F.long = function(a) return truncate(number("long", a)) end
F.double = function(a) return M.double(number("double", a)) end
F["even?"] = function(a) return long("even?", a) % 2 == 0 end
F["odd?"] = function(a) return long("odd?", a) % 2 == 1 end
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

-- The fewest digits that read back as the same double.
local function shortest(x)
  if x == math.floor(x) then return M.form(M.double(x)) end
  for digits = 1, 17 do
    local shown = ("%." .. digits .. "g"):format(x)
    if tonumber(shown) == x then return shown end
  end
end

F.str = function(...)
  local out = {}
  for i, v in ipairs({ ... }) do
    out[i] = v == NIL and "" or type(v) == "string" and v or M.is_double(v) and shortest(plain(v)) or M.form(v)
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
F["parse-long"] = function(s)
  return text("parse-long", s):find("^[+-]?%d+$") and #s < 16 and tonumber((s:gsub("^%+", ""))) or NIL
end
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
  for _, v in ipairs(list) do sum = made_of(number("sum", sum) + number("sum", v), sum, v) end
  return sum
end
A.avg = function(list) return M.double(plain(A.sum(list)) / #list) end
A.median = function(list)
  local s = sorted(list)
  local middle = math.floor(#s / 2)
  if #s % 2 == 1 then return s[middle + 1] end
  return M.double((plain(s[middle]) + plain(s[middle + 1])) / 2)
end
A.variance = function(list)
  local mean, sum = plain(A.avg(list)), 0
  for _, v in ipairs(list) do sum = sum + (plain(v) - mean) ^ 2 end
  return M.double(sum / #list)
end
A.stddev = function(list) return M.double(math.sqrt(plain(A.variance(list)))) end
local function extreme(descending)
  return function(list, n)
    local s = sorted(list, descending)
    if not n then return s[1] end
    local out = {}
    for i = 1, math.min(n, #s) do out[i] = s[i] end
    return M.tuple(out)
  end
end
A.min = extreme(false)
A.max = extreme(true)

return M
