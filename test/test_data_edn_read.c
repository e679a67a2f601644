/* SPDX-License-Identifier: MIT
 *
 * Collections, tags, what is skipped, limits; every truncation of every file of the fuzz corpus; lack of memory.
 */
#include "test_data_edn.h"

#include <dirent.h>

#define CORPUS "fuzz/corpus/edn"
#define FILE_BYTES_MAX 65536

TEST(edn_read__reads_every_kind_of_collection)
{
    test_edn_is("()", "()");
    test_edn_is(" [ ] ", "[]");
    test_edn_is("{}", "{}");
    test_edn_is("#{}", "#{}");
    test_edn_is("(1 (2 [3 {4 #{5}}]))", "(1 (2 [3 {4 #{5}}]))");
    test_edn_is("{:a 1,:b{:c[2]}}", "{:a 1, :b {:c [2]}}");
    test_edn_is("[1[2]3\"x\":a b\\c]", "[1 [2] 3 \"x\" :a b \\c]");
    test_edn_is("{[] 1 () 2 {} 3 #{} 4 nil 5 \"\" 6}", "{[] 1, () 2, {} 3, #{} 4, nil 5, \"\" 6}");
    test_edn_is("#{1 1.0 1M \"1\" \\1 :1}", "#{1 1.0 1M \"1\" \\1 :1}");
}

TEST(edn_read__skips_what_is_no_form)
{
    test_edn_is("; a comment ) ]\n 1 ; more", "1");
    test_edn_is(",, 1,\t\r\n\f", "1");
    test_edn_is("\xef\xbb\xbf[1]", "[1]");
    test_edn_is("[1 #_ 2 3]", "[1 3]");
    test_edn_is("[#_ #_ a b c]", "[c]");
    test_edn_is("[#_ [#_ x y] #_#tag {:a 1} z]", "[z]");
    test_edn_is("{:a #_ 0 1 #_ :b #_ 2}", "{:a 1}");
    test_edn_is("#_ 1 2 #_ 3", "2");
    test_edn_is("[#_\"a\"]", "[]");
}

TEST(edn_read__gives_one_form_after_another)
{
    ri_arena arena = { 0 };
    ri_edn_reader reader;
    ri_form form;
    const char *text = "1 :a ; x\n [2] #_ 3";
    ri_edn_init(&reader, &arena, text, strlen(text), true);
    CHECK_RC(ri_edn_next(&reader, &form, &test_err), RILLE_OK);
    CHECK(ri_form_is(&form, RI_LONG) && form.u.v.as.i == 1 && form.offset == 0);
    CHECK_RC(ri_edn_next(&reader, &form, &test_err), RILLE_OK);
    CHECK(ri_form_is_keyword(&form, "a") && !ri_form_is_keyword(&form, "b") && !ri_form_is_symbol(&form, "a"));
    CHECK_EQ_INT(form.offset, 2);
    CHECK(form.u.v.as.p == (const uint8_t *)text + 3); /* borrowed */
    CHECK_RC(ri_edn_next(&reader, &form, &test_err), RILLE_OK);
    CHECK(form.kind == RI_FORM_VECTOR && form.u.seq.count == 1 && form.offset == 10);
    CHECK_EQ_INT(form.u.seq.items[0].offset, 11);
    CHECK_RC(ri_edn_next(&reader, &form, &test_err), RILLE_DONE);
    CHECK_RC(ri_edn_next(&reader, &form, &test_err), RILLE_DONE);
    ri_edn_deinit(&reader);
    ri_arena_deinit(&arena);
}

TEST(edn_read__wants_exactly_one_form)
{
    ri_arena arena = { 0 };
    ri_form form;
    rille_err err;
    CHECK_EQ_INT(ri_edn_read(&arena, "", 0, &form, &err), RILLE_SYNTAX);
    CHECK_EQ_STR(err.message, "1:1: the text is empty, expected a value");
    CHECK_EQ_INT(ri_edn_read(&arena, NULL, 0, &form, &err), RILLE_SYNTAX);
    CHECK_EQ_INT(ri_edn_read(&arena, "1\n 2", 4, &form, &err), RILLE_SYNTAX);
    CHECK_EQ_STR(err.message, "2:2: unexpected second value, expected the end of the text");
    CHECK_EQ_INT(form.u.v.type, RI_NIL);
    CHECK_EQ_INT(ri_edn_read(&arena, "1 #_ 2", 6, &form, NULL), RILLE_OK);
    CHECK_EQ_INT(ri_edn_read(&arena, "1 ]", 3, &form, NULL), RILLE_SYNTAX);
    ri_arena_deinit(&arena);
}

