/* SPDX-License-Identifier: MIT */
#ifndef RILLE_ERR_H
#define RILLE_ERR_H

#include "api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RILLE_ERR_MESSAGE_SIZE 400

/* An error. Put one on the stack and pass its address; it is written on failure only. */
typedef struct rille_err {
    int code;                             /* a negative rille_code */
    int sys;                              /* errno of the failed system call, or 0 */
    char message[RILLE_ERR_MESSAGE_SIZE]; /* one line: the position, the problem, the remedy */
} rille_err;

/* The name of a code as Lua sees it: "NOTFOUND"; "OK" for 0, outcomes by their names; never NULL. */
RILLE_API const char *rille_code_name(int code);

/* The meaning of a code, one line; never NULL. */
RILLE_API const char *rille_code_meaning(int code);

#ifdef __cplusplus
}
#endif

#endif
