/* SPDX-License-Identifier: MIT
 *
 * libcurl, loaded when the first database behind HTTP is opened. Linked, it and the 20 libraries that it needs would double
 * the time that every script with rille takes to start (decision 0018).
 */
#ifndef RI_WEB_CURL_H
#define RI_WEB_CURL_H

#include "../core/base/err.h"

#include <curl/curl.h>

/* The functions that are used, by their names without "curl_". */
typedef struct ri_curl {
    CURLcode (*global_init)(long flags);
    void (*global_cleanup)(void);
    const char *(*easy_strerror)(CURLcode code);
    CURL *(*easy_init)(void);
    void (*easy_reset)(CURL *easy);
    void (*easy_cleanup)(CURL *easy);
    CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_perform)(CURLM *multi, int *running);
    CURLMsg *(*multi_info_read)(CURLM *multi, int *more);
    CURLMcode (*multi_poll)(CURLM *multi, struct curl_waitfd *more, unsigned count, int timeout_ms, int *ready);
    CURLMcode (*multi_wakeup)(CURLM *multi);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
} ri_curl;

/* Once loaded, it stays. RILLE_UNSUPPORTED: it is not there, or too old; `shown` is for the message. */
int ri_curl_load(const char *shown, ri_curl *out, rille_err *err);

#endif
