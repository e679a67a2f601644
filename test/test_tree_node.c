/* SPDX-License-Identifier: MIT
 *
 * Nodes against arrays of datoms: what goes in comes out, cuts are found where a naive search finds them, damaged bytes
 * are refused or harmless, memory may run out anywhere.
 */
#include "test_tree_data.h"

static int decode(const ri_buf *buf, ri_node **out, rille_err *err)
{
    static const ri_noderef self = { { 1 }, { 0 }, 0, 0 };
    *out = NULL;
    uint8_t *bytes = ri_alloc(buf->len + RI_NODE_PADDING);
    if (bytes == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(bytes, buf->p, buf->len);
    memset(bytes + buf->len, 0, RI_NODE_PADDING);
    ri_decode_input input = { bytes, buf->len, NULL, 0, &self, false };
    ri_object *object;
    int rc = ri_node_decode(&input, &object, err);
    *out = (ri_node *)(void *)object;
    return rc;
}

static ri_node *make(ri_encoder *enc, ri_order order, const ri_datom *rows, uint32_t n, ri_buf *buf)
{
    ri_node *node;
    ri_buf_clear(buf);
    REQUIRE_RC(ri_node_encode(enc, order, 0, rows, n, NULL, NULL, buf, &test_err), RILLE_OK);
    REQUIRE_RC(decode(buf, &node, &test_err), RILLE_OK);
    return node;
}

static void check_rows(const ri_node *node, const ri_datom *rows, uint32_t n, test_rng *rng)
{
    static ri_datom out[RI_NODE_ROWS_MAX];
    static uint8_t types[RI_NODE_ROWS_MAX];
    static uint64_t words[RI_NODE_ROWS_MAX];
    static uint32_t lens[RI_NODE_ROWS_MAX];
    CHECK_EQ_INT(node->count, n);
    uint32_t from = (uint32_t)test_random_below(rng, n);
    uint32_t to = from + (uint32_t)test_random_below(rng, n - from + 1U);
    ri_node_datoms(node, from, to, out);
    for (uint32_t i = from; i < to; i++) {
        REQUIRE(data_same(&out[i - from], &rows[i]));
    }
    ri_node_values_mixed(node, from, to, types, words, lens);
    for (uint32_t i = from; i < to; i++) {
        ri_value v = { { .u = words[i - from] }, lens[i - from], types[i - from] };
        REQUIRE(data_same_value(&v, &rows[i].v));
    }
    for (uint32_t i = 0; i < n; i++) {
        ri_datom d;
        ri_node_datom(node, i, &d);
        REQUIRE(data_same(&d, &rows[i]));
    }
    for (uint32_t i = from; i < to;) {
        uint32_t end = ri_node_run(node, i, to);
        const ri_group *group = ri_node_group(node, i);
        REQUIRE(end > i && end <= to);
        CHECK(end == to || ri_node_group(node, end) != group);
        ri_node_values(node, group, i, end, words, lens);
        for (uint32_t k = i; k < end; k++) {
            ri_value v = { { .u = words[k - i] }, ri_type_is_word(group->type) ? 0 : lens[k - i], group->type };
            REQUIRE(data_same_value(&v, &rows[k].v));
        }
        i = end;
    }
    CHECK_RC(ri_node_check(node, &test_err), RILLE_OK);
}

static void check_bounds(const ri_node *node, const ri_datom *rows, uint32_t n, const data_shape *shape, test_rng *rng,
                         ri_arena *arena)
{
    ri_order order = (ri_order)node->order;
    for (int i = 0; i < 60; i++) {
        ri_bound bound = data_bound(rng, arena, order, shape, rows, n);
        uint32_t rank = data_rank(order, rows, n, &bound);
        uint32_t from = (uint32_t)test_random_below(rng, rank + 1U);
        if (ri_node_search(node, 0, &bound) != rank) {
            (void)fprintf(stderr, "%s: parts %u after %d, e %llu a %u type %u\n", ri_order_name(order), bound.parts,
                          bound.after, (unsigned long long)bound.d.e, bound.d.a, bound.d.v.type);
        }
        REQUIRE(test_check_int(ri_node_search(node, 0, &bound), rank, __FILE__, __LINE__, ri_order_name(order)));
        CHECK_EQ_INT(ri_node_search(node, from, &bound), rank);
        ri_bound other = bound;
        uint32_t first, end;
        other.after = !bound.after;
        ri_node_equal(node, &bound, &first, &end);
        CHECK_EQ_INT(bound.after ? end : first, rank);
        CHECK_EQ_INT(bound.after ? first : end, ri_node_search(node, 0, &other));
        CHECK_EQ_INT(ri_node_gallop(node, from, &bound), rank);
        CHECK_EQ_INT(ri_node_child(node, &bound), rank == 0 ? 0 : rank - 1);
        from = (uint32_t)test_random_below(rng, n);
        CHECK_EQ_INT(ri_node_gallop(node, from, &bound), from > rank ? from : rank);
    }
}

/* A branch with such separators. */
static ri_node *make_branch(ri_encoder *enc, ri_order order, const ri_datom *rows, uint32_t n)
{
    static uint64_t counts[RI_NODE_ROWS_MAX];
    static uint8_t addrs[RI_NODE_ROWS_MAX * RI_HASH_SIZE];
    ri_buf buf = { 0 };
    ri_node *node;
    for (uint32_t i = 0; i < n; i++) {
        counts[i] = 1;
    }
    memset(addrs, 1, n * RI_HASH_SIZE);
    CHECK_RC(ri_node_encode(enc, order, 1, rows, n, counts, addrs, &buf, &test_err), RILLE_OK);
    REQUIRE_RC(decode(&buf, &node, &test_err), RILLE_OK);
    ri_buf_deinit(&buf);
    return node;
}

TEST(node__gives_back_rows_and_finds_cuts)
{
    test_rng rng = test_rng_new();
    ri_encoder *enc = ri_encoder_new();
    ri_buf buf = { 0 };
    ri_buf again = { 0 };
    for (int round = 0; round < 700; round++) {
        ri_arena arena = { 0 };
        ri_order order = (ri_order)(round % RI_ORDER_COUNT);
        data_shape shape = data_any_shape(&rng);
        uint32_t n = 1 + (uint32_t)test_random_below(&rng, round % 3 == 0   ? 4
                                                           : round % 3 == 1 ? 300
                                                                            : RI_NODE_ROWS_MAX);
        ri_datom *rows = data_rows(&rng, &arena, order, &shape, n, &n);
        ri_node *node = make(enc, order, rows, n, &buf);
        check_rows(node, rows, n, &rng);
        check_bounds(node, rows, n, &shape, &rng, &arena);
        ri_node *branch = make_branch(enc, order, rows, n);
        check_bounds(branch, rows, n, &shape, &rng, &arena);
        ri_node_release(branch);
        ri_datom *copy = ri_arena_array(&arena, n, sizeof *copy);
        ri_node_datoms(node, 0, n, copy);
        ri_buf_clear(&again);
        CHECK_RC(ri_node_encode(enc, order, 0, copy, n, NULL, NULL, &again, &test_err), RILLE_OK);
        CHECK_EQ_MEM(again.p, again.len, buf.p, buf.len);
        ri_node_release(node);
        ri_arena_deinit(&arena);
    }
    ri_buf_deinit(&buf);
    ri_buf_deinit(&again);
    ri_encoder_free(enc);
}

/* "xxx" and up to 11 of three letters, one of which is 0. */
static ri_value string_after(test_rng *rng, ri_arena *arena, size_t shared)
{
    static const char letters[] = { '\0', 'a', 'x' };
    char text[32];
    size_t len = shared + (size_t)test_random_below(rng, 12);
    memset(text, 'x', shared);
    for (size_t i = shared; i < len; i++) {
        text[i] = letters[test_random_below(rng, 3)];
    }
    return ri_bytes_value(RI_STRING, ri_arena_copy(arena, text, len), len);
}

static int cmp_avet(const void *a, const void *b)
{
    return ri_datom_cmp(RI_AVET, a, b);
}

TEST(node__finds_strings_with_the_same_beginning)
{
    test_rng rng = test_rng_new();
    ri_encoder *enc = ri_encoder_new();
    ri_buf buf = { 0 };
    for (size_t round = 0; round < 60; round++) {
        static ri_datom rows[1000];
        ri_arena arena = { 0 };
        size_t shared = round % 20;
        uint32_t n = (uint32_t)(1 + (round < 20 ? 10 * shared : test_random_below(&rng, 1000)));
        for (uint32_t i = 0; i < n; i++) {
            rows[i] = (ri_datom){ .e = i + 1, .t = 1, .a = 7, .v = string_after(&rng, &arena, shared), .added = true };
        }
        qsort(rows, n, sizeof *rows, cmp_avet);
        ri_node *node = make(enc, RI_AVET, rows, n, &buf);
        ri_node *branch = make_branch(enc, RI_AVET, rows, n);
        for (int i = 0; i < 300; i++) {
            ri_bound bound = { .d = { .a = 7, .v = string_after(&rng, &arena, i < 200 ? shared : shared / 2) },
                               .parts = 2,
                               .after = i % 2 == 0 };
            CHECK_EQ_INT(ri_node_search(node, 0, &bound), data_rank(RI_AVET, rows, n, &bound));
            CHECK_EQ_INT(ri_node_search(branch, 0, &bound), data_rank(RI_AVET, rows, n, &bound));
        }
        ri_node_release(branch);
        ri_node_release(node);
        ri_arena_deinit(&arena);
    }
    ri_buf_deinit(&buf);
    ri_encoder_free(enc);
}

TEST(node__keeps_children)
{
    enum { N = 300 };
    ri_encoder *enc = ri_encoder_new();
    ri_buf buf = { 0 };
    ri_datom rows[N];
    uint64_t counts[N];
    uint8_t addrs[N * RI_HASH_SIZE];
    for (uint32_t i = 0; i < N; i++) {
        rows[i] =
            (ri_datom){ .e = i * 7, .a = i % 3 == 0 ? 0 : i, .v = i % 3 < 2 ? ri_nil() : ri_long(i), .added = true };
        counts[i] = 500 + i % 10;
        memset(addrs + i * RI_HASH_SIZE, (int)i % 255 + 1, RI_HASH_SIZE);
    }
    CHECK_RC(ri_node_encode(enc, RI_EAVT, 2, rows, N, counts, addrs, &buf, &test_err), RILLE_OK);
    ri_node *node;
    REQUIRE_RC(decode(&buf, &node, &test_err), RILLE_OK);
    CHECK_EQ_INT(node->level, 2);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < N; i++) {
        CHECK_EQ_INT(node->counts[i], sum);
        sum += counts[i];
        CHECK_EQ_MEM(node->children[i].addr, RI_HASH_SIZE, addrs + i * RI_HASH_SIZE, RI_HASH_SIZE);
        ri_bound bound = { .d = { .e = i * 7 + 1 }, .parts = 1 };
        CHECK_EQ_INT(ri_node_child(node, &bound), i);
    }
    CHECK_EQ_INT(node->counts[N], sum);
    ri_node_release(node);
    ri_buf_deinit(&buf);
    ri_encoder_free(enc);
}

