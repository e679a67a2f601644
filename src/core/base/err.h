/* SPDX-License-Identifier: MIT
 *
 * Errors live on the caller's stack. One is set once, where the cause is known; callers add context only at a
 * boundary that the user recognises (a URL, an attribute). Every function here accepts err == NULL.
 */
#ifndef RI_ERR_H
#define RI_ERR_H

#include "rille/codes.h"
#include "rille/rille_err.h"

#include <stddef.h>

#if defined(__GNUC__)
#define RI_PRINTF(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#else
#define RI_PRINTF(fmt_index, args_index)
#endif

/* Fills err and returns code, so that `return ri_fail(err, RILLE_TYPE, ...)` is the way to fail. */
int ri_fail(rille_err *err, int code, const char *format, ...) RI_PRINTF(3, 4);

/* The same for a failed system call: picks PERMISSION, FULL, NOTFOUND, NOMEM or IO by errno and appends its text. */
int ri_fail_errno(rille_err *err, int errnum, const char *format, ...) RI_PRINTF(3, 4);

/* "out of memory", without formatting. */
int ri_fail_nomem(rille_err *err);

/* What the static analyser cannot see from outside err.c: failing never gives 0. */
#if defined(__clang_analyzer__) && !defined(RI_ERR_INSIDE)
#define ri_fail(err, code, ...) ((void)(ri_fail)((err), (code), __VA_ARGS__), (code))
#define ri_fail_errno(err, errnum, ...) ((void)(ri_fail_errno)((err), (errnum), __VA_ARGS__), RILLE_IO)
#define ri_fail_nomem(err) ((void)(ri_fail_nomem)(err), RILLE_NOMEM)
#endif

/* Puts "context: " before the message, unless it begins so already. */
void ri_err_prefix(rille_err *err, const char *format, ...) RI_PRINTF(2, 3);
/* Puts text after the message: a remedy that only this place knows. */
void ri_err_append(rille_err *err, const char *text);

/* Passes every non-zero result (errors and outcomes alike) to the caller. Use while nothing is owned. */
#define RI_TRY(call)             \
    do {                         \
        int ri_try_rc_ = (call); \
        if (ri_try_rc_ != 0) {   \
            return ri_try_rc_;   \
        }                        \
    } while (0)

/* Our own logic, never bytes or arguments. Stays on in release builds: a wrong answer is worse than a crash. */
#define RI_ASSERT(condition) ((condition) ? (void)0 : ri_assert_failed(#condition, __FILE__, __LINE__))
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void ri_assert_failed(const char *condition, const char *file, int line);

#endif
