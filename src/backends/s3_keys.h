/* SPDX-License-Identifier: MIT
 *
 * Where the credentials and the region of s3: come from: options, then the environment, then AWS's profile files, then the
 * role of the machine.
 */
#ifndef RI_S3_KEYS_H
#define RI_S3_KEYS_H

#include "s3_role.h"
#include "s3_sign.h"
#include "web_options.h"

/* Without keys, *role has a service that gives them. *region: NULL where nobody says it. RILLE_PERMISSION: there are no
 * credentials; RILLE_UNSUPPORTED: they would come from a program. On failure, too, keys and role are to be released. */
int ri_s3_keys_find(const ri_web_options *options, const char *shown, ri_s3_keys *keys, ri_s3_role *role, char **region,
                    rille_err *err);
void ri_s3_keys_deinit(ri_s3_keys *keys);

/* For tests: the value of a key in the section of a profile, from the text of a file; NULL: none. `config`: sections are
 * named "profile NAME" but for "default". */
char *ri_s3_profile_value(const char *text, const char *profile, bool config, const char *key);

#endif
