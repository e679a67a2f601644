/* SPDX-License-Identifier: MIT
 *
 * The tree layer alone: columns, nodes, building, seeking, scanning, merging, and bytes a datom, over "people": 100,000
 * entities with name (8 values), last name (6), sex (2), age (0-99) and salary (0-99,999); ids dense, one transaction.
 * Each figure is the median of several runs, in CPU time (other processes disturb it less); the target stands beside
 * it.
 *
 *     bench_tree [runs]
 */
#include "../src/core/tree/chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zstd.h>

enum { PEOPLE = 100000, ATTRIBUTES = 5, DATOMS = PEOPLE * ATTRIBUTES, RUNS_MAX = 101, NODE_ROWS = 1024 };

static unsigned runs = 15;
static double samples[RUNS_MAX];

static uint64_t random_state = 88172645463325252U;

static uint64_t random_u64(void)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    return ri_mix64(random_state);
}

static void must(int rc, const rille_err *err)
{
    if (rc != RILLE_OK) {
        (void)fprintf(stderr, "bench_tree: %s: %s\n", rille_code_name(rc), err->message);
        exit(1);
    }
}

static int cmp_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void show(const char *name, double value, const char *unit, const char *target)
{
    (void)printf("%-44s %9.2f %-12s %s\n", name, value, unit, target);
}

static void keep(const void *p)
{
    static const void *volatile sink;
    sink = p;
    (void)sink;
}

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Times the code `runs` times; the median, in ns a unit. */
#define MEDIAN(result, unit_count, ...)                                               \
    do {                                                                              \
        for (unsigned run_ = 0; run_ < runs; run_++) {                                \
            double start_ = cpu_ns();                                                 \
            double rounds_ = 0;                                                       \
            double end_;                                                              \
            unsigned batch_ = 1; /* the clock is slow: it is read ever more rarely */ \
            do {                                                                      \
                for (unsigned k_ = 0; k_ < batch_; k_++) {                            \
                    __VA_ARGS__;                                                      \
                }                                                                     \
                rounds_ += batch_;                                                    \
                batch_ *= 2;                                                          \
                end_ = cpu_ns();                                                      \
            } while (end_ - start_ < 3e6);                                            \
            samples[run_] = (end_ - start_) / rounds_ / (double)(unit_count);         \
        }                                                                             \
        qsort(samples, runs, sizeof *samples, cmp_double);                            \
        (result) = samples[runs / 2];                                                 \
    } while (0)

/* ---- data ---- */

static ri_datom *people[RI_ORDER_COUNT];
static uint32_t people_count[RI_ORDER_COUNT];
static ri_order sort_order;

static int cmp_datoms(const void *a, const void *b)
{
    return ri_datom_cmp(sort_order, a, b);
}

static ri_value text(const char *s)
{
    return ri_bytes_value(RI_STRING, s, strlen(s));
}

static void make_people(void)
{
    static const char *const names[] = { "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis" };
    static const char *const last_names[] = { "Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi" };
    static const char *const sexes[] = { "male", "female" };
    for (int order = 0; order < RI_ORDER_COUNT; order++) {
        people[order] = calloc(DATOMS, sizeof(ri_datom));
    }
    ri_datom *d = people[RI_EAVT];
    for (uint64_t i = 0; i < PEOPLE; i++) {
        ri_value values[ATTRIBUTES] = { text(names[random_u64() % 8]), text(last_names[random_u64() % 6]),
                                        text(sexes[random_u64() % 2]), ri_long((int64_t)(random_u64() % 100)),
                                        ri_long((int64_t)(random_u64() % 100000)) };
        for (uint32_t a = 0; a < ATTRIBUTES; a++) {
            *d++ = (ri_datom){ .e = 1000 + i, .t = 999, .v = values[a], .a = 70 + a, .added = true };
        }
    }
    static const ri_order all[] = { RI_EAVT, RI_AEVT, RI_LOG, RI_AVET };
    for (unsigned k = 0; k < 4; k++) {
        ri_order order = all[k];
        for (uint32_t i = 0; i < DATOMS; i++) {
            if (order != RI_AVET || people[RI_EAVT][i].v.type == RI_LONG) {
                people[order][people_count[order]++] = people[RI_EAVT][i];
            }
        }
        sort_order = order;
        qsort(people[order], people_count[order], sizeof(ri_datom), cmp_datoms);
    }
}

