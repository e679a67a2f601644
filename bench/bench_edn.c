/* SPDX-License-Identifier: MIT
 *
 * MB/s of the EDN reader and writer over typical text, beside two floors from the same run: memcpy, and a scan that
 * looks at every byte for one of a few. Best of several rounds.
 *
 *     bench_edn [megabytes]
 */
#include "../src/core/base/hash.h"
#include "../src/core/base/sync.h"
#include "../src/core/data/edn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#define ROUNDS 7
#define MEGABYTES_DEFAULT 16U

typedef struct sample {
    const char *name;
    void (*put)(ri_buf *out, uint64_t i);
} sample;

static void put_format(ri_buf *out, const char *format, ...) RI_PRINTF(2, 3);
static void put_format(ri_buf *out, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ri_buf_put(out, text, (size_t)len);
}

static void put_transaction(ri_buf *out, uint64_t i)
{
    put_format(out, "{:person/name \"Ivan %u\" :person/age %u :person/tags [:a :b] :db/id -%u}\n", (unsigned)i,
               (unsigned)(i % 90), (unsigned)i);
}

static void put_nested(ri_buf *out, uint64_t i)
{
    put_format(out,
               "{:order/id %u, :order/customer {:customer/name \"Anna-%u\", :customer/address {:street \"Main Street "
               "%u\", :city \"Zürich\"}}, :order/lines [{:line/sku \"A%u\", :line/qty 3, :line/price 12.5} {:line/sku "
               "\"B7\", :line/qty 1, :line/price 100.25}], :order/paid? true}\n",
               (unsigned)i, (unsigned)i, (unsigned)(i % 200), (unsigned)(i % 1000));
}

static void put_numbers(ri_buf *out, uint64_t i)
{
    put_format(out, "[%u %u -%u %.3f %.17g]\n", (unsigned)i, (unsigned)(ri_mix64(i) >> 40),
               (unsigned)(ri_mix64(i) >> 50), (double)(ri_mix64(i) >> 44) / 1000,
               (double)(ri_mix64(i) >> 11) / 9007199254740992.0);
}

static void put_datoms(ri_buf *out, uint64_t i)
{
    put_format(out, "[:db/add %u :product/description \"A text of some length, as descriptions of products have\"]\n",
               (unsigned)i);
}

static const sample samples[] = {
    { "transaction maps", put_transaction },
    { "nested maps", put_nested },
    { "numbers", put_numbers },
    { "db/add with text", put_datoms },
};

static double best_of(double best, uint64_t begin_us, size_t bytes)
{
    uint64_t took_us = ri_clock_us() - begin_us;
    double rate = (double)bytes / (double)(took_us == 0 ? 1 : took_us);
    return rate > best ? rate : best;
}

static void print_machine(void)
{
    char line[256] = "";
    char cpu[200] = "unknown processor";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            (void)snprintf(cpu, sizeof cpu, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    struct utsname system;
    bool known = uname(&system) >= 0;
    (void)printf("machine: %s, %s %s, compiler %s\n", cpu, known ? system.sysname : "?", known ? system.machine : "?",
                 __VERSION__);
}

/* Reads all forms; 0 or a code. The sum of their kinds keeps the work from being left out. */
static int read_all(ri_arena *arena, const ri_buf *text, bool borrow, uint64_t *sum, rille_err *err)
{
    ri_edn_reader reader;
    ri_form form;
    int rc;
    ri_edn_init(&reader, arena, (const char *)text->p, text->len, borrow);
    while ((rc = ri_edn_next(&reader, &form, err)) == RILLE_OK) {
        *sum += form.kind;
        if (arena->total_bytes > (size_t)8 << 20) {
            ri_arena_reset(arena);
        }
    }
    ri_edn_deinit(&reader);
    return rc == RILLE_DONE ? 0 : rc;
}

/* One big vector of all forms, for the writer. */
static int read_vector(ri_arena *arena, const ri_buf *text, ri_form *out, rille_err *err)
{
    ri_buf whole = { 0 };
    ri_buf_put(&whole, "[", 1);
    ri_buf_put(&whole, text->p, text->len);
    ri_buf_put(&whole, "]", 1);
    int rc = whole.failed ? RILLE_NOMEM : ri_edn_read(arena, (const char *)whole.p, whole.len, out, err);
    ri_buf_deinit(&whole);
    return rc;
}

static size_t scan_bytes(const ri_buf *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->len; i++) {
        count += text->p[i] == '"' || text->p[i] == '\\';
    }
    return count;
}

static int bench_sample(const sample *what, size_t bytes_min)
{
    ri_buf text = { 0 };
    ri_buf out = { 0 };
    ri_arena arena = { 0 };
    rille_err err = { 0 };
    ri_form all;
    uint64_t sum = 0;
    double borrowed = 0;
    double copied = 0;
    double written = 0;
    double copy_floor = 0;
    double scan_floor = 0;
    for (uint64_t i = 1; text.len < bytes_min && !text.failed; i++) {
        what->put(&out, i);
        ri_buf_put(&text, out.p, out.len);
        ri_buf_clear(&out);
    }
    int rc = text.failed ? RILLE_NOMEM : 0;
    for (int round = 0; rc == 0 && round < ROUNDS; round++) {
        uint64_t begin = ri_clock_us();
        rc = read_all(&arena, &text, true, &sum, &err);
        borrowed = best_of(borrowed, begin, text.len);
        begin = ri_clock_us();
        rc = rc == 0 ? read_all(&arena, &text, false, &sum, &err) : rc;
        copied = best_of(copied, begin, text.len);
        ri_buf_clear(&out);
        begin = ri_clock_us();
        ri_buf_put(&out, text.p, text.len);
        copy_floor = best_of(copy_floor, begin, text.len);
        begin = ri_clock_us();
        sum += scan_bytes(&text);
        scan_floor = best_of(scan_floor, begin, text.len);
    }
    rc = rc == 0 ? read_vector(&arena, &text, &all, &err) : rc;
    for (int round = 0; rc == 0 && round < ROUNDS; round++) {
        ri_buf_clear(&out);
        uint64_t begin = ri_clock_us();
        ri_edn_write(&out, &all);
        written = best_of(written, begin, out.len);
    }
    if (rc == 0) {
        (void)printf("%-18s %7.1f %7.1f %7.1f   %8.0f %8.0f   (%zu MB, check %llu)\n", what->name, borrowed, copied,
                     written, copy_floor, scan_floor, text.len / 1000000, (unsigned long long)sum % 1000);
    } else {
        (void)fprintf(stderr, "%s: %s\n", what->name, err.message);
    }
    ri_arena_deinit(&arena);
    ri_buf_deinit(&text);
    ri_buf_deinit(&out);
    return rc;
}

int main(int argc, char **argv)
{
    size_t megabytes = argc > 1 ? strtoul(argv[1], NULL, 10) : MEGABYTES_DEFAULT;
    int rc = 0;
    if (megabytes == 0 || megabytes > 1024) {
        (void)fprintf(stderr, "usage: bench_edn [megabytes, 1 to 1024]\n");
        return 2;
    }
    print_machine();
    (void)printf("MB/s, best of %d:   read    read   write     memcpy     scan\n", ROUNDS);
    (void)printf("                   borrow    copy\n");
    for (size_t i = 0; rc == 0 && i < sizeof samples / sizeof *samples; i++) {
        rc = bench_sample(&samples[i], megabytes * 1000000);
    }
    return rc == 0 ? 0 : 1;
}
