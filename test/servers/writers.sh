#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Processes that commit to one database in the bucket, each with several writers at once, through the proxy, which loses, repeats
# and delays requests, while some of them are killed: writers.sh BUILD, with the variables of tools/s3-server env. Every
# acknowledged transaction is there once, no other one twice. RILLE_TEST_WRITERS_SECONDS: for how long (12).
# RILLE_TEST_WRITERS: how many processes (6).
set -u
here=$(dirname "$0")
build=$1
seconds=${RILLE_TEST_WRITERS_SECONDS:-12}
writers=${RILLE_TEST_WRITERS:-6}
failed=0
dir=$(mktemp -d)
pids=()
trap 'kill -KILL "${pids[@]}" 2>/dev/null; rm -rf "$dir"' EXIT
RANDOM=${RILLE_SEED:-1}
faults="lost,m=PUT,p=0.04 late,m=PUT,p=0.03,arg=300 repeat,m=PUT,p=0.04 reset,p=0.02 slowdown,p=0.01"

# shellcheck disable=SC2086
coproc PROXY { "$build/fault_proxy" 0 "$RILLE_TEST_S3_ENDPOINT" quirks=1 seed="${RILLE_SEED:-1}" $faults; }
read -r port <&"${PROXY[0]}"
place="s3://$RILLE_TEST_S3_BUCKET/writers-$$?endpoint="
url=${place}http://127.0.0.1:$port

run()
{
    "$build/bin/rille" run "$here/writers.lua" "$@"
}

# begin NUMBER: a writer with a name of its own in that place
begun=0
begin()
{
    begun=$((begun + 1))
    "$build/bin/rille" run "$here/writers.lua" write "$url" "w$begun" "$dir/w$begun.notes" "$dir/end" 2>>"$dir/errors" &
    pids[$1]=$!
}

run make "$place$RILLE_TEST_S3_ENDPOINT" || exit 1
curl -s -X POST "http://127.0.0.1:$port/__reset"
for ((i = 0; i < writers; i++)); do begin "$i"; done
give_up=$((SECONDS + seconds))
while [ "$SECONDS" -lt "$give_up" ]; do
    sleep "0.$((RANDOM % 9 + 1))"
    victim=$((RANDOM % writers))
    kill -KILL "${pids[$victim]}" 2>/dev/null
    wait "${pids[$victim]}" 2>/dev/null
    begin "$victim"
done
touch "$dir/end"
for pid in "${pids[@]}"; do
    if ! wait "$pid"; then
        echo "FAILED: a writer"
        failed=1
    fi
done
pids=()
sort -u "$dir/errors" | head -n 40
puts=$(curl -s "http://127.0.0.1:$port/__counts" | sed -n 's/^PUT //p')
run check "$place$RILLE_TEST_S3_ENDPOINT" "$dir" || failed=1
done=$(cat "$dir"/*.notes | grep -c '^done')
awk -v done="$done" -v puts="$puts" -v s="$seconds" -v begun="$begun" -v writers="$writers" \
    'BEGIN { printf "%.1f commits/s, %.2f PUTs per commit, %d writers killed\n", done / s, puts / done, begun - writers }'
exit $failed