/* ---- columns ---- */

static void bench_unpack(unsigned width)
{
    static uint64_t numbers[NODE_ROWS];
    static uint64_t out[NODE_ROWS];
    char name[64];
    for (uint32_t i = 0; i < NODE_ROWS; i++) {
        numbers[i] = random_u64() >> (64 - width);
    }
    ri_buf buf = { 0 };
    ri_arena arena = { 0 };
    ri_col col;
    ri_col_write(&buf, numbers, NODE_ROWS);
    size_t len = buf.len;
    ri_buf_put(&buf, numbers, 16);
    ri_reader in = ri_reader_of(buf.p, len);
    if (!ri_col_open(&in, NODE_ROWS, &arena, &col)) {
        exit(1);
    }
    double ns;
    MEDIAN(
        ns, NODE_ROWS * 100, for (int i = 0; i < 100; i++) {
            ri_col_unpack(&col, 0, NODE_ROWS, out);
            keep(out);
        });
    (void)snprintf(name, sizeof name, "unpack, width %u", width);
    show(name, 1 / ns, "G numbers/s", width <= 16 ? ">= 1" : "");
    ri_buf_deinit(&buf);
    ri_arena_deinit(&arena);
}

static void bench_lower(bool sparse)
{
    static uint64_t numbers[NODE_ROWS];
    static uint64_t keys[4096];
    ri_buf buf = { 0 };
    ri_arena arena = { 0 };
    ri_col col;
    for (uint32_t i = 1; i < NODE_ROWS; i++) {
        numbers[i] = numbers[i - 1] + 1 + random_u64() % (sparse ? 1000000 : 50);
    }
    for (uint32_t i = 0; i < 4096; i++) {
        keys[i] = random_u64() % numbers[NODE_ROWS - 1];
    }
    uint64_t first = numbers[0]; /* one number out of order makes the writer take FOR */
    numbers[0] = sparse ? 0 : numbers[2];
    ri_col_write(&buf, numbers, NODE_ROWS);
    numbers[0] = first;
    size_t len = buf.len;
    ri_buf_put(&buf, numbers, 16);
    ri_reader in = ri_reader_of(buf.p, len);
    if (!ri_col_open(&in, NODE_ROWS, &arena, &col)) {
        exit(1);
    }
    uint32_t sum = 0;
    double ns;
    MEDIAN(
        ns, 4096, for (uint32_t i = 0; i < 4096; i++) { sum += ri_col_lower(&col, 1, NODE_ROWS, keys[i]); });
    keep(&sum);
    show(col.mode == RI_COL_FOR ? "lower bound in 1,024 packed numbers" : "lower bound in 1,024 DELTA numbers", ns,
         "ns", col.mode == RI_COL_FOR ? "<= 50" : "");
    ri_buf_deinit(&buf);
    ri_arena_deinit(&arena);
}

/* ---- nodes ---- */

static ri_node *decode(const ri_buf *buf)
{
    static const ri_noderef self;
    rille_err err;
    uint8_t *bytes = ri_alloc(buf->len + RI_NODE_PADDING);
    memcpy(bytes, buf->p, buf->len);
    memset(bytes + buf->len, 0, RI_NODE_PADDING);
    ri_decode_input input = { bytes, buf->len, NULL, 0, &self, false };
    ri_object *object;
    must(ri_node_decode(&input, &object, &err), &err);
    return (ri_node *)(void *)object;
}

