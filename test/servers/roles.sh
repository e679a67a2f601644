#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A database in the bucket, with the keys of a container's or an instance's role: roles.sh RILLE ROOT, the command and the directory
# behind the web server, with the variables of tools/s3-server env and tools/http-server env. The keys last 3 seconds, and the
# connections longer: the store refuses expired ones.
set -u
here=$(dirname "$0")
root=$(cd "$(dirname "$0")/../.." && pwd)
keys=$2/credentials.json
failed=0
give_keys="'$root/tools/s3-server' session '$RILLE_TEST_S3_DIR' 3 json >'$keys.new' && mv '$keys.new' '$keys'"
bash -c "$give_keys" || exit 1
trap 'rm -f "$keys"' EXIT

# try NAME MODE VARIABLE=VALUE...: the script, with nothing else that has keys
try()
{
    local url="s3://$RILLE_TEST_S3_BUCKET/roles-$$-$1?endpoint=$RILLE_TEST_S3_ENDPOINT"
    env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN AWS_SHARED_CREDENTIALS_FILE=/nonexistent \
        AWS_CONFIG_FILE=/nonexistent "${@:3}" "$rille" run "$here/roles.lua" "$url" "$2" "$give_keys" || failed=1
}

rille=$1
try instance write AWS_EC2_METADATA_SERVICE_ENDPOINT="$RILLE_TEST_METADATA"
try container write AWS_CONTAINER_CREDENTIALS_FULL_URI="$RILLE_TEST_CONTAINER" \
    AWS_CONTAINER_AUTHORIZATION_TOKEN="Bearer $RILLE_TEST_HTTP_TOKEN"
try instance refused AWS_CONTAINER_CREDENTIALS_FULL_URI="$RILLE_TEST_CONTAINER" \
    AWS_CONTAINER_AUTHORIZATION_TOKEN="Bearer wrong-token"
exit $failed
