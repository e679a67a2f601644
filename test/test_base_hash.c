/* SPDX-License-Identifier: MIT */
#include "../src/core/base/hash.h"

#include "../src/core/base/bytes.h"
#include "harness.h"

#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Without it libsodium takes the slowest code it has. */
TEST(blake2b__lets_libsodium_look_at_the_processor)
{
    uint8_t digest[RI_HASH_SIZE];
    ri_blake2b(digest, "abc", 3);
    CHECK(sodium_init() == 1); /* it was before */
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

TEST(hash__random_words_never_repeat)
{
    enum { COUNT = 100 };
    uint64_t all[COUNT];
    ri_random_words words = { .left = 0 };
    for (size_t i = 0; i < COUNT; i++) {
        all[i] = ri_random_word(&words, true);
        for (size_t k = 0; k < i; k++) {
            CHECK(all[k] != all[i]);
        }
    }
}

/* What was made in advance is the parent's alone. */
TEST(hash__random_words_of_a_forked_child_are_its_own)
{
    enum { COUNT = 20 };
    uint64_t own[COUNT];
    uint64_t other[COUNT];
    ri_random_words words = { .left = 0 };
    int ends[2];
    (void)ri_random_word(&words, true);
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    for (size_t i = 0; i < COUNT; i++) {
        own[i] = ri_random_word(&words, true);
    }
    if (child == 0) {
        _exit(write(ends[1], own, sizeof own) == (ssize_t)sizeof own ? 0 : 1);
    }
    CHECK_EQ_INT(read(ends[0], other, sizeof other), (ssize_t)sizeof other);
    CHECK(waitpid(child, NULL, 0) == child);
    (void)close(ends[0]);
    (void)close(ends[1]);
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            CHECK(own[i] != other[k]);
        }
    }
}

TEST(hash__hex_is_of_lower_case_digits)
{
    static const uint8_t bytes[] = { 0x00, 0x09, 0x0a, 0x9f, 0xf0, 0xff };
    char hex[2 * sizeof bytes + 1];
    ri_hex(hex, bytes, sizeof bytes);
    CHECK_EQ_STR(hex, "00090a9ff0ff");
    ri_hex(hex, bytes, 0);
    CHECK_EQ_STR(hex, "");
    uint8_t each[11] = { 0 }; /* two fours, and three alone */
    char shown[2 * sizeof each + 1];
    char expected[3];
    for (size_t at = 0; at < sizeof each; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            each[at] = (uint8_t)byte;
            ri_hex(shown, each, sizeof each);
            (void)snprintf(expected, sizeof expected, "%02x", byte);
            CHECK(memcmp(shown + 2 * at, expected, 2) == 0 && shown[2 * sizeof each] == '\0');
        }
    }
}

TEST_MAIN(hash64__is_the_documented_function, hash64__never_changes, hash64__tells_length_and_seed_apart,
          hash64__low_bits_of_neighbours_spread, blake2b__is_blake2b_256, blake2b__lets_libsodium_look_at_the_processor,
          blake2b__in_pieces_is_the_same, hash__random_bytes_differ, hash__random_words_never_repeat,
          hash__random_words_of_a_forked_child_are_its_own, hash__hex_is_of_lower_case_digits)
