/* SPDX-License-Identifier: MIT */
#include "hash.h"

#include "bytes.h"
#include "sync.h"

#include <sodium.h>
#include <unistd.h>

#define WORD_FACTOR UINT64_C(0x9e3779b97f4a7c15)

uint64_t ri_hash64(const void *bytes, size_t len, uint64_t seed)
{
    const uint8_t *p = bytes;
    const uint8_t *end = len == 0 ? p : p + len; /* NULL is fine for nothing */
    uint64_t h = ri_mix64(seed ^ (uint64_t)len * WORD_FACTOR);
    for (; end - p >= 8; p += 8) {
        h = (h ^ ri_load_u64(p)) * WORD_FACTOR;
        h ^= h >> 32;
    }
    if (p < end) {
        h = (h ^ (len >= 8 ? ri_load_u64(end - 8) >> (8 * (8 - (end - p))) : ri_load_few(p, len))) * WORD_FACTOR;
        h ^= h >> 32;
    }
    return ri_mix64(h);
}

/* ---- for tables ---- */

ri_secret_numbers ri_secret;
static ri_mutex secret_lock = RI_MUTEX_INIT;

/* libsodium finds out what the processor can do. Until then, or if it fails, BLAKE2b gives the same and takes longer. */
static void start_sodium(void)
{
    int started = sodium_init();
    (void)started;
}

/* The multipliers are odd. */
void ri_secret_make(void)
{
    ri_mutex_lock(&secret_lock);
    if (atomic_load_explicit(&ri_secret.made, memory_order_relaxed) == 0) {
        start_sodium();
        ri_random_bytes(ri_secret.k, sizeof ri_secret.k);
        ri_secret.k[1] |= 1;
        ri_secret.k[3] |= 1;
        atomic_store_explicit(&ri_secret.made, 1, memory_order_release);
    }
    ri_mutex_unlock(&secret_lock);
}

uint64_t ri_keyed_bytes(const void *bytes, size_t len, uint64_t seed)
{
    const uint64_t *k = ri_secret_get();
    const uint8_t *p = bytes;
    uint64_t a = 0;
    uint64_t b = 0;
    uint64_t h = k[2] ^ ri_fold(seed ^ k[0], (uint64_t)len ^ k[1]);
    for (size_t left = len; left > 16; left -= 16, p += 16) {
        h = ri_fold(ri_load_u64(p) ^ k[1], ri_load_u64(p + 8) ^ h);
    }
    p = (const uint8_t *)bytes + len;
    if (len >= 16) {
        a = ri_load_u64(p - 16);
        b = ri_load_u64(p - 8);
    } else if (len >= 8) {
        a = ri_load_u64(p - len);
        b = ri_load_u64(p - 8);
    } else if (len >= 4) {
        a = ri_load_u32(p - len);
        b = ri_load_u32(p - 4);
    } else if (len > 0) {
        p -= len;
        a = (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1];
    }
    return ri_fold(ri_fold(a ^ k[1], b ^ h) ^ k[0], k[3]);
}

/* ---- identities ---- */

void ri_blake2b(uint8_t out[RI_HASH_SIZE], const void *bytes, size_t len)
{
    (void)ri_secret_get();
    (void)crypto_generichash(out, RI_HASH_SIZE, bytes, len, NULL, 0);
}

_Static_assert(sizeof(ri_blake2b_state) >= sizeof(crypto_generichash_state), "memory for the state of libsodium");

void ri_blake2b_init(ri_blake2b_state *state)
{
    (void)ri_secret_get();
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

void ri_hasher_begin(ri_hasher *hasher)
{
    ri_blake2b_state state;
    ri_blake2b_init(&state);
    memcpy(hasher->state, &state, sizeof state);
}

void ri_hasher_add(ri_hasher *hasher, const void *bytes, size_t len)
{
    ri_blake2b_state state;
    memcpy(&state, hasher->state, sizeof state);
    ri_blake2b_update(&state, bytes, len);
    memcpy(hasher->state, &state, sizeof state);
}

void ri_hasher_end(const ri_hasher *hasher, uint8_t out[RI_HASH_SIZE])
{
    ri_blake2b_state state;
    memcpy(&state, hasher->state, sizeof state);
    ri_blake2b_final(&state, out);
}

void ri_random_bytes(void *out, size_t len)
{
    randombytes_buf(out, len);
}

uint64_t ri_random_word(ri_random_words *words, bool forks)
{
    int64_t process = forks ? (int64_t)getpid() : words->process;
    if (words->left == 0 || words->process != process) {
        ri_random_bytes(words->words, sizeof words->words);
        words->left = sizeof words->words / sizeof *words->words;
        words->process = process;
    }
    return words->words[--words->left];
}

/* The digits of four bytes, the first one lowest: each half byte in a byte of its own, then all to characters at once. */
static uint64_t hex_of(uint32_t four)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x = four;
    x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x >> 4 & 15 * (ones & UINT64_C(0x00ff00ff00ff00ff))) | (x << 8 & 15 * (ones & UINT64_C(0xff00ff00ff00ff00)));
    uint64_t letters = (x + 6 * ones) >> 4 & ones;
    return x + '0' * ones + letters * ('a' - '0' - 10);
}

/* sodium_bin2hex takes constant time: no secret is shown here. */
void ri_hex(char *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (; len >= 4; len -= 4, bytes += 4, out += 8) {
        ri_store_u64((uint8_t *)out, hex_of(ri_load_u32(bytes)));
    }
    for (; len > 0; len--, bytes++) {
        *out++ = digits[*bytes >> 4];
        *out++ = digits[*bytes & 15];
    }
    *out = '\0';
}