TEST(node__of_one_datom_is_small)
{
    ri_encoder *enc = ri_encoder_new();
    ri_buf buf = { 0 };
    ri_datom d = { .e = 5, .t = 1, .v = ri_long(7), .a = 3, .added = true };
    ri_node_release(make(enc, RI_EAVT, &d, 1, &buf));
    CHECK(buf.len <= 16);
    ri_buf_deinit(&buf);
    ri_encoder_free(enc);
}

/* Touches all that can be read of a node; a damaged one gives any answer. */
static uint64_t read_all(const ri_node *node, test_rng *rng, ri_arena *arena)
{
    static ri_datom rows[RI_NODE_ROWS_MAX];
    data_shape shape = { 100, 20, 100, 100, true, false };
    ri_node_datoms(node, 0, node->count, rows);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        ri_datom d;
        ri_node_datom(node, i, &d);
        CHECK(data_same(&d, &rows[i]));
        CHECK(ri_value_valid(&d.v));
        sum += d.e + d.v.len;
    }
    for (int i = 0; i < 10; i++) {
        ri_bound bound = data_bound(rng, arena, (ri_order)node->order, &shape, rows, node->count);
        sum += ri_node_search(node, 0, &bound) + ri_node_gallop(node, node->count / 2, &bound);
        CHECK(ri_node_child(node, &bound) < node->count);
    }
    (void)ri_node_check(node, NULL);
    return sum;
}

