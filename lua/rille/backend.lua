-- SPDX-License-Identifier: MIT
--
-- Backends written in Lua: tables of functions, by the scheme of their URLs.
--
-- The engine never calls them. Every call of such a backend is something that an operation wants; here its function
-- is called, between two steps, in a coroutine of its own. So it may yield wherever a driver may, its errors end only
-- the call, and a function that asks for what only it could answer is noticed.

local core = require "rille.core"
local check = require "rille.check"
local compat = require "rille.compat"

local M = {}

local raise, pack, unpack = core.raise, compat.pack, compat.unpack
local resume, status = coroutine.resume, coroutine.status

-- Core stays when this file is loaded again, as some test runners do.
core.backends = core.backends or {
  registered = {}, -- by scheme
  opened = {}, -- number of a store -> {backend =, state =, url =, running = {[coroutine] = slot}}
  last = 0, -- number
  inbox = core.host_inbox(),
}
local all = core.backends
local registered, opened, inbox = all.registered, all.opened, all.inbox

---Has any database of such a backend been opened?
M.used = all.last > 0

local MUST = { get_many = true, put_many = true, head_read = true, head_swap = true }
local FIELDS = { rows = "boolean", readonly = "boolean", plain = "boolean" }
for name in ("open get_many put_many head_read head_swap head_delete head_list list delete_many drop close size_bytes "
  .. "ages"):gmatch "%S+" do
  FIELDS[name] = "function"
end
local BUILT_IN = {}
for name in ("mem file lmdb s3 http https sqlite postgresql idb deferred faulty"):gmatch "%S+" do
  BUILT_IN[name] = true
end
local IS_CODE = {}
for name in pairs(core.codes()) do IS_CODE[name] = true end

---Makes URLs of a scheme name databases of a backend that is written in Lua, in this Lua state; nil: no more.
---@param scheme string lower-case letters, digits, +, - and .
---@param backend rille.Backend?
---@return rille.Backend? before what the scheme meant until now
function M.register(scheme, backend)
  if type(scheme) ~= "string" or not scheme:find "^%l[%l%d+.-]+$" then
    raise(("rille.backend: expected a scheme of lower-case letters, such as \"rest\", got %s"):format(
      type(scheme) == "string" and ("%q"):format(scheme) or check.kind(scheme)))
  end
  if BUILT_IN[scheme] then raise(("rille.backend: %s: is built in: use a different name"):format(scheme)) end
  local before = registered[scheme]
  if backend == nil then
    registered[scheme] = nil
    return before
  end
  if type(backend) ~= "table" then
    raise("rille.backend: expected a table of functions, got " .. check.kind(backend))
  end
  local where = ("rille.backend: backend %q"):format(scheme)
  check.options(where, backend, FIELDS)
  for name in pairs(MUST) do
    if not backend[name] and not (backend.readonly and (name == "put_many" or name == "head_swap")) then
      raise(("%s lacks the function %s"):format(where, name))
    end
  end
  registered[scheme] = backend
  return before
end

---The backend of a URL, or nil.
---@param url string
---@return rille.Backend? backend
---@return string? place
function M.find(url)
  local scheme, place = url:match "^(%l[%l%d+.-]+):(.*)$"
  return registered[scheme], place
end

-- ---- calling a function ----

-- Is one of this store's functions running, and has it, further up the stack, asked for this?
local function is_within(rec)
  for co in pairs(rec.running) do
    local now = status(co)
    if now == "running" or now == "normal" then return true end
  end
  return false
end

local close = coroutine.close or function() end -- luacheck: ignore 143

-- true, and what the one who resumes passes; or false where nobody can yield. Lua 5.2 finds out by trying.
local function yield(...)
  if _VERSION == "Lua 5.2" then return pcall(coroutine.yield, ...) end
  if not M.is_yieldable() then return false end
  return true, coroutine.yield(...)
end

-- Goes on with a function's coroutine, whose yields are the caller's.
local function go_on(co, ...)
  local out = pack(resume(co, ...))
  while status(co) == "suspended" do
    local passed = pack(yield(unpack(out, 2, out.n)))
    if not passed[1] then
      close(co)
      return { n = 2, false, "it yielded where this Lua cannot yield: run the script in a coroutine, or let the "
        .. "function block" }
    end
    out = pack(resume(co, unpack(passed, 2, passed.n)))
  end
  if not out[1] then close(co) end
  return out
end

local function failed(rec, slot, message, code)
  return nil, ("%s: %s: %s"):format(rec.url, slot, message), code or "IO"
end

