#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tools/test with steps of this file: what a step counts when it ends, when it runs out of time, and when the whole run
# is ended. The steps that do not end sleep for ever; no result depends on how long anything takes.
set -u
source_dir=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/tools"
cp "$source_dir/tools/test" "$dir/tools/test"
printf '#!/bin/sh\nexit 0\n' >"$dir/tools/install-deps"
chmod +x "$dir/tools/install-deps"

cat >"$dir/steps" <<'STEPS'
fake_ctest()
{
    echo "      Start  1: one"
    echo " 1/4 Test  #1: one ..............   Passed    0.01 sec"
    echo "      Start  2: two"
    echo " 2/4 Test  #2: two ..............***Failed    0.01 sec"
    echo "      Start 10: ten"
    echo "10/12 Test #10: ten .............   Passed  100.01 sec"
    [ "$1" = ends ] || { echo ready >"$logs/ready"; sleep 1000; }
    echo "67% tests passed, 1 tests failed out of 3"
    return 8
}

fake_busted()
{
    printf '1 0\n1 0\n0 1\n0 0\n' >>"$RILLE_TALLY"
    [ "$1" = ends ] || sleep 1000
    printf '++-.\n2 successes / 1 failure / 0 errors / 1 pending : 0.1 seconds\n'
    return 1
}

step_quick() { counted 3 0; }
step_ctest() { count_ctest fake_ctest ends; }
step_busted() { count_busted fake_busted ends; counted 1 0; }
step_broken() { counted 4 0; exit 7; }
step_early() { one sh -c 'echo the reason; exit 3'; seq 1000; }
step_first() { until [ -e "$logs/beside" ]; do sleep 0.1; done; touch "$logs/over"; counted 1 0; }
step_second() { one test -e "$logs/over"; }
step_beside() { touch "$logs/beside"; counted 1 0; }
if [ -n "${WITH_QUEUE:-}" ]; then
    queue=(second first beside)
    needs=([second]="first elsewhere")
fi
step_long() { counted 3 0; sleep 1000; }
step_longctest() { counted 1 0; count_ctest fake_ctest hangs; }
step_longbusted() { count_busted fake_busted ends; count_busted fake_busted hangs; }
STEPS
export RILLE_TEST_STEPS=$dir/steps
unset RILLE_TEST_SECONDS RILLE_STEP_SECONDS RILLE_PROGRESS_SECONDS RILLE_TALLY
failed=0

# expect PATTERN: the output has such a line; "$" for the last one
expect()
{
    if ! grep -qE "$1" <<<"$out"; then
        printf 'no line like\n  %s\nin\n%s\n' "$1" "$out"
        failed=1
    fi
}

last()
{
    if [ "$(tail -n 1 <<<"$out")" != "$1" ]; then
        printf 'the last line is not "%s" in\n%s\n' "$1" "$out"
        failed=1
    fi
}

code()
{
    if [ "$rc" -ne "$1" ]; then
        printf 'exit code %d, expected %d, of\n%s\n' "$rc" "$1" "$out"
        failed=1
    fi
}

run()
{
    rc=0
    out=$("$dir/tools/test" "$@" 2>&1) || rc=$?
}

# Steps that end.
run quick
last "3 passed, 0 failed"
code 0
run quick ctest busted broken
expect '^quick +[0-9]+ s +3 ok +0 failed$'
expect '^ctest +[0-9]+ s +2 ok +1 failed$'
expect '^busted +[0-9]+ s +3 ok +1 failed$'
expect '^    broken: FAILED: step broken ended with exit code 7$'
expect '^[0-9]+ seconds; failed: ctest busted broken '
last "12 passed, 3 failed"
code 1
run early
expect '^    early: the reason$'
expect '^    early: FAILED: sh -c echo the reason'
last "0 passed, 1 failed"
code 1

# Two lanes: a step waits for what it needs, if that is in the queue, and what stands behind it does not.
WITH_QUEUE=1 run
expect '^second +[0-9]+ s +1 ok +0 failed$'
expect '^The steps that took longest:$'
expect '^ +[0-9]+ s +beside$'
last "3 passed, 0 failed"
code 0

# Steps that never do: what passed before counts.
export RILLE_STEP_SECONDS=4 RILLE_PROGRESS_SECONDS=1
run long longctest longbusted quick
for step in long longctest longbusted; do
    expect "^    $step: FAILED: step $step ran out of time after [0-9]+ s; the tests that passed before count\$"
done
expect '^long +[0-9]+ s +3 ok +0 failed so far \.\.\.$'
expect '^longctest +[0-9]+ s +3 ok +1 failed so far \.\.\.$'
expect '^long +[0-9]+ s +3 ok +1 failed$'
expect '^longctest +[0-9]+ s +3 ok +2 failed$'
expect '^longbusted +[0-9]+ s +4 ok +3 failed$'
expect '^quick +[0-9]+ s +3 ok +0 failed$'
last "13 passed, 6 failed"
code 1

# The whole run is out of time: the steps after that are not run.
unset RILLE_STEP_SECONDS RILLE_PROGRESS_SECONDS
export RILLE_TEST_SECONDS=4
run quick long quick
expect '^    long: FAILED: step long ran out of time after [0-9]+ s; the tests that passed before count$'
expect '^    quick: FAILED: step quick was not run: the whole run was out of time after 4 s$'
unset RILLE_TEST_SECONDS

# Ended from outside: the same, and no step goes on.
rm -f "$dir/build/test/ready"
"$dir/tools/test" quick longctest >"$dir/out" 2>&1 &
pid=$!
until [ -e "$dir/build/test/ready" ]; do sleep 0.1; done
kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
out=$(cat "$dir/out")
expect '; failed: longctest '
last "6 passed, 2 failed"
code 143

# What busted itself tells while it runs.
if busted=$(command -v busted) && command -v lua5.4 >/dev/null; then
    cat >"$dir/five_spec.lua" <<'SPEC'
describe("five", function()
  it("passes", function() end)
  it("fails", function() assert.is_true(false) end)
  it("raises an error", function() error "oh" end)
  pending("comes later")
  it("passes, too", function() end)
end)
SPEC
    (cd "$dir" && RILLE_TALLY=$dir/tally lua5.4 "$busted" -o "$source_dir/tools/busted_tally.lua" five_spec.lua >/dev/null)
    out=$(sed -E 's/^([01] [01]) [0-9.]+ /\1 /' "$dir/tally" | tr '\n' ,)
    last "1 0 passes,0 1 fails,0 1 raises an error,0 0 comes later,1 0 passes, too,"
fi

# Every step is listed.
run --list
while read -r step; do
    expect "^$step\$"
done < <(sed -n 's/^step_\([a-z0-9_]*\)()$/\1/p' "$dir/tools/test")
code 0

exit $failed
