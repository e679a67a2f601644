-- SPDX-License-Identifier: MIT
--
-- Checks of the source tree that a compiler does not make. Usage: lua5.4 tools/check_layers.lua [ROOT]
--   includes   point to the own layer or below; backends see base and the store's backend*.h; Lua only in src/lua
--   sizes      files, headers and functions have a limit
--   heap       only src/core/base/mem.c names malloc and its kin
--   public     each function in include/rille has RILLE_API; each rille_* function is declared there
--   words      no unfinished marks; each file begins with its licence
-- Prints one line a finding; exit 1 when there is one.

local root = arg and arg[1] or "."
local LINES_MAX, HEADER_LINES_MAX, FUNCTION_LINES_MAX = 600, 250, 70

local RANK = {
  ["include/rille"] = 0,
  ["src/core/base"] = 1,
  ["src/core/data"] = 2,
  ["src/core/store"] = 3,
  ["src/core/tree"] = 4,
  ["src/core/db"] = 5,
  ["src/core/query"] = 6,
  ["src/lua"] = 7,
}
local BACKENDS = "src/backends"
local HEAP = { malloc = true, calloc = true, realloc = true, free = true, strdup = true, strndup = true,
  aligned_alloc = true, posix_memalign = true }
local MARKS = { "TO" .. "DO", "FIX" .. "ME", "XX" .. "X", "HA" .. "CK", "not " .. "implemented",
  "un" .. "implemented" }

local findings = 0
local function report(path, line, format, ...)
  findings = findings + 1
  print(("%s:%d: " .. format):format(path, line, ...))
end