static void bench_node(ri_order order, uint32_t from, const char *name, const char *target)
{
    ri_encoder *enc = ri_encoder_new();
    ri_buf buf = { 0 };
    rille_err err;
    char line[64];
    const ri_datom *rows = people[order] + from;
    double ns;
    MEDIAN(ns, NODE_ROWS, {
        ri_buf_clear(&buf);
        must(ri_node_encode(enc, order, 0, rows, NODE_ROWS, NULL, NULL, &buf, &err), &err);
    });
    (void)snprintf(line, sizeof line, "encode %s", name);
    show(line, ns, "ns/datom", target);
    MEDIAN(ns, 1000, ri_node_release(decode(&buf)));
    (void)snprintf(line, sizeof line, "open %s, 1,024 rows, %zu bytes", name, buf.len);
    show(line, ns, "us", order == RI_EAVT ? "<= 6" : "");
    ri_node *node = decode(&buf);
    static uint64_t words[NODE_ROWS];
    static uint32_t lens[NODE_ROWS];
    static uint8_t types[NODE_ROWS];
    static ri_datom out[NODE_ROWS];
    if (node->group_count == 1) {
        MEDIAN(ns, NODE_ROWS, { ri_node_values(node, node->groups, 0, NODE_ROWS, words, lens); });
        (void)snprintf(line, sizeof line, "scan values of %s", name);
        show(line, ns, "ns/value", "1-3");
    }
    MEDIAN(ns, NODE_ROWS, { ri_node_values_mixed(node, 0, NODE_ROWS, types, words, lens); });
    (void)snprintf(line, sizeof line, "scan mixed values of %s", name);
    show(line, ns, "ns/value", "");
    MEDIAN(ns, NODE_ROWS, { ri_node_datoms(node, 0, NODE_ROWS, out); });
    (void)snprintf(line, sizeof line, "datoms of %s", name);
    show(line, ns, "ns/datom", "");
    uint32_t sum = 0;
    MEDIAN(
        ns, NODE_ROWS, for (uint32_t i = 0; i < NODE_ROWS; i++) {
            ri_bound bound = { .d = rows[i * 7 % NODE_ROWS], .parts = 3 };
            sum += ri_node_search(node, 0, &bound);
        });
    keep(&sum);
    (void)snprintf(line, sizeof line, "search %s, whole key", name);
    show(line, ns, "ns", "");
    ri_node_release(node);
    ri_buf_deinit(&buf);
    ri_encoder_free(enc);
}

/* ---- trees ---- */

static ri_store *store;
static ri_tree trees[RI_ORDER_COUNT];

static void commit(ri_writer *writer, ri_tree *tree)
{
    static unsigned number;
    char branch[32];
    rille_err err;
    rille_revision revision;
    (void)snprintf(branch, sizeof branch, "b%u", number++);
    must(ri_writer_seal(writer, &err), &err);
    ri_writer_resolve(writer, &tree->root);
    rille_head_swap swap = { .branch = branch, .cell = (const uint8_t *)"x", .cell_len = 1 };
    must(ri_store_head_swap(store, &swap, writer, &revision, &err), &err);
}

static void build(ri_order order, ri_writer *writer, ri_tree *out)
{
    ri_builder *builder;
    rille_err err;
    must(ri_builder_new(order, writer, &builder, &err), &err);
    for (uint32_t i = 0; i < people_count[order]; i++) {
        must(ri_builder_add(builder, &people[order][i], &err), &err);
    }
    must(ri_builder_finish(builder, out, &err), &err);
    ri_builder_release(builder);
}

/* Compressed bytes of a subtree. */
static uint64_t zstd_bytes(ri_order order, const ri_noderef *ref, unsigned level, uint64_t datoms)
{
    static uint8_t out[1 << 20];
    rille_err err;
    ri_io io = { 0 };
    ri_node *node;
    must(ri_tree_node(store, order, ref, level, datoms, &io, &node, &err), &err);
    size_t len = ZSTD_compress(out, sizeof out, node->bytes, node->len, 1);
    uint64_t bytes = len < node->len ? len : node->len;
    for (uint32_t i = 0; level > 0 && i < node->count; i++) {
        bytes += zstd_bytes(order, &node->children[i], level - 1, node->counts[i + 1] - node->counts[i]);
    }
    ri_node_release(node);
    ri_io_deinit(&io);
    return bytes;
}

