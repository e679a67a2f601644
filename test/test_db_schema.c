/* SPDX-License-Identifier: MIT */
#include "../src/core/db/schema.h"

#include "harness.h"

static ri_schema *bootstrap(bool read_flexible)
{
    ri_schema *schema = NULL;
    REQUIRE_RC(ri_schema_bootstrap(read_flexible, &schema, &test_err), 0);
    return schema;
}

static ri_datom ident_datom(uint64_t e, const char *ident, bool added)
{
    return (ri_datom){ .e = e, .a = RI_A_IDENT, .v = ri_bytes_value(RI_KEYWORD, ident, strlen(ident)), .added = added };
}

static ri_datom ref_datom(uint64_t e, uint32_t a, uint64_t v, bool added)
{
    return (ri_datom){ .e = e, .a = a, .v = ri_ref(v), .added = added };
}

static ri_datom bool_datom(uint64_t e, uint32_t a, bool v)
{
    return (ri_datom){ .e = e, .a = a, .v = ri_word(RI_BOOL, v), .added = true };
}

TEST(schema__starts_with_the_engines_own)
{
    ri_schema *schema = bootstrap(false);
    CHECK_EQ_INT(schema->attr_count, 9);
    const ri_attr *ident = ri_schema_attr(schema, "db/ident", 8);
    REQUIRE(ident != NULL);
    CHECK(ident->id == RI_A_IDENT && ident->type == RI_KEYWORD && ident->unique == RI_UNIQUE_IDENTITY && ident->avet);
    CHECK(ri_schema_attr_by_id(schema, RI_A_TX_INSTANT)->index);
    CHECK(ri_schema_attr_by_id(schema, 0) == NULL && ri_schema_attr_by_id(schema, 10) == NULL);
    CHECK(ri_schema_attr_by_id(schema, RI_EID_ATTR) == NULL && ri_schema_attr_by_id(schema, UINT64_MAX) == NULL);
    CHECK(ri_schema_attr(schema, ":db/ident", 9) == NULL);
    CHECK_EQ_INT(ri_schema_ident(schema, "db.type/ref", 11), RI_A_TYPE_REF);
    CHECK_EQ_INT(ri_schema_ident(schema, "db.type/rfe", 11), 0);
    CHECK_EQ_STR(ri_schema_ident_of(schema, RI_A_CARD_MANY), "db.cardinality/many");
    CHECK(ri_schema_ident_of(schema, 99) == NULL && ri_schema_ident_of(schema, 0) == NULL);
    ri_schema_release(schema);
}

TEST(schema__bootstrap_datoms_are_sorted_and_say_what_the_digest_says)
{
    ri_arena arena = { 0 };
    ri_datom *d;
    size_t count;
    REQUIRE_RC(ri_schema_bootstrap_datoms(&arena, &d, &count, &test_err), 0);
    ri_schema *schema = bootstrap(false);
    size_t idents = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 || ri_datom_cmp(RI_EAVT, &d[i - 1], &d[i]) < 0);
        CHECK(d[i].t == RI_TX_BASE && d[i].added && ri_value_valid(&d[i].v));
        const ri_attr *attr = ri_schema_attr_by_id(schema, d[i].a);
        REQUIRE(attr != NULL);
        CHECK_EQ_INT(attr->type, d[i].v.type);
        if (d[i].a == RI_A_IDENT) {
            idents++;
            CHECK_EQ_INT(ri_schema_ident(schema, (const char *)d[i].v.as.p, d[i].v.len), d[i].e);
        }
    }
    CHECK_EQ_INT(idents, schema->idents.count);
    ri_schema_release(schema);
    ri_arena_deinit(&arena);
}

static int apply(ri_schema **schema, const ri_datom *d, size_t count)
{
    ri_schema *next;
    RI_TRY(ri_schema_apply(*schema, d, count, &next, NULL, &test_err));
    ri_schema_release(*schema);
    *schema = next;
    return 0;
}

static int define(ri_schema **schema)
{
    const ri_datom d[] = {
        ident_datom(100, "p/name", true),
        ref_datom(100, RI_A_VALUE_TYPE, RI_A_TYPE_STRING, true),
        ident_datom(101, "p/part", true),
        ref_datom(101, RI_A_VALUE_TYPE, RI_A_TYPE_REF, true),
        ref_datom(101, RI_A_CARDINALITY, RI_A_CARD_MANY, true),
        bool_datom(101, RI_A_IS_COMPONENT, true),
        ident_datom(105, "p/age", true),
        ref_datom(105, RI_A_VALUE_TYPE, RI_A_TYPE_LONG, true),
        ref_datom(105, RI_A_UNIQUE, RI_A_UNIQUE_VALUE, true),
        bool_datom(105, RI_A_NO_HISTORY, true),
        ident_datom(RI_EID_USER, "color/red", true),
        ident_datom(RI_EID_USER + 1, "color/blue", true),
    };
    return apply(schema, d, sizeof d / sizeof *d);
}