/* Read as datoms, the same bytes are refused where they are as a node, and have the same rows. node NULL: refused. */
static void check_as_leaf(const ri_buf *buf, const ri_node *node)
{
    static ri_datom rows[RI_NODE_ROWS_MAX];
    static const ri_noderef self = { { 1 }, { 0 }, 0, 0 };
    bool is_leaf = node != NULL && node->order == RI_LOG && node->level == 0;
    ri_datom *datoms = NULL;
    size_t cap = 0;
    size_t count = 0;
    uint8_t *bytes = ri_alloc(buf->len + RI_NODE_PADDING);
    REQUIRE(bytes != NULL);
    memcpy(bytes, buf->p, buf->len);
    memset(bytes + buf->len, 0xff, RI_NODE_PADDING);
    ri_decode_input input = { bytes, buf->len, NULL, 0, &self, true };
    int rc = ri_leaf_read(&input, RI_NODE_ROWS_MAX, &datoms, &cap, &count, &test_err);
    CHECK(is_leaf ? rc == RILLE_OK : rc == RILLE_CORRUPT || rc == RILLE_FORMAT);
    if (is_leaf && rc == RILLE_OK) {
        CHECK_EQ_INT(count, node->count);
        ri_node_datoms(node, 0, node->count, rows);
        for (uint32_t i = 0; i < node->count; i++) {
            CHECK(data_same(&datoms[i], &rows[i]));
        }
        size_t before = count;
        CHECK_RC(ri_leaf_read(&input, node->count - 1, &datoms, &cap, &count, &test_err), RILLE_CORRUPT);
        CHECK_EQ_INT(count, before);
    }
    ri_free(datoms);
    ri_free(bytes);
}

