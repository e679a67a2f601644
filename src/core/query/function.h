/* SPDX-License-Identifier: MIT
 *
 * Private to functions*.c: what the built-in functions share.
 */
#ifndef RI_FUNCTION_H
#define RI_FUNCTION_H

#include "functions.h"

static inline ri_value ri_arg_get(const ri_arg *arg, uint32_t row)
{
    return arg->vec != NULL ? ri_vec_get(arg->vec, row) : arg->value;
}
static inline uint8_t ri_arg_type(const ri_arg *arg)
{
    return arg->vec != NULL ? arg->vec->type : arg->value.type;
}
/* Whole numbers: longs, and entity ids. */
static inline bool ri_is_integer(uint8_t type)
{
    return type == RI_LONG || type == RI_REF;
}

/* Counts work that is about to be done: 0, or why it must not be. */
static inline int ri_fn_work(const ri_fn_call *in, size_t units, rille_err *err)
{
    return ri_work(in->arena->meter, units, err);
}
#define RI_ROW_UNITS 8U        /* of work for one value of a row, beside its bytes */
#define RI_TEXT_PORTION 65536U /* bytes of a text between two words with the meter */

/* `function` wants `wanted`, and got v: RILLE_TYPE. */
int ri_fail_arg(rille_err *err, const char *function, const char *wanted, const ri_value *v);

/* The lists of the other files; a NULL name ends them. */
extern const ri_builtin ri_compare_functions[];
extern const ri_builtin ri_number_functions[];
extern const ri_builtin ri_text_functions[];
extern const ri_builtin ri_parse_functions[];
extern const ri_builtin ri_value_functions[];

#endif
