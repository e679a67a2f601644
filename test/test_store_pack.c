/* SPDX-License-Identifier: MIT */
#include "../src/core/store/pack.h"
#include "test_store_support.h"

enum { ROWS = 100, ROW_LEN = 10 };

static void make_pack(ri_buf *buf, ri_pack_row *rows)
{
    ri_pack_begin(buf);
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t entry[ROW_LEN];
        memset(entry, (int)i, sizeof entry);
        ri_blake2b(rows[i].addr, entry, sizeof entry);
        rows[i].offset = buf->len;
        rows[i].len = ROW_LEN;
        ri_buf_put(buf, entry, sizeof entry);
    }
    ri_pack_finish(buf, rows, ROWS, rows[ROWS - 3].offset, 0);
    REQUIRE(!buf->failed);
}

/* Header and footer of these bytes. */
static int open_pack(const uint8_t *bytes, size_t len, ri_pack_footer *footer)
{
    uint64_t offset;
    RI_TRY(ri_pack_read_header(bytes, len, &offset));
    if (offset > len) {
        return RILLE_CORRUPT;
    }
    return ri_pack_read_footer(bytes + offset, len - (size_t)offset, offset, footer);
}

TEST(pack__finds_every_node_by_its_address)
{
    ri_buf buf = { 0 };
    ri_pack_row rows[ROWS];
    ri_pack_footer footer;
    make_pack(&buf, rows);
    REQUIRE_RC(open_pack(buf.p, buf.len, &footer), RILLE_OK);
    CHECK_EQ_INT(footer.count, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t entry[ROW_LEN];
        uint8_t addr[RI_HASH_SIZE];
        uint64_t offset;
        uint32_t len;
        memset(entry, (int)i, sizeof entry);
        ri_blake2b(addr, entry, sizeof entry);
        REQUIRE(ri_pack_find(&footer, addr, &offset, &len));
        CHECK(offset == RI_PACK_HEADER_SIZE + i * ROW_LEN && len == ROW_LEN);
        addr[31] ^= 1;
        CHECK(!ri_pack_find(&footer, addr, &offset, &len));
    }
    ri_buf_deinit(&buf);
}

TEST(pack__without_nodes_is_one)
{
    ri_buf buf = { 0 };
    ri_pack_footer footer;
    ri_pack_begin(&buf);
    ri_pack_finish(&buf, NULL, 0, 0, 0);
    CHECK_RC(open_pack(buf.p, buf.len, &footer), RILLE_OK);
    CHECK_EQ_INT(footer.count, 0);
    ri_buf_deinit(&buf);
}

TEST(pack__cut_short_is_refused)
{
    ri_buf buf = { 0 };
    ri_pack_row rows[ROWS];
    ri_pack_footer footer;
    make_pack(&buf, rows);
    for (size_t len = 0; len < buf.len; len++) {
        uint8_t *copy = malloc(len + 1);
        REQUIRE(copy != NULL);
        memcpy(copy, buf.p, len);
        CHECK_RC(open_pack(copy, len, &footer), RILLE_CORRUPT);
        free(copy);
    }
    ri_buf_deinit(&buf);
}

TEST(pack__with_a_flipped_bit_never_leads_outside)
{
    ri_buf buf = { 0 };
    ri_pack_row rows[ROWS];
    ri_pack_footer footer;
    make_pack(&buf, rows);
    for (size_t bit = 0; bit < buf.len * 8; bit++) {
        buf.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (open_pack(buf.p, buf.len, &footer) == RILLE_OK) {
            uint64_t offset;
            uint32_t len;
            if (ri_pack_find(&footer, rows[bit % ROWS].addr, &offset, &len)) {
                CHECK(offset >= RI_PACK_HEADER_SIZE && offset < buf.len && len <= buf.len - offset);
            }
        }
        buf.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    buf.p[8] = 2;
    CHECK_RC(open_pack(buf.p, buf.len, &footer), RILLE_FORMAT);
    ri_buf_deinit(&buf);
}

TEST_MAIN(pack__finds_every_node_by_its_address, pack__without_nodes_is_one, pack__cut_short_is_refused,
          pack__with_a_flipped_bit_never_leads_outside)
