#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What every backend must do, over a bucket of the S3 server: as it is, and through the proxy with faults. contract.sh BUILD,
# a directory with the programs, with the variables of tools/s3-server env. RILLE_SEED: other faults.
set -u
build=$1
once=0.015 # of each fault: about one request in eight meets one
faults="quirks=1 seed=${RILLE_SEED:-1}"
for fault in slowdown error lost reset repeat close late truncate; do faults+=" $fault,p=$once"; done
faults+=" busy,p=0.003 conflict,m=PUT,p=$once"

# Without an endpoint it would pass over the bucket.
if [ -z "${RILLE_TEST_S3_ENDPOINT:-}" ]; then
    echo "FAILED: RILLE_TEST_S3_ENDPOINT is not set"
    exit 1
fi
failed=0
"$build/test_backends_contract" || failed=1

# shellcheck disable=SC2086
coproc PROXY { "$build/fault_proxy" 0 "$RILLE_TEST_S3_ENDPOINT" $faults; }
read -r port <&"${PROXY[0]}"
RILLE_TEST_S3_ENDPOINT=http://127.0.0.1:$port "$build/test_backends_contract" || failed=1
counts=$(curl -s "http://127.0.0.1:$port/__counts")
for count in requests lost repeat truncate; do
    number=$(sed -n "s/^$count //p" <<<"$counts")
    if [ "${number:-0}" -eq 0 ]; then
        echo "FAILED: the proxy counted no $count"
        failed=1
    fi
done
exit $failed
