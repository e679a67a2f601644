-- SPDX-License-Identifier: MIT
--
-- A backend written in Lua: databases behind any web server that stores what is PUT there, over LuaSocket.
--
--     local rest = require "examples.rest"
--     rille.backend("rest", rest.backend())
--     local conn = assert(rille.connect("rest://127.0.0.1:8080/shop", { create = true }))
--
-- The server must answer GET with ranges, PUT with If-Match and If-None-Match, DELETE, and GET of PATH/ with the names
-- of the keys below it, one a line; each PUT gives a key another ETag, of at most 32 characters. Keys are
-- PATH/packs/ID, PATH/blobs/ID and PATH/heads/BRANCH. test/servers/rest_server.py is such a server.
--
-- While it waits for the server it calls rest.wait(socket, "read" or "write", seconds), which blocks. A program with a
-- scheduler of coroutines replaces it by a function that yields:
--
--     function rest.wait(sock, mode, seconds) coroutine.yield(sock, mode, seconds) end

local socket = require "socket"

local M = {}

local PARALLEL = 16 -- connections of one call

---Until the socket is ready, or the time is over.
function M.wait(sock, mode, seconds)
  local one = { sock }
  socket.select(mode == "read" and one or nil, mode == "write" and one or nil, seconds)
end

-- ---- HTTP/1.1 ----

local function wait(link, mode)
  local left = link.deadline - socket.gettime()
  if left <= 0 then return nil, "the server did not answer in time", "TIMEOUT" end
  M.wait(link.sock, mode, left)
  return true
end

local function open_link(db, deadline)
  local sock = assert(socket.tcp())
  sock:settimeout(0)
  local link = { sock = sock, deadline = deadline }
  local fine, why = sock:connect(db.host, db.port)
  while not fine and why ~= "already connected" do
    if why ~= "timeout" and why ~= "Operation already in progress" then
      sock:close()
      return nil, ("%s:%d: %s"):format(db.host, db.port, why)
    end
    local ready, message, code = wait(link, "write")
    if not ready then
      sock:close()
      return nil, message, code
    end
    fine, why = sock:connect(db.host, db.port)
  end
  sock:setoption("tcp-nodelay", true)
  return link
end

local function send(link, text)
  local at = 1
  while at <= #text do
    local last, why, partial = link.sock:send(text, at)
    if last == nil and why ~= "timeout" then return nil, why end
    at = (last or partial) + 1
    if not last then
      local ready, message, code = wait(link, "write")
      if not ready then return nil, message, code end
    end
  end
  return true
end

-- A line, or so many bytes.
local function receive(link, what)
  local text, why, partial = link.sock:receive(what)
  while not text do
    if why ~= "timeout" then return nil, why end
    local ready, message, code = wait(link, "read")
    if not ready then return nil, message, code end
    text, why, partial = link.sock:receive(what, partial)
  end
  return text
end

