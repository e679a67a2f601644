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

/* `function` wants `wanted`, and got v: RILLE_TYPE. */
int ri_fail_arg(rille_err *err, const char *function, const char *wanted, const ri_value *v);

/* The lists of the other files; a NULL name ends them. */
extern const ri_builtin ri_compare_functions[];
extern const ri_builtin ri_number_functions[];
extern const ri_builtin ri_text_functions[];
extern const ri_builtin ri_value_functions[];

#endif
