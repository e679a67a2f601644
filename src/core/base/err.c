/* SPDX-License-Identifier: MIT */
#define RI_ERR_INSIDE
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_message(rille_err *err, const char *format, va_list args)
{
    int len = vsnprintf(err->message, sizeof err->message, format, args);
    if (len < 0) {
        err->message[0] = '\0';
    }
}

int ri_fail(rille_err *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        set_message(err, format, args);
        va_end(args);
        err->code = code;
        err->sys = 0;
    }
    return code;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case EACCES:
    case EPERM:
    case EROFS:
        return RILLE_PERMISSION;
    case ENOSPC:
#ifdef EDQUOT
    case EDQUOT:
#endif
    case EFBIG:
        return RILLE_FULL;
    case ENOENT:
    case ENOTDIR:
        return RILLE_NOTFOUND;
    case EEXIST:
        return RILLE_EXISTS;
    case ENOMEM:
        return RILLE_NOMEM;
    default:
        return RILLE_IO;
    }
}

int ri_fail_errno(rille_err *err, int errnum, const char *format, ...)
{
    int code = code_of_errno(errnum);
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        set_message(err, format, args);
        va_end(args);
        size_t len = strlen(err->message);
        (void)snprintf(err->message + len, sizeof err->message - len, ": %s", strerror(errnum));
        err->code = code;
        err->sys = errnum;
    }
    return code;
}

int ri_fail_nomem(rille_err *err)
{
    if (err != NULL) {
        err->code = RILLE_NOMEM;
        err->sys = 0;
        memcpy(err->message, "out of memory", sizeof "out of memory");
    }
    return RILLE_NOMEM;
}

void ri_err_prefix(rille_err *err, const char *format, ...)
{
    if (err == NULL) {
        return;
    }
    char context[sizeof err->message];
    char message[sizeof err->message];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(context, sizeof context, format, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    memcpy(message, err->message, sizeof message);
    size_t keep = strlen(context);
    if (strncmp(message, context, keep) == 0 && message[keep] == ':') {
        return;
    }
    if (keep > sizeof context / 2) {
        keep = sizeof context / 2;
    }
    (void)snprintf(err->message, sizeof err->message, "%.*s: %.*s", (int)keep, context,
                   (int)(sizeof message - keep - 3), message);
}

void ri_err_append(rille_err *err, const char *text)
{
    if (err != NULL) {
        size_t len = strlen(err->message);
        (void)snprintf(err->message + len, sizeof err->message - len, "%s", text);
    }
}

void ri_assert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "rille: %s:%d: broken invariant: %s (please report this)\n", file, line, condition);
    abort();
}

const char *rille_code_name(int code)
{
    switch (code) {
#define X(name, value, meaning) \
    case value:                 \
        return #name;
        RILLE_CODES(X)
#undef X
    case RILLE_OK:
        return "OK";
    case RILLE_DONE:
        return "DONE";
    case RILLE_NEED:
        return "NEED";
    case RILLE_AGAIN:
        return "AGAIN";
    case RILLE_ROWS:
        return "ROWS";
    case RILLE_CALL:
        return "CALL";
    case RILLE_UNKNOWN:
        return "UNKNOWN";
    case RILLE_CONFLICT:
        return "CONFLICT";
    default:
        return "UNKNOWN";
    }
}

const char *rille_code_meaning(int code)
{
    switch (code) {
#define X(name, value, meaning) \
    case value:                 \
        return meaning;
        RILLE_CODES(X)
#undef X
    default:
        return "";
    }
}
