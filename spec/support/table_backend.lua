-- SPDX-License-Identifier: MIT
--
-- A backend written in Lua: databases in tables, by the name of their place.

local M = {}

---A backend with places of its own. before(slot, ...), if given, comes first in each function: it may yield or fail.
---@param before? fun(slot: string, ...): nil, string?, string?
---@return rille.Backend backend
---@return table<string, table> places
function M.new(before)
  local places, count = {}, 0
  local backend = {}

  function backend.open(place, how)
    places[place] = places[place] or how.create and { objects = { pack = {}, node = {}, blob = {} }, heads = {} }
    if not places[place] then return nil, "there is no table " .. place, "NOTFOUND" end
    return places[place]
  end

  function backend.get_many(db, gets)
    local out = {}
    for i, get in ipairs(gets) do
      local bytes = db.objects[get.kind][get.id]
      out[i] = bytes and bytes:sub(get.offset + 1, get.length > 0 and get.offset + get.length or -1) or false
    end
    return out
  end

  local function keep(db, puts)
    for _, put in ipairs(puts) do db.objects[put.kind][put.id] = put.bytes end
    return true
  end
  backend.put_many = keep

  function backend.head_read(db, branch, known)
    local head = db.heads[branch]
    if not head then return false end
    if head.revision == known then return true end
    return head.bytes, head.revision
  end

  function backend.head_swap(db, swap)
    local head = db.heads[swap.branch]
    if (head and head.revision) ~= swap.expected then return false end
    keep(db, swap.objects)
    count = count + 1
    db.heads[swap.branch] = { bytes = swap.bytes, revision = tostring(count) }
    return tostring(count)
  end

  function backend.head_delete(db, branch)
    if not db.heads[branch] then return nil, "there is no branch " .. branch, "NOTFOUND" end
    db.heads[branch] = nil
    return true
  end

  local function keys(items)
    local out = {}
    for key in pairs(items) do out[#out + 1] = key end
    return out
  end

  function backend.head_list(db) return keys(db.heads) end

  function backend.list(db, kind) return keys(db.objects[kind]) end

  function backend.delete_many(db, objects)
    for _, object in ipairs(objects) do db.objects[object.kind][object.id] = nil end
    return true
  end

  function backend.drop(db)
    for place, other in pairs(places) do
      if other == db then places[place] = nil end
    end
    return true
  end

  function backend.size_bytes(db)
    local sum = 0
    for _, objects in pairs(db.objects) do
      for _, bytes in pairs(objects) do sum = sum + #bytes end
    end
    return sum
  end

  for name, f in pairs(backend) do
    if before and name ~= "size_bytes" then
      backend[name] = function(...)
        local ok, message, code = before(name, ...)
        if ok == nil and message then return nil, message, code end
        return f(...)
      end
    end
  end
  return backend, places
end

return M
