/* SPDX-License-Identifier: MIT
 *
 * layer: store
 *
 * Any bytes as what a service of the machine answers about keys: a line with the header Date, then JSON. Keys that are taken can be
 * headers, and last for a while from now.
 */
#include "../src/core/base/mem.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#if RILLE_WITH_CURL
#include "../src/backends/s3_grant.h"
#include "../src/backends/web.h"

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void require_line(const char *text)
{
    require(text != NULL);
    for (const char *c = text; *c != '\0'; c++) {
        require(*c > ' ' && *c <= '~');
    }
}

static void check_grant(const ri_s3_grant *grant, ri_s3_now now)
{
    require_line(grant->keys.access_key);
    require_line(grant->keys.secret_key);
    require_line(grant->keys.session_token);
    require(grant->lifetime_ms > 0 && ri_s3_grant_is_good(grant, now));
    now.steady_us += grant->lifetime_ms * 1000;
    require(!ri_s3_grant_is_good(grant, now) && ri_s3_grant_is_old(grant, now));
    now = (ri_s3_now){ grant->end_day_ms, 0 };
    require(!ri_s3_grant_is_good(grant, now) && ri_s3_grant_is_old(grant, now));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char date[RI_WEB_HEADER_MAX] = "";
    ri_s3_now now = { INT64_C(1790000000000), UINT64_C(1000000) };
    ri_s3_grant grant;
    ri_buf json = { 0 };
    const uint8_t *end = len > 0 ? memchr(bytes, '\n', len) : NULL;
    size_t line_len = end != NULL ? (size_t)(end - bytes) : 0;
    if (line_len >= sizeof date) {
        return 0;
    }
    memcpy(date, bytes, line_len);
    ri_buf_put(&json, bytes + line_len, len - line_len);
    require(ri_web_date_s(date) >= -1);
    const char *wrong = ri_s3_grant_read(&json, date, now, &grant);
    require((wrong == NULL) == (grant.keys.access_key != NULL));
    if (wrong == NULL) {
        check_grant(&grant, now);
    }
    ri_s3_grant_deinit(&grant);
    ri_buf_deinit(&json);
    return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    (void)bytes, (void)len;
    return 0;
}
#endif
