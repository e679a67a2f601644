/* SPDX-License-Identifier: MIT
 *
 * Keys for a time: what a service of the machine answers, and how long it may be used.
 *
 * The time that is left is counted by two clocks, and the shorter count holds: the clock of the day goes on while a machine
 * sleeps, but it can be set back; the other one cannot, but it may stand still meanwhile. How long the keys last is the difference of
 * two times of the service, its Expiration and its Date: the machine's own clock may be wrong.
 */
#ifndef RI_S3_GRANT_H
#define RI_S3_GRANT_H

#include "s3_sign.h"

#include <stdbool.h>

typedef struct ri_s3_now {
    int64_t day_ms;
    uint64_t steady_us;
} ri_s3_now;

typedef struct ri_s3_grant {
    ri_s3_keys keys; /* access_key is NULL: none */
    uint64_t lifetime_ms;
    int64_t end_day_ms;
    uint64_t end_steady_us;
} ri_s3_grant;

ri_s3_now ri_s3_now_get(void);

#define RI_S3_GRANT_NO_MEMORY "out of memory"

/* From the answer's JSON and its header Date (empty: the machine's clock counts). NULL: they are in *out, which the caller
 * releases; or why not, a static text. */
const char *ri_s3_grant_read(const ri_buf *json, const char *date, ri_s3_now now, ri_s3_grant *out);
void ri_s3_grant_deinit(ri_s3_grant *grant);

/* For requests that are sent now: they need some seconds, too. */
bool ri_s3_grant_is_good(const ri_s3_grant *grant, ri_s3_now now);
/* Others are asked for, while these are used: in the last 5 minutes, or the last quarter of a shorter life. */
bool ri_s3_grant_is_old(const ri_s3_grant *grant, ri_s3_now now);

#endif
