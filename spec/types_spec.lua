-- SPDX-License-Identifier: MIT
--
-- What editors and the manual say of the public names, against what is really there, in both directions:
-- lua/rille/types.lua with the comments beside the code, and docs/lua-api.md.
local rille = require "rille"
local core = require "rille.core"
local support = require "spec.support.init"

local HANDLES = { ["rille.Conn"] = "conn", ["rille.Db"] = "db", ["rille.Query"] = "query", ["rille.Op"] = "op",
  ["rille.Result"] = "result" }

local function public_names(methods)
  local names = {}
  for name, value in pairs(methods) do
    local is_private = name:find "^_" and name ~= "_VERSION"
    if not is_private and not core.later[value] then names[name] = true end
  end
  return names
end

local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, " ")
end

-- class -> {members = {[name] = true}, bare = {parameters without a type}} of an annotated file. `locals` maps names of
-- tables in it to classes; those of types.lua are found by their annotations.
local function annotations(path, locals)
  local classes, class, doc = {}, nil, {}
  local function class_of(name)
    classes[name] = classes[name] or { members = {}, bare = {} }
    return classes[name]
  end
  locals = locals or {}
  for line in (support.read(path) .. "\n"):gmatch "(.-)\n" do
    local named = line:match "^%-%-%-@class ([%w.]+)"
    local field = line:match "^%-%-%-@field ([%w_]+)"
    local variable = line:match "^local (%u%w*) = {}"
    local owner, name, params = line:match "^function (%u%w*)[.:]([%w_]+)%((.-)%)"
    if not owner then owner, name = line:match "^(%u%w*)%.([%w_]+) =" end
    if named then class = named end
    if field and class then class_of(class).members[field] = true end
    if variable and class then locals[variable] = locals[variable] or class end
    if owner and locals[owner] and #doc > 0 then
      local found = class_of(locals[owner])
      found.members[name] = true
      for param in (params or ""):gmatch "[%w_.]+" do
        if not table.concat(doc, "\n"):find("@param " .. param .. "%??%s") then
          table.insert(found.bare, name .. " " .. param)
        end
      end
    end
    if line:find "^%-%-%-" then doc[#doc + 1] = line else doc = {} end
    if line == "" then class = nil end
  end
  return classes
end

local types = annotations "lua/rille/types.lua"

local function members(class, path, owner)
  local names = {}
  for name in pairs(types[class] and types[class].members or {}) do names[name] = true end
  if path then
    local beside = annotations(path, { [owner] = class })
    for name in pairs(beside[class].members) do
      assert(not names[name], name .. " is in types.lua and in " .. path)
      names[name] = true
    end
  end
  return names
end

describe("the annotated types", function()
  for class, handle in pairs(HANDLES) do
    it("have the methods of " .. class, function()
      assert.equal(sorted(public_names(core.methods[handle])), sorted(members(class)))
      assert.same({}, types[class].bare)
    end)
  end

  it("have the names of the modules", function()
    assert.equal(sorted(public_names(rille)), sorted(members("rille", "lua/rille.lua", "M")))
    assert.equal(sorted(public_names(rille.edn)), sorted(members("rille.edn", "lua/rille/edn.lua", "M")))
    assert.equal(sorted(public_names(rille.query)), sorted(members("rille.query", "lua/rille/query.lua", "Q")))
    local builder = members("rille.Builder", "lua/rille/query.lua", "Query")
    for name in pairs(members("rille.Builder", "lua/rille/run.lua", "Builder")) do builder[name] = true end
    assert.equal(sorted(public_names(rille.query.methods)), sorted(builder))
  end)

  it("have the fields of values and reports", function()
    local values = { rille.kw "a/b", rille.instant(1) }
    for field in pairs(types["rille.Value"].members) do
      assert.is_true(values[1][field] ~= nil or values[2][field] ~= nil, field)
    end
    local conn = support.people()
    local report = assert(conn:transact { { ["person/name"] = "Eve" } })
    for field in pairs(types["rille.Report"].members) do assert.is_not_nil(report[field], field) end
    for field in pairs(types["rille.Datom"].members) do assert.is_not_nil(report.tx_data[1][field], field) end
    conn:close()
    support.cleanup()
  end)
end)

describe("docs/lua-api.md", function()
  local text = support.read "docs/lua-api.md"
  local OWNERS = { ["conn:"] = core.methods.conn, ["db:"] = core.methods.db, ["op:"] = core.methods.op,
    ["result:"] = core.methods.result, ["rille."] = rille, ["edn."] = rille.edn, ["Q."] = rille.query }

  it("names nothing that is not there", function()
    for owner, methods in pairs(OWNERS) do
      local names = public_names(methods)
      for name, behind in text:gmatch("%f[%w_]" .. owner:gsub("%.", "%%.") .. "([%a_]+)()") do
        local is_file = text:sub(behind, behind):find "[.\"]" -- rille.lua, rille.h
        assert.is_true(names[name] or is_file ~= nil, owner .. name .. " in the manual")
      end
    end
  end)

  it("names everything that is there", function()
    local HELPERS = { check_table = true, is_query = true, methods = true, rules_form = true, table_form = true }
    for owner, methods in pairs(OWNERS) do
      for name in pairs(public_names(methods)) do
        if not HELPERS[name] then
          local said = text:find("%f[%w_]" .. owner:gsub("%.", "%%.") .. name .. "%f[^%w_]") or
            text:find("`[^`\n]*%f[%w_]" .. name .. "%f[^%w_][^`\n]*`")
          assert.is_true(said ~= nil, owner .. name .. " is not in the manual")
        end
      end
    end
  end)
end)