local function list(dirs, names)
  local quoted = {}
  for _, dir in ipairs(dirs) do quoted[#quoted + 1] = ("'%s'"):format(dir) end
  local command = ("cd '%s' && find %s -type f \\( %s \\) 2>/dev/null | sort"):format(
    root, table.concat(quoted, " "), names)
  local pipe = assert(io.popen(command))
  local paths = {}
  for path in pipe:lines() do paths[#paths + 1] = path end
  pipe:close()
  return paths
end

local function read(path)
  local file = io.open(root .. "/" .. path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function dirname(path) return path:match("^(.*)/[^/]*$") or "." end

-- "a/b/../c" -> "a/c"
local function normalise(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    if part == ".." and #parts > 0 then parts[#parts] = nil
    elseif part ~= "." then parts[#parts + 1] = part end
  end
  return table.concat(parts, "/")
end

-- Comments, strings and characters become blanks; line ends stay where they are.
local function code_only(text)
  local out, i = {}, 1
  local function blank(to)
    out[#out + 1] = text:sub(i, to):gsub("[^\n]", " ")
    i = to + 1
  end
  while i <= #text do
    local two, one = text:sub(i, i + 1), text:sub(i, i)
    if two == "/*" then
      local _, last = text:find("*/", i + 2, true)
      blank(last or #text)
    elseif two == "//" then
      blank((text:find("\n", i, true) or #text + 1) - 1)
    elseif one == '"' or one == "'" then
      local last = i + 1
      while last <= #text and text:sub(last, last) ~= one do
        last = last + (text:sub(last, last) == "\\" and 2 or 1)
      end
      blank(math.min(last, #text))
    else
      local next_at = text:find("[/\"']", i + 1) or #text + 1
      out[#out + 1] = text:sub(i, next_at - 1)
      i = next_at
    end
  end
  return table.concat(out)
end

local function lines_of(text)
  local lines = {}
  for line in (text:gsub("\n$", "") .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  return lines
end

-- Why a file of `dir` may not include `target`; nil when it may.
local function forbidden(dir, target)
  local target_dir = dirname(target)
  if dir == BACKENDS then
    if target_dir == dir or target_dir == "src/core/base" or target_dir == "include/rille"
      or target:find("^src/core/store/backend") then return nil end
    return "a backend sees src/core/base and src/core/store/backend*.h only"
  end
  if target_dir == BACKENDS then
    return dir ~= "src/core/store" and "backends are seen by src/core/store only" or nil
  end
  local from, to = RANK[dir], RANK[target_dir]
  if not to then return "it does not belong to a layer" end
  return to > from and ("layer %s is above %s"):format(target_dir, dir) or nil
end

local function check_include(path, number, name)
  local dir = dirname(path)
  local target = normalise(dir .. "/" .. name)
  if not read(target) then
    target = "include/" .. name
    if not read(target) then
      return report(path, number, 'include "%s" is not a file of this project', name)
    end
  end
  local why = forbidden(dir, target)
  if why then report(path, number, 'include "%s": %s', name, why) end
end

local function check_includes(path, lines)
  local own = path:match("([^/]+)%.c$")
  local first = true
  for number, line in ipairs(lines) do
    local name = line:match('^%s*#%s*include%s+"([^"]+)"')
    if name then
      if first and own and read(dirname(path) .. "/" .. own .. ".h") and name ~= own .. ".h" then
        report(path, number, 'the first include of %s.c must be "%s.h", so that the header needs no other', own, own)
      end
      check_include(path, number, name)
    end
    local system = line:match("^%s*#%s*include%s+<([^>]+)>")
    if system and system:find("^l[ua]+[xl]*i?b?%.h$") and dirname(path) ~= "src/lua" then
      report(path, number, "<%s> is for src/lua only", system)
    end
    first = first and not (name or system)
  end
end

local function check_sizes(path, lines)
  local max = path:find("^src/.*%.h$") and HEADER_LINES_MAX or LINES_MAX
  if #lines > max then report(path, max + 1, "%d lines; at most %d: split it along a noun", #lines, max) end
  if not path:find("%.[ch]$") then return end
  local start
  for number, line in ipairs(lines) do
    if line == "{" then start = number
    elseif start and line:sub(1, 1) == "}" then
      if number - start - 1 > FUNCTION_LINES_MAX then
        report(path, start, "function is %d lines long (the maximum is %d)", number - start - 1, FUNCTION_LINES_MAX)
      end
      start = nil
    end
  end
end

local function check_heap(path, lines)
  if path == "src/core/base/mem.c" then return end
  for number, line in ipairs(lines) do
    for before, word in line:gmatch("([^%w_]?)%f[%w_]([%a_][%w_]*)%s*%(") do
      if HEAP[word] and before ~= "." and before ~= ">" then
        report(path, number, "%s( outside src/core/base/mem.c: use ri_alloc and ri_free", word)
      end
    end
  end
end

local function check_words(path, text, lines)
  local marker = path:find("%.lua$") and "-- SPDX" or "/* SPDX"
  if text:sub(1, #marker) ~= marker and not (text:sub(1, 2) == "#!" and lines[2]:find("SPDX", 1, true)) then
    report(path, 1, "does not begin with its SPDX licence line")
  end
  for number, line in ipairs(lines) do
    for _, mark in ipairs(MARKS) do
      if line:find("%f[%w]" .. mark .. "%f[%W]") then report(path, number, "unfinished: %s", mark) end
    end
    if line:find("[ \t]$") then report(path, number, "white space at the end of the line") end
  end
end

-- Every declaration that begins at column 0 with a name rille_x( in it: has it RILLE_API?
local declared = {}
local function check_public_header(path, lines)
  for number, line in ipairs(lines) do
    local name = line:match("^[%a_].-%f[%w_](rille_[%w_]+)%(")
    if name and not line:find("^typedef") and not line:find("^#") and not line:find("^static inline") then
      declared[name] = true
      if not line:find("^RILLE_API ") then report(path, number, "%s lacks RILLE_API", name) end
    end
  end
end

local function check_public_source(path, lines)
  for number, line in ipairs(lines) do
    local name = line:match("^[%a_].-%f[%w_](rille_[%w_]+)%(")
    local next_line = lines[number + 1] or ""
    if name and not line:find("^static") and not line:find(";%s*$") and not line:find("^#")
      and (next_line == "{" or line:find("[,(]$") or next_line:find("^%s")) and not declared[name] then
      report(path, number, "%s is not declared in include/rille", name)
    end
  end
end

local headers = list({ "include" }, "-name '*.h'")
local sources = list({ "src" }, "-name '*.c' -o -name '*.h'")
local scripts = list({ "lua", "bin" }, "-name '*.lua' -o -name 'rille'")

for _, path in ipairs(headers) do
  local text = read(path)
  local lines = lines_of(text)
  check_public_header(path, lines_of(code_only(text)))
  check_includes(path, lines)
  check_sizes(path, lines)
  check_words(path, text, lines)
end
for _, path in ipairs(sources) do
  local text = read(path)
  local lines, code = lines_of(text), lines_of(code_only(text))
  if not RANK[dirname(path)] and dirname(path) ~= BACKENDS then
    report(path, 1, "this folder is not a layer")
  else
    check_includes(path, lines)
  end
  check_sizes(path, lines)
  check_heap(path, code)
  check_public_source(path, code)
  check_words(path, text, lines)
end
for _, path in ipairs(scripts) do
  local text = read(path)
  local lines = lines_of(text)
  check_sizes(path, lines)
  check_words(path, text, lines)
end

print(("%d files checked, %d findings"):format(#headers + #sources + #scripts, findings))
os.exit(findings == 0)
