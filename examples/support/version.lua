-- SPDX-License-Identifier: MIT
--
-- Debian's order of versions, as its policy manual (section 5.6.12) describes it: [epoch:]upstream[-revision].
--
--   version.compare("1.0~rc1-1", "1.0-1") --> -1      "~" sorts before everything, even before the end
--   version.compare("1:0.9", "2.4")       --> 1       the epoch counts first
--   version.compare("1.10", "1.9")        --> 1       digits compare as numbers
local M = {}

local function split(text)
  local epoch, rest = text:match("^(%d+):(.*)$")
  rest = rest or text
  local upstream, revision = rest:match("^(.*)%-([^%-]*)$")
  return tonumber(epoch or 0), upstream or rest, revision or ""
end

-- The rank of a byte where no digit stands: "~", then the end (nil), then letters, then all else.
local function rank(byte)
  if byte == 126 then return -1 end
  if not byte then return 0 end
  local letter = byte >= 65 and byte <= 90 or byte >= 97 and byte <= 122
  return letter and byte or byte + 256
end

local function compare_words(a, b)
  for i = 1, math.max(#a, #b) do
    local x, y = rank(a:byte(i)), rank(b:byte(i))
    if x ~= y then return x < y and -1 or 1 end
  end
  return 0
end

-- Digits of any length, as numbers: without leading zeros the longer one is greater.
local function compare_digits(a, b)
  a, b = a:match("^0*(.*)$"), b:match("^0*(.*)$")
  if #a ~= #b then return #a < #b and -1 or 1 end
  if a == b then return 0 end
  return a < b and -1 or 1
end

-- Upstream versions and revisions: words and numbers take turns.
local function compare_part(a, b)
  local i, j = 1, 1
  while i <= #a or j <= #b do
    local word_a, digits_a = a:match("^(%D*)(%d*)", i)
    local word_b, digits_b = b:match("^(%D*)(%d*)", j)
    local order = compare_words(word_a, word_b)
    if order == 0 then order = compare_digits(digits_a, digits_b) end
    if order ~= 0 then return order end
    i, j = i + #word_a + #digits_a, j + #word_b + #digits_b
  end
  return 0
end

-- -1, 0 or 1.
function M.compare(a, b)
  if a == b then return 0 end
  local epoch_a, upstream_a, revision_a = split(a)
  local epoch_b, upstream_b, revision_b = split(b)
  if epoch_a ~= epoch_b then return epoch_a < epoch_b and -1 or 1 end
  local order = compare_part(upstream_a, upstream_b)
  return order ~= 0 and order or compare_part(revision_a, revision_b)
end

-- Is a newer than b?
function M.newer(a, b)
  return M.compare(a, b) > 0
end

return M
