-- SPDX-License-Identifier: MIT
--
-- Two teams, three databases, no server between them.
--
-- Team A publishes what there is: the package indexes of Debian's release (a database in a directory of packs, file:)
-- and of its security archive (a database in LMDB, lmdb:). Team B keeps the inventory of one machine, with its past.
-- Four questions are asked across all of them, each of them one query:
--
--   1. Which installed packages have a newer version in the security archive?
--   2. Whose packages are installed, how many, how big?
--   3. What does one package pull in, with all that those pull in?
--   4. What changed in the inventory between two points in time?
--
-- usage: rille run examples/debian_audit.lua [OPTION...]
local usage = [[
  --package NAME   whose dependencies the third question follows (gnome)
  --since DAY      the earlier point in time of the inventory, such as 2026-11-22 (the log's last day)
  --keep           keep the databases in build/demo, and use them again until their sources change
  --dir DIR        the same in that directory; without either they are removed in the end
  --sample         use the sample in examples/data, even where there is a Debian system
  --missing        print the files that apt's indexes lack for this program, one on each line, and end
  --check          answer everything once more with plain loops over Lua tables, and compare
  --help]]

local here = (arg and arg[0] or ""):match("^(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path

local rille = require "rille"
local debian = require "debian"
local terminal = require "terminal"
local version = require "version"

-- ---- small things ----

local temporary = {} -- URLs of databases that go when this script ends, and the directory around them

local function clean_up()
  for _, url in ipairs(temporary) do
    if rille.exists(url) then rille.drop(url) end
  end
  if temporary.dir then os.remove(temporary.dir) end
end

local function fail(...)
  io.stderr:write("debian_audit: ", table.concat({ ... }), "\n")
  clean_up()
  os.exit(1)
end

-- What rille gives: nil, message, code when the world did not play along.
local function want(value, message, code)
  if value == nil then fail(message, code and " (" .. code .. ")" or "") end
  return value
end

local function read_options(words)
  local options, takes = {}, { ["--package"] = "package", ["--since"] = "since", ["--dir"] = "dir" }
  local flags = { ["--keep"] = "keep", ["--sample"] = "sample", ["--check"] = "check",
    ["--missing"] = "missing", ["--help"] = "help" }
  local i = 1
  while words[i] do
    local word = words[i]
    if flags[word] then
      options[flags[word]] = true
    elseif takes[word] and words[i + 1] then
      i = i + 1
      options[takes[word]] = words[i]
    else
      fail(takes[word] and word .. " needs a value" or "unknown option " .. word, "; the options are\n", usage)
    end
    i = i + 1
  end
  local since = options.since
  if since and (not since:find("^%d%d%d%d%-%d%d%-%d%d$") or since > os.date("%Y-%m-%d")) then
    fail("--since needs a day of the past, such as 2026-11-22, not ", since)
  end
  return options
end

local options = read_options(arg or {})
if options.help then
  print("usage: rille run examples/debian_audit.lua [OPTION...]\n" .. usage)
  return
end
if options.missing then
  for _, index in ipairs(debian.missing() or {}) do print(index.path) end
  return
end

-- ---- schemas ----

local catalogue_schema = [=[
  [{:db/ident :package/name           :db/valueType :db.type/string :db/unique :db.unique/identity}
   {:db/ident :package/version        :db/valueType :db.type/string}
   {:db/ident :package/section        :db/valueType :db.type/string}
   {:db/ident :package/maintainer     :db/valueType :db.type/string}
   {:db/ident :package/architecture   :db/valueType :db.type/string}
   {:db/ident :package/installed-size :db/valueType :db.type/long :db/doc "KiB"}
   {:db/ident :package/depends        :db/valueType :db.type/ref  :db/cardinality :db.cardinality/many
    :db/doc "all alternatives; a name that no package has is one that others provide"}
   {:db/ident :package/provides       :db/valueType :db.type/ref  :db/cardinality :db.cardinality/many}
   {:db/ident :source/fingerprint     :db/valueType :db.type/string
    :db/doc "on the last transaction of an import"}] ]=]

local inventory_schema = [=[
  [{:db/ident :installed/name         :db/valueType :db.type/string :db/unique :db.unique/identity}
   {:db/ident :installed/version      :db/valueType :db.type/string}
   {:db/ident :installed/architecture :db/valueType :db.type/string}
   {:db/ident :installed/status       :db/valueType :db.type/string}
   {:db/ident :snapshot/known-from    :db/valueType :db.type/string :db/doc "on a transaction"}
   {:db/ident :source/fingerprint     :db/valueType :db.type/string
    :db/doc "on the last transaction of an import"}] ]=]

-- ---- importing ----

-- The database at the URL, loaded by load(connection) unless it is there and was made of the same sources.
local function open(url, fingerprint, load)
  if want(rille.exists(url)) then
    local conn = want(rille.connect(url))
    local known, why = conn:db():q([=[ [:find [?text ...] :where [_ :source/fingerprint ?text]] ]=])
    if not known then fail(url, " was not made by this example (", why, "); see --dir") end
    if known[1] == fingerprint then
      print("  " .. url .. " is up to date")
      return conn
    end
    conn:close()
    want(rille.drop(url))
  end
  local conn = want(rille.create(url))
  load(conn)
  want(conn:transact({}, { meta = { ["source/fingerprint"] = fingerprint } }))
  return conn
end

-- A name as a map. The attribute identifies, so this is the entity that has the name, made when there is none yet; the
-- same map may stand in many places.
local named = setmetatable({}, { __index = function(maps, name)
  maps[name] = { ["package/name"] = name }
  return maps[name]
end })

local function refs(names)
  local maps = {}
  for i, name in ipairs(names) do maps[i] = named[name] end
  return #maps > 0 and maps or nil
end

local function package_map(package)
  return {
    ["package/name"] = package.name,
    ["package/version"] = package.version,
    ["package/section"] = package.section,
    ["package/maintainer"] = package.maintainer,
    ["package/architecture"] = package.architecture,
    ["package/installed-size"] = package.size,
    ["package/depends"] = refs(package.depends),
    ["package/provides"] = refs(package.provides),
  }
end

-- Each transaction is a commit, with all that belongs to one: few large ones load faster and store less than many.
local batch_size = 20000

local function load_catalogue(title, packages)
  return function(conn)
    want(conn:transact(catalogue_schema))
    local list = packages()
    local bar = terminal.progress("  loading " .. title, #list)
    local begin, before, datoms, batch = os.clock(), conn:db():count("eavt"), 0, {}
    local function rate()
      local per_second = datoms / math.max(os.clock() - begin, 0.001)
      return ("%s datoms, %s per second"):format(terminal.number(datoms), terminal.number(per_second))
    end
    for i, package in ipairs(list) do
      batch[#batch + 1] = package_map(package)
      if #batch == batch_size or i == #list then
        local report = want(conn:transact(batch))
        datoms, batch = report.db_after:count("eavt") - before, {}
        bar:update(i, rate())
      end
    end
    bar:finish(("%s packages, %s"):format(terminal.number(#list), rate()))
  end
end

-- Two transactions, each with the time it speaks of, so that as_of takes times of the machine's own life.
local function load_inventory(now, earlier, instant, known_from)
  local function maps(packages)
    local list = {}
    for name, package in pairs(packages) do
      list[#list + 1] = {
        ["installed/name"] = name,
        ["installed/version"] = package.version,
        ["installed/architecture"] = package.architecture,
        ["installed/status"] = "installed",
      }
    end
    return list
  end
  return function(conn)
    local past = rille.instant(instant)
    want(conn:transact(inventory_schema, { meta = { ["db/txInstant"] = past } }))
    want(conn:transact(maps(earlier), { meta = { ["snapshot/known-from"] = known_from, ["db/txInstant"] = past } }))
    local changes = maps(now)
    for name in pairs(earlier) do
      if not now[name] then changes[#changes + 1] = { "db/retractEntity", { "installed/name", name } } end
    end
    want(conn:transact(changes, { meta = { ["snapshot/known-from"] = "the status file of dpkg" } }))
  end
end

-- ---- queries ----

rille.fn("newer?", version.newer)

local newer_in_security = [=[
  [:find ?name ?installed ?available
   :in $inventory $security
   :where [$inventory ?i :installed/status "installed"]
          [$inventory ?i :installed/name ?name]
          [$inventory ?i :installed/version ?installed]
          [$security ?p :package/name ?name]
          [$security ?p :package/version ?available]
          [(newer? ?available ?installed)]
   :order-by [?name]] ]=]

local by_maintainer = [=[
  [:find ?maintainer ?section (count ?p) (sum ?size)
   :in $inventory $main
   :where [$inventory ?i :installed/status "installed"]
          [$inventory ?i :installed/name ?name]
          [$main ?p :package/name ?name]
          [$main ?p :package/maintainer ?maintainer]
          [$main ?p :package/section ?section]
          [$main ?p :package/installed-size ?size]
   :order-by [(sum ?size) :desc]] ]=]

local dependency_rules = rille.rules [=[
  [[(needs ?p ?q) [?p :package/depends ?q]]
   [(needs ?p ?q) [?p :package/depends ?any] [?q :package/provides ?any]]
   [(pulls-in ?p ?q) (needs ?p ?q)]
   [(pulls-in ?p ?q) (pulls-in ?p ?x) (needs ?x ?q)]] ]=]

local pulled_in = [=[
  [:find ?name ?version ?size
   :in $ % ?root
   :where [?p :package/name ?root]
          (pulls-in ?p ?q)
          [?q :package/name ?name]
          [?q :package/version ?version]
          [?q :package/installed-size ?size]
   :order-by [?size :desc ?name]] ]=]

local changed = [=[
  [:find ?name ?change ?before ?after
   :in $earlier $now
   :where (or-join [?name ?change ?before ?after]
            (and [$now ?i :installed/name ?name]
                 [$now ?i :installed/version ?after]
                 (not [$earlier ?i :installed/name])
                 [(ground "added") ?change] [(ground "-") ?before])
            (and [$earlier ?i :installed/name ?name]
                 [$earlier ?i :installed/version ?before]
                 (not [$now ?i :installed/name])
                 [(ground "removed") ?change] [(ground "-") ?after])
            (and [$earlier ?i :installed/version ?before]
                 [$now ?i :installed/version ?after]
                 [(newer? ?after ?before)]
                 [$now ?i :installed/name ?name]
                 [(ground "upgraded") ?change]))
   :order-by [?change ?name]] ]=]

-- Runs one query and shows the first rows of its answer.
local function ask(title, where, heads, query, ...)
  local begin = os.clock()
  local result = want(rille.q(query, ...))
  local ms = (os.clock() - begin) * 1000
  local count = terminal.number(#result) .. (#result == 1 and " row" or " rows")
  print(("\n%s\n%s, %.1f ms (%s)\n"):format(title, count, ms, where))
  local rows = {}
  for i = 1, math.min(#result, 15) do rows[i] = result[i] end
  if #rows > 0 then terminal.table(heads, rows) end
  if #result > #rows then print(("  ... and %s more"):format(terminal.number(#result - #rows))) end
  return result
end

-- ---- the job ----

local function find_source()
  local source, why = nil, "as --sample asks"
  if not options.sample then source, why = debian.system() end
  if source then
    print("Sources: this system's package indexes (apt) and its installed packages (dpkg).")
  else
    source = debian.sample(here .. "/data")
    print(("Sources: the sample in %s/data (%s)."):format(here, why))
  end
  return source
end

-- A function that reads the packages of indexes when it is first called.
local function catalogue(title, paths)
  local packages
  return function()
    if not packages then
      local bar = terminal.progress("  reading " .. title)
      packages = want(debian.read_index(paths, function(count) bar:update(count, "packages") end))
      bar:finish(terminal.number(#packages) .. " packages")
    end
    return packages
  end
end

-- The URLs of the three databases, in a directory that is there.
local function places()
  local dir = options.dir or options.keep and "build/demo"
  if not dir then
    dir = os.tmpname()
    os.remove(dir)
    temporary.dir = dir
  end
  local ok = os.execute("mkdir -p '" .. dir:gsub("'", "'\\''") .. "'")
  if ok ~= true and ok ~= 0 then fail("cannot make the directory ", dir, " (see --dir)") end
  local url = { main = "file:" .. dir .. "/main", security = "lmdb:" .. dir .. "/security" }
  url.inventory = "file:" .. dir .. "/inventory"
  if temporary.dir then
    for _, each in pairs(url) do table.insert(temporary, each) end
  end
  return url
end

local source = find_source()
local data = { main = catalogue("main", source.main), security = catalogue("security", source.security) }
data.now = want(debian.read_status(source))
data.earlier, data.instant, data.known_from = debian.earlier(source, data.now, options.since)

local url = places()
local main = open(url.main, debian.fingerprint(source.main), load_catalogue("main", data.main))
local security = open(url.security, debian.fingerprint(source.security), load_catalogue("security", data.security))
local inventory = open(url.inventory, data.known_from .. "\n" .. debian.fingerprint { source.status },
  load_inventory(data.now, data.earlier, data.instant, data.known_from))

-- From here on there are only values: what they say does not change, whoever writes meanwhile.
local db = { main = want(main:db()), security = want(security:db()), now = want(inventory:db()) }
db.earlier = want(db.now:as_of(rille.instant(data.instant)))

local root = options.package
for _, name in ipairs { "gnome", "studio" } do
  root = root or db.main:entid { "package/name", name } and name
end
if not root or not db.main:entid { "package/name", root } then
  fail("the catalogue has no package ", root or "gnome", "; name another one by --package")
end

local answers = {}
answers.newer = ask("1. Installed packages with a newer version in security", url.inventory .. " with " .. url.security,
  { "package", "installed", "in security" }, newer_in_security, db.now, db.security)
answers.maintainers = ask("2. Whose packages are installed", url.inventory .. " with " .. url.main,
  { "maintainer", "section", "packages", "KiB" }, by_maintainer, db.now, db.main)
answers.pulled_in = ask("3. All that " .. root .. " pulls in, every alternative taken", url.main,
  { "package", "version", "KiB" }, pulled_in, db.main, dependency_rules, root)
answers.changed = ask("4. What changed since " .. os.date("%Y-%m-%d", data.instant / 1000),
  url.inventory .. " as of then, with now", { "package", "change", "before", "after" }, changed, db.earlier, db.now)
print("\n  The earlier state is known from " .. data.known_from .. ".")

local differences = options.check and require("audit_check").compare(data, root, answers) or 0

for _, conn in ipairs { main, security, inventory } do conn:close() end
clean_up()
if not temporary.dir then
  print("\nThe databases stay. Ask them more, for example:")
  print("  rille q '[:find (count ?p) . :where [?p :package/version]]' " .. url.main)
  print("  rille q --as-of " .. os.date("!%Y-%m-%dT%H:%M:%SZ", data.instant / 1000)
    .. " '[:find (count ?i) . :where [?i :installed/version]]' " .. url.inventory)
end
if differences > 0 then os.exit(1) end
