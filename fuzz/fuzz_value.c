/* SPDX-License-Identifier: MIT
 *
 * layer: data
 *
 * Any bytes as encoded values, one after another. What reads must be valid, write as the same bytes, and take part in
 * the order: each is compared with the one before it, both ways.
 */
#include "../src/core/data/edn.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_value(const ri_value *v, const uint8_t *bytes, size_t len)
{
    ri_buf out = { 0 };
    char shown[80];
    require(ri_value_valid(v));
    ri_value_write(&out, v);
    require(out.len == len && memcmp(out.p, bytes, len) == 0);
    ri_buf_clear(&out);
    ri_edn_write_value(&out, v);
    require(!out.failed && out.len > 0);
    require(strlen(ri_value_show(shown, sizeof shown, v)) <= 60);
    ri_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    ri_reader r = ri_reader_of(bytes, len);
    ri_value before = ri_nil();
    while (!r.bad && r.p != r.end) {
        const uint8_t *start = r.p;
        ri_value v = ri_value_read(&r);
        if (r.bad) {
            require(v.type == RI_NIL);
            break;
        }
        check_value(&v, start, (size_t)(r.p - start));
        int forth = ri_value_cmp(&before, &v);
        int back = ri_value_cmp(&v, &before);
        require((forth < 0) == (back > 0) && (forth == 0) == (back == 0));
        require(forth != 0 || ri_value_hash(&v) == ri_value_hash(&before));
        before = v;
    }
    return 0;
}
