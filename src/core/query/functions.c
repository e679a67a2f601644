/* SPDX-License-Identifier: MIT
 *
 * The names of the built-in functions. Each kind has a file and a list of its own; lists are short, and are searched
 * once a clause, so they are searched from the front.
 */
#include "functions.h"

#include "function.h"

static const ri_builtin *const lists[] = { ri_compare_functions, ri_number_functions, ri_text_functions,
                                           ri_parse_functions, ri_value_functions };
#define LIST_COUNT (sizeof lists / sizeof *lists)

const ri_builtin *ri_builtin_find(const char *name)
{
    for (size_t i = 0; i < LIST_COUNT; i++) {
        for (const ri_builtin *f = lists[i]; f->name != NULL; f++) {
            if (strcmp(f->name, name) == 0) {
                return f;
            }
        }
    }
    return NULL;
}

void ri_builtin_suggest(ri_suggest *suggest)
{
    static const char *const look_ups[] = { "get-else", "get-some", "missing?" };
    for (size_t i = 0; i < LIST_COUNT; i++) {
        for (const ri_builtin *f = lists[i]; f->name != NULL; f++) {
            ri_suggest_offer(suggest, f->name, strlen(f->name));
        }
    }
    for (size_t i = 0; i < sizeof look_ups / sizeof *look_ups; i++) {
        ri_suggest_offer(suggest, look_ups[i], strlen(look_ups[i]));
    }
    /* what other languages call them; "=>" is nearer to ">=" than to "=" */
    static const char *const aliases[][2] = {
        { "=>", ">=" },
        { "=<", "<=" },
        { "<>", "!=" },
        { "/=", "!=" },
        { "length", "count" },
        { "len", "count" },
        { "substr", "subs" },
        { "substring", "subs" },
        { "concat", "str" },
        { "%", "mod" },
        { "contains", "contains?" },
        { "like", "includes?" },
        { "to-string", "str" },
        { "tostring", "str" },
        { "int", "long" },
    };
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (strlen(aliases[i][0]) == suggest->len && memcmp(aliases[i][0], suggest->name, suggest->len) == 0) {
            ri_suggest_offer_as(suggest, aliases[i][1], strlen(aliases[i][1]), 0);
        }
    }
}

int ri_fail_arg(rille_err *err, const char *function, const char *wanted, const ri_value *v)
{
    char show[96];
    return ri_fail(err, RILLE_TYPE, "function %s expects %s, got %s (%s %s)", function, wanted,
                   ri_value_show(show, sizeof show, v), ri_type_article(v->type), ri_type_name(v->type));
}
