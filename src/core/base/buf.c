/* SPDX-License-Identifier: MIT */
#include "buf.h"

#include "mem.h"

void ri_buf_deinit(ri_buf *buf)
{
    ri_free(buf->p);
    ri_meter_give(buf->meter, buf->cap);
    *buf = (ri_buf){ .meter = buf->meter };
}

uint8_t *ri_buf_reserve(ri_buf *buf, size_t more)
{
    if (buf->failed) {
        return NULL;
    }
    bool fits = buf->cap - buf->len >= more ||
                (more <= SIZE_MAX - buf->len && RI_GROW_COUNTED(buf->meter, &buf->p, &buf->cap, buf->len + more));
    if (!fits || !ri_meter_work(buf->meter, more)) {
        buf->failed = true;
        return NULL;
    }
    return buf->p + buf->len;
}

void ri_buf_put(ri_buf *buf, const void *bytes, size_t len)
{
    uint8_t *p = len == 0 ? NULL : ri_buf_reserve(buf, len);
    if (p != NULL) {
        memcpy(p, bytes, len);
        buf->len += len;
    }
}

void ri_buf_put_u8(ri_buf *buf, uint8_t x)
{
    ri_buf_put(buf, &x, 1);
}

void ri_buf_put_u32(ri_buf *buf, uint32_t x)
{
    uint8_t *p = ri_buf_reserve(buf, 4);
    if (p != NULL) {
        ri_store_u32(p, x);
        buf->len += 4;
    }
}

void ri_buf_put_u64(ri_buf *buf, uint64_t x)
{
    uint8_t *p = ri_buf_reserve(buf, 8);
    if (p != NULL) {
        ri_store_u64(p, x);
        buf->len += 8;
    }
}

void ri_buf_put_varint(ri_buf *buf, uint64_t x)
{
    uint8_t *p = ri_buf_reserve(buf, RI_VARINT_SIZE_MAX);
    if (p != NULL) {
        buf->len += ri_put_varint(p, x);
    }
}

void ri_buf_put_block(ri_buf *buf, const void *bytes, size_t len)
{
    ri_buf_put_varint(buf, len);
    ri_buf_put(buf, bytes, len);
}

void ri_buf_make_block(ri_buf *buf, size_t start)
{
    size_t len = buf->len - start;
    size_t more = ri_varint_size(len);
    if (ri_buf_reserve(buf, RI_VARINT_SIZE_MAX) != NULL) {
        memmove(buf->p + start + more, buf->p + start, len);
        (void)ri_put_varint(buf->p + start, len);
        buf->len += more;
    }
}

void ri_buf_put_text(ri_buf *buf, const char *text)
{
    ri_buf_put(buf, text, strlen(text));
}

uint8_t *ri_buf_take(ri_buf *buf, size_t *len)
{
    if (buf->failed || ri_buf_reserve(buf, 1) == NULL) {
        *len = 0;
        return NULL;
    }
    uint8_t *p = buf->p;
    *len = buf->len;
    ri_meter_give(buf->meter, buf->cap);
    *buf = (ri_buf){ .meter = buf->meter };
    return p;
}
