/* SPDX-License-Identifier: MIT
 *
 * Two hashes: BLAKE2b (libsodium) for everything that is an identity, ri_hash64 for tables, checksums of frames and
 * content-defined boundaries. ri_hash64 is part of the stored format (docs/format.md): it must never change.
 */
#ifndef RI_HASH_H
#define RI_HASH_H

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
 * go in first. Not for adversaries. */
uint64_t ri_hash64(const void *bytes, size_t len, uint64_t seed);

/* BLAKE2b-256 without a key. */
void ri_blake2b(uint8_t out[RI_HASH_SIZE], const void *bytes, size_t len);

typedef struct ri_blake2b_state {
    _Alignas(64) uint8_t opaque[384];
} ri_blake2b_state;
void ri_blake2b_init(ri_blake2b_state *state);
void ri_blake2b_update(ri_blake2b_state *state, const void *bytes, size_t len);
void ri_blake2b_final(ri_blake2b_state *state, uint8_t out[RI_HASH_SIZE]);

/* Random bytes from the operating system, for database ids. */
void ri_random_bytes(void *out, size_t len);

/* Writes 2 * len lower-case digits and a 0. */
void ri_hex(char *out, const uint8_t *bytes, size_t len);

#endif