static ri_datom random_words(test_rng *rng, ri_order order)
{
    static const uint8_t types[] = { RI_NIL, RI_BOOL, RI_LONG, RI_DOUBLE, RI_INSTANT, RI_REF };
    ri_datom d = { .e = test_random(rng) >> test_random_below(rng, 64),
                   .t = test_random(rng) >> test_random_below(rng, 64) };
    d.a = (uint32_t)(1 + test_random_below(rng, 3));
    d.v.type = order == RI_VAET ? RI_REF : types[test_random_below(rng, sizeof types)];
    d.v.as.u = d.v.type == RI_NIL ? 0 : d.v.type == RI_BOOL ? test_random_below(rng, 2) : test_random(rng);
    d.x = order == RI_RET ? test_random(rng) : 0;
    d.added = order != RI_LOG || test_random_below(rng, 2) == 0;
    return d;
}

/* As a branch, whose rows are written in the same way, with children behind them; of this none has a short way. */
TEST(node__of_one_row_or_two_has_the_bytes_of_any_other)
{
    test_rng rng = test_rng_new();
    static const uint64_t counts[2] = { 1, 1 };
    static const uint8_t addrs[2 * RI_HASH_SIZE] = { 0 };
    ri_encoder *enc = ri_encoder_new();
    ri_buf leaf = { 0 };
    ri_buf branch = { 0 };
    REQUIRE(enc != NULL);
    for (unsigned round = 0; round < 20000; round++) {
        ri_order order = (ri_order)(round % RI_ORDER_COUNT);
        uint32_t n = (uint32_t)(1 + test_random_below(&rng, 2));
        ri_datom rows[2] = { random_words(&rng, order), random_words(&rng, order) };
        rows[1].e = test_random_below(&rng, 3) == 0 ? rows[0].e : rows[1].e;
        rows[1].t = test_random_below(&rng, 2) == 0 ? rows[0].t : rows[1].t;
        ri_buf_clear(&leaf);
        ri_buf_clear(&branch);
        REQUIRE_RC(ri_node_encode(enc, order, 0, rows, n, NULL, NULL, &leaf, &test_err), RILLE_OK);
        REQUIRE_RC(ri_node_encode(enc, order, 1, rows, n, counts, addrs, &branch, &test_err), RILLE_OK);
        REQUIRE(branch.len == leaf.len + 2 + (size_t)n * RI_HASH_SIZE && branch.p[2] == 1);
        branch.p[2] = 0;
        REQUIRE(memcmp(leaf.p, branch.p, leaf.len) == 0);
    }
    ri_buf_deinit(&leaf);
    ri_buf_deinit(&branch);
    ri_encoder_free(enc);
}

