/* SPDX-License-Identifier: MIT
 *
 * Three hashes: BLAKE2b (libsodium) for everything that is an identity; ri_hash64 for checksums of frames and
 * content-defined boundaries, which is part of the stored format (docs/format.md) and must never change; and keyed ones
 * for tables in memory.
 */
#ifndef RI_HASH_H
#define RI_HASH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RI_HASH_SIZE 32

/* The finaliser of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static inline uint64_t ri_mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return x;
}

/* Chains 8-byte little-endian words through a multiply and the mixer; the tail is zero-padded; the length and the seed
 * go in first. Not for adversaries: whatever the seed, it is easy to find as many equal hashes as one likes. */
uint64_t ri_hash64(const void *bytes, size_t len, uint64_t seed);

/* ---- for tables ---- */

/* Random numbers of this process, made before the first use (ri_secret_make). Nothing that is stored, and no answer,
 * depends on them. */
typedef struct ri_secret_numbers {
    atomic_int made;
    uint64_t k[4];
} ri_secret_numbers;
extern ri_secret_numbers ri_secret;
void ri_secret_make(void);

static inline const uint64_t *ri_secret_get(void)
{
    if (atomic_load_explicit(&ri_secret.made, memory_order_acquire) == 0) {
        ri_secret_make();
    }
    return ri_secret.k;
}

/* Both halves of the product. */
static inline uint64_t ri_fold(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
    uint64_t middle = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
    uint64_t other = (a & UINT32_MAX) * (b >> 32) + (middle & UINT32_MAX);
    return (a * b) ^ ((a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32));
#endif
}

/* The multiply-and-fold of wyhash (Wang Yi, 2019, public domain) with secret numbers in place of its constants, twice:
 * all bits of the result depend on all of x and of the secret. Who does not know the secret, nor sees hashes, cannot
 * choose numbers whose hashes agree in more bits than those of random numbers; that is no proof, and it is no MAC. */
static inline uint64_t ri_keyed_word_by(const uint64_t k[4], uint64_t x)
{
    return ri_fold(ri_fold(x ^ k[0], k[1]) ^ k[2], k[3]);
}
static inline uint64_t ri_keyed_word(uint64_t x)
{
    return ri_keyed_word_by(ri_secret_get(), x);
}

/* The same of bytes, 16 at a time; seed tells uses apart. */
uint64_t ri_keyed_bytes(const void *bytes, size_t len, uint64_t seed);

/* ---- identities ---- */

/* BLAKE2b-256 without a key. */
void ri_blake2b(uint8_t out[RI_HASH_SIZE], const void *bytes, size_t len);

typedef struct ri_blake2b_state {
    _Alignas(64) uint8_t opaque[384];
} ri_blake2b_state;
void ri_blake2b_init(ri_blake2b_state *state);
void ri_blake2b_update(ri_blake2b_state *state, const void *bytes, size_t len);
void ri_blake2b_final(ri_blake2b_state *state, uint8_t out[RI_HASH_SIZE]);

/* The same in parts, with a state that may lie anywhere and be copied. */
typedef struct ri_hasher {
    uint8_t state[sizeof(ri_blake2b_state)];
} ri_hasher;
void ri_hasher_begin(ri_hasher *hasher);
void ri_hasher_add(ri_hasher *hasher, const void *bytes, size_t len);
void ri_hasher_end(const ri_hasher *hasher, uint8_t out[RI_HASH_SIZE]);

/* Random bytes from the operating system, for database ids. */
void ri_random_bytes(void *out, size_t len);

/* Random words made in advance, for who needs them one by one; all zero at first. forks: a forked child makes its own,
 * which costs a system call each time. */
typedef struct ri_random_words {
    uint64_t words[64]; /* fewer would be a system call every few transactions */
    unsigned left;
    int64_t process;
} ri_random_words;
uint64_t ri_random_word(ri_random_words *words, bool forks);

/* Writes 2 * len lower-case digits and a 0. */
void ri_hex(char *out, const uint8_t *bytes, size_t len);

#endif
