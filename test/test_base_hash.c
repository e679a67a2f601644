/* SPDX-License-Identifier: MIT */
#include "../src/core/base/hash.h"

#include "../src/core/base/bytes.h"
#include "harness.h"

/* The definition in docs/format.md, written a second time: byte by byte. */
static uint64_t model_hash64(const uint8_t *p, size_t len, uint64_t seed)
{
    const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t h = ri_mix64(seed ^ (uint64_t)len * factor);
    for (size_t word = 0; word * 8 < len; word++) {
        uint64_t x = 0;
        for (size_t i = 0; i < 8 && word * 8 + i < len; i++) {
            x |= (uint64_t)p[word * 8 + i] << (8 * i);
        }
        h = (h ^ x) * factor;
        h ^= h >> 32;
    }
    return ri_mix64(h);
}

TEST(hash64__is_the_documented_function)
{
    uint8_t bytes[100];
    test_rng rng = test_rng_new();
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)test_random(&rng);
    }
    for (size_t len = 0; len <= 90; len++) {
        uint64_t seed = test_random(&rng);
        CHECK(ri_hash64(bytes + len % 8, len, seed) == model_hash64(bytes + len % 8, len, seed));
    }
}

/* Golden: part of the stored format, must never change. */
TEST(hash64__never_changes)
{
    CHECK(ri_hash64("", 0, 0) == UINT64_C(0x0000000000000000));
    CHECK(ri_hash64("rille", 5, 0) == UINT64_C(0xa92ec8fd9cac5699));
    CHECK(ri_hash64("rille rille rille", 17, 42) == UINT64_C(0xe994e01ec1917d7c));
}

TEST(hash64__tells_length_and_seed_apart)
{
    static const uint8_t zeros[16];
    CHECK(ri_hash64(zeros, 1, 0) != ri_hash64(zeros, 2, 0));
    CHECK(ri_hash64(zeros, 8, 0) != ri_hash64(zeros, 16, 0));
    CHECK(ri_hash64(zeros, 8, 0) != ri_hash64(zeros, 8, 1));
}

TEST(hash64__low_bits_of_neighbours_spread)
{
    enum { BUCKET_COUNT = 256, PER_BUCKET = 64 };
    unsigned counts[BUCKET_COUNT] = { 0 };
    for (uint64_t i = 0; i < BUCKET_COUNT * PER_BUCKET; i++) {
        uint8_t bytes[8];
        ri_store_u64(bytes, i);
        counts[ri_hash64(bytes, 8, 0) % BUCKET_COUNT]++;
    }
    for (int i = 0; i < BUCKET_COUNT; i++) {
        CHECK(counts[i] > PER_BUCKET / 3 && counts[i] < PER_BUCKET * 2); /* five standard deviations */
    }
}

/* RFC 7693 gives BLAKE2b-512 only; this digest of "abc" with 32 bytes is that of b2sum -l 256. */
TEST(blake2b__is_blake2b_256)
{
    uint8_t digest[RI_HASH_SIZE];
    char hex[2 * RI_HASH_SIZE + 1];
    ri_blake2b(digest, "abc", 3);
    ri_hex(hex, digest, sizeof digest);
    CHECK_EQ_STR(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    ri_blake2b(digest, "", 0);
    ri_hex(hex, digest, sizeof digest);
    CHECK_EQ_STR(hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

TEST(blake2b__in_pieces_is_the_same)
{
    uint8_t bytes[1000];
    test_rng rng = test_rng_new();
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)test_random(&rng);
    }
    uint8_t whole[RI_HASH_SIZE];
    ri_blake2b(whole, bytes, sizeof bytes);
    for (int round = 0; round < 50; round++) {
        ri_blake2b_state state;
        ri_blake2b_init(&state);
        for (size_t at = 0; at < sizeof bytes;) {
            size_t len = (size_t)test_random_below(&rng, sizeof bytes - at + 1);
            ri_blake2b_update(&state, bytes + at, len);
            at += len;
        }
        uint8_t pieces[RI_HASH_SIZE];
        ri_blake2b_final(&state, pieces);
        CHECK_EQ_MEM(pieces, sizeof pieces, whole, sizeof whole);
    }
}

TEST(hash__random_bytes_differ)
{
    uint8_t a[16];
    uint8_t b[16];
    ri_random_bytes(a, sizeof a);
    ri_random_bytes(b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) != 0);
}

TEST_MAIN(hash64__is_the_documented_function, hash64__never_changes, hash64__tells_length_and_seed_apart,
          hash64__low_bits_of_neighbours_spread, blake2b__is_blake2b_256, blake2b__in_pieces_is_the_same,
          hash__random_bytes_differ)
