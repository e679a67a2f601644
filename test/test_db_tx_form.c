/* SPDX-License-Identifier: MIT
 *
 * Forms: keys of maps that are known by where their texts lie.
 */
#include "../src/core/db/tx_form.h"

#include "../src/core/db/conn.h"
#include "harness.h"

enum { KEYS = 4, PLACES = 4096, PLACE = 16 };

static const char schema[] = "[{:db/ident :a/one :db/valueType :db.type/long} {:db/ident :a/two :db/valueType "
                             ":db.type/long} {:db/ident :a/three :db/valueType :db.type/long} {:db/ident :a/four "
                             ":db/valueType :db.type/long}]";
static const char *const names[KEYS] = { "a/one", "a/two", "a/three", "a/four" };

static ri_form form_of(ri_value v)
{
    return (ri_form){ { .v = v }, UINT32_MAX, RI_FORM_VALUE };
}

/* A map whose keys lie in places that nothing else knows. */
static void make_map(test_rng *rng, uint8_t places[PLACES][PLACE], ri_form items[2 * KEYS])
{
    size_t part = PLACES / KEYS;
    for (unsigned k = 0; k < KEYS; k++) {
        uint8_t *place = places[k * part + test_random_below(rng, part)];
        size_t len = strlen(names[k]);
        memcpy(place, names[k], len);
        items[2 * k] = form_of(ri_bytes_value(RI_STRING, place, len));
        items[2 * k + 1] = form_of(ri_long((int64_t)k));
    }
}

TEST(form__knows_all_keys_of_a_map_wherever_they_lie)
{
    static uint8_t places[PLACES][PLACE];
    test_rng rng = { 7 };
    rille_conn *conn = NULL;
    ri_report report;
    ri_tx *tx;
    ri_conn_options options = { .create = true };
    REQUIRE_RC(ri_conn_open("mem:form", &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, schema, strlen(schema), &report, &test_err), 0);
    ri_report_deinit(&report);
    REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
    for (unsigned round = 0; round < 2000; round++) {
        ri_tx_filler f;
        ri_form items[2 * KEYS];
        ri_tx_filler_init(&f, tx, true, &test_err);
        make_map(&rng, places, items);
        ri_form map = { .kind = RI_FORM_MAP, .offset = UINT32_MAX };
        map.u.seq.items = items;
        map.u.seq.count = 2 * KEYS;
        REQUIRE_RC(ri_tx_fill_item(&f, &map), 0);
        for (unsigned k = 0; k < KEYS; k++) {
            const ri_attr *attr = ri_tx_form_known_attr(&f, &items[2 * k]);
            REQUIRE(attr != NULL && strcmp(attr->ident, names[k]) == 0);
        }
    }
    ri_tx_release(tx);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:form", &test_err), 0);
}

/* Another text in the same place is another key. */
TEST(form__does_not_take_one_key_for_another_in_its_place)
{
    rille_conn *conn = NULL;
    ri_report report;
    ri_tx *tx;
    ri_tx_filler f;
    uint8_t place[PLACE] = "a/one";
    ri_form items[2] = { form_of(ri_bytes_value(RI_STRING, place, 5)), form_of(ri_long(1)) };
    ri_form map = { .kind = RI_FORM_MAP, .offset = UINT32_MAX };
    map.u.seq.items = items;
    map.u.seq.count = 2;
    ri_conn_options options = { .create = true };
    REQUIRE_RC(ri_conn_open("mem:form", &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, schema, strlen(schema), &report, &test_err), 0);
    ri_report_deinit(&report);
    REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
    ri_tx_filler_init(&f, tx, true, &test_err);
    REQUIRE_RC(ri_tx_fill_item(&f, &map), 0);
    memcpy(place, "a/two", 5);
    CHECK(ri_tx_form_known_attr(&f, &items[0]) == NULL);
    REQUIRE_RC(ri_tx_fill_item(&f, &map), 0);
    const ri_attr *attr = ri_tx_form_known_attr(&f, &items[0]);
    REQUIRE(attr != NULL);
    CHECK_EQ_STR(attr->ident, "a/two");
    ri_tx_release(tx);
    ri_conn_release(conn);
    CHECK_RC(ri_database_drop("mem:form", &test_err), 0);
}

TEST_MAIN(form__knows_all_keys_of_a_map_wherever_they_lie, form__does_not_take_one_key_for_another_in_its_place)
