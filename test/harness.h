/* SPDX-License-Identifier: MIT
 *
 * A test program: one main, tests in the order they are listed.
 *
 *     TEST(buf__keeps_what_was_put) { ... CHECK(buf.len == 3); ... }
 *     TEST_MAIN(buf__keeps_what_was_put, buf__says_that_memory_is_out)
 *
 * CHECK* report and go on; REQUIRE* leave the test (only in the thread that runs it). Arguments of the program are
 * parts of names of tests to run. Every block that a test allocates through rille must be freed when it ends.
 * CHECK_RC(ri_f(x, &test_err), RILLE_OK) compares a result and shows the message of test_err.
 * TEST_FAULT_SWEEP(f(x)) runs the call with each allocation failing in turn: it must give RILLE_NOMEM (or cope), free
 * all it took, and succeed when nothing fails.
 */
#ifndef RILLE_TEST_HARNESS_H
#define RILLE_TEST_HARNESS_H

#include "rille/alloc.h"
#include "rille/codes.h"
#include "rille/rille_err.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_FAILURES_SHOWN_MAX 20
#define TEST_SEED_DEFAULT 20260101U
#define TEST_FAULTS_MAX 1000000

static struct {
    const char *name; /* of the running test */
    size_t name_len;
    atomic_int failures;      /* of the running test */
    atomic_bool seed_used;    /* in this program: then shown on failure */
    atomic_llong live_blocks; /* allocated and not freed */
    atomic_llong allocations; /* so far, frees not counted */
    atomic_llong fail_from;   /* allocations with a number in fail_from .. fail_to fail; -1: none */
    atomic_llong fail_to;
    atomic_llong faults; /* allocations that failed on purpose */
    jmp_buf leave;
} test_state;

/* For CHECK_RC; set to zero before each of its calls. */
static rille_err test_err;

/* The allocation hook of every test: counts, and fails where it is told to. */
static inline void *test_alloc(void *context, void *block, size_t size)
{
    (void)context;
    if (size == 0) {
        (void)atomic_fetch_sub(&test_state.live_blocks, 1);
        free(block);
        return NULL;
    }
    long long number = atomic_fetch_add(&test_state.allocations, 1);
    long long from = atomic_load(&test_state.fail_from);
    if (from >= 0 && number >= from && number <= atomic_load(&test_state.fail_to)) {
        (void)atomic_fetch_add(&test_state.faults, 1);
        return NULL;
    }
    void *result = realloc(block, size);
    if (block == NULL && result != NULL) {
        (void)atomic_fetch_add(&test_state.live_blocks, 1);
    }
    return result;
}

/* RILLE_SEED, or a fixed number. */
static inline uint64_t test_seed(void)
{
    atomic_store(&test_state.seed_used, true);
    const char *text = getenv("RILLE_SEED");
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : TEST_SEED_DEFAULT;
}

/* splitmix64: one number of state. */
typedef struct test_rng {
    uint64_t state;
} test_rng;

static inline test_rng test_rng_new(void)
{
    return (test_rng){ test_seed() };
}