TEST(edn_read__reads_tags)
{
    test_edn_is("#my/tag [1]", "#my/tag [1]");
    test_edn_is("#a #b {:c 1}", "#a #b {:c 1}");
    test_edn_is("#my/tag #_ 1 2", "#my/tag 2");
    test_edn_is("#_#inst \"x\" 1", "1");
    test_edn_is("[#_[#uuid 5 #_#bytes \"?\" 2] #inst\"2026-11-22\"]", "[#inst \"2026-11-22T00:00:00.000Z\"]");
    test_edn_is("#inst\"2026-11-22\"", "#inst \"2026-11-22T00:00:00.000Z\"");
    test_edn_is("#uuid \"123E4567-E89B-12D3-A456-426614174000\"", "#uuid \"123e4567-e89b-12d3-a456-426614174000\"");
    test_edn_is("[#bytes \"\" #bytes \"AA==\" #bytes \"+/8=\" #bytes \"AQID\"]",
                "[#bytes \"\" #bytes \"AA==\" #bytes \"+/8=\" #bytes \"AQID\"]");
    test_edn_is("#rille/floats [1.5]", "#rille/floats [1.5]");
    ri_arena arena = { 0 };
    ri_form form;
    REQUIRE_RC(ri_edn_read(&arena, "#bytes \"AQI=\"", 13, &form, &test_err), RILLE_OK);
    CHECK(ri_form_is(&form, RI_BYTES) && form.offset == 0);
    CHECK_EQ_MEM(form.u.v.as.p, form.u.v.len, "\1\2", 2);
    REQUIRE_RC(ri_edn_read(&arena, " #a/b 1", 7, &form, &test_err), RILLE_OK);
    CHECK(form.kind == RI_FORM_TAGGED && ri_form_is_symbol(&form.u.seq.items[0], "a/b") && form.offset == 1);
    ri_arena_deinit(&arena);
}

static void fails(const char *text, const char *message)
{
    test_edn_fails(text, strlen(text), RILLE_SYNTAX, message);
}

TEST(edn_read__names_place_and_cause_of_errors)
{
    fails("{:b 1\n      :a )", "2:10: unexpected ), expected a value for key :a");
    fails("{:a 1 )", "1:7: unexpected ), expected } to close the map that begins at 1:1");
    fails("{:a}", "1:4: unexpected }, expected a value for key :a");
    fails("{[1]}", "1:5: unexpected }, expected a value for key (a vector)");
    fails("\n [1 2", "2:6: unexpected end of the text, expected ] to close the vector that begins at 2:2");
    fails("]", "1:1: unexpected ], expected a value");
    fails("[1 \"ab", "1:4: unterminated string: expected \" before the end of the text");
    fails("{:a 1 :b 2 :a 3}", "1:12: duplicate key :a in the map");
    fails("#{[1] [2] [1]}", "1:11: duplicate element (a vector) in the set");
    fails("#{#{1 2} #{2 1}}", "1:10: duplicate element (a set) in the set");
    fails("#{{1 2 3 4} {3 4 1 2}}", "1:13: duplicate element (a map) in the set");
    fails("^{:a 1} b", "1:1: unexpected ^ (metadata is not part of EDN), expected a value");
    fails("[#_ ]", "1:5: unexpected ], expected a value to discard after #_");
    fails("#_", "1:3: unexpected end of the text, expected a value to discard after #_");
    fails("(#t )", "1:5: unexpected ), expected a value after the tag #t");
    fails("#", "1:1: unexpected text after #, expected {, _, # or a tag name");
    fails("#(inc 1)", "1:1: unexpected text after #, expected {, _, # or a tag name");
    fails("#nil 1", "1:1: a tag cannot be named nil, true or false");
    fails("[1 \x01]", "1:4: unexpected byte 0x01, expected ] to close the vector that begins at 1:1");
    fails("@a", "1:1: unexpected @, expected a value");
    fails("#inst 1", "1:7: the tag #inst is not followed by a string, expected a time such as "
                     "\"2026-11-22T10:00:00Z\" (UTC)");
    fails("#inst \"x\"", "1:7: \"x\" is not valid after the tag #inst, expected a time such as "
                         "\"2026-11-22T10:00:00Z\" (UTC)");
    fails("#uuid \"1\"",
          "1:7: \"1\" is not valid after the tag #uuid, expected one such as \"123e4567-e89b-12d3-a456-426614174000\"");
    fails(
        "[#bytes \"AB==\"]",
        "1:9: \"AB==\" is not valid after the tag #bytes, expected base64 text with padding, such as #bytes \"AQID\"");
    fails("#bytes 1", "1:8: the tag #bytes is not followed by a string, expected base64 text");
    test_edn_fails("[\0]", 3, RILLE_SYNTAX,
                   "1:2: unexpected byte 0x00, expected ] to close the vector that begins at 1:1");
}