-- What it should have returned, and what it did.
local function wrong(rec, slot, expected, got)
  return failed(rec, slot, ("expected %s, got %s"):format(expected, check.kind(got)))
end

-- The results of a function, checked as failures; n = 0: it failed, as told by what follows.
local function call(rec, slot, ...)
  local f = rec.backend[slot]
  if is_within(rec) then
    return nil, failed(rec, slot, "a function of this backend asks for the database that it serves: only what it has "
      .. "itself can answer that", "UNSUPPORTED")
  end
  if not f then
    if MUST[slot] then return nil, failed(rec, slot, "the backend is read-only", "READONLY") end
    return nil, failed(rec, slot, "the backend has no such function", "UNSUPPORTED")
  end
  local co = coroutine.create(f)
  rec.running[co] = slot
  local out = go_on(co, rec.state, ...)
  rec.running[co] = nil
  if not out[1] then
    if compat.is_interrupt(out[2]) then error(out[2], 0) end
    return nil, failed(rec, slot, compat.error_text(out[2]))
  end
  local message, code = out[3], out[4]
  if out[2] ~= nil or out.n < 3 then return out end
  if type(message) ~= "string" then return nil, wrong(rec, slot, "a message after nil", message) end
  local of_swap = slot == "head_swap" and (code == "CONFLICT" or code == "UNKNOWN")
  if code ~= nil and not IS_CODE[code] and not of_swap then
    return nil, failed(rec, slot, ("unknown code %s after nil and %q; use one of %s"):format(
      type(code) == "string" and ("%q"):format(code) or check.kind(code), message, check.sorted(IS_CODE)))
  end
  return nil, failed(rec, slot, message, code)
end

-- ---- what comes back ----

local EACH = "a string of bytes or false"