static inline uint64_t test_random(test_rng *rng)
{
    uint64_t x = rng->state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* 0 .. n - 1; n > 0. */
static inline uint64_t test_random_below(test_rng *rng, uint64_t n)
{
    return test_random(rng) % n;
}

static inline void test_leave(void)
{
    longjmp(test_state.leave, 1);
}

/* Begins a report of a failure; the caller prints the rest of the line. */
static inline void test_failed_at(const char *file, int line)
{
    int failures = atomic_fetch_add(&test_state.failures, 1) + 1;
    if (failures > TEST_FAILURES_SHOWN_MAX) {
        (void)fprintf(stderr, "%s:%d: more failures than are shown, test left\n", file, line);
        test_leave();
    }
    (void)fprintf(stderr, "%s:%d: %.*s: ", file, line, (int)test_state.name_len, test_state.name);
}

static inline bool test_check(bool ok, const char *file, int line, const char *text)
{
    if (!ok) {
        test_failed_at(file, line);
        (void)fprintf(stderr, "not so: %s\n", text);
    }
    return ok;
}

static inline bool test_check_int(int64_t a, int64_t b, const char *file, int line, const char *text)
{
    if (a != b) {
        test_failed_at(file, line);
        (void)fprintf(stderr, "%s: %lld != %lld\n", text, (long long)a, (long long)b);
    }
    return a == b;
}

static inline bool test_check_str(const char *a, const char *b, const char *file, int line, const char *text)
{
    bool ok = a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
    if (!ok) {
        test_failed_at(file, line);
        (void)fprintf(stderr, "%s:\n    %s\n    %s\n", text, a == NULL ? "NULL" : a, b == NULL ? "NULL" : b);
    }
    return ok;
}

static inline void test_print_bytes(const uint8_t *p, size_t len)
{
    (void)fprintf(stderr, "    %zu bytes:", len);
    for (size_t i = 0; i < len && i < 64; i++) {
        (void)fprintf(stderr, " %02x", p[i]);
    }
    (void)fprintf(stderr, "%s\n", len > 64 ? " ..." : "");
}

static inline bool test_check_mem(const void *a, size_t a_len, const void *b, size_t b_len, const char *file, int line,
                                  const char *text)
{
    bool ok = a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
    if (!ok) {
        test_failed_at(file, line);
        (void)fprintf(stderr, "%s:\n", text);
        test_print_bytes(a, a_len);
        test_print_bytes(b, b_len);
    }
    return ok;
}

static inline bool test_check_rc(int rc, int expected, const char *file, int line, const char *text)
{
    if (rc != expected) {
        test_failed_at(file, line);
        (void)fprintf(stderr, "%s gave %s, expected %s%s%s\n", text, rille_code_name(rc), rille_code_name(expected),
                      test_err.code != 0 ? ": " : "", test_err.message);
    }
    return rc == expected;
}

static inline int test_rc_begin(void)
{
    test_err = (rille_err){ 0 };
    return 0;
}

#define TEST(name) static void name(void)

#define CHECK(condition) ((void)test_check((condition), __FILE__, __LINE__, #condition))
#define CHECK_EQ_INT(a, b) ((void)test_check_int((int64_t)(a), (int64_t)(b), __FILE__, __LINE__, #a " == " #b))
#define CHECK_EQ_STR(a, b) ((void)test_check_str((a), (b), __FILE__, __LINE__, #a " == " #b))
#define CHECK_EQ_MEM(a, a_len, b, b_len) \
    ((void)test_check_mem((a), (a_len), (b), (b_len), __FILE__, __LINE__, #a " == " #b))
#define CHECK_RC(call, expected) \
    ((void)test_rc_begin(), (void)test_check_rc((call), (expected), __FILE__, __LINE__, #call))

#define REQUIRE(condition) (test_check((condition), __FILE__, __LINE__, #condition) ? (void)0 : test_leave())
#define REQUIRE_RC(call, expected) \
    ((void)test_rc_begin(), test_check_rc((call), (expected), __FILE__, __LINE__, #call) ? (void)0 : test_leave())

/* One run of the sweep: true when an allocation failed, so that there may be a later one to fail. */
static inline bool test_fault_begin(long long number, bool once)
{
    atomic_store(&test_state.allocations, 0);
    atomic_store(&test_state.faults, 0);
    atomic_store(&test_state.fail_to, once ? number : INT64_MAX);
    atomic_store(&test_state.fail_from, number);
    return true;
}

static inline bool test_fault_end(long long number, int rc, long long live_before, const char *file, int line,
                                  const char *text)
{
    atomic_store(&test_state.fail_from, -1);
    long long faults = atomic_load(&test_state.faults);
    long long leaked = atomic_load(&test_state.live_blocks) - live_before;
    if (leaked != 0) {
        test_failed_at(file, line);
        (void)fprintf(stderr, "%s: %lld blocks left when allocation %lld failed\n", text, leaked, number);
        return false;
    }
    if (rc != RILLE_OK && (faults == 0 || rc != RILLE_NOMEM)) {
        test_failed_at(file, line);
        (void)fprintf(stderr, "%s gave %s when allocation %lld failed\n", text, rille_code_name(rc), number);
        return false;
    }
    return faults > 0 && number < TEST_FAULTS_MAX;
}

/* All of the first 2,000 allocations, then ever fewer: long operations would cost the square of their length. */
static inline long long test_fault_next(long long number)
{
    return number + 1 + (number > 2000 ? number / 64 : 0);
}

/* `call` gives an rc. First only the n-th allocation fails, then all from the n-th on. */
#define TEST_FAULT_SWEEP(call)                                                               \
    do {                                                                                     \
        for (int test_once_ = 1; test_once_ >= 0; test_once_--) {                            \
            long long test_live_ = atomic_load(&test_state.live_blocks);                     \
            long long test_n_ = 0;                                                           \
            while (test_fault_begin(test_n_, test_once_ != 0) &&                             \
                   test_fault_end(test_n_, (call), test_live_, __FILE__, __LINE__, #call)) { \
                test_n_ = test_fault_next(test_n_);                                          \
            }                                                                                \
        }                                                                                    \
    } while (0)

static inline bool test_wanted(const char *name, size_t len, int argc, char **argv)
{
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%.*s", (int)len, name);
    bool wanted = argc < 2;
    for (int i = 1; i < argc; i++) {
        wanted = wanted || strstr(copy, argv[i]) != NULL;
    }
    return wanted;
}

/* Runs one test; true when it passed. */
static inline bool test_run(void (*test)(void))
{
    long long live_before = atomic_load(&test_state.live_blocks);
    atomic_store(&test_state.failures, 0);
    if (setjmp(test_state.leave) == 0) {
        test();
        long long leaked = atomic_load(&test_state.live_blocks) - live_before;
        if (leaked != 0 && atomic_load(&test_state.failures) == 0) {
            test_failed_at("leak", 0);
            (void)fprintf(stderr, "%lld blocks were not freed\n", leaked);
        }
    }
    return atomic_load(&test_state.failures) == 0;
}

/* `names` is the list of tests as it was written: names between commas. */
static inline int test_main(void (*const *tests)(void), size_t count, const char *names, int argc, char **argv)
{
    size_t passed = 0;
    size_t failed = 0;
    atomic_store(&test_state.fail_from, -1);
    rille_set_alloc_hook(test_alloc, NULL);
    for (size_t i = 0; i < count; i++) {
        names += strspn(names, ", \n\t");
        test_state.name = names;
        test_state.name_len = strcspn(names, ", \n\t");
        names += test_state.name_len;
        if (!test_wanted(test_state.name, test_state.name_len, argc, argv)) {
            continue;
        }
        if (test_run(tests[i])) {
            passed++;
        } else {
            failed++;
            (void)fprintf(stderr, "FAILED %.*s\n", (int)test_state.name_len, test_state.name);
        }
    }
    if (failed > 0 && atomic_load(&test_state.seed_used)) {
        (void)fprintf(stderr, "repeat with RILLE_SEED=%llu\n", (unsigned long long)test_seed());
    }
    (void)printf("%zu tests passed", passed);
    if (failed > 0) {
        (void)printf(", %zu failed", failed);
    }
    (void)printf("\n");
    return failed > 0 || passed == 0;
}

#define TEST_MAIN(...)                                                                   \
    int main(int argc, char **argv)                                                      \
    {                                                                                    \
        static void (*const tests[])(void) = { __VA_ARGS__ };                            \
        return test_main(tests, sizeof tests / sizeof *tests, #__VA_ARGS__, argc, argv); \
    }

#endif