TEST(schema__applies_what_datoms_say)
{
    ri_schema *schema = bootstrap(false);
    REQUIRE_RC(define(&schema), 0);
    const ri_attr *name = ri_schema_attr(schema, "p/name", 6);
    const ri_attr *part = ri_schema_attr(schema, "p/part", 6);
    const ri_attr *age = ri_schema_attr_by_id(schema, 105);
    REQUIRE(name != NULL && part != NULL && age != NULL);
    CHECK(name->type == RI_STRING && !name->many && !name->avet && ri_attr_in_order(name, RI_EAVT));
    CHECK(part->many && part->component && !part->avet && ri_attr_in_order(part, RI_VAET));
    CHECK(age->unique == RI_UNIQUE_VALUE && age->avet && !ri_attr_in_order(age, RI_RET));
    CHECK_EQ_INT(ri_schema_ident(schema, "color/red", 9), RI_EID_USER);
    CHECK_EQ_STR(ri_schema_ident_of(schema, RI_EID_USER + 1), "color/blue");
    /* names change places; an attribute goes; the order of datoms is that of values */
    const ri_datom d[] = { ident_datom(100, "p/age", true),
                           ident_datom(100, "p/name", false),
                           ident_datom(101, "p/part", false),
                           ref_datom(101, RI_A_VALUE_TYPE, RI_A_TYPE_REF, false),
                           ref_datom(101, RI_A_CARDINALITY, RI_A_CARD_MANY, false),
                           { .e = 101, .a = RI_A_IS_COMPONENT, .v = ri_word(RI_BOOL, 1), .added = false },
                           ident_datom(105, "p/age", false),
                           ident_datom(105, "p/name", true) };
    REQUIRE_RC(apply(&schema, d, sizeof d / sizeof *d), 0);
    CHECK_EQ_INT(ri_schema_attr(schema, "p/age", 5)->id, 100);
    CHECK_EQ_INT(ri_schema_attr(schema, "p/name", 6)->id, 105);
    CHECK(ri_schema_attr_by_id(schema, 101) == NULL && ri_schema_ident(schema, "p/part", 6) == 0);
    CHECK_EQ_INT(ri_schema_attr_by_id(schema, 105)->unique, RI_UNIQUE_VALUE);
    ri_schema_release(schema);
}

static void refuses(const ri_datom *d, size_t count, const char *part)
{
    ri_schema *schema = bootstrap(false);
    REQUIRE_RC(define(&schema), 0);
    ri_schema *next;
    CHECK_RC(ri_schema_apply(schema, d, count, &next, NULL, &test_err), RILLE_SCHEMA);
    CHECK(next == NULL);
    if (strstr(test_err.message, part) == NULL) {
        CHECK_EQ_STR(test_err.message, part);
    }
    ri_schema_release(schema);
}

TEST(schema__refuses_what_makes_no_attribute)
{
    const ri_datom no_name = ref_datom(107, RI_A_VALUE_TYPE, RI_A_TYPE_LONG, true);
    refuses(&no_name, 1, "attribute 107 has no :db/ident");
    const ri_datom no_type[] = { ident_datom(107, "x/y", true), ref_datom(107, RI_A_CARDINALITY, RI_A_CARD_ONE, true) };
    refuses(no_type, 2, "attribute :x/y has no :db/valueType");
    const ri_datom high[] = { ref_datom(RI_EID_USER, RI_A_VALUE_TYPE, RI_A_TYPE_LONG, true) };
    refuses(high, 1, "(:color/red) is not an attribute and cannot become one");
    const ri_datom taken[] = { ident_datom(107, "p/name", true) };
    refuses(taken, 1, "ident :p/name is already the ident of entity 100");
    const ri_datom own[] = { ident_datom(1, "mine/ident", true) };
    refuses(own, 1, "is built in");
    const ri_datom reserved[] = { ident_datom(107, "db.x/y", true) };
    refuses(reserved, 1, "are reserved");
    const ri_datom wrong[] = { { .e = 107, .a = RI_A_IDENT, .v = ri_long(1), .added = true } };
    refuses(wrong, 1, "a value of :db/ident cannot be a long");
    const ri_datom type[] = { ident_datom(107, "x/y", true), ref_datom(107, RI_A_VALUE_TYPE, RI_EID_USER, true) };
    refuses(type, 2, ":db/valueType of entity 107 is entity 1048576, expected");
    const ri_datom component[] = { bool_datom(100, RI_A_IS_COMPONENT, true) };
    refuses(component, 1, "attribute :p/name: :db/isComponent requires :db/valueType :db.type/ref");
    const ri_datom orphan[] = { bool_datom(RI_EID_USER + 9, RI_A_INDEX, true) };
    refuses(orphan, 1, "but no :db/valueType");
}

