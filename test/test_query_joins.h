/* SPDX-License-Identifier: MIT
 *
 * Joins on databases with all kinds of skew: how much work a plan is, in whatever order the query is written, and
 * compared with every order there is. Work is counted: rows that stages read and give, the same on every machine.
 */
#ifndef TEST_QUERY_JOINS_H
#define TEST_QUERY_JOINS_H

#include "test_query_world.h"

#include <inttypes.h>
#include <math.h>

#define ENTITIES 1200U
#define PATTERNS_MAX 10U
#define ORDERS 20U
#define TEXT_MAX 900U

/* ---- databases ---- */

typedef enum skew { UNIFORM, ZIPF, HUBS, SKEWS } skew;

/* The entity that a reference names. */
static unsigned target(test_rng *rng, skew how)
{
    unsigned n = (unsigned)test_random_below(rng, ENTITIES);
    switch (how) {
    case UNIFORM:
        return n;
    case ZIPF: /* the k-th with a chance of about 1 / k */
        return (unsigned)(pow(ENTITIES, n / (double)ENTITIES)) - 1;
    case HUBS: /* half of all name one of two */
        return test_random_below(rng, 2) == 0 ? n % 2 : n;
    case SKEWS:
        break;
    }
    return 0;
}

static void make_graph(world *w, world_mode mode, skew how, test_rng *rng)
{
    static char text[ENTITIES * 160];
    const char *texts[] = { "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
                            " {:db/ident :n :db/valueType :db.type/long}"
                            " {:db/ident :rare :db/valueType :db.type/long}"
                            " {:db/ident :s :db/valueType :db.type/string}"
                            " {:db/ident :one :db/valueType :db.type/ref}"
                            " {:db/ident :many :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]",
                            "[{:id 99999}]", text };
    size_t len = (size_t)snprintf(text, sizeof text, "[");
    for (unsigned i = 0; i < ENTITIES; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "{:db/id \"e%u\" :id %u :n %u :s \"s%u\" :one \"e%u\"",
                                i, i, target(rng, how) % 200, target(rng, how) % 100, target(rng, how));
        if (i % 3 == 0) {
            len += (size_t)snprintf(text + len, sizeof text - len, " :many [\"e%u\" \"e%u\"]", target(rng, how),
                                    target(rng, how));
        }
        if (i % 40 == 0) {
            len += (size_t)snprintf(text + len, sizeof text - len, " :rare %u", i % 7);
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "}");
    }
    (void)snprintf(text + len, sizeof text - len, "]");
    world_make(w, 0, mode, texts, 3);
    world_add_db(w, 0);
}

/* ---- joins ---- */

typedef struct join {
    char clauses[PATTERNS_MAX][64];
    unsigned count;
    const char *in; /* beside the database */
} join;

static void write_query(char *out, const join *j, const unsigned *order)
{
    size_t len = (size_t)snprintf(out, TEXT_MAX, "[:find (count ?v0) . :in $ %s :where", j->in != NULL ? j->in : "");
    for (unsigned i = 0; i < j->count; i++) {
        len += (size_t)snprintf(out + len, TEXT_MAX - len, " %s", j->clauses[order[i]]);
    }
    (void)snprintf(out + len, TEXT_MAX - len, "]");
}

static void shuffle(unsigned *order, unsigned count, test_rng *rng)
{
    for (unsigned i = count; i-- > 1;) {
        unsigned other = (unsigned)test_random_below(rng, i + 1);
        unsigned held = order[i];
        order[i] = order[other];
        order[other] = held;
    }
}

/* The next permutation in lexical order. */
static bool next_order(unsigned *order, unsigned count)
{
    unsigned i = count - 1;
    while (i > 0 && order[i - 1] >= order[i]) {
        i--;
    }
    if (i == 0) {
        return false;
    }
    unsigned j = count - 1;
    while (order[j] <= order[i - 1]) {
        j--;
    }
    unsigned held = order[i - 1];
    order[i - 1] = order[j];
    order[j] = held;
    for (unsigned k = count - 1; i < k; i++, k--) {
        held = order[i];
        order[i] = order[k];
        order[k] = held;
    }
    return true;
}

