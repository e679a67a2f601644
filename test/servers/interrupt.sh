#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# One Ctrl-C ends a script that waits for a server, at each request of it in turn, long before its deadline: in a query,
# and in direct reads.
#   interrupt.sh RILLE PROXY ROOT      with the variables of tools/http-server, which serves the directory ROOT
set -euo pipefail

rille=$1
proxy=$2
root=$3
dir=$(mktemp -d)
waits=()
trap 'kill "${waits[@]}" 2>/dev/null || true; rm -rf "$dir" "$root/interrupt"' EXIT

cat >"$dir/make.lua" <<'LUA'
local conn = assert(rille.create("file:" .. ... .. "/interrupt"))
assert(conn:transact '[{:db/ident :n :db/valueType :db.type/long}]')
local items = {}
for i = 1, 3000 do items[i] = { n = i } end
assert(conn:transact(items))
assert(conn:flush())
LUA
cat >"$dir/read.lua" <<'LUA'
local db = assert(rille.db(...))
print(db:q "[:find (sum ?n) . :where [_ :n ?n]]")
LUA
cat >"$dir/direct.lua" <<'LUA'
local db = assert(rille.db(...))
local sum = 0
for e, _, n in db:datoms("aevt", "n") do
  assert(db:datoms("eavt", e)() == e)
  sum = sum + n
end
local prepared = assert(rille.prepare "[:find ?n . :in $ ?e :where [?e :n ?n]]")
for e in db:seek_datoms("aevt", "n") do
  for _ = 1, 2 do assert(prepared:run(db, e) == 1) end
  break
end
assert(db:entid "n" and db:count("aevt", "n") == 3000)
print(sum)
LUA
sed -i '1i local rille = require "rille"' "$dir"/*.lua
"$rille" run "$dir/make.lua" "$root"

requests_of()
{
    curl -s --max-time 60 "http://127.0.0.1:$port/__counts" | sed -n 's/^requests //p'
}

mkfifo "$dir/life"
sleep 600 >"$dir/life" &
waits+=($!)
"$proxy" 0 "$RILLE_TEST_HTTP" <"$dir/life" >"$dir/port" &
waits+=($!)
until [ -s "$dir/port" ]; do sleep 0.05; done
port=$(cat "$dir/port")
url="http://127.0.0.1:$port/plain/interrupt?timeout_ms=600000"

# interrupt SCRIPT EXPECTED LEAST: each of its requests in turn, and what it prints without a fault; it makes so many at least
interrupt()
{
    local requests=0 reader rc looks
    until [ "$requests" -ge 20 ]; do
        curl -s -X PUT --data "hang,skip=$requests" "http://127.0.0.1:$port/__faults" >/dev/null
        curl -s -X POST "http://127.0.0.1:$port/__reset" >/dev/null
        # A shell starts what is in the background without SIGINT: env gives it back.
        env --default-signal=INT "$rille" run "$dir/$1" "$url" >"$dir/out" 2>"$dir/err" &
        reader=$!
        while kill -0 "$reader" 2>/dev/null && [ "$(requests_of)" -le "$requests" ]; do sleep 0.05; done
        kill -0 "$reader" 2>/dev/null || break # it made no more requests
        kill -INT "$reader"
        for ((looks = 0; looks < 600; looks++)); do
            kill -0 "$reader" 2>/dev/null || break
            sleep 0.05
        done
        kill -KILL "$reader" 2>/dev/null || true # it does not end
        rc=0
        wait "$reader" || rc=$?
        [ "$rc" -eq 130 ] || { echo "$1: at request $requests: exit code $rc"; cat "$dir/err"; exit 1; }
        requests=$((requests + 1))
    done
    wait "$reader"
    [ "$(cat "$dir/out")" = "$2" ] || { echo "$1: without a fault: $(cat "$dir/out" "$dir/err")"; exit 1; }
    [ "$requests" -ge "$3" ] || { echo "$1: only $requests requests"; exit 1; }
    echo "$1: interrupted at each of $requests requests"
}

interrupt read.lua 4501500 3
interrupt direct.lua 4501500 4
