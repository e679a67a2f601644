-- SPDX-License-Identifier: MIT
--
-- The proxy that makes faults and counts (test/servers/fault_proxy.c), in front of a server:
--
--   local proxy = Proxy.start("http://127.0.0.1:8080", "delay=20 slowdown,m=PUT,first=2")
--   proxy.url                         where a client finds it
--   proxy:faults "lost,m=PUT"         other settings and rules, and counts from 0
--   proxy:counts().requests           what it has counted, by name; 0 for what has not happened
--   proxy:log()                       its newest requests, as lines
--   proxy:stop()
local support = require "spec.support.init"
local command = require "spec.support.command"

local Proxy = {}
Proxy.__index = Proxy

local function program()
  return assert(os.getenv "RILLE_TEST_BUILD", "RILLE_TEST_BUILD is not set") .. "/fault_proxy"
end

---The proxy ends with its standard input, so not after this process.
function Proxy.start(upstream, words)
  local fifo = support.path "proxy"
  assert(command.shell("mkfifo " .. command.quote(fifo)) == 0)
  local pipe = assert(io.popen(("exec %s 0 %s %s > %s"):format(command.quote(program()), command.quote(upstream),
    words or "", command.quote(fifo)), "w"))
  local output = assert(io.open(fifo))
  local port = output:read "*l"
  output:close()
  os.remove(fifo)
  if not port then
    pipe:close()
    error "the proxy does not start"
  end
  return setmetatable({ url = "http://127.0.0.1:" .. port, pipe = pipe }, Proxy)
end

local function control(self, path, options)
  local pipe = assert(io.popen(("curl -s --max-time 60 -w '%%{http_code}' %s %s"):format(options or "",
    command.quote(self.url .. path))))
  local answer, status = pipe:read("*a"):match "^(.*)(%d%d%d)$"
  pipe:close()
  if status ~= "200" then error(answer or "there is no curl", 3) end
  return answer
end

function Proxy:faults(words)
  control(self, "/__faults", "-X PUT --data-binary " .. command.quote(words))
  control(self, "/__reset", "-X POST")
end

function Proxy:counts()
  local counts = setmetatable({}, { __index = function() return 0 end })
  for name, number in control(self, "/__counts"):gmatch "(%S+) (%d+)" do
    counts[tonumber(name) or name] = tonumber(number)
  end
  return counts
end

function Proxy:log()
  local lines = {}
  for line in control(self, "/__log"):gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

function Proxy:stop()
  self.pipe:close()
end

return Proxy
