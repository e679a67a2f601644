-- SPDX-License-Identifier: MIT
--
-- What a Debian system knows about packages: the indexes that apt fetched, the status file of dpkg and its log. Where
-- there are none, a small sample of the same shape.
local control = require "control"
local version = require "version"

local M = {}

-- ---- files ----

local function quoted(path)
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

local function exists(path)
  local file = path and io.open(path)
  return file ~= nil and file:close()
end

-- A program's output as lines.
local function output(command)
  local lines = {}
  local pipe = assert(io.popen(command))
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

local unpackers = { lz4 = "lz4", gz = "gzip", xz = "xz", bz2 = "bzip2", zst = "zstd" }

-- Opens a file for reading, through the program that unpacks it. apt can unpack its own files, too.
local function open(path)
  local program = unpackers[path:match("%.(%w+)$") or ""]
  if not program then return assert(io.open(path)) end
  return assert(io.popen(("if command -v %s >/dev/null; then %s -dc %s; else /usr/lib/apt/apt-helper cat-file %s; fi")
    :format(program, program, quoted(path), quoted(path))))
end

-- A text that changes when the files do.
function M.fingerprint(paths)
  local names = {}
  for i, path in ipairs(paths) do names[i] = quoted(path) end
  return table.concat(output("cksum " .. table.concat(names, " ")), "\n")
end

-- ---- sources ----

local LISTS = "/var/lib/apt/lists"

local function has_content(path)
  local file = io.open(path)
  if not file then return false end
  local size = file:seek("end")
  file:close()
  return (size or 0) > 0
end

-- What is installed below `root`: the indexes of the release (main) and of its security archive, as apt fetched them.
local function find_indexes(root, native)
  local found = { main = {}, security = {} }
  for _, path in ipairs(output("ls -1 " .. quoted(root .. LISTS) .. "/*_Packages* 2>/dev/null")) do
    local release, architecture = path:match("_dists_(.-)_[^_]+_binary%-(%w+)_Packages")
    if architecture == native and has_content(path) then
      if path:find("security", 1, true) then
        table.insert(found.security, path)
      elseif not release:find("-", 1, true) then -- not bookworm-updates, bookworm-backports ...
        table.insert(found.main, path)
      end
    end
  end
  return found
end

-- The codename of the release, such as "bookworm"; "*" when the system does not say.
local function codename(root)
  local file = io.open(root .. "/etc/os-release")
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return ("\n" .. text):match('\nVERSION_CODENAME="?([%w-]+)') or "*"
end

-- The file that apt would fetch for "main" or "security"; nil: none of its sources has it.
local function planned(native, kind)
  local command = "apt-get indextargets --format '$(ARCHITECTURE) $(FILENAME)' 'Created-By: Packages' 2>/dev/null"
  for _, line in ipairs(output(command)) do
    local architecture, path = line:match("^(%S+) (.+)$")
    local release = path and path:match("_dists_(.-)_[^_]+_binary%-")
    local is_security = path and path:find("security", 1, true) ~= nil
    if architecture == native and release and is_security == (kind == "security")
      and (is_security or not release:find("-", 1, true)) then
      return path
    end
  end
  return nil
end

local TITLES = { main = "the release", security = "the security archive" }

