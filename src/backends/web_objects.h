/* SPDX-License-Identifier: MIT
 *
 * Reading what lies under the names of layout.h, by HTTP: ranges of objects, and heads. s3: and http: share it.
 */
#ifndef RI_WEB_OBJECTS_H
#define RI_WEB_OBJECTS_H

#include "layout.h"
#include "web.h"

#define RI_WEB_HEAD_BYTES_MAX ((size_t)256 << 20)
#define RI_WEB_OBJECT_BYTES_MAX ((size_t)256 << 20) /* more than any blob or footer has */

/* Where the names lie. Behind the lock of the ri_web, but for what never changes. */
typedef struct ri_web_place {
    void (*put_url)(const void *context, const char *name, ri_buf *out);
    const void *context;
    const char *shown;
    bool etags_are_of_content; /* and not of a file's time */
    bool lacks_ranges;         /* the server answers with whole objects */
    /* Of such a server, the object that came last. */
    rille_object_id whole;
    ri_buf whole_bytes;
} ri_web_place;

void ri_web_place_deinit(ri_web_place *place);

/* The slots of backend.h: RILLE_NEED until there is an answer. Of ranges, neighbours become one request. */
int ri_web_get_many(ri_web *web, ri_web_place *place, rille_get *gets, size_t count, rille_err *err);
int ri_web_head_read(ri_web *web, ri_web_place *place, const char *branch, const rille_revision *known, rille_head *out,
                     rille_err *err);

/* A revision is an ETag of at most 32 bytes, without its quotes; or, where there is none that can be relied on, the hash of
 * the head, which is not printable. */
bool ri_web_revision_etag(const rille_revision *revision, char out[40]);
bool ri_web_etag_revision(const char *etag, rille_revision *out);

#endif
