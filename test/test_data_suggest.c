/* SPDX-License-Identifier: MIT
 *
 * Which name was meant.
 */
#include "../src/core/data/suggest.h"

#include "harness.h"

static unsigned distance(const char *a, const char *b)
{
    return ri_edit_distance(a, strlen(a), b, strlen(b));
}

TEST(suggest__edit_distance_counts_up_to_its_limit)
{
    CHECK_EQ_INT(distance("", ""), 0);
    CHECK_EQ_INT(distance("name", "name"), 0);
    CHECK_EQ_INT(distance("name", "nam"), 1);
    CHECK_EQ_INT(distance("name", "nime"), 1);
    CHECK_EQ_INT(distance("nmae", "name"), 1);
    CHECK_EQ_INT(distance("anem", "name"), 2);
    CHECK_EQ_INT(distance("", "ab"), 2);
    CHECK(distance("", "abc") > RI_EDIT_DISTANCE_MAX);
    CHECK(distance("kitten", "sitting") > RI_EDIT_DISTANCE_MAX);
    char longest[RI_EDIT_LEN_MAX + 1];
    memset(longest, 'x', sizeof longest);
    CHECK_EQ_INT(ri_edit_distance(longest, RI_EDIT_LEN_MAX, longest, RI_EDIT_LEN_MAX), 0);
    CHECK(ri_edit_distance(longest, sizeof longest, longest, sizeof longest) > RI_EDIT_DISTANCE_MAX);
}

/* The suggestion for a name of a few known ones, in both orders: the order must not matter. */
static void check_suggests(const char *name, const char *expected)
{
    static const char *const known[] = { "lower-case", "upper-case", "name", "get-else", "get-some",
                                         "count",      "max",        "=",    "empty?",   "person/name" };
    size_t count = sizeof known / sizeof *known;
    ri_suggest forth = ri_suggest_for(name, strlen(name));
    ri_suggest back = forth;
    for (size_t i = 0; i < count; i++) {
        ri_suggest_offer(&forth, known[i], strlen(known[i]));
        ri_suggest_offer(&back, known[count - 1 - i], strlen(known[count - 1 - i]));
    }
    char out[RI_SUGGESTION_SIZE];
    CHECK_EQ_STR(ri_suggest_show(&forth, "", out), expected);
    CHECK_EQ_STR(ri_suggest_show(&back, "", out), expected);
}

TEST(suggest__finds_the_name_that_was_meant)
{
    check_suggests("lowercase", " (did you mean lower-case?)");
    check_suggests("uper-case", " (did you mean upper-case?)");
    check_suggests("lower", " (did you mean lower-case?)");
    check_suggests("get", " (did you mean get-else?)");
    check_suggests("empty", " (did you mean empty?\?)");
    check_suggests("NAME", " (did you mean name?)");
    check_suggests("nmae", " (did you mean name?)");
    check_suggests("person/nmae", " (did you mean person/name?)");
    check_suggests("person", " (did you mean person/name?)");
    check_suggests("mix", " (did you mean max?)");
    check_suggests("ma", " (did you mean max?)");
}

TEST(suggest__says_nothing_where_nothing_is_near)
{
    check_suggests("", "");
    check_suggests("f", "");
    check_suggests("<", "");
    check_suggests("mi4", "");
    check_suggests("no", "");
    check_suggests("lo", "");
    check_suggests("lower-cases-all", "");
    char longest[200];
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    check_suggests(longest, "");
    ri_suggest suggest = ri_suggest_for("n", 1);
    ri_suggest_offer_as(&suggest, longest, sizeof longest - 1, 1);
    CHECK(suggest.best == NULL);
}

TEST_MAIN(suggest__edit_distance_counts_up_to_its_limit, suggest__finds_the_name_that_was_meant,
          suggest__says_nothing_where_nothing_is_near)
