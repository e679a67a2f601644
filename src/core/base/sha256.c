/* SPDX-License-Identifier: MIT
 *
 * SHA-256, by libsodium.
 */
#include "sha256.h"

#include <sodium.h>

void ri_sha256(uint8_t out[RI_SHA256_SIZE], const void *bytes, size_t len)
{
    (void)crypto_hash_sha256(out, bytes, len);
}

void ri_hmac_sha256(uint8_t out[RI_SHA256_SIZE], const void *key, size_t key_len, const void *bytes, size_t len)
{
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, key, key_len);
    (void)crypto_auth_hmacsha256_update(&state, bytes, len);
    (void)crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

void ri_wipe(void *bytes, size_t len)
{
    sodium_memzero(bytes, len);
}
