-- SPDX-License-Identifier: MIT
--
-- Is an answer right? Rows as text, and the judgement of an engine's answer by the naive evaluator's result.
local base = require "spec.support.naive_functions"
local forms = require "spec.support.naive_forms"

local M = {}
local key, rest = base.key, forms.rest

local function row_key(row)
  local out = {}
  for i, v in ipairs(row) do out[i] = key(v) end
  return "[" .. table.concat(out, " ") .. "]"
end
M.row_key = row_key

-- All rows as text, one a line, sorted. with_forms: 2 and 2.0 differ.
function M.serialise(rows, with_forms)
  local out = {}
  for i, row in ipairs(rows) do out[i] = with_forms and base.form(base.tuple(row)) or row_key(row) end
  table.sort(out)
  return table.concat(out, "\n")
end

local function order_key(result, row)
  local out = {}
  for i, o in ipairs(result.order) do out[i] = key(row[o.column]) end
  return table.concat(out, " ")
end

-- Is `rows` (a list of rows, in the order they came) a right answer? true, or nil and why not. :find of one value, row
-- or list is judged by the rows it was taken from: pass a list of rows there, too.
function M.check(result, rows)
  local expected = result.rows
  local offset = result.offset or 0
  local count = math.max(0, #expected - offset)
  if result.limit then count = math.min(count, result.limit) end
  if (result.kind == "tuple" or result.kind == "scalar") and count > 1 then count = 1 end
  if #rows ~= count then return nil, ("%d rows, expected %d"):format(#rows, count) end
  local left = {}
  for _, row in ipairs(expected) do left[row_key(row)] = true end
  for i, row in ipairs(rows) do
    local id = row_key(row)
    if not left[id] then return nil, ("row %d %s is wrong, or there twice"):format(i, id) end
    left[id] = nil
  end
  if #result.order > 0 then
    local sorted = rest(expected, 1)
    table.sort(sorted, function(a, b)
      for _, o in ipairs(result.order) do
        local c = base.compare(a[o.column], b[o.column])
        if c ~= 0 then
          if o.desc then return c > 0 end
          return c < 0
        end
      end
      return false
    end)
    for i, row in ipairs(rows) do
      if order_key(result, row) ~= order_key(result, sorted[offset + i]) then
        return nil, ("row %d %s is out of order"):format(i, row_key(row))
      end
    end
  end
  return true
end

return M
