#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# That the S3 server of the tests does what a test of rille counts on: s3.sh, with the variables of tools/s3-server env.
# Prints what is wrong; the exit code is 0 when nothing is.
set -u
bucket=$RILLE_TEST_S3_BUCKET
endpoint=$RILLE_TEST_S3_ENDPOINT
failed=0

# request METHOD PATH [OPTION...]: its status
request()
{
    curl -s -o /dev/null -w '%{http_code}' --max-time 60 -X "$1" --aws-sigv4 aws:amz:us-east-1:s3 \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
        ${AWS_SESSION_TOKEN:+-H "x-amz-security-token: $AWS_SESSION_TOKEN"} "${@:3}" "$endpoint$2"
}

# is STATUS REQUEST...
is()
{
    local status
    status=$(request "${@:2}")
    if [ "$status" != "$1" ]; then
        echo "FAILED: expected $1, got $status: ${*:2}"
        failed=1
    fi
}

put=(--data-binary "@$0")
is 200 PUT "/$bucket/key" "${put[@]}"
is 200 GET "/$bucket/key"
is 206 GET "/$bucket/key" -H 'Range: bytes=2-5'
is 416 GET "/$bucket/key" -H 'Range: bytes=999999-'
is 404 GET "/$bucket/none"
is 404 GET /rille-none/key
is 412 PUT "/$bucket/key" "${put[@]}" -H 'If-None-Match: *'
is 200 PUT "/$bucket/first" "${put[@]}" -H 'If-None-Match: *'
is 412 PUT "/$bucket/key" "${put[@]}" -H 'If-Match: 0123'
is 200 PUT "/$bucket/key" "${put[@]}" -H "If-Match: $(md5sum "$0" | cut -d ' ' -f 1)"

# who may do what
AWS_SECRET_ACCESS_KEY=wrong is 403 GET "/$bucket/key"
AWS_ACCESS_KEY_ID=$RILLE_TEST_S3_READER_KEY_ID AWS_SECRET_ACCESS_KEY=$RILLE_TEST_S3_READER_KEY is 200 GET "/$bucket/key"
AWS_ACCESS_KEY_ID=$RILLE_TEST_S3_READER_KEY_ID AWS_SECRET_ACCESS_KEY=$RILLE_TEST_S3_READER_KEY \
    is 403 PUT "/$bucket/key" "${put[@]}"
is 200 PUT "/$RILLE_TEST_S3_PUBLIC_BUCKET/key" "${put[@]}"
if ! curl -sf -o /dev/null --max-time 60 "$endpoint/$RILLE_TEST_S3_PUBLIC_BUCKET/key"; then
    echo "FAILED: the public bucket cannot be read without keys"
    failed=1
fi

# temporary keys
(
    eval "$("$(dirname "$0")/../../tools/s3-server" session "$RILLE_TEST_S3_DIR")"
    is 200 PUT "/$bucket/key" "${put[@]}"
    AWS_SESSION_TOKEN=${AWS_SESSION_TOKEN%????????} is 403 GET "/$bucket/key"
    exit $failed
) || failed=1

# which expire
(
    eval "$("$(dirname "$0")/../../tools/s3-server" session "$RILLE_TEST_S3_DIR" 1)"
    for ((try = 0; try < 1000; try++)); do
        [ "$(request GET "/$bucket/key")" = 200 ] || break
    done
    is 403 GET "/$bucket/key"
    exit $failed
) || failed=1

# TLS: with the authority and without
endpoint=$RILLE_TEST_S3_TLS_ENDPOINT
is 200 GET "/$bucket/key" --cacert "$RILLE_TEST_CA_FILE"
is 000 GET "/$bucket/key"

exit $failed
