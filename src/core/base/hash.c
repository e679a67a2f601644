/* SPDX-License-Identifier: MIT */
#include "hash.h"

#include "bytes.h"

#include <sodium.h>

#define WORD_FACTOR UINT64_C(0x9e3779b97f4a7c15)

uint64_t ri_hash64(const void *bytes, size_t len, uint64_t seed)
{
    const uint8_t *p = bytes;
    uint64_t h = ri_mix64(seed ^ (uint64_t)len * WORD_FACTOR);
    for (; len >= 8; len -= 8, p += 8) {
        h = (h ^ ri_load_u64(p)) * WORD_FACTOR;
        h ^= h >> 32;
    }
    if (len > 0) {
        uint8_t tail[8] = { 0 };
        memcpy(tail, p, len);
        h = (h ^ ri_load_u64(tail)) * WORD_FACTOR;
        h ^= h >> 32;
    }
    return ri_mix64(h);
}

void ri_blake2b(uint8_t out[RI_HASH_SIZE], const void *bytes, size_t len)
{
    (void)crypto_generichash(out, RI_HASH_SIZE, bytes, len, NULL, 0);
}

_Static_assert(sizeof(ri_blake2b_state) >= sizeof(crypto_generichash_state), "memory for the state of libsodium");

void ri_blake2b_init(ri_blake2b_state *state)
{
    (void)crypto_generichash_init((crypto_generichash_state *)(void *)state, NULL, 0, RI_HASH_SIZE);
}

void ri_blake2b_update(ri_blake2b_state *state, const void *bytes, size_t len)
{
    (void)crypto_generichash_update((crypto_generichash_state *)(void *)state, bytes, len);
}

void ri_blake2b_final(ri_blake2b_state *state, uint8_t out[RI_HASH_SIZE])
{
    (void)crypto_generichash_final((crypto_generichash_state *)(void *)state, out, RI_HASH_SIZE);
}

void ri_random_bytes(void *out, size_t len)
{
    randombytes_buf(out, len);
}

void ri_hex(char *out, const uint8_t *bytes, size_t len)
{
    (void)sodium_bin2hex(out, 2 * len + 1, bytes, len);
}
