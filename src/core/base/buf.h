/* SPDX-License-Identifier: MIT
 *
 * A growing byte buffer. Failure is sticky: once memory is out, or the meter refuses, `failed` is set and writes do
 * nothing, so that an encoder checks once at its end. One thread at a time.
 */
#ifndef RI_BUF_H
#define RI_BUF_H

#include "bytes.h"
#include "meter.h"

typedef struct ri_buf {
    uint8_t *p;
    size_t len;
    size_t cap;
    ri_meter *meter; /* counts the memory, and the bytes written as work; NULL: nobody does */
    bool failed;
} ri_buf; /* all zero is an empty buffer */

void ri_buf_deinit(ri_buf *buf);
/* Room for `more` bytes at buf->p + buf->len, or NULL and failed. */
uint8_t *ri_buf_reserve(ri_buf *buf, size_t more);
void ri_buf_put(ri_buf *buf, const void *bytes, size_t len);
void ri_buf_put_u8(ri_buf *buf, uint8_t x);
void ri_buf_put_u32(ri_buf *buf, uint32_t x);
void ri_buf_put_u64(ri_buf *buf, uint64_t x);
void ri_buf_put_varint(ri_buf *buf, uint64_t x);
/* varint length, then the bytes */
void ri_buf_put_block(ri_buf *buf, const void *bytes, size_t len);
/* Makes a block of all that lies from `start` on. */
void ri_buf_make_block(ri_buf *buf, size_t start);
void ri_buf_put_text(ri_buf *buf, const char *text);
/* Hands the bytes to the caller (free with ri_free) and empties the buffer. NULL when failed. */
uint8_t *ri_buf_take(ri_buf *buf, size_t *len);

static inline void ri_buf_clear(ri_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

#endif
