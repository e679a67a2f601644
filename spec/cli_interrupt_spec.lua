-- SPDX-License-Identifier: MIT
--
-- One Ctrl-C ends the command, whatever it is doing. Each command would go on for ever, or for much longer than this
-- suite: it reads a pipe that stays open, writes one that nobody reads, or runs a query with 10^12 rows. The signal is
-- sent once, when the command is known to be at that: it has opened the pipe, and has used some more processor time.
local command = require "spec.support.command"
local support = require "spec.support.init"

local SIGINT_EXIT = 130 -- what a shell makes of the signal

-- The shell's part. $holds is what it does with $pipe: "in" writes $text and keeps it open, "query" writes $text and
-- closes it, "out" reads the first byte and no more. $ticks: of processor time after that. Prints the exit code.
local SCRIPT = [=[
ticks_of() { cut -d' ' -f14 "/proc/$1/stat" 2>/dev/null || echo 0; }
mkfifo "$pipe" || exit 99
eval "$work" &
pid=$!
case $holds in
in) exec 3>"$pipe"; printf '%s' "$text" >&3 ;;
query) printf '%s' "$text" >"$pipe" ;;
out) exec 3<"$pipe"; head -c 1 <&3 >/dev/null ;;
esac
goal=$(($(ticks_of "$pid") + ticks))
while kill -0 "$pid" 2>/dev/null && [ "$(ticks_of "$pid")" -lt "$goal" ]; do sleep 0.02; done
# A shell starts such programs with the signal ignored: until Lua sets its handler it would be lost.
ignored() { sed -n 's/^SigIgn:.*\(.\)$/\1/p' "/proc/$pid/status" 2>/dev/null; }
while case $(ignored) in [2367abef]) true ;; *) false ;; esac; do
  sleep 0.02
done
kill -INT "$pid" 2>/dev/null
looks=0
until case $(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null) in Z | '') true ;; *) false ;; esac; do
  looks=$((looks + 1))
  [ $looks -lt 3000 ] || kill -KILL "$pid" # two minutes or more: it does not end
  sleep 0.04
done
wait "$pid"
echo $?
]=]

local there = io.open "/proc/self/stat"
if there then there:close() end

-- setup: text, holds, ticks. stdin, stdout: "pipe" or nothing. Exit code and standard error.
local function interrupted(setup, ...)
  local out, err, pipe = support.path "out", support.path "err", setup.pipe or support.path "pipe"
  local work = ("%s <%s >%s 2>%s"):format(command.words(...), setup.stdin and command.quote(pipe) or "/dev/null",
    setup.stdout and command.quote(pipe) or "/dev/null", command.quote(err))
  local script = ("work=%s pipe=%s holds=%s text=%s ticks=%d; export work pipe holds text ticks; sh %s >%s"):format(
    command.quote("exec env " .. work), command.quote(pipe), setup.holds or "nothing", command.quote(setup.text or ""),
    setup.ticks or 0, command.quote(support.file("script.sh", SCRIPT)), command.quote(out))
  command.shell(script)
  return tonumber(support.read(out)), support.read(err)
end

local LONG = [=[ [:find (count ?a) . :in [?a ...] [?b ...] [?c ...] [?d ...]
  :where [(+ ?a ?b) ?x] [(+ ?c ?d) ?y] [(+ ?x ?y) ?z] [(< ?z 0)]] ]=]

local function numbers()
  local list = {}
  for i = 1, 1000 do list[i] = i end
  return "[" .. table.concat(list, " ") .. "]"
end

