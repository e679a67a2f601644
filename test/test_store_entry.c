/* SPDX-License-Identifier: MIT */
#include "../src/core/store/entry.h"
#include "test_store_support.h"

static void round_trip(ri_packer *packer, ri_unpackers *unpackers, const uint8_t *bytes, size_t len, bool shrinks)
{
    ri_entry entry;
    ri_entry back;
    ri_buf buf = { 0 };
    REQUIRE_RC(ri_packer_pack(packer, bytes, len, &entry, &test_err), RILLE_OK);
    CHECK((entry.codec == RI_CODEC_ZSTD) == shrinks);
    ri_entry_put_header(&buf, &entry);
    ri_buf_put(&buf, entry.stored, entry.stored_len);
    ri_reader reader = ri_reader_of(buf.p, buf.len);
    REQUIRE(ri_entry_read(&reader, len, &back));
    CHECK(ri_reader_left(&reader) == 0 && back.raw_len == len);
    uint8_t *out = malloc(len + 1);
    REQUIRE(out != NULL);
    CHECK_RC(ri_unpack(unpackers, &back, out), RILLE_OK);
    CHECK_EQ_MEM(out, len, bytes, len);
    free(out);
    if (len > 0) {
        reader = ri_reader_of(buf.p, buf.len);
        CHECK(!ri_entry_read(&reader, len - 1, &back)); /* above the limit of the caller */
    }
    ri_buf_deinit(&buf);
}

TEST(entry__round_trips_raw_and_compressed)
{
    ri_packer packer = { 0 };
    ri_packer plain = { .plain = true };
    ri_unpackers unpackers;
    ri_unpackers_init(&unpackers);
    static uint8_t bytes[100000];
    test_rng rng = test_rng_new();
    for (size_t len = 0; len < sizeof bytes; len = len * 3 + 1) {
        memset(bytes, 7, len);
        round_trip(&packer, &unpackers, bytes, len, len >= 48);
        round_trip(&plain, &unpackers, bytes, len, false);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)test_random(&rng);
        }
        round_trip(&packer, &unpackers, bytes, len, false);
    }
    ri_packer_deinit(&packer);
    ri_packer_deinit(&plain);
    ri_unpackers_deinit(&unpackers);
}

/* So much of the bytes is all the same, the rest at random. */
static void check_worth(unsigned even_percent, bool worth)
{
    ri_packer packer = { 0 };
    ri_unpackers unpackers;
    static uint8_t bytes[40000];
    test_rng rng = test_rng_new();
    ri_unpackers_init(&unpackers);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = i % 100 < even_percent ? 7 : (uint8_t)test_random(&rng);
    }
    round_trip(&packer, &unpackers, bytes, sizeof bytes, worth);
    ri_packer_deinit(&packer);
    ri_unpackers_deinit(&unpackers);
}

TEST(entry__is_compressed_where_that_saves_a_quarter)
{
    check_worth(15, false);
    check_worth(22, false);
    check_worth(30, true);
    check_worth(60, true);
}

static bool is_tried(const uint8_t *bytes, size_t len)
{
    ri_packer packer = { 0 };
    ri_entry entry;
    REQUIRE_RC(ri_packer_pack(&packer, bytes, len, &entry, &test_err), RILLE_OK);
    bool tried = packer.context != NULL;
    ri_packer_deinit(&packer);
    return tried;
}

/* Even bytes are not given to zstd at all. Others are, wherever in words those lie that differ little. */
TEST(entry__is_tried_where_bytes_are_uneven)
{
    static uint8_t bytes[9000];
    test_rng rng = test_rng_new();
    int rounds = 0;
    int in_vain = 0; /* samples of few bytes err at times */
    for (size_t len = 600; len < sizeof bytes; len = len * 9 / 8 + 1) {
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)test_random(&rng);
        }
        in_vain += is_tried(bytes, len);
        rounds++;
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)(test_random_below(&rng, 150) + 20);
        }
        CHECK(is_tried(bytes, len));
        for (size_t same = 0; same < 8; same++) {
            for (size_t i = 0; i < len; i++) {
                bytes[i] = (i + same) % 8 == 0 ? 3 : (uint8_t)test_random(&rng);
            }
            CHECK(is_tried(bytes, len));
        }
    }
    CHECK(in_vain * 4 <= rounds);
}

TEST(entry__believes_no_length_that_the_bytes_cannot_hold)
{
    /* zstd, 4 MiB of 3 bytes */
    static const uint8_t bomb[] = { 1, 0x80, 0x80, 0x80, 0x02, 3, 0, 1, 2, 3 };
    static const uint8_t raw_other_len[] = { 0, 4, 3, 0, 1, 2, 3 };
    static const uint8_t unknown_codec[] = { 2, 3, 3, 0, 1, 2, 3 };
    static const uint8_t long_varint[] = { 0, 0x83, 0, 3, 0, 1, 2, 3 };
    static const uint8_t past_end[] = { 0, 4, 4, 0, 1, 2, 3 };
    static const uint8_t locators_past_end[] = { 0, 3, 3, 1, 1, 2, 3 };
    static const struct {
        const uint8_t *bytes;
        size_t len;
    } bad[] = { { bomb, sizeof bomb },
                { raw_other_len, sizeof raw_other_len },
                { unknown_codec, sizeof unknown_codec },
                { long_varint, sizeof long_varint },
                { past_end, sizeof past_end },
                { locators_past_end, sizeof locators_past_end } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ri_entry entry;
        ri_reader reader = ri_reader_of(bad[i].bytes, bad[i].len);
        CHECK(!ri_entry_read(&reader, RI_NODE_BYTES_MAX, &entry));
        CHECK(entry.stored == NULL);
    }
}

