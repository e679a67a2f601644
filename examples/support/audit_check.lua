-- SPDX-License-Identifier: MIT
--
-- The four answers of debian_audit.lua once more, by loops over the Lua tables that were imported. No database here.
local version = require "version"

local M = {}

local function by_name(packages)
  local map = {}
  for _, package in ipairs(packages) do map[package.name] = package end
  return map
end

local function newer(data)
  local security, rows = by_name(data.security()), {}
  for name, installed in pairs(data.now) do
    local available = security[name]
    if available and version.newer(available.version, installed.version) then
      rows[#rows + 1] = { name, installed.version, available.version }
    end
  end
  return rows
end

local function maintainers(data)
  local groups, rows = {}, {}
  for _, package in ipairs(data.main()) do
    if data.now[package.name] and package.size and package.section and package.maintainer then
      local key = package.maintainer .. "\0" .. package.section
      local row = groups[key]
      if not row then
        row = { package.maintainer, package.section, 0, 0 }
        groups[key] = row
        rows[#rows + 1] = row
      end
      row[3], row[4] = row[3] + 1, row[4] + package.size
    end
  end
  return rows
end

local function pulled_in(data, root)
  local packages, providers, seen, rows = by_name(data.main()), {}, {}, {}
  for _, package in ipairs(data.main()) do
    for _, name in ipairs(package.provides) do
      providers[name] = providers[name] or {}
      table.insert(providers[name], package.name)
    end
  end
  local waiting = { root }
  local function reach(name)
    if seen[name] then return end
    seen[name] = true
    waiting[#waiting + 1] = name
    local package = packages[name]
    if package and package.size then rows[#rows + 1] = { name, package.version, package.size } end
  end
  while #waiting > 0 do
    local package = packages[table.remove(waiting)]
    for _, name in ipairs(package and package.depends or {}) do
      reach(name)
      for _, provider in ipairs(providers[name] or {}) do reach(provider) end
    end
  end
  return rows
end

local function changed(data)
  local rows = {}
  for name, package in pairs(data.now) do
    local before = data.earlier[name]
    if not before then
      rows[#rows + 1] = { name, "added", "-", package.version }
    elseif version.newer(package.version, before.version) then
      rows[#rows + 1] = { name, "upgraded", before.version, package.version }
    end
  end
  for name, package in pairs(data.earlier) do
    if not data.now[name] then rows[#rows + 1] = { name, "removed", package.version, "-" } end
  end
  return rows
end

-- Rows as sorted lines: the order does not count, numbers are compared as text without a fraction.
local function lines(rows)
  local list = {}
  for i = 1, #rows do
    local cells = {}
    for c = 1, #rows[i] do
      local cell = rows[i][c]
      cells[c] = type(cell) == "number" and ("%.0f"):format(cell) or tostring(cell)
    end
    list[i] = table.concat(cells, " | ")
  end
  table.sort(list)
  return list
end

local function differences(title, expected, found)
  local a, b = lines(expected), lines(found)
  local i, j, count = 1, 1, 0
  while a[i] or b[j] do
    if a[i] == b[j] then
      i, j = i + 1, j + 1
    else
      local missing = a[i] and (not b[j] or a[i] < b[j])
      count = count + 1
      if count <= 5 then print(("    %s: %s"):format(missing and "missing" or "wrong", missing and a[i] or b[j])) end
      if missing then i = i + 1 else j = j + 1 end
    end
  end
  print(("  %s: %d rows by loops, %d by the query, %d differences"):format(title, #a, #b, count))
  return count
end

-- data: what was imported; answers: the results of the queries --> the number of differences.
function M.compare(data, root, answers)
  print("\nThe same by loops over Lua tables:")
  return differences("1", newer(data), answers.newer)
    + differences("2", maintainers(data), answers.maintainers)
    + differences("3", pulled_in(data, root), answers.pulled_in)
    + differences("4", changed(data), answers.changed)
end

return M