TEST(edn_read__finds_duplicates_in_large_collections)
{
    for (int count = 1; count < 60; count++) {
        ri_buf text = { 0 };
        ri_buf_put_text(&text, "#{");
        for (int i = 0; i < count; i++) {
            char item[32];
            (void)snprintf(item, sizeof item, "[%d :k%d] ", i % 7, i);
            ri_buf_put_text(&text, item);
        }
        ri_arena arena = { 0 };
        ri_form form;
        size_t len = text.len;
        ri_buf_put_text(&text, "}");
        CHECK_RC(ri_edn_read(&arena, (const char *)text.p, text.len, &form, &test_err), RILLE_OK);
        text.len = len;
        ri_buf_put_text(&text, "[0 :k0]}");
        CHECK_RC(ri_edn_read(&arena, (const char *)text.p, text.len, &form, &test_err), RILLE_SYNTAX);
        ri_buf_deinit(&text);
        ri_arena_deinit(&arena);
    }
}

TEST(edn_read__finds_duplicates_that_are_collections_themselves)
{
    fails("#{#{1 2} 3 #{2 1}}", "1:12: duplicate element (a set) in the set");
    fails("#{[#{1 [2 #{3 4}]}] [#{[2 #{4 3}] 1}]}", "1:21: duplicate element (a vector) in the set");
    fails("{{:a 1 :b #{1}} 1 {:b #{1} :a 1} 2}", "1:19: duplicate key (a map) in the map");
    fails("#{#t #{1 2} #t #{2 1}}", "1:13: duplicate element (a tag) in the set");
    fails("[{:a {:b #{[1 2] [1 2]}}}]", "1:18: duplicate element (a vector) in the set");
    fails("#{#{1 2} #_ #{2 1} (#{1}) (#{1})}", "1:27: duplicate element (a list) in the set");
    test_edn_is("#{#{1 2} #_ #{2 1} 3}", "#{#{1 2} 3}");
    test_edn_is("#{[#{1}] (#{1}) #{[1]} #{(1)} #t [1] #u [1]}", "#{[#{1}] (#{1}) #{[1]} #{(1)} #t [1] #u [1]}");
    test_edn_is("{{:a #{1}} 1 {:a #{2}} 1}", "{{:a #{1}} 1, {:a #{2}} 1}");
}

static void put_nested(ri_buf *text, const char *begin, const char *end, int depth, int leaves)
{
    ri_buf_clear(text);
    for (int i = 0; i < depth; i++) {
        char other[40];
        (void)snprintf(other, sizeof other, begin, i);
        ri_buf_put_text(text, other);
    }
    ri_buf_put_text(text, "#{");
    for (int i = 0; i < leaves; i++) {
        char leaf[16];
        (void)snprintf(leaf, sizeof leaf, "%d ", i);
        ri_buf_put_text(text, leaf);
    }
    ri_buf_put_text(text, "}");
    for (int i = 0; i < depth; i++) {
        ri_buf_put_text(text, end);
    }
}

/* A large set in sets of two elements each, of the same kind and size, so that they are compared at each level. Seconds
 * if that looked at the large one each time. */
TEST(edn_read__compares_nested_sets_by_what_it_knows_of_them)
{
    static const char *const begins[] = { "#{#{%d 1000000} ", "#{[#{%d 1000000}] [", "{{%d 1} 1 ",
                                          "#{#t #{%d 1000000} #t " };
    static const char *const ends[] = { "}", "]}", " 1}", "}" };
    ri_buf text = { 0 };
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        ri_arena arena = { 0 };
        ri_form form;
        put_nested(&text, begins[i], ends[i], 160, 100000);
        CHECK_RC(ri_edn_read(&arena, (const char *)text.p, text.len, &form, &test_err), RILLE_OK);
        ri_arena_deinit(&arena);
    }
    ri_buf_deinit(&text);
}