TEST(schema__means_the_same_after_its_bytes)
{
    for (int flexible = 0; flexible < 2; flexible++) {
        ri_schema *schema = bootstrap(flexible == 1);
        REQUIRE_RC(define(&schema), 0);
        ri_buf first = { 0 };
        ri_buf second = { 0 };
        ri_schema *back = NULL;
        ri_schema_write(schema, &first);
        REQUIRE(!first.failed);
        REQUIRE_RC(ri_schema_read(first.p, first.len, &back, &test_err), 0);
        ri_schema_write(back, &second);
        CHECK_EQ_MEM(first.p, first.len, second.p, second.len);
        CHECK_EQ_INT(back->attr_count, schema->attr_count);
        CHECK(back->read_flexible == (flexible == 1));
        CHECK_EQ_INT(ri_schema_ident(back, "color/blue", 10), RI_EID_USER + 1);
        CHECK(ri_schema_attr(back, "p/part", 6)->component && ri_schema_attr(back, "p/age", 5)->avet);
        ri_schema_release(back);
        ri_schema_release(schema);
        ri_buf_deinit(&first);
        ri_buf_deinit(&second);
    }
}

/* Every cut is refused; every changed byte is refused, or read as something that writes as those bytes. */
TEST(schema__does_not_believe_bytes)
{
    ri_schema *schema = bootstrap(false);
    REQUIRE_RC(define(&schema), 0);
    ri_buf bytes = { 0 };
    ri_schema_write(schema, &bytes);
    REQUIRE(!bytes.failed);
    for (size_t len = 0; len < bytes.len; len++) {
        ri_schema *back;
        CHECK_RC(ri_schema_read(bytes.p, len, &back, &test_err), RILLE_CORRUPT);
    }
    for (size_t i = 0; i < bytes.len; i++) {
        for (unsigned change = 1; change < 256; change += 5) {
            ri_schema *back;
            ri_buf again = { 0 };
            bytes.p[i] = (uint8_t)(bytes.p[i] ^ change);
            int rc = ri_schema_read(bytes.p, bytes.len, &back, &test_err);
            CHECK(rc == 0 || rc == RILLE_CORRUPT);
            if (rc == 0) {
                ri_schema_write(back, &again);
                CHECK_EQ_MEM(again.p, again.len, bytes.p, bytes.len);
                ri_schema_release(back);
            }
            bytes.p[i] = (uint8_t)(bytes.p[i] ^ change);
            ri_buf_deinit(&again);
        }
    }
    ri_buf_deinit(&bytes);
    ri_schema_release(schema);
}

static const char *unknown(const ri_schema *schema, const char *ident)
{
    CHECK_RC(ri_schema_unknown(schema, NULL, ident, strlen(ident), &test_err), RILLE_ATTRIBUTE);
    return test_err.message;
}

TEST(schema__suggests_what_was_meant)
{
    ri_schema *schema = bootstrap(false);
    REQUIRE_RC(define(&schema), 0);
    CHECK_EQ_STR(unknown(schema, "p/nmae"), "attribute :p/nmae is not in the schema (did you mean :p/name?)");
    CHECK_EQ_STR(unknown(schema, "person/part"), "attribute :person/part is not in the schema (did you mean :p/part?)");
    CHECK_EQ_STR(unknown(schema, "age"), "attribute :age is not in the schema (did you mean :p/age?)");
    CHECK_EQ_STR(unknown(schema, "entirely/else"), "attribute :entirely/else is not in the schema");
    CHECK_EQ_STR(unknown(schema, ""), "attribute : is not in the schema");
    ri_schema_release(schema);
}

static int everything(void)
{
    ri_schema *schema = NULL;
    ri_schema *back = NULL;
    ri_buf bytes = { 0 };
    int rc = ri_schema_bootstrap(false, &schema, NULL);
    if (rc == 0) {
        rc = define(&schema);
    }
    if (rc == 0) {
        ri_schema_write(schema, &bytes);
        rc = bytes.failed ? RILLE_NOMEM : ri_schema_read(bytes.p, bytes.len, &back, NULL);
    }
    ri_schema_release(back);
    ri_schema_release(schema);
    ri_buf_deinit(&bytes);
    return rc;
}

TEST(schema__running_out_of_memory_leaves_nothing_behind)
{
    TEST_FAULT_SWEEP(everything());
}

TEST_MAIN(schema__starts_with_the_engines_own, schema__bootstrap_datoms_are_sorted_and_say_what_the_digest_says,
          schema__applies_what_datoms_say, schema__refuses_what_makes_no_attribute,
          schema__means_the_same_after_its_bytes, schema__does_not_believe_bytes, schema__suggests_what_was_meant,
          schema__running_out_of_memory_leaves_nothing_behind)
