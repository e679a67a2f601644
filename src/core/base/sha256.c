/* SPDX-License-Identifier: MIT
 *
 * SHA-256, by libsodium.
 */
#include "sha256.h"

#include <sodium.h>

/* Of no bytes, and of a text for which there was no memory, libsodium does not take NULL. */
static const void *some(const void *bytes)
{
    return bytes != NULL ? bytes : "";
}

void ri_sha256(uint8_t out[RI_SHA256_SIZE], const void *bytes, size_t len)
{
    (void)crypto_hash_sha256(out, some(bytes), len);
}

void ri_hmac_sha256(uint8_t out[RI_SHA256_SIZE], const void *key, size_t key_len, const void *bytes, size_t len)
{
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, some(key), key_len);
    (void)crypto_auth_hmacsha256_update(&state, some(bytes), len);
    (void)crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

void ri_wipe(void *bytes, size_t len)
{
    sodium_memzero(bytes, len);
}
