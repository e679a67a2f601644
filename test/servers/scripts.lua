-- SPDX-License-Identifier: MIT
--
-- Scripts in coroutines on one thread, which wait for sockets of examples/rest.lua, or poll; and that example's server.

local socket = require "socket"
local rest = require "examples.rest"
local command = require "spec.support.command"
local support = require "spec.support.init"

local M = {}

---The server of examples/rest.lua. It ends with its standard input, so not after this process.
---@return file* pipe
---@return string port
function M.start_server()
  local fifo = support.path "rest"
  assert(command.shell("mkfifo " .. command.quote(fifo)) == 0)
  local pipe = assert(io.popen("exec python3 test/servers/rest_server.py > " .. command.quote(fifo), "w"))
  local output = assert(io.open(fifo))
  local port = assert(output:read "*l", "the server does not start")
  output:close()
  os.remove(fifo)
  return pipe, port
end

local function select_ready(waiting, ready, may_wait)
  local reads, writes = {}, {}
  for sock, script in pairs(waiting) do
    local list = script.mode == "read" and reads or writes
    list[#list + 1] = sock
  end
  if #reads + #writes == 0 then return end
  local readable, writable = socket.select(reads, writes, may_wait and 10 or 0)
  for _, list in ipairs { readable, writable } do
    for _, sock in ipairs(list) do
      ready[#ready + 1] = waiting[sock]
      waiting[sock] = nil
    end
  end
end

local function run(bodies, out)
  local ready, waiting = {}, {}
  for i, body in ipairs(bodies) do ready[i] = { co = coroutine.create(body) } end
  while #ready > 0 or next(waiting) do
    local now, polls, waits = ready, 0, 0
    ready = {}
    for _, script in ipairs(now) do
      local began = os.clock()
      local fine, what, mode = coroutine.resume(script.co)
      out.longest_ms = math.max(out.longest_ms, (os.clock() - began) * 1000)
      if not fine then error(what, 0) end
      if coroutine.status(script.co) ~= "dead" then
        if type(what) == "userdata" then
          script.mode, waiting[what] = mode, script
        else
          polls = polls + (what == "need" and 1 or 0)
          ready[#ready + 1] = script
        end
      end
    end
    for _ in pairs(waiting) do waits = waits + 1 end
    out.most = math.max(out.most, waits + polls)
    if polls > 0 and polls == #ready then socket.sleep(0.002) end
    select_ready(waiting, ready, #ready == 0)
  end
end

---Runs them all, resuming each when what it waits for is there. They yield a socket and "read" or "write", "need" to
---poll, or "again" to go on when the others had their turn.
---@param bodies function[]
---@return {most: integer, longest_ms: number, seconds: number} out most: that waited at once; longest_ms: CPU of a turn
function M.run(bodies)
  local wait = rest.wait
  function rest.wait(sock, mode, seconds) coroutine.yield(sock, mode, seconds) end
  local out = { most = 0, longest_ms = 0 }
  local began = socket.gettime()
  local fine, why = pcall(run, bodies, out)
  rest.wait = wait
  if not fine then error(why, 0) end
  out.seconds = socket.gettime() - began
  return out
end

local left = setmetatable({}, { __mode = "k" }) -- op -> when its driver returned: its next step began then

---The longest step of an operation since this was set to 0, in milliseconds of CPU.
M.step_ms = 0

local function drive(op, state)
  if state == "again" then return coroutine.yield "again" end
  local there, message = op:poll()
  while there == false do
    coroutine.yield "need"
    there, message = op:poll()
  end
  if not there then error(message, 0) end
end

---A driver for them.
function M.driver(op, state)
  if left[op] then M.step_ms = math.max(M.step_ms, (os.clock() - left[op]) * 1000) end
  drive(op, state)
  left[op] = os.clock()
end

return M
