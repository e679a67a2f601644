#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# examples/three_teams.lua, over the real servers: three_teams.sh RILLE ROOT, the command and the directory behind the web
# server, with the variables of tools/s3-server env and tools/http-server env.
set -u
example=$(dirname "$0")/../../examples/three_teams.lua
prices=$2/prices-$$
october=$("$1" run "$example" --prices "file:$prices") || exit 1
catalogue="s3://$RILLE_TEST_S3_BUCKET/catalogue-$$?endpoint=$RILLE_TEST_S3_ENDPOINT"
stock=$(mktemp -d)
got=$("$1" run "$example" "$catalogue" "file:$stock/stock" "$RILLE_TEST_HTTPS/plain/prices-$$" "$october" \
    "$RILLE_TEST_CA_FILE")
rm -rf "$stock" "$prices"
expected=$'anvil: 12 at 40.50\nbellows: 4 at 12.25'
if [ "$got" != "$expected" ]; then
    printf 'FAILED: expected\n%s\ngot\n%s\n' "$expected" "$got"
    exit 1
fi