TEST(node__survives_damage)
{
    test_rng rng = test_rng_new();
    ri_encoder *enc = ri_encoder_new();
    ri_buf buf = { 0 };
    uint32_t decoded = 0;
    for (int round = 0; round < 6000; round++) {
        ri_arena arena = { 0 };
        ri_order order = round % 3 == 0 ? RI_LOG : (ri_order)(round % RI_ORDER_COUNT);
        data_shape shape = data_any_shape(&rng);
        uint32_t n = 1 + (uint32_t)test_random_below(&rng, 200);
        ri_datom *rows = data_rows(&rng, &arena, order, &shape, n, &n);
        ri_buf_clear(&buf);
        REQUIRE_RC(ri_node_encode(enc, order, 0, rows, n, NULL, NULL, &buf, &test_err), RILLE_OK);
        for (uint64_t k = test_random_below(&rng, 4); k > 0; k--) {
            size_t at = test_random_below(&rng, test_random_below(&rng, 2) == 0 && buf.len > 60 ? 60 : buf.len);
            unsigned flipped = buf.p[at] ^ 1U << test_random_below(&rng, 8);
            buf.p[at] = (uint8_t)(test_random_below(&rng, 2) == 0 ? flipped : test_random(&rng) & 0xffU);
        }
        buf.len = test_random_below(&rng, 5) == 0 ? test_random_below(&rng, buf.len + 1) : buf.len;
        ri_node *node;
        int rc = decode(&buf, &node, &test_err);
        CHECK(rc == RILLE_OK || rc == RILLE_CORRUPT || rc == RILLE_FORMAT);
        check_as_leaf(&buf, node);
        if (rc == RILLE_OK) {
            decoded++;
            (void)read_all(node, &rng, &arena);
            ri_node_release(node);
        }
        ri_arena_deinit(&arena);
    }
    CHECK(decoded > 100);
    ri_buf_deinit(&buf);
    ri_encoder_free(enc);
}

static int encode_and_decode(const ri_datom *rows, uint32_t n)
{
    ri_encoder *enc = ri_encoder_new();
    ri_buf buf = { 0 };
    ri_node *node = NULL;
    int rc = enc == NULL ? RILLE_NOMEM : ri_node_encode(enc, RI_EAVT, 0, rows, n, NULL, NULL, &buf, NULL);
    if (rc == RILLE_OK) {
        rc = decode(&buf, &node, NULL);
    }
    ri_node_release(node);
    ri_buf_deinit(&buf);
    ri_encoder_free(enc);
    return rc;
}

TEST(node__copes_without_memory)
{
    test_rng rng = test_rng_new();
    ri_arena arena = { 0 };
    data_shape shape = { 1000, 30, 10, 1000, false, false };
    uint32_t n;
    ri_datom *rows = data_rows(&rng, &arena, RI_EAVT, &shape, 2000, &n);
    TEST_FAULT_SWEEP(encode_and_decode(rows, n));
    ri_arena_deinit(&arena);
}

TEST_MAIN(node__gives_back_rows_and_finds_cuts, node__finds_strings_with_the_same_beginning, node__keeps_children,
          node__of_one_datom_is_small, node__of_one_row_or_two_has_the_bytes_of_any_other, node__survives_damage,
          node__copes_without_memory)