static double bench_build(ri_order order, const char *target)
{
    char line[64];
    rille_err err;
    double ns;
    uint32_t n = people_count[order];
    MEDIAN(ns, n, build(order, NULL, &trees[order]));
    (void)snprintf(line, sizeof line, "build %s (no store)", ri_order_name(order));
    show(line, ns, "ns/datom", "");
    ri_writer *writer;
    must(ri_writer_new(store, &writer, &err), &err);
    build(order, writer, &trees[order]);
    commit(writer, &trees[order]);
    ri_writer_release(writer);
    ri_check_report report;
    must(ri_tree_check(store, &trees[order], &report, &err), &err);
    (void)snprintf(line, sizeof line, "%s, %llu leaves, height %u: raw", ri_order_name(order),
                   (unsigned long long)report.leaves, trees[order].height);
    show(line, (double)report.bytes / n, "B/datom", "");
    uint64_t bytes = zstd_bytes(order, &trees[order].root, trees[order].height - 1U, n);
    show("  with zstd 1", (double)bytes / n, "B/datom", target);
    return (double)bytes;
}

static void bench_seek(ri_order order)
{
    char line[64];
    rille_err err;
    ri_io io = { 0 };
    ri_cursor cursor;
    uint32_t n = people_count[order];
    static uint32_t picks[4096];
    for (int i = 0; i < 4096; i++) {
        picks[i] = (uint32_t)(random_u64() % n);
    }
    ri_cursor_init(&cursor, store, &trees[order]);
    double ns;
    MEDIAN(
        ns, 4096, for (int i = 0; i < 4096; i++) {
            ri_bound bound = { .d = people[order][picks[i]], .parts = 3 };
            must(ri_cursor_seek(&cursor, &bound, &io, &err), &err);
        });
    (void)snprintf(line, sizeof line, "random seek %s, warm", ri_order_name(order));
    show(line, ns, "ns", "<= 400");
    MEDIAN(
        ns, 4096, for (int i = 0; i < 4096; i++) {
            bool found;
            ri_datom d;
            ri_node *leaf;
            must(ri_tree_get(store, &trees[order], NULL, &people[order][picks[i]], &io, &found, &d, &leaf, &err), &err);
            ri_node_release(leaf);
        });
    (void)snprintf(line, sizeof line, "get %s, warm", ri_order_name(order));
    show(line, ns, "ns", "<= 400");
    MEDIAN(ns, n / 100, {
        ri_bound bound = { .parts = 0 };
        must(ri_cursor_seek(&cursor, &bound, &io, &err), &err);
        for (uint32_t i = 0; i < n; i += 100) {
            bound = (ri_bound){ .d = people[order][i], .parts = 3 };
            must(ri_cursor_seek_forward(&cursor, &bound, &io, &err), &err);
        }
    });
    (void)snprintf(line, sizeof line, "forward seek %s, every 100th", ri_order_name(order));
    show(line, ns, "ns", "");
    ri_cursor_deinit(&cursor);
    ri_io_deinit(&io);
}