/* ---- locators ---- */

#define CHILDREN_MAX 300

static void random_children(test_rng *rng, ri_noderef *children, size_t count)
{
    uint64_t offset = 24;
    memset(children, 0, count * sizeof *children);
    for (size_t i = 0; i < count; i++) {
        uint64_t pack = test_random_below(rng, 8) < 6 ? 0 : test_random_below(rng, 5);
        ri_blake2b(children[i].addr, &i, sizeof i);
        if (test_random_below(rng, 10) == 0) {
            continue; /* no locator */
        }
        memset(children[i].pack, (int)pack, RI_HASH_SIZE); /* 0: the own pack */
        children[i].offset = test_random_below(rng, 4) == 0 ? test_random(rng) >> test_random_below(rng, 64) : offset;
        children[i].len = 1 + (uint32_t)test_random_below(rng, 100000);
        offset = children[i].offset + children[i].len;
    }
}

TEST(locators__round_trip)
{
    test_rng rng = test_rng_new();
    ri_noderef self = { .offset = 5, .len = 6 };
    memset(self.pack, 0xee, RI_HASH_SIZE);
    for (size_t round = 0; round < 200; round++) {
        ri_noderef children[CHILDREN_MAX];
        ri_noderef back[CHILDREN_MAX];
        size_t count = (size_t)test_random_below(&rng, CHILDREN_MAX);
        ri_buf buf = { 0 };
        random_children(&rng, children, count);
        ri_locators_put(&buf, children, count);
        for (size_t i = 0; i < count; i++) {
            memset(&back[i], 0xaa, sizeof back[i]);
            memcpy(back[i].addr, children[i].addr, RI_HASH_SIZE);
            if (children[i].len > 0 && ri_addr_is_zero(children[i].pack)) {
                memcpy(children[i].pack, self.pack, RI_HASH_SIZE);
            }
        }
        CHECK_RC(ri_locators_read(buf.p, buf.len, &self, count, back), RILLE_OK);
        for (size_t i = 0; i < count; i++) {
            CHECK(memcmp(back[i].addr, children[i].addr, RI_HASH_SIZE) == 0 &&
                  memcmp(back[i].pack, children[i].pack, RI_HASH_SIZE) == 0 && back[i].offset == children[i].offset &&
                  back[i].len == children[i].len);
        }
        ri_buf_deinit(&buf);
    }
}

/* Neighbours in one pack: the common case takes 4 bytes a child. */
TEST(locators__are_short_for_neighbours)
{
    ri_noderef children[256] = { 0 };
    uint64_t offset = 24;
    for (size_t i = 0; i < 256; i++) {
        children[i].offset = offset;
        children[i].len = 3000;
        offset += 3000;
    }
    ri_buf buf = { 0 };
    ri_locators_put(&buf, children, 256);
    CHECK(buf.len <= 1 + 256 * 4);
    ri_buf_deinit(&buf);
}

TEST(locators__of_a_damaged_block_are_forgotten)
{
    test_rng rng = test_rng_new();
    ri_noderef self = { .len = 1 };
    ri_noderef children[40];
    ri_noderef back[40];
    ri_buf buf = { 0 };
    random_children(&rng, children, 40);
    ri_locators_put(&buf, children, 40);
    for (size_t len = 0; len <= buf.len; len++) {
        uint8_t *copy = malloc(len + 1); /* of exactly this length, for the sanitizer */
        REQUIRE(copy != NULL);
        memcpy(copy, buf.p, len);
        CHECK_RC(ri_locators_read(copy, len, &self, 40, back), RILLE_OK);
        bool empty = true;
        for (size_t i = 0; i < 40; i++) {
            empty = empty && back[i].len == 0 && back[i].offset == 0 && ri_addr_is_zero(back[i].pack);
        }
        CHECK(empty == (len < buf.len));
        free(copy);
    }
    for (size_t bit = 0; bit < buf.len * 8; bit++) {
        buf.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        CHECK_RC(ri_locators_read(buf.p, buf.len, &self, 40, back), RILLE_OK);
        CHECK_RC(ri_locators_read(buf.p, buf.len, &self, 7, back), RILLE_OK);
        buf.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    ri_buf_deinit(&buf);
}

TEST_MAIN(entry__round_trips_raw_and_compressed, entry__is_compressed_where_that_saves_a_quarter,
          entry__is_tried_where_bytes_are_uneven, entry__believes_no_length_that_the_bytes_cannot_hold,
          locators__round_trip, locators__are_short_for_neighbours, locators__of_a_damaged_block_are_forgotten)