TEST(edn_read__bounds_the_nesting)
{
    static char text[30000];
    static const char *const openers[] = { "[", "(", "{", "#{", "#_", "#t ", "{:a " };
    ri_arena arena = { 0 };
    ri_form form;
    for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
        size_t len = 0;
        for (int depth = 0; depth < 7000 && len + 4 < sizeof text; depth++) {
            memcpy(text + len, openers[i], strlen(openers[i]));
            len += strlen(openers[i]);
        }
        CHECK_RC(ri_edn_read(&arena, text, len, &form, &test_err), RILLE_LIMIT);
        CHECK(strstr(test_err.message, "the maximum depth is 512") != NULL);
    }
    memset(text, '[', RI_EDN_DEPTH_MAX);
    memset(text + RI_EDN_DEPTH_MAX, ']', RI_EDN_DEPTH_MAX);
    text[2 * RI_EDN_DEPTH_MAX] = '\0';
    test_edn_is(text, text);
    ri_arena_deinit(&arena);
}

/* Reads all forms; each must write and read back as the same text. */
static int read_all(const char *text, size_t len, bool check, rille_err *err)
{
    ri_arena arena = { 0 };
    ri_edn_reader reader;
    ri_form form;
    int rc;
    ri_edn_init(&reader, &arena, text, len, true);
    while ((rc = ri_edn_next(&reader, &form, err)) == RILLE_OK) {
        if (check) {
            ri_buf out = { 0 };
            ri_edn_write(&out, &form);
            ri_buf again = test_edn_rewrite((const char *)out.p, out.len);
            CHECK_EQ_MEM(out.p, out.len, again.p, again.len - 1);
            ri_buf_deinit(&out);
            ri_buf_deinit(&again);
        }
    }
    ri_edn_deinit(&reader);
    ri_arena_deinit(&arena);
    return rc == RILLE_DONE ? RILLE_OK : rc;
}

static size_t load(const char *name, char *out)
{
    char path[512];
    (void)snprintf(path, sizeof path, CORPUS "/%s", name);
    FILE *file = fopen(path, "rb");
    REQUIRE(file != NULL);
    size_t len = fread(out, 1, FILE_BYTES_MAX, file);
    (void)fclose(file);
    return len;
}

TEST(edn_read__survives_every_truncation_of_the_corpus)
{
    static char text[FILE_BYTES_MAX];
    DIR *dir = opendir(CORPUS); /* tests run in the top folder */
    REQUIRE(dir != NULL);
    int files = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        size_t len = load(entry->d_name, text);
        bool good = strncmp(entry->d_name, "bad_", 4) != 0;
        files++;
        for (size_t cut = 0; cut <= len; cut++) {
            char *exact = malloc(cut + 1);
            REQUIRE(exact != NULL);
            char *at = exact + 1; /* ends where the block ends */
            memcpy(at, text, cut);
            rille_err err = { 0 };
            int rc = read_all(at, cut, len < 600, &err);
            CHECK(rc == RILLE_OK || rc == RILLE_SYNTAX || rc == RILLE_LIMIT);
            CHECK(cut < len || (rc == RILLE_OK) == good);
            free(exact);
        }
    }
    (void)closedir(dir);
    CHECK(files >= 30);
}

TEST(edn_read__survives_damage_of_the_corpus)
{
    static char text[FILE_BYTES_MAX];
    test_rng rng = test_rng_new();
    size_t len = load("transaction.edn", text);
    for (int i = 0; i < 20000; i++) {
        char damaged[512];
        REQUIRE(len <= sizeof damaged);
        memcpy(damaged, text, len);
        for (uint64_t hits = 1 + test_random_below(&rng, 4); hits > 0; hits--) {
            static const char bytes[] = "[](){}#_\"\\:/;^ 0-.eNM\xff\xc3";
            damaged[test_random_below(&rng, len)] = bytes[test_random_below(&rng, sizeof bytes)];
        }
        rille_err err = { 0 };
        int rc = read_all(damaged, len, true, &err);
        CHECK(rc == RILLE_OK || rc == RILLE_SYNTAX);
    }
}