static void bench_scan(ri_order order)
{
    static uint64_t e[RI_NODE_ROWS_MAX];
    static uint64_t words[RI_NODE_ROWS_MAX];
    static uint32_t lens[RI_NODE_ROWS_MAX];
    static uint8_t types[RI_NODE_ROWS_MAX];
    char line[64];
    rille_err err;
    ri_io io = { 0 };
    ri_cursor cursor;
    ri_cursor_init(&cursor, store, &trees[order]);
    double ns;
    MEDIAN(ns, people_count[order], {
        ri_bound bound = { .parts = 0 };
        must(ri_cursor_seek(&cursor, &bound, &io, &err), &err);
        do {
            const ri_node *leaf = ri_cursor_leaf(&cursor);
            ri_col_unpack(&leaf->col[RI_COLUMN_E], 0, leaf->count, e);
            ri_node_values_mixed(leaf, 0, leaf->count, types, words, lens);
        } while (ri_cursor_next_leaf(&cursor, NULL, &io, &err) == RILLE_OK);
    });
    (void)snprintf(line, sizeof line, "scan e and v of %s by leaves", ri_order_name(order));
    show(line, ns, "ns/datom", "");
    ri_cursor_deinit(&cursor);
    ri_io_deinit(&io);
}

static void bench_merge(ri_order order, uint32_t count)
{
    static ri_datom drawn[20000];
    static ri_change changes[20000];
    char line[64];
    rille_err err;
    ri_io io = { 0 };
    ri_tree out;
    for (uint32_t i = 0; i < count; i++) {
        drawn[i] = people[order][random_u64() % people_count[order]];
        drawn[i].e += order == RI_EAVT ? 0 : 1;
        drawn[i].t = 1000;
    }
    sort_order = order;
    qsort(drawn, count, sizeof *drawn, cmp_datoms);
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (n == 0 || cmp_datoms(ri_change_datom(changes[n - 1]), &drawn[i]) != 0) {
            changes[n++] = ri_change_of(&drawn[i], true);
        }
    }
    double ns;
    MEDIAN(ns, n * 1000, {
        ri_writer *writer;
        must(ri_writer_new(store, &writer, &err), &err);
        must(ri_tree_merge(store, &trees[order], changes, n, writer, &io, &out, &err), &err);
        ri_writer_release(writer);
    });
    (void)snprintf(line, sizeof line, "merge %u random changes into %s", n, ri_order_name(order));
    show(line, ns, "us/change", "");
    ri_io_deinit(&io);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        long wanted = strtol(argv[1], NULL, 10);
        runs = wanted < 1 ? 1 : wanted > RUNS_MAX ? RUNS_MAX : (unsigned)wanted;
    }
    static const unsigned widths[] = { 1, 4, 8, 10, 13, 16, 17, 24, 32, 48, 64 };
    for (unsigned i = 0; i < sizeof widths / sizeof *widths; i++) {
        bench_unpack(widths[i]);
    }
    bench_lower(false);
    bench_lower(true);
    make_people();
    bench_node(RI_EAVT, 102400, "EAVT people", "<= 150");
    bench_node(RI_AEVT, 450000, "AEVT longs", "<= 80");
    bench_node(RI_AEVT, 50000, "AEVT strings", "");
    bench_node(RI_AVET, 150000, "AVET longs", "<= 80");
    rille_err err;
    ri_store_options options = { .create = true };
    must(ri_store_open("mem:bench-tree", &options, &store, &err), &err);
    double bytes = bench_build(RI_EAVT, "<= 2.0");
    bytes += bench_build(RI_AEVT, "<= 1.2");
    bytes += bench_build(RI_AVET, "");
    bytes += bench_build(RI_LOG, "");
    show("all four trees, zstd 1, a datom of EAVT", bytes / DATOMS, "B/datom", "<= 8");
    bench_seek(RI_EAVT);
    bench_seek(RI_AEVT);
    bench_seek(RI_AVET);
    bench_scan(RI_EAVT);
    bench_scan(RI_AEVT);
    bench_scan(RI_AVET);
    bench_merge(RI_EAVT, 100);
    bench_merge(RI_AVET, 100);
    bench_merge(RI_EAVT, 20000);
    bench_merge(RI_AVET, 20000);
    must(ri_store_drop(store, &err), &err);
    ri_store_release(store);
    for (int order = 0; order < RI_ORDER_COUNT; order++) {
        free(people[order]);
    }
    return 0;
}
