/* SPDX-License-Identifier: MIT
 *
 * A database of keys 1, 2, 3 ... whose storage loses its power (test_power.h): what was acknowledged is a number.
 */
#ifndef RILLE_TEST_POWER_DB_H
#define RILLE_TEST_POWER_DB_H

#include "../src/core/db/conn.h"
#include "test_power.h"

static const char *scheme = "file:";

static inline test_text url_of(const char *root)
{
    return test_join(scheme, root, "/db");
}

static inline int transact(rille_conn *conn, const char *text)
{
    ri_report report;
    int rc = ri_conn_transact_edn(conn, text, strlen(text), &report, &test_err);
    if (rc == 0) {
        ri_report_deinit(&report);
    }
    return rc;
}

static inline int open_conn(const char *root, bool create, rille_conn **out)
{
    ri_conn_options options = { .create = create };
    return ri_conn_open(url_of(root).text, &options, out, &test_err);
}

static const char schema_text[] = "[{:db/ident :n/key :db/valueType :db.type/long :db/unique :db.unique/value}"
                                  " {:db/ident :n/text :db/valueType :db.type/string"
                                  "  :db/cardinality :db.cardinality/many}]";

/* A commit of one key with `count` texts of `width` characters. */
static inline int commit_key(rille_conn *conn, uint64_t key, unsigned count, unsigned width)
{
    static char text[64 * 1024];
    test_rng rng = { key };
    int len = snprintf(text, sizeof text, "[{:n/key %llu :n/text [", (unsigned long long)key);
    for (unsigned i = 0; i < count; i++) {
        text[len++] = '"';
        for (unsigned j = 0; j < width; j++) {
            text[len++] = (char)('a' + test_random_below(&rng, 26));
        }
        text[len++] = '"';
        text[len++] = ' ';
    }
    (void)snprintf(text + len, sizeof text - (size_t)len, "]}]");
    return transact(conn, text);
}

static inline bool has_key(rille_db *db, uint64_t key)
{
    const ri_attr *attr = ri_schema_attr(db->schema, "n/key", 5);
    ri_value v = ri_long((int64_t)key);
    ri_io io = { 0 };
    uint64_t e = 0;
    int rc = attr == NULL ? 0 : ri_db_lookup(db, attr, &v, &io, &e, &test_err);
    ri_io_deinit(&io);
    return rc == 0 && e != 0;
}

/* The first key that is not there. */
static inline uint64_t next_key(rille_conn *conn)
{
    uint64_t key = 1;
    rille_db *db = ri_conn_seen_db(conn);
    while (has_key(db, key)) {
        key++;
    }
    ri_db_release(db);
    return key;
}

static inline bool has_schema(rille_conn *conn)
{
    rille_db *db = ri_conn_seen_db(conn);
    bool found = ri_schema_attr(db->schema, "n/key", 5) != NULL;
    ri_db_release(db);
    return found;
}

/* ---- all states of a story ---- */

typedef struct power_story {
    const char *what;
    void (*history)(const char *root);
    /* What the second process does in a way of its own; `mark`: what was promised before. */
    void (*go_on)(const char *root, unsigned way, uint64_t mark);
    unsigned ways;
    bool (*check)(const char *root, size_t point, void *context);
    void *context;
    uint64_t first_mark; /* before any */
} power_story;

typedef struct power_trial {
    test_dir base;
    test_text first;
    test_text second;
    test_text state;
    test_power power;
} power_trial;

/* With the history recorded. */
static inline void power_trial_init(power_trial *t, const power_story *story, size_t states_max)
{
    t->base = test_dir_fast();
    t->first = test_join(t->base.path, "/first", "");
    t->second = test_join(t->base.path, "/second", "");
    t->state = test_join(t->base.path, "/state", "");
    t->power = test_power_new(states_max, t->state.text);
    t->power.check = story->check;
    t->power.context = story->context;
    REQUIRE(mkdir(t->first.text, 0755) == 0);
    test_power_begin(t->first.text);
    story->history(t->first.text);
    test_power_stop();
}

static inline void power_trial_deinit(power_trial *t, const char *what)
{
    test_power_free(&t->power, what);
    test_dir_remove(t->base.path);
}

static inline void power_fail_everywhere(const power_story *story, size_t states_max)
{
    power_trial t;
    power_trial_init(&t, story, states_max);
    for (size_t point = 0; point <= power.count; point++) {
        test_power_look(&t.power, point);
    }
    power_trial_deinit(&t, story->what);
}

/* The first process is killed at each point, or each `step`-th; the second goes on in one way by turns. With
 * RILLE_CRASH_STATES: at each point, in all ways. */
static inline void power_kill_everywhere(const power_story *story, size_t states_max, size_t step)
{
    power_trial t;
    bool all_ways = getenv("RILLE_CRASH_STATES") != NULL;
    power_trial_init(&t, story, states_max);
    size_t all = power.count;
    power_op *record = malloc(all * sizeof *record);
    REQUIRE(record != NULL);
    memcpy(record, power.ops, all * sizeof *record);
    for (size_t point = 0; point <= all; point += all_ways ? 1 : step) {
        for (unsigned way = 0; way < (all_ways ? story->ways : 1U); way++) {
            memcpy(power.ops, record, point * sizeof *record);
            REQUIRE(mkdir(t.second.text, 0755) == 0);
            test_power_resume(point, t.second.text);
            story->go_on(t.second.text, all_ways ? way : (unsigned)(point / step) % story->ways,
                         test_power_marked(point, story->first_mark));
            test_power_stop();
            for (size_t at = point + 1; at <= power.count; at++) {
                test_power_look(&t.power, at);
            }
            test_dir_remove(t.second.text);
        }
    }
    free(record);
    power_trial_deinit(&t, story->what);
}

#endif
