/* SPDX-License-Identifier: MIT
 *
 * Keys of the role of a container or an instance of AWS, from a service that only the machine itself reaches. (AWS SDKs and
 * Tools Reference Guide: "Container credential provider", "IMDS credential provider".)
 */
#ifndef RI_S3_ROLE_H
#define RI_S3_ROLE_H

#include "s3_grant.h"
#include "web.h"

typedef enum ri_s3_service {
    RI_S3_NO_SERVICE,
    RI_S3_CONTAINER, /* one GET */
    RI_S3_INSTANCE   /* version 2: a token, the role's name, its keys */
} ri_s3_service;

/* Behind the lock of its ri_web. `service` and the texts never change. */
typedef struct ri_s3_role {
    ri_s3_service service;
    char *url;         /* all of the container's; of the instance's what its paths follow. It may be secret */
    char *host;        /* for messages: its beginning */
    const char *shown; /* the database's URL; not owned */
    ri_s3_grant grant;
    uint64_t number;     /* of the grant: 1, 2 ... */
    ri_web_job *job;     /* asks for another one; NULL: none does */
    uint64_t job_end_us; /* or nobody drove it */
    uint64_t again_us;   /* not before, while the present one is good */
} ri_s3_role;

/* From the environment; asks nobody yet. RILLE_PERMISSION: it is turned off, or a variable is wrong. On failure, too, the
 * role is to be released. */
int ri_s3_role_find(const char *shown, ri_s3_role *role, rille_err *err);
void ri_s3_role_deinit(ri_s3_role *role);

/* Good ones, until the ri_web is driven again. RILLE_NEED: they have been asked for, and ri_web_go_on follows. */
int ri_s3_role_keys(ri_s3_role *role, ri_web *web, const ri_s3_keys **keys, rille_err *err);
/* A server does not accept the grant of that number. */
void ri_s3_role_forget(ri_s3_role *role, uint64_t number);

#endif