-- The index files that a system lacks, as {{kind =, path =, why =}, ...}, and nil, those that it has, its architecture;
-- or nil, why: it is not a Debian system. root: its directory ("" or nil: this one).
function M.missing(root, native)
  root = root or ""
  if not exists(root .. "/var/lib/dpkg/status") then return nil, "there is no " .. root .. "/var/lib/dpkg/status" end
  native = native or output("dpkg --print-architecture 2>/dev/null")[1] or "amd64"
  local found, missing = find_indexes(root, native), {}
  for _, kind in ipairs { "main", "security" } do
    if #found[kind] == 0 then
      local release = codename(root) .. (kind == "security" and "-security" or "")
      local known = root == "" and planned(native, kind)
      local path = known or ("%s%s/*_dists_%s_main_binary-%s_Packages"):format(root, LISTS, release, native)
      local why = ("apt's index of %s is missing: %s"):format(TITLES[kind], path)
      if known == nil then why = ("%s (no source in /etc/apt has %s)"):format(why, release) end
      missing[#missing + 1] = { kind = kind, path = path, why = why }
    end
  end
  return missing, nil, found, native
end

-- Indexes of the system's release and of its security archive; nil, why: there are none to use.
function M.system(root, native)
  root = root or ""
  local missing, why, found
  missing, why, found, native = M.missing(root, native)
  if not missing then return nil, why end
  if #missing > 0 then
    local reasons = {}
    for i, each in ipairs(missing) do reasons[i] = each.why end
    return nil, table.concat(reasons, "; ") .. "; to fetch what is missing, run as root: apt-get update"
  end
  local source = { kind = "system", native = native, main = found.main, security = found.security,
    status = root .. "/var/lib/dpkg/status", log = {} }
  for _, path in ipairs { root .. "/var/log/dpkg.log.1", root .. "/var/log/dpkg.log" } do
    if exists(path) then table.insert(source.log, path) end
  end
  return source
end

function M.sample(dir)
  return {
    kind = "sample",
    native = "amd64",
    main = { dir .. "/main_Packages" },
    security = { dir .. "/security_Packages" },
    status = dir .. "/status",
    log = { dir .. "/dpkg.log" },
  }
end

-- ---- packages ----

-- Packages of indexes, sorted by name. Of several versions the newest is taken. seen(count) is called now and then.
function M.read_index(paths, seen)
  local by_name, packages = {}, {}
  for _, path in ipairs(paths) do
    local file = open(path)
    for p in control.paragraphs(file:lines()) do
      local known = by_name[p.Package]
      if not known or version.newer(p.Version, known.version) then
        by_name[p.Package] = {
          name = p.Package,
          version = p.Version,
          section = p.Section,
          maintainer = p.Maintainer,
          architecture = p.Architecture,
          size = tonumber(p["Installed-Size"]),
          depends = control.names((p["Pre-Depends"] or "") .. "," .. (p.Depends or "")),
          provides = control.names(p.Provides),
        }
        if not known then
          packages[#packages + 1] = p.Package
          if #packages % 500 == 0 then seen(#packages) end
        end
      end
    end
    file:close()
  end
  if #packages == 0 then
    return nil, "found no packages in " .. table.concat(paths, ", ") .. ": is the program that unpacks it installed?"
  end
  table.sort(packages)
  for i, name in ipairs(packages) do packages[i] = by_name[name] end
  return packages
end

-- Packages of other architectures carry theirs in the name, as in "libc6:i386".
local function full_name(source, name, architecture)
  local foreign = architecture and architecture ~= "all" and architecture ~= source.native
  return foreign and name .. ":" .. architecture or name
end

-- What is installed: {name, version, architecture} by name.
function M.read_status(source)
  local installed = {}
  local file = assert(open(source.status))
  for p in control.paragraphs(file:lines()) do
    if p.Version and (p.Status or ""):find(" installed$") then
      local name = full_name(source, p.Package, p.Architecture)
      installed[name] = { name = name, version = p.Version, architecture = p.Architecture }
    end
  end
  file:close()
  return installed
end

-- ---- the past ----

local function read_log(source)
  local entries = {}
  for _, path in ipairs(source.log) do
    for line in io.lines(path) do
      local day, action, name, arch, old = line:match("^(%d+%-%d+%-%d+) %S+ (%l+) ([^%s:]+):?(%S*) (%S+) %S+$")
      if action == "install" or action == "upgrade" or action == "remove" then
        name = full_name(source, name, arch)
        entries[#entries + 1] = { day = day, action = action, name = name, architecture = arch, old = old }
      end
    end
  end
  return entries
end

local function copy(packages)
  local new = {}
  for name, package in pairs(packages) do new[name] = package end
  return new
end

-- 00:00 of "2026-11-22" here, in milliseconds since 1970.
local function instant(day)
  local y, m, d = day:match("^(%d+)%-(%d+)%-(%d+)$")
  return os.time { year = tonumber(y), month = tonumber(m), day = tonumber(d), hour = 0 } * 1000
end

-- Takes the newest changes back, one by one: those of the log's last day, or from the day `since` on.
local function undo_log(installed, entries, since)
  local packages = copy(installed)
  since = since or entries[#entries].day
  local count = 0
  for i = #entries, 1, -1 do
    local entry = entries[i]
    if entry.day < since then break end
    count = count + 1
    packages[entry.name] = entry.action ~= "install"
      and { name = entry.name, version = entry.old, architecture = entry.architecture } or nil
  end
  return packages, instant(since), ("dpkg.log: its %d changes since %s are taken back"):format(count, since)
end

-- Without a log: all but the packages that were unpacked last.
local function without_newest(installed, count)
  local packages, newest = copy(installed), nil
  local lists = output("stat -c '%Y %n' /var/lib/dpkg/info/*.list 2>/dev/null | sort -rn | head -n " .. count)
  for _, line in ipairs(lists) do
    local seconds, name = line:match("^(%d+) .*/([^/:]+):?[^/]*%.list$")
    newest = tonumber(seconds) or newest
    if name then packages[name] = nil end
  end
  return packages, (newest or 0) * 1000,
    ("file times, for dpkg has no log here: the %d packages unpacked last are left out"):format(#lists)
end

-- What was installed at an earlier point in time --> packages by name, the time in milliseconds, how it is known.
function M.earlier(source, installed, since)
  local entries = read_log(source)
  if #entries > 0 then return undo_log(installed, entries, since) end
  return without_newest(installed, 20)
end

return M
