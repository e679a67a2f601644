#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Makes an authority and certificates for tests of TLS: certificates.sh DIR
#   ca.pem               the authority, which no system knows
#   server.pem .key      for localhost and 127.0.0.1
#   other.pem .key       for a host of another name
#   expired.pem .key     for localhost, out of date
set -euo pipefail
mkdir -p "$1"
cd "$1"
[ ! -e complete ] || exit 0

key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl req -x509 "${key[@]}" -days 36500 -subj "/CN=rille test authority" -keyout ca.key -out ca.pem 2>/dev/null

# certificate NAME HOSTS DAYS
certificate()
{
    openssl req "${key[@]}" -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" -days "$3" \
        -extfile <(echo "subjectAltName=$2") -out "$1.pem" 2>/dev/null
    rm "$1.csr"
}

certificate server DNS:localhost,DNS:*.localhost,IP:127.0.0.1 36500
certificate other DNS:other.invalid 36500
certificate expired DNS:localhost,IP:127.0.0.1 -1
touch complete
