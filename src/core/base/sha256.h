/* SPDX-License-Identifier: MIT
 *
 * SHA-256 and its HMAC (libsodium), for protocols that ask for them. Nothing in storage depends on them.
 */
#ifndef RI_SHA256_H
#define RI_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define RI_SHA256_SIZE 32

void ri_sha256(uint8_t out[RI_SHA256_SIZE], const void *bytes, size_t len);
void ri_hmac_sha256(uint8_t out[RI_SHA256_SIZE], const void *key, size_t key_len, const void *bytes, size_t len);
/* Overwrites a secret, which a compiler would not do for memory that nobody reads any more. */
void ri_wipe(void *bytes, size_t len);

#endif