local function request_text(db, request)
  local lines = { ("%s %s/%s HTTP/1.1"):format(request.method, db.path, request.key),
    ("Host: %s:%d"):format(db.host, db.port) }
  for name, value in pairs(request.headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  if request.body then lines[#lines + 1] = "Content-Length: " .. #request.body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (request.body or "")
end

local function read_answer(link)
  local line, message, code = receive(link, "*l")
  if not line then return nil, message, code end
  local answer = { status = tonumber(line:match "^HTTP/1%.1 (%d%d%d)"), headers = {} }
  if not answer.status then return nil, "this is not an answer of HTTP/1.1: " .. line:sub(1, 60) end
  repeat
    line, message, code = receive(link, "*l")
    if not line then return nil, message, code end
    local name, value = line:match "^([^:]+):%s*(.-)%s*$"
    if name then answer.headers[name:lower()] = value end
  until line == ""
  local length = tonumber(answer.headers["content-length"] or (answer.status == 204 or answer.status == 304) and 0)
  if not length then return nil, "an answer without Content-Length" end
  answer.body = ""
  if length > 0 and answer.status ~= 304 then
    answer.body, message, code = receive(link, length)
    if not answer.body then return nil, message, code end
  end
  link.ends = (answer.headers.connection or ""):lower() == "close"
  return answer
end

-- Sends the requests over several connections, and then reads the answers, in the order of the requests. Connections
-- are kept for the next call.
local function exchange(db, requests)
  local links, answers = {}, {}
  local deadline = socket.gettime() + db.timeout
  local function close_all()
    for _, link in ipairs(links) do link.sock:close() end
  end
  for i, request in ipairs(requests) do
    local at = (i - 1) % PARALLEL + 1
    local message, code
    if not links[at] then
      links[at], message, code = table.remove(db.idle), nil, nil
      if links[at] then links[at].deadline = deadline else links[at], message, code = open_link(db, deadline) end
    end
    local fine = links[at]
    if fine then fine, message, code = send(links[at], request_text(db, request)) end
    if not fine then
      close_all()
      return nil, message, code
    end
  end
  for i in ipairs(requests) do
    local message, code
    answers[i], message, code = read_answer(links[(i - 1) % PARALLEL + 1])
    if not answers[i] then
      close_all()
      return nil, message, code
    end
  end
  for _, link in ipairs(links) do
    if link.ends then link.sock:close() else db.idle[#db.idle + 1] = link end
  end
  return answers
end

-- Requests that may be repeated: once more, over new connections, when the server has closed old ones meanwhile.
local function exchange_again(db, requests)
  local had_idle = #db.idle > 0
  local answers, message, code = exchange(db, requests)
  if answers or code or not had_idle then return answers, message, code end
  while #db.idle > 0 do table.remove(db.idle).sock:close() end
  return exchange(db, requests)
end

local CODES = { [401] = "PERMISSION", [403] = "PERMISSION", [404] = "NOTFOUND", [507] = "FULL" }

local function refused(request, answer)
  return nil, ("%s %s: the server answers %d"):format(request.method, request.key, answer.status),
    CODES[answer.status] or "IO"
end

-- One request whose answer must have one of these states.
local function ask(db, request, ...)
  local answers, message, code = exchange_again(db, { request })
  if not answers then return nil, message, code end
  for i = 1, select("#", ...) do
    if answers[1].status == (select(i, ...)) then return answers[1] end
  end
  return refused(request, answers[1])
end

-- ---- keys ----

-- A branch may have any bytes.
local function head_key(branch)
  return "heads/" .. branch:gsub("[^%w%-]", function(c) return ("=%02x"):format(c:byte()) end)
end

local function branch_of(name)
  return (name:gsub("=(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function object_key(object) return object.kind .. "s/" .. object.id end

local function names_below(db, directory)
  local answer, message, code = ask(db, { method = "GET", key = directory }, 200)
  if not answer then return nil, message, code end
  local names = {}
  for name in answer.body:gmatch "[^\n]+" do names[#names + 1] = name end
  return names
end

local function revision_of(answer)
  local etag = (answer.headers.etag or ""):match '^"(.*)"$'
  if not etag then return nil, "the server gives no ETag" end
  return etag
end

-- ---- the backend ----

---A backend for rille.backend.
---@return rille.Backend
function M.backend()
  local b = {}

  function b.open(place, how)
    local host, port, path = place:match "^//([^/:]+):?(%d*)(/.-)/*$"
    if not host then return nil, "expected a URL such as rest://HOST:PORT/PATH", "SYNTAX" end
    return { host = host, port = tonumber(port) or 80, path = path, timeout = (how.timeout_ms or 30000) / 1000,
      idle = {} } -- connections
  end

  function b.get_many(db, gets)
    local requests, out = {}, {}
    for i, get in ipairs(gets) do
      local range = get.length > 0 and ("bytes=%.0f-%.0f"):format(get.offset, get.offset + get.length - 1)
        or get.offset > 0 and ("bytes=%.0f-"):format(get.offset)
      requests[i] = { method = "GET", key = object_key(get), headers = { Range = range or nil } }
    end
    local answers, message, code = exchange_again(db, requests)
    if not answers then return nil, message, code end
    for i, answer in ipairs(answers) do
      local get = gets[i]
      if answer.status == 206 then
        out[i] = answer.body
      elseif answer.status == 200 then -- also of a server that has no ranges
        out[i] = answer.body:sub(get.offset + 1, get.length > 0 and get.offset + get.length or -1)
      elseif answer.status == 416 then
        out[i] = "" -- the object ends before
      elseif answer.status == 404 then
        out[i] = false
      else
        return refused(requests[i], answer)
      end
    end
    return out
  end

  local function send_all(db, requests, may_be_missing)
    local answers, message, code = exchange_again(db, requests)
    if not answers then return nil, message, code end
    for i, answer in ipairs(answers) do
      if answer.status > 299 and not (may_be_missing and answer.status == 404) then
        return refused(requests[i], answer)
      end
    end
    return true
  end

  function b.put_many(db, puts)
    local requests = {}
    for i, put in ipairs(puts) do requests[i] = { method = "PUT", key = object_key(put), body = put.bytes } end
    return send_all(db, requests)
  end

  function b.delete_many(db, objects)
    local requests = {}
    for i, object in ipairs(objects) do requests[i] = { method = "DELETE", key = object_key(object) } end
    return send_all(db, requests, true)
  end

  function b.head_read(db, branch, known)
    local answer, message, code = ask(db, { method = "GET", key = head_key(branch),
      headers = { ["If-None-Match"] = known and '"' .. known .. '"' } }, 200, 304, 404)
    if not answer then return nil, message, code end
    if answer.status == 404 then return false end
    if answer.status == 304 then return true end
    local revision, why = revision_of(answer)
    if not revision then return nil, why end
    return answer.body, revision
  end

  function b.head_swap(db, swap)
    local fine, message, code = b.put_many(db, swap.objects)
    if not fine then return nil, message, code end
    local condition = swap.expected and { ["If-Match"] = '"' .. swap.expected .. '"' } or { ["If-None-Match"] = "*" }
    local request = { method = "PUT", key = head_key(swap.branch), body = swap.bytes, headers = condition }
    local answers = exchange(db, { request }) -- once: a repetition could meet what the first one has done
    if not answers or answers[1].status >= 500 then return nil, "the reply is lost", "UNKNOWN" end
    if answers[1].status == 412 or answers[1].status == 404 then return false end
    if answers[1].status > 299 then return refused(request, answers[1]) end
    return revision_of(answers[1])
  end

  function b.head_delete(db, branch)
    local answer, message, code = ask(db, { method = "DELETE", key = head_key(branch) }, 200, 204)
    if not answer then return nil, message, code end
    return true
  end

  function b.head_list(db)
    local names, message, code = names_below(db, "heads/")
    if not names then return nil, message, code end
    for i, name in ipairs(names) do names[i] = branch_of(name) end
    return names
  end

  function b.list(db, kind) return names_below(db, kind .. "s/") end

  function b.drop(db)
    for _, directory in ipairs { "heads/", "packs/", "blobs/" } do -- heads first: nobody sees half a database
      local names, message, code = names_below(db, directory)
      local requests = {}
      for i, name in ipairs(names or {}) do requests[i] = { method = "DELETE", key = directory .. name } end
      if names then names, message, code = send_all(db, requests, true) end
      if not names then return nil, message, code end
    end
    return true
  end

  function b.close(db)
    for _, link in ipairs(db.idle) do link.sock:close() end
    db.idle = {}
  end

  return b
end

return M
