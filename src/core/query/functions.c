/* SPDX-License-Identifier: MIT
 *
 * The names of the built-in functions. Each kind has a file and a list of its own; lists are short, and are searched
 * once a clause, so they are searched from the front.
 */
#include "functions.h"

#include "function.h"

const ri_builtin *ri_builtin_find(const char *name)
{
    static const ri_builtin *const lists[] = { ri_compare_functions, ri_number_functions, ri_text_functions,
                                               ri_value_functions };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (const ri_builtin *f = lists[i]; f->name != NULL; f++) {
            if (strcmp(f->name, name) == 0) {
                return f;
            }
        }
    }
    return NULL;
}

int ri_fail_arg(rille_err *err, const char *function, const char *wanted, const ri_value *v)
{
    char show[96];
    return ri_fail(err, RILLE_TYPE, "function %s wants %s, but was given %s, a %s", function, wanted,
                   ri_value_show(show, sizeof show, v), ri_type_name(v->type));
}
