-- SPDX-License-Identifier: MIT
--
-- tools/demo on systems whose package indexes are incomplete: they are fetched, or what is missing is said.
local command = require "spec.support.command"
local support = require "spec.support.init"

local path = package.path
package.path = "examples/support/?.lua;" .. path
local debian = require "debian"
package.path = path

local MAIN = "deb.debian.org_debian_dists_bookworm_main_binary-amd64_Packages.lz4"
local UPDATES = "deb.debian.org_debian_dists_bookworm-updates_main_binary-amd64_Packages.lz4"
local SECURITY = "deb.debian.org_debian-security_dists_bookworm-security_main_binary-amd64_Packages"
local FOREIGN = "deb.debian.org_debian-security_dists_bookworm-security_main_binary-arm64_Packages"

local function write(name, content)
  local file = assert(io.open(name, "wb"))
  file:write(content)
  file:close()
end

describe("what a Debian system lacks", function()
  after_each(support.cleanup)

  -- A system with these index files, each with this content.
  local function system(files)
    local root = support.path "system"
    assert(os.execute(("mkdir -p %s/var/lib/dpkg %s/var/lib/apt/lists %s/etc"):format(root, root, root)))
    write(root .. "/var/lib/dpkg/status", "")
    write(root .. "/etc/os-release", 'NAME="Debian GNU/Linux"\nVERSION_CODENAME=bookworm\n')
    for name, content in pairs(files) do write(root .. "/var/lib/apt/lists/" .. name, content) end
    return root
  end

  local function paths(files)
    local list = {}
    for i, each in ipairs(assert(debian.missing(system(files), "amd64"))) do list[i] = each.path:match "[^/]*$" end
    return list
  end

  it("is the index of the release, of the security archive, or both", function()
    local main, security = "*_dists_bookworm_main_binary-amd64_Packages",
      "*_dists_bookworm-security_main_binary-amd64_Packages"
    assert.same({ main, security }, paths {})
    assert.same({ main, security }, paths { [UPDATES] = "x", [FOREIGN] = "x" })
    assert.same({ security }, paths { [MAIN] = "x" })
    assert.same({ security }, paths { [MAIN] = "x", [SECURITY] = "" }) -- cut off before its first byte
    assert.same({ main }, paths { [SECURITY] = "x" })
    assert.same({}, paths { [MAIN] = "x", [SECURITY] = "x" })
  end)

  it("is said with the command that fetches it", function()
    local root = system { [MAIN] = "x", [UPDATES] = "x" }
    local source, why = debian.system(root, "amd64")
    assert.is_nil(source)
    assert.equal(("apt's index of the security archive is missing: %s/var/lib/apt/lists/*_dists_bookworm-security_main_"
      .. "binary-amd64_Packages; to fetch what is missing, run as root: apt-get update"):format(root), why)
    source, why = debian.system(support.path "other")
    assert.is_nil(source)
    assert.matches("^there is no .*/var/lib/dpkg/status$", why)
  end)

  it("is nothing when both are there", function()
    local root = system { [MAIN] = "x", [UPDATES] = "x", [SECURITY] = "x" }
    local source = assert(debian.system(root, "amd64"))
    assert.same({ root .. "/var/lib/apt/lists/" .. MAIN }, source.main)
    assert.same({ root .. "/var/lib/apt/lists/" .. SECURITY }, source.security)
  end)
end)

describe("tools/fetch-indexes", function()
  after_each(support.cleanup)

  -- Runs it as this user, with a sudo that asks for a password or not, and an apt-get that fetches or not. Returns the
  -- code, what it said, and the commands that it ran.
  local function fetch(user, missing, password, fetches)
    local dir = support.path "programs"
    assert(os.execute("mkdir " .. dir))
    local list, log = dir .. "/missing", dir .. "/log"
    write(list, missing)
    write(log, "")
    write(dir .. "/id", "#!/bin/sh\necho " .. user .. "\n")
    write(dir .. "/sudo", password and "#!/bin/sh\nexit 1\n"
      or '#!/bin/sh\n[ "$1" = -n ] && shift\necho "sudo $*" >>' .. log .. '\nexec "$@"\n')
    write(dir .. "/apt-get", ('#!/bin/sh\necho "apt-get $*" >>%s\n%s\n'):format(log,
      fetches and ": >" .. list or "exit 100"))
    assert(os.execute("chmod +x " .. dir .. "/*"))
    local out = support.path "said"
    local line = "env -u LD_PRELOAD PATH=%s:$PATH tools/fetch-indexes cat %s >/dev/null 2>%s" -- bash leaks
    local code = command.shell(line:format(dir, list, out))
    return code, support.read(out), support.read(log)
  end

  local FILES = "/lists/a_Packages\n/lists/b_Packages\n"
  local SAID = "apt's package indexes are incomplete; missing:\n  /lists/a_Packages\n  /lists/b_Packages\n"

  it("runs nothing when nothing is missing", function()
    assert.same({ 0, "", "" }, { fetch(0, "", false, true) })
  end)

  it("fetches as root", function()
    assert.same({ 0, SAID .. "running apt-get update\n", "apt-get -o Acquire::Retries=1 update\n" },
      { fetch(0, FILES, true, true) })
  end)

  it("fetches by a sudo that asks for no password", function()
    assert.same({ 0, SAID .. "running apt-get update\n", "sudo true\nsudo apt-get -o Acquire::Retries=1 update\n"
      .. "apt-get -o Acquire::Retries=1 update\n" }, { fetch(1000, FILES, false, true) })
  end)

  it("says what to run when it may not", function()
    assert.same({ 0, SAID .. "To fetch them, run: sudo apt-get update\n", "" }, { fetch(1000, FILES, true, true) })
  end)

  it("says when that did not help", function()
    assert.same({ 0, SAID .. "running apt-get update\napt-get update failed\n" .. SAID
      .. "apt-get update did not fetch them: is the archive in /etc/apt/sources.list or /etc/apt/sources.list.d?\n",
      "apt-get -o Acquire::Retries=1 update\n" }, { fetch(0, FILES, false, false) })
  end)
end)
