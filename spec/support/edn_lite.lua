-- SPDX-License-Identifier: MIT
--
-- A small EDN reader for the naive evaluator. It shares nothing with the engine: what both read alike was read twice.
--
-- vector, list, set, map -> {tag = "vector", ...}; symbol -> {tag = "sym", name = }; keyword -> the one table of its
-- name, {tag = "kw", name = } without the colon, so that == compares keywords; nil -> M.NIL; the rest as in Lua.
local M = {}

M.NIL = { tag = "nil" }

local keywords = {}
function M.kw(name)
  local k = keywords[name]
  if not k then
    k = { tag = "kw", name = name }
    keywords[name] = k
  end
  return k
end

local CLOSER = { ["["] = "]", ["("] = ")", ["{"] = "}" }
local TAG = { ["["] = "vector", ["("] = "list", ["{"] = "map" }
local ESCAPE = { n = "\n", t = "\t", r = "\r", ['"'] = '"', ["\\"] = "\\" }

local read

local function skip(text, at)
  while true do
    local from, to = text:find("^[%s,]+", at)
    if from then at = to + 1 end
    if text:sub(at, at) == ";" then
      at = (text:find("\n", at, true) or #text) + 1
    elseif text:sub(at, at + 1) == "#_" then
      local _, next_at = read(text, at + 2)
      at = next_at
    elseif not from then
      return at
    end
  end
end

local function read_items(text, at, closer, tag)
  local items = { tag = tag }
  while true do
    at = skip(text, at)
    if at > #text then error("unfinished " .. tag) end
    if text:sub(at, at) == closer then return items, at + 1 end
    items[#items + 1], at = read(text, at)
  end
end

local function read_string(text, at)
  local out = {}
  while true do
    local c = text:sub(at, at)
    if c == "" then error("unfinished string") end
    if c == '"' then return table.concat(out), at + 1 end
    if c == "\\" then
      at = at + 1
      c = ESCAPE[text:sub(at, at)] or error("unknown escape \\" .. text:sub(at, at))
    end
    out[#out + 1] = c
    at = at + 1
  end
end

local WORDS = { ["true"] = true, ["false"] = false }

local function read_word(text, at)
  local word = text:match("^[^%s,%[%](){}\";]+", at)
  if not word then error(("cannot read %q"):format(text:sub(at, at + 10))) end
  local next_at = at + #word
  if WORDS[word] ~= nil then return WORDS[word], next_at end
  if word == "nil" then return M.NIL, next_at end
  if word:sub(1, 1) == ":" then return M.kw(word:sub(2)), next_at end
  if word:find("^[+-]?%d") then
    local number = tonumber((word:gsub("[NM]$", ""))) or error("no number: " .. word)
    if word:find "[.eE]" and number == math.floor(number) then return { tag = "double", n = number }, next_at end
    return number, next_at
  end
  return { tag = "sym", name = word }, next_at
end

read = function(text, at)
  at = skip(text, at)
  local c = text:sub(at, at)
  if CLOSER[c] then return read_items(text, at + 1, CLOSER[c], TAG[c]) end
  if text:sub(at, at + 1) == "#{" then return read_items(text, at + 2, "}", "set") end
  if c == '"' then return read_string(text, at + 1) end
  if c == "" then error("nothing to read") end
  return read_word(text, at)
end

-- Exactly one form.
function M.read(text)
  local form, at = read(text, 1)
  if skip(text, at) <= #text then error("more than one form") end
  return form
end

return M
