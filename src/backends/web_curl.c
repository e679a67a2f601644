/* SPDX-License-Identifier: MIT
 *
 * Loading libcurl.
 */
#include "web_curl.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

typedef void (*any_function)(void);

static const struct row {
    const char *name;
    size_t place; /* in ri_curl */
} rows[] = {
#define ROW(name)                              \
    {                                          \
        "curl_" #name, offsetof(ri_curl, name) \
    }
    ROW(global_init),  ROW(global_cleanup),   ROW(easy_strerror),       ROW(easy_init),      ROW(easy_reset),
    ROW(easy_cleanup), ROW(easy_setopt),      ROW(easy_getinfo),        ROW(multi_init),     ROW(multi_cleanup),
    ROW(multi_setopt), ROW(multi_add_handle), ROW(multi_remove_handle), ROW(multi_perform),  ROW(multi_info_read),
    ROW(multi_poll),   ROW(multi_wakeup),     ROW(slist_append),        ROW(slist_free_all),
#undef ROW
};

/* Its ABI has had this number since 2006. Behind the others, where a distribution has several. */
static const char *const names[] = {
#ifdef __APPLE__
    "libcurl.4.dylib",
#else
    "libcurl.so.4",
    "libcurl-gnutls.so.4",
#endif
};

static void *open_library(void)
{
    void *library = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && library == NULL; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

int ri_curl_load(const char *shown, ri_curl *out, rille_err *err)
{
    *out = (ri_curl){ 0 };
    void *library = open_library();
    if (library == NULL) {
        return ri_fail(err, RILLE_UNSUPPORTED, "%s: libcurl, which transfers the data, was not found: install it (%s)",
                       shown, names[0]);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *found = dlsym(library, rows[i].name);
        if (found == NULL) {
            return ri_fail(err, RILLE_UNSUPPORTED, "%s: libcurl is too old, it has no %s: install 7.85 or newer", shown,
                           rows[i].name);
        }
        _Static_assert(sizeof found == sizeof(any_function), "POSIX");
        memcpy((char *)out + rows[i].place, &found, sizeof found);
    }
    return RILLE_OK;
}
