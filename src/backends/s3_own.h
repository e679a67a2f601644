/* SPDX-License-Identifier: MIT
 *
 * What the files of the s3: backend share and nobody else sees.
 */
#ifndef RI_S3_OWN_H
#define RI_S3_OWN_H

#include "../core/base/mem.h"
#include "../core/store/backends.h"
#include "call_key.h"
#include "s3_keys.h"
#include "web_objects.h"
#include "web_options.h"

#include "../core/base/bytes.h"
#include "../core/base/hash.h"

#include <string.h>

/* How the store compares an ETag of If-Match; it is found out before the first conditional write. */
typedef enum s3_fencing {
    S3_FENCING_UNKNOWN,
    S3_FENCING_QUOTED,   /* as RFC 9110 has it */
    S3_FENCING_UNQUOTED, /* Ceph and its kin */
    S3_FENCING_NONE      /* not at all: only where the host says that this is all right */
} s3_fencing;

/* Internally locked by its ri_web. Never changes, but for the place, the role, the clock and the fencing, which are behind that
 * lock. */
typedef struct s3_db {
    ri_web *web;
    ri_web_place place;
    ri_web_options options;
    ri_s3_keys keys;
    ri_s3_role role;      /* where it has a service, the keys are its */
    int64_t clock_late_s; /* this machine's clock, than the server's */
    char *region;
    char *bucket_url; /* encoded, with a / at its end */
    char *prefix;     /* of keys, not encoded, with a / at its end; or empty */
    char *bucket;
    char *shown;
    s3_fencing fencing;
} s3_db;

/* The URL of a key below the prefix. */
void ri_s3_put_url(const void *context, const char *name, ri_buf *out);
/* Another request of a job, for what lies under that name. NULL: no memory. */
ri_web_request *ri_s3_add(s3_db *db, ri_web_job *job, const char *method, const char *name, const uint8_t *body,
                          size_t body_len);
void ri_s3_put_header(ri_web_request *request, const char *line);
/* The text of <NAME> in an answer's XML; false: there is none, or it is too long. */
bool ri_s3_element(const ri_buf *answer, const char *name, char *out, size_t size);

/* Slots. */
int ri_s3_put_many(void *self, const rille_put *puts, size_t count, rille_err *err);
int ri_s3_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err);
int ri_s3_head_delete(void *self, const char *branch, rille_err *err);
int ri_s3_head_list(void *self, char **names, size_t *count, rille_err *err);
int ri_s3_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err);
int ri_s3_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err);
int ri_s3_ages(void *self, const rille_object_id *ids, size_t count, int64_t *ages_ms, rille_err *err);
int ri_s3_drop(void *self, rille_err *err);

#endif
