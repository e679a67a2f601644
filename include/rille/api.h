/* SPDX-License-Identifier: MIT */
#ifndef RILLE_API_H
#define RILLE_API_H

/* Before each public function: rille is built with hidden visibility, and only these leave the shared library. */
#if defined(__GNUC__)
#define RILLE_API __attribute__((visibility("default")))
#else
#define RILLE_API
#endif

#endif