/* ---- work ---- */

/* Rows that stages have given, each of which the next one looks up, and those that a scan of an attribute has read: 1,200
 * that are read and 12 that are looked up take less time than 740 of which each is read and looked up. */
static uint64_t rows_of(const rille_op *op)
{
    uint64_t rows = 0;
    for (const ri_stage *stage = op->stages; stage != NULL; stage = stage->older) {
        rows += stage->rows;
        for (const ri_pattern *p = op->patterns; p != NULL && strstr(stage->label, "scan aevt") != NULL; p = p->next) {
            bool reads = p->terms == stage->clause->terms && stage->rows > 0;
            rows += reads ? p->attr_count : 0;
        }
    }
    return rows;
}

static uint64_t work_of(world *w, const char *text, uint64_t work_max, int64_t *answer)
{
    rille_query *query = NULL;
    rille_op *op = NULL;
    uint64_t work = 0;
    int rc;
    REQUIRE_RC(ri_query_parse(text, strlen(text), &query, &test_err), 0);
    REQUIRE_RC(ri_op_new(query, w->inputs, w->input_count, &w->options, &op, &test_err), 0);
    *answer = 0;
    do {
        rc = ri_op_step(op, 1, &test_err);
        work = rows_of(op);
        if (rc == RILLE_ROWS) {
            uint32_t count;
            *answer = ri_vec_get(ri_op_rows(op, &count), 0).as.i;
        }
    } while ((rc == RILLE_ROWS || rc == RILLE_AGAIN) && work <= work_max);
    CHECK(rc == RILLE_DONE || work > work_max);
    if (getenv("RILLE_EXPLAIN") != NULL && w->options.order_seed == 0) {
        ri_buf buf = { 0 };
        (void)ri_op_explain(op, &buf);
        (void)fprintf(stderr, "%s\n%.*s\n", text, (int)buf.len, (const char *)buf.p);
        ri_buf_deinit(&buf);
    }
    ri_op_release(op);
    ri_query_release(query);
    return work;
}

/* The least work of all orders, or of some; orders that are more work than `known` are left. */
static uint64_t best_work(world *w, const join *j, uint64_t known)
{
    unsigned order[PATTERNS_MAX] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    char text[TEXT_MAX];
    uint64_t best = known;
    int64_t answer;
    w->options.order_seed = RI_ORDER_AS_WRITTEN;
    do {
        write_query(text, j, order);
        uint64_t rows = work_of(w, text, best, &answer);
        best = rows < best ? rows : best;
    } while (next_order(order, j->count));
    w->options.order_seed = 0;
    return best;
}

#define ALL_ORDERS_MAX 5U
#define FEW 64U

static void check_join(world *w, const join *j, test_rng *rng)
{
    unsigned order[PATTERNS_MAX] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    char text[TEXT_MAX];
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    int64_t first = 0;
    for (unsigned i = 0; i < ORDERS; i++) {
        int64_t answer;
        write_query(text, j, order);
        uint64_t rows = work_of(w, text, UINT64_MAX, &answer);
        least = rows < least ? rows : least;
        most = rows > most ? rows : most;
        first = i == 0 ? answer : first;
        CHECK_EQ_INT(answer, first);
        shuffle(order, j->count, rng);
    }
    uint64_t best = j->count <= ALL_ORDERS_MAX ? best_work(w, j, least) : least;
    if (most * 2 > least * 3 || 2 * least > 3 * best + 2 * FEW || getenv("RILLE_JOINS") != NULL) {
        (void)fprintf(stderr, "%s\n    least %" PRIu64 ", most %" PRIu64 ", best %" PRIu64 "\n", text, least, most,
                      best);
    }
    CHECK(most * 2 <= least * 3);
    CHECK(2 * least <= 3 * best + 2 * FEW);
}

#endif
