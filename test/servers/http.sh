#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# That the web server of the tests does what a test of rille counts on: http.sh ROOT, with the variables of
# tools/http-server env. Prints what is wrong; the exit code is 0 when nothing is.
set -u
root=$1
failed=0
name=check-http
seq 2000 >"$root/$name"

# is EXPECTED FORMAT URL [OPTION...]: what curl writes about the answer
is()
{
    local got
    got=$(curl -s -o "$root/$name.got" -w "$2" --max-time 60 "${@:4}" "$3")
    if [ "$got" != "$1" ]; then
        echo "FAILED: expected $1, got $got: ${*:2}"
        failed=1
    fi
}

# same [FIRST LAST]: that the last answer was the file, or these bytes of it
same()
{
    if ! cmp -s "$root/$name.got" <(tail -c +$((${1:-0} + 1)) "$root/$name" | head -c $((${2:-9999999} - ${1:-0} + 1))); then
        echo "FAILED: other bytes than expected"
        failed=1
    fi
}

status='%{http_code}'
url=$RILLE_TEST_HTTP
is 200 "$status" "$url/plain/$name" && same
is 206 "$status" "$url/plain/$name" -r 100-199 && same 100 199
is 416 "$status" "$url/plain/$name" -r 99999999-
is 404 "$status" "$url/plain/none"
etag=$(curl -sI "$url/plain/$name" | sed -n 's/\r$//; s/^etag: //Ip')
is 304 "$status" "$url/plain/$name" -H "If-None-Match: $etag"
is 200 "$status" "$url/plain/$name" -H 'If-None-Match: "other"'
is 200 "$status" "$url/no-ranges/$name" -r 100-199 && same
is 200 "$status%header{etag}" "$url/no-etags/$name"
is 200gzip "$status%header{content-encoding}" "$url/gzip/$name" --compressed && same
is 200 "$status%header{content-encoding}" "$url/gzip/$name" && same
is 401 "$status" "$url/basic/$name"
is 200 "$status" "$url/basic/$name" -u "$RILLE_TEST_HTTP_USER:$RILLE_TEST_HTTP_PASSWORD" && same
is 401 "$status" "$url/bearer/$name" -H "Authorization: Bearer wrong"
is 200 "$status" "$url/bearer/$name" -H "Authorization: Bearer $RILLE_TEST_HTTP_TOKEN" && same
is 403 "$status" "$url/plain/"
is 200 "$status" "$url/listing/"
is "302 $url/plain/$name" "$status %{redirect_url}" "$url/moved/$name"
is 206 "$status" "$url/moved/$name" -L -r 100-199 && same 100 199
is "302 $url/loop/$name" "$status %{redirect_url}" "$url/loop/$name"
is "200 text/html" "$status %{content_type}" "$url/portal/$name"

# keys for a role
echo '{"Code": "Success"}' >"$root/credentials.json"
keys=$RILLE_TEST_METADATA/latest/meta-data/iam/security-credentials
is 405 "$status" "$RILLE_TEST_METADATA/latest/api/token"
is 200 "$status" "$RILLE_TEST_METADATA/latest/api/token" -X PUT
metadata_token=$(cat "$root/$name.got")
is 401 "$status" "$keys/"
is 200 "$status" "$keys/" -H "X-aws-ec2-metadata-token: $metadata_token"
role=$(cat "$root/$name.got")
is 401 "$status" "$keys/$role"
is 200 "$status" "$keys/$role" -H "X-aws-ec2-metadata-token: $metadata_token"
is 401 "$status" "$RILLE_TEST_CONTAINER"
is 200 "$status" "$RILLE_TEST_CONTAINER" -H "Authorization: Bearer $RILLE_TEST_HTTP_TOKEN"
if ! cmp -s "$root/$name.got" "$root/credentials.json"; then
    echo "FAILED: other keys than expected"
    failed=1
fi
rm -f "$root/credentials.json"

# TLS: 60 is a certificate that is not accepted
outcome='%{exitcode} %{http_version}'
is '0 2' "$outcome" "$RILLE_TEST_HTTPS/plain/$name" --cacert "$RILLE_TEST_CA_FILE" && same
is '60 0' "$outcome" "$RILLE_TEST_HTTPS/plain/$name"
is '60 0' "$outcome" "$RILLE_TEST_HTTPS_OTHER/plain/$name" --cacert "$RILLE_TEST_CA_FILE"
is '60 0' "$outcome" "$RILLE_TEST_HTTPS_EXPIRED/plain/$name" --cacert "$RILLE_TEST_CA_FILE"

rm -f "$root/$name" "$root/$name.got"
exit $failed
