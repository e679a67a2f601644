/* SPDX-License-Identifier: MIT
 *
 * Tasks: each run sees what the runs before it saw, and nothing is done twice.
 */
#include "../src/core/store/task.h"
#include "test_store_support.h"

static ri_store *open_store(const char *url)
{
    ri_store *store = NULL;
    ri_store_options options = { .create = true };
    REQUIRE_RC(ri_store_open(url, &options, &store, &test_err), 0);
    return store;
}

static rille_revision swap(ri_store *store, const char *text, const rille_revision *expected, int expected_rc)
{
    rille_head_swap to = { .branch = "main", .cell = (const uint8_t *)text, .cell_len = strlen(text) };
    rille_revision revision;
    to.expected = expected != NULL ? *expected : to.expected;
    CHECK_RC(ri_store_head_swap(store, &to, NULL, &revision, &test_err), expected_rc);
    return revision;
}

/* Reads the head, reads it again, and swaps it. */
static int change(ri_store *store, ri_buf *seen)
{
    rille_head first = { 0 };
    rille_head second = { 0 };
    int rc = ri_store_head_read(store, "main", &first, &test_err);
    if (rc == 0) {
        rc = ri_store_head_read(store, "main", &second, &test_err);
    }
    if (rc == 0) {
        ri_buf_clear(seen);
        ri_buf_put(seen, first.bytes, first.len);
        ri_buf_put(seen, second.bytes, second.len);
        rille_head_swap to = { .branch = "main", .cell = (const uint8_t *)"new", .cell_len = 3 };
        rille_revision revision;
        to.expected = second.revision;
        rc = ri_store_head_swap(store, &to, NULL, &revision, &test_err);
    }
    rille_free(first.bytes);
    rille_free(second.bytes);
    return rc;
}

static int run(ri_task *task, ri_store *store, ri_buf *seen)
{
    ri_task *outer = ri_task_enter(task);
    return ri_task_leave(task, outer, change(store, seen), &test_err);
}

static bool always(void *context)
{
    *(int *)context += 1;
    return true;
}

static void check_far(const char *url, bool defer)
{
    ri_store *store = open_store(url);
    ri_task task = { 0 };
    ri_buf seen = { 0 };
    int asked = 0;
    rille_revision old = swap(store, "old", NULL, 0);
    if (defer) {
        task.io.defer = always;
        task.io.defer_context = &asked;
    }
    CHECK_RC(run(&task, store, &seen), RILLE_NEED);
    CHECK_RC(run(&task, store, &seen), RILLE_NEED); /* nobody did anything */
    CHECK_EQ_INT(ri_task_wants(&task), 1);
    CHECK_EQ_INT(task.call.slot, RI_CALL_HEAD_READ);
    CHECK_RC(ri_task_fetch(&task, &test_err), 0);
    rille_revision other = swap(store, "other", &old, 0); /* what was read stays what was read */
    CHECK_RC(run(&task, store, &seen), RILLE_NEED);
    CHECK_RC(ri_task_fetch(&task, &test_err), 0);
    CHECK_RC(run(&task, store, &seen), RILLE_NEED);
    CHECK_EQ_MEM(seen.p, seen.len, "oldother", 8);
    CHECK_EQ_INT(task.call.slot, RI_CALL_HEAD_SWAP);
    CHECK_RC(ri_task_fetch(&task, &test_err), 0);
    CHECK_EQ_INT(ri_task_wants(&task), 0);
    CHECK_RC(run(&task, store, &seen), 0);
    CHECK_RC(run(&task, store, &seen), 0); /* it is done, once */
    swap(store, "late", &other, RILLE_CONFLICT);
    ri_task_forget(&task);
    CHECK_RC(run(&task, store, &seen), RILLE_NEED);
    ri_task_cancel(&task);
    CHECK_RC(run(&task, store, &seen), RILLE_CANCELLED);
    ri_task_deinit(&task);
    ri_buf_deinit(&seen);
    ri_store_release(store);
}

TEST(task__sees_the_same_in_each_run)
{
    check_far("deferred:mem:", false);
    check_far("mem:", true);
}

TEST(task__runs_at_once_where_storage_answers)
{
    ri_store *store = open_store("mem:");
    ri_task task = { 0 };
    ri_buf seen = { 0 };
    (void)swap(store, "old", NULL, 0);
    CHECK_RC(run(&task, store, &seen), 0);
    CHECK_EQ_MEM(seen.p, seen.len, "oldold", 6);
    ri_task_deinit(&task);
    ri_buf_deinit(&seen);
    ri_store_release(store);
}

TEST(task__takes_an_answer_of_the_host)
{
    ri_store *store = open_store("deferred:mem:");
    ri_task task = { 0 };
    ri_buf seen = { 0 };
    ri_answer answer = { .rc = RILLE_IO };
    (void)ri_fail(&answer.err, RILLE_IO, "no network");
    CHECK_RC(ri_task_supply(&task, &answer, &test_err), RILLE_MISUSE);
    (void)swap(store, "old", NULL, 0);
    CHECK_RC(run(&task, store, &seen), RILLE_NEED);
    answer = (ri_answer){ .rc = RILLE_IO };
    (void)ri_fail(&answer.err, RILLE_IO, "no network");
    CHECK_RC(ri_task_supply(&task, &answer, &test_err), 0);
    ri_store_release(store); /* the task holds what it waits for, whoever lets go of it */
    ri_store *again = task.held[0];
    CHECK_RC(run(&task, again, &seen), RILLE_IO);
    CHECK(strstr(test_err.message, "no network") != NULL);
    ri_task_deinit(&task);
    ri_buf_deinit(&seen);
}

static int run_to_the_end(void)
{
    ri_store *store = NULL;
    ri_store_options options = { .create = true };
    rille_head_swap to = { .branch = "main", .cell = (const uint8_t *)"old", .cell_len = 3 };
    rille_revision revision;
    int rc = ri_store_open("deferred:mem:", &options, &store, &test_err);
    if (rc == 0) {
        rc = ri_store_head_swap(store, &to, NULL, &revision, &test_err);
    }
    ri_task task = { 0 };
    ri_buf seen = { 0 };
    for (int i = 0; rc == 0 && i < 4; i++) {
        rc = run(&task, store, &seen);
        rc = rc == RILLE_NEED ? ri_task_fetch(&task, &test_err) : rc;
    }
    ri_task_deinit(&task);
    ri_buf_deinit(&seen);
    ri_store_release(store);
    return rc;
}

TEST(task__copes_without_memory)
{
    TEST_FAULT_SWEEP(run_to_the_end());
}

TEST_MAIN(task__sees_the_same_in_each_run, task__runs_at_once_where_storage_answers, task__takes_an_answer_of_the_host,
          task__copes_without_memory)
