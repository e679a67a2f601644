/* SPDX-License-Identifier: MIT
 *
 * What a cold open reads: the upper levels of all trees lie together, so that it takes one read, and a look-up in a
 * tree takes a branch and a leaf more, however large the database is. Counted.
 */
#include "test_store_support.h"

#include "../src/core/db/conn.h"

enum { PEOPLE = 25000, DOC_LEN = 900, SMALL_CACHE = 1 << 20 };

static void transact(rille_conn *conn, const char *text, size_t len)
{
    ri_report report;
    REQUIRE_RC(ri_conn_transact_edn(conn, text, len, &report, &test_err), 0);
    ri_report_deinit(&report);
}

static rille_conn *open_with_cache(const char *url, size_t cache_bytes)
{
    ri_conn_options options = { .create = true, .cache_bytes = cache_bytes };
    rille_conn *conn = NULL;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    return conn;
}

/* Long values make small leaves: trees have three levels. */
static void fill(rille_conn *conn)
{
    static const char schema[] = "[{:db/ident :uid :db/valueType :db.type/string :db/unique :db.unique/identity}"
                                 " {:db/ident :age :db/valueType :db.type/long}"
                                 " {:db/ident :boss :db/valueType :db.type/ref}]";
    transact(conn, schema, sizeof schema - 1);
    ri_buf text = { 0 };
    ri_buf_put_text(&text, "[");
    for (int i = 0; i < PEOPLE; i++) {
        char map[DOC_LEN + 100];
        (void)snprintf(map, sizeof map, "{:uid \"u%06d\" :age %d :boss %d :db/doc \"%*d\"}", i, i % 90,
                       (int)RI_EID_USER + i / 2, DOC_LEN, i);
        ri_buf_put_text(&text, map);
    }
    ri_buf_put_text(&text, "]");
    transact(conn, (const char *)text.p, text.len);
    ri_buf_deinit(&text);
}

static ri_store_stats stats_of(rille_conn *conn)
{
    ri_store_stats stats;
    ri_store_read_stats(ri_conn_store(conn), &stats);
    return stats;
}

static void look_up(rille_db *db, int person)
{
    ri_io io = { 0 };
    uint64_t e;
    char uid[16];
    (void)snprintf(uid, sizeof uid, "u%06d", person);
    ri_value v = ri_bytes_value(RI_STRING, uid, strlen(uid));
    int rc;
    RI_FETCHING(rc, &io, ri_db_lookup(db, ri_schema_attr(db->schema, "uid", 3), &v, &io, &e, &test_err), &test_err)
    REQUIRE_RC(rc, 0);
    ri_bound from = ri_bound_e(e, false);
    ri_bound to = ri_bound_e(e, true);
    ri_datom d;
    ri_object *hold = NULL;
    RI_FETCHING(rc, &io, ri_db_first(db, RI_EAVT, &from, &to, &io, &d, &hold, &test_err), &test_err)
    REQUIRE_RC(rc, 0);
    CHECK_EQ_INT(d.e, e);
    ri_object_release(hold);
    ri_io_deinit(&io);
}

/* Opening reads `open_ranges`, with a look-up `ranges`, at most; all of it `bytes`. */
static void check_cold(const char *url, size_t cache_bytes, uint64_t open_ranges, uint64_t ranges, uint64_t bytes)
{
    rille_conn *conn = open_with_cache(url, cache_bytes);
    rille_db *db = ri_conn_seen_db(conn);
    ri_store_stats stats = stats_of(conn);
    CHECK_EQ_INT(stats.head_reads, 1);
    CHECK_EQ_INT(stats.get_ranges, open_ranges);
    look_up(db, 4711);
    stats = stats_of(conn);
    CHECK(stats.get_ranges <= ranges);
    CHECK(stats.get_bytes <= bytes);
    if (stats.get_ranges > ranges || stats.get_bytes > bytes) {
        printf("  %s, cache %zu: %llu reads, %llu bytes\n", url, cache_bytes, (unsigned long long)stats.get_ranges,
               (unsigned long long)stats.get_bytes);
    }
    ri_db_release(db);
    ri_conn_release(conn);
}

/* The upper levels of all trees are where the newest flush put them. */
static void check_upper(rille_conn *conn)
{
    rille_db *db = ri_conn_seen_db(conn);
    const ri_base *base = db->base;
    const struct ri_region *region = &base->regions[0];
    CHECK(base->tree[RI_EAVT].height > 2);
    CHECK(base->tree[RI_VAET].height > 1);
    REQUIRE(base->region_count > 0 && base->upper_len > 0 && base->upper_len < region->len);
    uint64_t upper = region->offset + region->len - base->upper_len;
    uint64_t roots_len = 0;
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        const ri_tree *tree = &base->tree[o];
        if (tree->height > 1) {
            CHECK_EQ_MEM(tree->root.pack, RI_HASH_SIZE, region->pack, RI_HASH_SIZE);
            CHECK(tree->root.offset >= upper);
            roots_len += tree->root.len;
        }
    }
    CHECK_EQ_INT(base->upper_len, roots_len); /* no tree here has more than three levels */
    ri_db_release(db);
}

static void change(rille_conn *conn, int age)
{
    char text[80];
    int len = snprintf(text, sizeof text, "[{:uid \"u%06d\" :age %d}]", age, age);
    transact(conn, text, (size_t)len);
    CHECK_RC(ri_conn_flush(conn, &test_err), 0);
}

TEST(upper__levels_of_all_trees_come_with_one_read)
{
    test_dir dir = test_dir_fast();
    test_text url = test_join("file:", dir.path, "/db");
    test_text deferred = test_join("deferred:", url.text, "");
    rille_conn *writer = open_with_cache(url.text, SMALL_CACHE);
    rille_conn *reader = open_with_cache(url.text, SMALL_CACHE);
    fill(writer);
    check_upper(writer);
    check_cold(url.text, SMALL_CACHE, 1, 5, 25000);
    check_cold(url.text, 0, 1, 3, 75000); /* here they all come: two leaves are left */
    check_cold(deferred.text, SMALL_CACHE, 1, 5, 25000);
    for (int i = 0; i < 3; i++) { /* a flush that changes few leaves: VAET and RET are what they were */
        change(writer, i);
        check_upper(writer);
        check_cold(url.text, SMALL_CACHE, 1, 5, 25000);
        check_cold(url.text, 0, 2, 5, 100000); /* the branches of before, too */
    }
    ri_store_stats before = stats_of(reader);
    rille_db *db = NULL;
    CHECK_RC(ri_conn_db(reader, &db, &test_err), 0);
    ri_store_stats after = stats_of(reader);
    CHECK_EQ_INT(after.get_ranges - before.get_ranges, 1);
    ri_db_release(db);
    change(writer, 4);
    CHECK_RC(ri_conn_db(reader, &db, &test_err), 0);
    CHECK_EQ_INT(stats_of(reader).get_ranges - after.get_ranges, 1); /* what is new of them */
    ri_db_release(db);
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(reader, &report, &test_err), 0);
    ri_conn_release(reader);
    ri_conn_release(writer);
    test_dir_remove(dir.path);
}

TEST_MAIN(upper__levels_of_all_trees_come_with_one_read)
