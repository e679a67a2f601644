#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Writers that race for a key of the S3 server, through the proxy: races.sh FAULT_PROXY, with the variables of
# tools/s3-server env. Whatever happens to the answers, one writer of a round wins, and the key has what it wrote.
set -u
failed=0
rounds=${RILLE_TEST_RACES:-5}
writers=8
run=$$ # keys of its own
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
coproc PROXY { "$1" 0 "$RILLE_TEST_S3_ENDPOINT" quirks=1; }
read -r port <&"${PROXY[0]}"
url=http://127.0.0.1:$port

s3()
{
    curl -s --max-time 60 --aws-sigv4 aws:amz:us-east-1:s3 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "${@:2}" "$url/$RILLE_TEST_S3_BUCKET/$1"
}

# faults WORDS: from now on, counted from 0
faults()
{
    curl -s -X PUT --data-binary "$1" "$url/__faults"
    curl -s -X POST "$url/__reset"
}

counted()
{
    curl -s "$url/__counts" | sed -n "s/^$1 //p"
}

# write KEY CONDITION WHAT WRITER: notes its status
write()
{
    s3 "$1" -o /dev/null -w '%{http_code}\n' -H "$2" -X PUT --data-binary "$3 $4" >"$dir/$4.status"
}

# race KEY CONDITION WHAT: all writers at once; the number of winners, of which the last is $winner
race()
{
    local writer pids=()
    for ((writer = 0; writer < writers; writer++)); do
        write "$1" "$2" "$3" "$writer" &
        pids+=($!)
    done
    wait "${pids[@]}"
    winners=0
    winner=none
    for ((writer = 0; writer < writers; writer++)); do
        case $(cat "$dir/$writer.status") in
        200)
            winners=$((winners + 1))
            winner=$writer
            ;;
        409 | 412) ;;
        *) fail "writer $writer of $1 got $(cat "$dir/$writer.status")" ;;
        esac
    done
}

fail()
{
    echo "FAILED: $*"
    failed=1
}

is()
{
    [ "$2" = "$3" ] || fail "$1: expected $2, got $3"
}

# Without its quotes: curl signs this header, so the proxy could not take them away.
etag_of()
{
    s3 "$1" -I | sed -n 's/[\r"]//g; s/^etag: //Ip'
}

for ((round = 0; round < rounds; round++)); do
    key=$run-race-$round
    faults "delay=1 jitter=20 seed=$round quirks=1"
    race "$key" 'If-None-Match: *' create
    is "winners of a creation" 1 "$winners"
    is "what was created" "create $winner" "$(s3 "$key")"
    race "$key" "If-Match: $(etag_of "$key")" swap
    is "winners of a swap" 1 "$winners"
    is "what was swapped" "swap $winner" "$(s3 "$key")"
    is "requests" $((2 * writers + 3)) "$(counted requests)"
done

# A lost answer: the writer that tries again is told that it lost, and yet it has won.
faults 'lost,m=PUT,first=1'
write "$run-lost" 'If-None-Match: *' create 1
is "the status of a lost answer" 000 "$(cat "$dir/1.status")"
write "$run-lost" 'If-None-Match: *' create 1
is "the status of its repetition" 412 "$(cat "$dir/1.status")"
is "what the key has" "create 1" "$(s3 "$run-lost")"
is "lost answers" 1 "$(counted lost)"

# A late request: a writer that reads after the failure finds nothing, and yet it will have won.
faults 'late,m=PUT'
write "$run-late" 'If-None-Match: *' create 1
is "the status of a late request" 000 "$(cat "$dir/1.status")"
is "the key before it" 404 "$(s3 "$run-late" -o /dev/null -w '%{http_code}')"
faults ''
for ((try = 0; try < 3000; try++)); do
    [ "$(s3 "$run-late")" != "create 1" ] || break
done
is "the key after it" "create 1" "$(s3 "$run-late")"
exit $failed