static int read_everything(void)
{
    const char *text = "{:a [1 2.5 \"x\\n\" #t (b)] #{1 2 3 4 5 6 7 8 9 10} #inst \"2026\" :u #uuid "
                       "\"123e4567-e89b-12d3-a456-426614174000\" :n 123456789012345678901234567890 :d 1.5M \\c "
                       "#bytes \"AQID\"}";
    ri_arena arena = { 0 };
    ri_form form;
    int rc = ri_edn_read(&arena, text, strlen(text), &form, NULL);
    ri_buf out = { 0 };
    if (rc == 0) {
        ri_edn_write(&out, &form);
        rc = out.failed ? RILLE_NOMEM : 0;
    }
    ri_buf_deinit(&out);
    ri_arena_deinit(&arena);
    return rc;
}

TEST(edn_read__survives_lack_of_memory)
{
    TEST_FAULT_SWEEP(read_everything());
}

/* Numbers, and among them maps, sets, tags and what is discarded, in a vector or a set. */
static ri_buf many_items(const char *open, unsigned count)
{
    ri_buf text = { 0 };
    char item[100];
    ri_buf_put_text(&text, open);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(item, sizeof item, i % 7 == 0 ? "{:a [%u #{1 2}] :b #x %u} #_ [1 [2]] " : "%u :k%u ", i, i);
        ri_buf_put_text(&text, item);
    }
    ri_buf_put_text(&text, open[0] == '[' ? "]" : "}");
    return text;
}

/* However it is read in portions, it is the same; and no portion copies more than an eighth of its bytes as items. */
TEST(edn_read__gives_the_same_in_portions)
{
    static const struct {
        const char *open;
        unsigned count;
        size_t portion;
    } cases[] = { { "[", 0, 8 },      { "[", 5, 8 },      { "[", 300, 64 },   { "#{", 300, 64 },
                  { "[", 6000, 512 }, { "#{", 900, 512 }, { "[", 6000, 8192 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ri_buf text = many_items(cases[i].open, cases[i].count);
        ri_arena arena = { 0 };
        ri_trash trash = { NULL };
        ri_edn_reader reader;
        ri_form whole;
        ri_form form;
        ri_buf out[2] = { { 0 }, { 0 } };
        REQUIRE_RC(ri_edn_read(&arena, (const char *)text.p, text.len, &whole, &test_err), 0);
        ri_edn_init(&reader, &arena, (const char *)text.p, text.len, true);
        reader.portion = cases[i].portion;
        ri_mem_set_steps(&trash);
        int rc = RILLE_AGAIN;
        while (rc == RILLE_AGAIN) {
            size_t copied = reader.copy != NULL ? reader.copied : 0;
            size_t pos = reader.pos;
            rc = ri_edn_read_on(&reader, &form, &test_err);
            CHECK(reader.copy == NULL || reader.copied - copied <= reader.portion / 8);
            CHECK(reader.pos - pos <= reader.portion + 64);
        }
        ri_mem_set_steps(NULL);
        REQUIRE_RC(rc, 0);
        ri_edn_deinit(&reader);
        ri_edn_write(&out[0], &whole);
        ri_edn_write(&out[1], &form);
        CHECK(out[0].len == out[1].len && memcmp(out[0].p, out[1].p, out[0].len) == 0);
        ri_buf_deinit(&out[0]);
        ri_buf_deinit(&out[1]);
        ri_buf_deinit(&text);
        ri_arena_deinit(&arena);
        CHECK(ri_trash_empty(&trash, SIZE_MAX));
    }
}

TEST_MAIN(edn_read__reads_every_kind_of_collection, edn_read__skips_what_is_no_form,
          edn_read__gives_one_form_after_another, edn_read__wants_exactly_one_form, edn_read__reads_tags,
          edn_read__names_place_and_cause_of_errors, edn_read__finds_duplicates_in_large_collections,
          edn_read__finds_duplicates_that_are_collections_themselves,
          edn_read__compares_nested_sets_by_what_it_knows_of_them, edn_read__bounds_the_nesting,
          edn_read__survives_every_truncation_of_the_corpus, edn_read__survives_damage_of_the_corpus,
          edn_read__survives_lack_of_memory, edn_read__gives_the_same_in_portions)
