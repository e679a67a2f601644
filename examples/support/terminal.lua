-- SPDX-License-Identifier: MIT
--
-- What a script shows: aligned tables, numbers that can be read, a progress bar.
local M = {}

-- 1234567 --> "1,234,567"
function M.number(n)
  local text = ("%.0f"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^(%-?),", "%1"))
end

-- How many characters of UTF-8.
local function width(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

local function cut(text, width_max)
  if width(text) <= width_max then return text end
  local kept = text:gsub("[^\128-\191][\128-\191]*", function(c)
    width_max = width_max - 1
    return width_max > 0 and c or ""
  end)
  return kept .. "…"
end

-- Prints rows (arrays) under their heads; columns of numbers stand right. A cell is at most 56 characters wide.
function M.table(heads, rows, out)
  out = out or io.stdout
  local cells, widths, right = { heads }, {}, {}
  for r, row in ipairs(rows) do
    cells[r + 1] = {}
    for c = 1, #heads do
      local value = row[c]
      right[c] = right[c] ~= false and type(value) == "number"
      cells[r + 1][c] = cut(right[c] and M.number(value) or tostring(value), 56)
    end
  end
  for _, row in ipairs(cells) do
    for c = 1, #heads do widths[c] = math.max(widths[c] or 0, width(row[c])) end
  end
  local function line(row, fill)
    local texts = {}
    for c = 1, #heads do
      local space = fill:rep(widths[c] - width(row[c]))
      texts[c] = right[c] and space .. row[c] or row[c] .. space
    end
    out:write("  ", (table.concat(texts, "  "):gsub("%s+$", "")), "\n")
  end
  local rule = {}
  for c = 1, #heads do rule[c] = "" end
  line(heads, " ")
  line(rule, "-")
  for r = 2, #cells do line(cells[r], " ") end
end

-- Is stderr a terminal? Lua cannot tell; a shell can.
local function stderr_is_terminal()
  local ok = os.execute("test -t 2")
  return ok == true or ok == 0
end

-- A bar on stderr: local bar = terminal.progress("loading", 500); bar:update(120, "fast"); bar:finish("done").
-- On a terminal it is redrawn in place; elsewhere there is one line at the end. The total may be nil (not known).
function M.progress(title, total)
  local terminal = stderr_is_terminal()
  local bar = {}
  function bar.update(_, done, note)
    if not terminal then return end
    local drawn = M.number(done)
    if total then
      local share = total > 0 and math.min(done / total, 1) or 1
      local full = math.floor(share * 30)
      drawn = ("[%s%s] %3.0f %%"):format(("="):rep(full), (" "):rep(30 - full), share * 100)
    end
    io.stderr:write("\r\27[K", title, "  ", drawn, "  ", note or "")
    io.stderr:flush()
  end
  function bar.finish(_, note)
    io.stderr:write(terminal and "\r\27[K" or "", title, "  ", note or "", "\n")
  end
  return bar
end

return M