describe("Ctrl-C", function()
  if not there then return end
  local url

  before_each(function()
    url = support.url "file"
    local data = support.file("data.edn", "[{:db/ident :n :db/valueType :db.type/long}] [{:n 1}]")
    assert.equal(0, (command.run("transact", url, data, "--create")))
  end)
  after_each(support.cleanup)

  local function ends(setup, ...)
    local code, err = interrupted(setup, ...)
    assert.equal(SIGINT_EXIT, code, err)
    assert.equal("", err)
  end

  it("ends a query that runs", function()
    local pipe, list = support.path "query", numbers()
    ends({ holds = "query", pipe = pipe, text = LONG, ticks = 20 }, "q", "@" .. pipe, "--arg", list, "--arg", list,
      "--arg", list, "--arg", list)
  end)

  it("ends a query that waits for its text, its rules, its rows or its reader", function()
    ends({ holds = "in", stdin = true, text = "[:find" }, "q", "@-")
    ends({ holds = "in", stdin = true, text = "[[(r ?x)" }, "q", "[:find ?x :in $ % :where (r ?x)]", url, "--rules",
      "-")
    local pipe = support.path "rows.csv"
    ends({ holds = "in", pipe = pipe, text = "a,b\n1,2\n" }, "q", "[:find ?a :where [?a ?b]]", pipe)
    local list = numbers()
    ends({ holds = "out", stdout = true }, "q", "[:find ?a ?b :in [?a ...] [?b ...]]", "--arg", list, "--arg", list,
      "--limit", "100000")
  end)

  it("ends a CSV file that is being read", function()
    local path, pipe = support.file("many.csv", "n,day\n" .. ("1,2026-11-22\n"):rep(1e6)), support.path "query"
    ends({ holds = "query", pipe = pipe, text = "[:find (count ?n) . :where [?n]]", ticks = 5 }, "q", "@" .. pipe, path,
      "--types", "n=long,day=instant")
  end)

  it("ends transact, and leaves whole transactions", function()
    local function sum()
      local code, out, err = command.run("q", "[:find (sum ?n) . :with ?e :where [?e :n ?n]]", url, "--format", "edn")
      assert.equal(0, code, err)
      return out
    end
    ends({ holds = "in", stdin = true, text = "[{:n 2}]" }, "transact", url, "-")
    assert.equal("[1]\n", sum())
    ends({ ticks = 30 }, "transact", url, support.file("many.edn", ("[{:n 2} {:n -2}]\n"):rep(3e5)))
    assert.equal("[1]\n", sum())
    assert.equal(0, (command.run("verify", url)))
  end)

  -- $1: a pipe to read first; $2: how the query runs.
  local CLEANING = [=[
    local pipe, how = ...
    assert(io.open(pipe)):read "*a"
    if how ~= "rows" then rille.fn("same", function(x) return x end) end
    local list = {}
    for i = 1, 1000 do list[i] = i end
    local long = "[:find (count ?a) . :in [?a ...] [?b ...] [?c ...] [?d ...] "
      .. ":where [(+ ?a ?b) ?x] [(+ ?c ?d) ?y] [(+ ?x ?y) ?z]" .. (how == "call" and "" or " [(< ?z 0)]")
    local fine, why = pcall(function()
      if how == "q" then
        rille.q(long .. "]", list, list, list, list)
      elseif how == "rows" then
        for _ in rille.rows(long .. "]", list, list, list, list) do error "a row" end
      elseif how == "explain" then
        rille.explain(long .. "]", list, list, list, list)
      else
        rille.q(long .. " [(same ?z) ?s] [(< ?s 0)]]", list, list, list, list)
      end
    end)
    io.stderr:write(how, " ended: ", tostring(fine), "\n")
    error(why, 0)
  ]=]

  it("is an error of Lua's in a script, within a query, too", function()
    local script = support.file("clean.lua", CLEANING)
    for _, how in ipairs { "q", "rows", "explain", "call" } do
      local pipe = support.path "start"
      local code, err = interrupted({ holds = "query", pipe = pipe, ticks = 20 }, "run", script, pipe, how)
      assert.equal(how .. " ended: false\n", err)
      assert.equal(SIGINT_EXIT, code)
    end
  end)

  -- $1: a pipe to read first; $2: the URL. Long transactions, until one is ended; then the connection serves on.
  local LOADING = [=[
    local pipe, url, how = ...
    local conn = assert(rille.connect(url))
    local data = {}
    for i = 1, 400000 do data[i] = how == "text" and "{:n 2}" or { n = 2 } end
    if how == "text" then data = "[" .. table.concat(data, " ") .. "]" end
    assert(io.open(pipe)):read "*a"
    local fine, why = pcall(function()
      for _ = 1, 10 do
        local _ = how == "with" and conn:db():with(data) or conn:transact(data)
      end
    end)
    local count = conn:db():q "[:find (count ?e) . :where [?e :n]]" % 400000 -- of whole transactions, none
    assert(conn:transact { { n = 3 } })
    assert(conn:verify())
    io.stderr:write(how, " ended: ", tostring(fine), ", ", tostring(count), " there\n")
    error(why, 0)
  ]=]

  it("ends a long transaction of a script, which leaves nothing", function()
    local script = support.file("load.lua", LOADING)
    for _, how in ipairs { "table", "text", "with" } do
      local pipe = support.path "start"
      local code, err = interrupted({ holds = "query", pipe = pipe, ticks = 10 }, "run", script, pipe, url, how)
      assert.matches("^" .. how .. " ended: false, %d there\n$", err)
      assert.equal(SIGINT_EXIT, code)
    end
  end)
end)