-- The ranges of a read: an array of bytes, or false where there is no such object.
local function get(rec, gets)
  local out, _, message, code = call(rec, "get_many", gets)
  if not out then return nil, message, code end
  local results = out[2]
  if type(results) ~= "table" then
    return wrong(rec, "get_many", ("an array of %d results"):format(#gets), results)
  end
  for i, range in ipairs(gets) do
    local bytes = rawget(results, i)
    if type(bytes) ~= "string" and bytes ~= false then
      return wrong(rec, "get_many", ("%s for range %d of %d"):format(EACH, i, #gets), bytes)
    end
    if bytes and range.length > 0 and #bytes > range.length then
      return failed(rec, "get_many", ("expected %.0f bytes for range %d of %d, got %d"):format(range.length, i, #gets,
        #bytes))
    end
  end
  if rawget(results, #gets + 1) ~= nil then
    return failed(rec, "get_many", ("expected %d results, got more"):format(#gets))
  end
  return results
end

local REVISION = "a revision: a string of 1 to 32 bytes without zero bytes (encode others as hexadecimal)"

local function is_revision(value)
  return type(value) == "string" and #value >= 1 and #value <= 32 and not value:find("\0", 1, true)
end

-- As the engine keeps it: with zero bytes up to 32.
local function revision_of(text) return text and (text:gsub("%z+$", "")) or nil end

-- name of the want -> function(rec, want) that gives what core wants: outcome; or nil, message, code
local answers = {}

function answers.head_read(rec, want)
  local known = revision_of(want.known)
  local out, _, message, code = call(rec, "head_read", want.branch, known)
  if not out then return nil, message, code end
  local bytes, revision = out[2], out[3]
  if bytes == false then return nil end
  if bytes == true and known then return "unchanged" end
  if type(bytes) ~= "string" then
    return wrong(rec, "head_read", "the bytes of the head and its revision" .. (known and ", true (unchanged)" or "")
      .. " or false (there is none)", bytes)
  end
  if not is_revision(revision) then return wrong(rec, "head_read", "after the bytes, " .. REVISION, revision) end
  return { bytes = bytes, revision = revision }
end

function answers.head_swap(rec, want)
  local out, _, message, code = call(rec, "head_swap", { branch = want.branch, expected = revision_of(want.expected),
    bytes = want.bytes, kept = want.kept, objects = want.objects, durable = want.durable })
  if not out then
    if code == "CONFLICT" then return "conflict" end
    if code == "UNKNOWN" then return "unknown" end
    return nil, message, code
  end
  local revision = out[2]
  if revision == false then return "conflict" end
  if not is_revision(revision) then
    return wrong(rec, "head_swap", REVISION .. ", or false (the head is not the expected one)", revision)
  end
  return { revision = revision }
end

local function done(rec, slot, ...)
  local out, _, message, code = call(rec, slot, ...)
  if not out then return nil, message, code end
  if out[2] ~= true then return wrong(rec, slot, "true, or nil and a message", out[2]) end
  return true
end

function answers.put(rec, want) return done(rec, "put_many", want.objects) end

function answers.drop(rec) return done(rec, "drop") end

function answers.delete(rec, want)
  if want.branch then return done(rec, "head_delete", want.branch) end
  return done(rec, "delete_many", want.objects)
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function id_of(value)
  if type(value) ~= "string" then return nil end
  if #value == 32 then return hex(value) end
  return #value == 64 and not value:find "[^%da-f]" and value or nil
end

local function branch_of(value)
  return type(value) == "string" and value ~= "" and not value:find("\0", 1, true) and value or nil
end

-- An array, each element of which `read` takes.
local function list(rec, slot, what, read, ...)
  local out, _, message, code = call(rec, slot, ...)
  if not out then return nil, message, code end
  local items, good = out[2], {}
  if type(items) ~= "table" then return wrong(rec, slot, "an array of " .. what, items) end
  for i = 1, compat.rawlen(items) do
    local item = rawget(items, i)
    good[i] = read(item)
    if good[i] == nil then return wrong(rec, slot, ("%s as element %d of the array"):format(what, i), item) end
  end
  return good
end

function answers.list(rec, want)
  if want.kind == "head" then return list(rec, "head_list", "names of branches", branch_of) end
  return list(rec, "list", "ids of 64 lower-case hexadecimal digits or 32 bytes", id_of, want.kind)
end

function answers.get(rec, want) -- one range that a call waits for
  local results, message, code = get(rec, { { kind = want.kind, id = want.id, offset = want.offset,
    length = want.length } })
  if not results then return nil, message, code end
  if not results[1] then
    return failed(rec, "get_many", ("%s %s is missing"):format(want.kind, want.id), "NOTFOUND")
  end
  return results[1]
end

-- ---- stores ----

-- Lets go of the state of stores that were released.
local function sweep()
  local number = core.host_released(inbox)
  while number do
    local rec = opened[number]
    opened[number] = nil
    if rec and rec.backend.close then
      local co = coroutine.create(rec.backend.close)
      local out = go_on(co, rec.state)
      if not out[1] and compat.is_interrupt(out[2]) then error(out[2], 0) end
    end
    number = core.host_released(inbox)
  end
end
M.sweep = sweep

---Opens the store of a URL: in place of the URL, core takes it.
---@param url string
---@param how table what `open` gets: {create =, and options of the storage}
---@param cache_bytes number?
---@return userdata? store
---@return string? message
---@return string? code
function M.open(url, how, cache_bytes)
  sweep()
  local backend, place = M.find(url)
  local rec = { backend = backend, state = place, url = core.host_shown(url),
    running = setmetatable({}, { __mode = "k" }) }
  if backend.open then
    local out, _, message, code = call(rec, "open", how)
    if not out then return nil, message, code end
    if out[2] == nil then return wrong(rec, "open", "the state of the database, or nil and a message", nil) end
    rec.state = out[2]
  end
  all.last = all.last + 1
  local store, message, code = core.host_store(inbox, url, all.last, backend, cache_bytes)
  if not store then return nil, message, code end
  opened[all.last], M.used = rec, true
  return store
end

---Answers what an operation wants of stores of Lua, by their functions.
---@param op rille.Op
---@return boolean? all false: something else is wanted, too
---@return string? message
---@return string? code
function M.answer(op)
  sweep()
  while true do
    local number, want, tokens = op:_asked()
    if not number then return not want end
    local rec = opened[number]
    local fine, message, code
    if tokens then
      local began_us = core.clock_us()
      fine, message, code = get(rec, want.gets)
      if fine then fine, message, code = op:_answer_gets(tokens, fine, core.clock_us() - began_us) end
    else
      local outcome
      outcome, message, code = answers[want.op](rec, want)
      fine, message, code = op:_answer(nil, outcome, message, code)
    end
    if not fine then return nil, message, code end
  end
end

---The bytes that a store holds, as its backend says, or nil.
---@param number integer
---@return number? bytes
---@return string? message
---@return string? code
function M.size_bytes(number)
  local rec = opened[number]
  if not rec.backend.size_bytes then return 0 end
  local out, _, message, code = call(rec, "size_bytes")
  if not out then return nil, message, code end
  local bytes = out[2]
  if type(bytes) ~= "number" or not (bytes >= 0 and bytes < 2 ^ 63) then
    return wrong(rec, "size_bytes", "a number of bytes", bytes)
  end
  return bytes
end

return M
