/* SPDX-License-Identifier: MIT */
#include "task.h"

#include "../base/mem.h"
#include "inside.h"

#include <string.h>

static RI_THREAD_LOCAL ri_task *running;

static void set_running(ri_task *task)
{
    running = task;
    ri_mem_set_steps(ri_task_may_pause() ? &task->trash : NULL);
}

ri_task *ri_task_running(void)
{
    return running != NULL && running->pauses_only ? NULL : running;
}

uint64_t ri_task_first(uint64_t number)
{
    if (running == NULL) {
        return number;
    }
    running->first = running->first == 0 ? number : running->first;
    return running->first;
}

void ri_task_random(uint8_t *bytes, size_t len)
{
    if (running == NULL) {
        ri_random_bytes(bytes, len);
        return;
    }
    RI_ASSERT(len <= sizeof running->random);
    if (!running->has_random) {
        ri_random_bytes(running->random, sizeof running->random);
        running->has_random = true;
    }
    memcpy(bytes, running->random, len);
}

void ri_task_return(ri_task *outer)
{
    set_running(outer);
}

/* Drops the answers from number `from` on. */
static void drop_answers(ri_task *task, size_t from)
{
    while (task->answer_count > from) {
        ri_answer_deinit(&task->answers[--task->answer_count]);
    }
}

void ri_task_keep(ri_task *task)
{
    drop_answers(task, 0);
    task->answer_next = 0;
    task->first = 0;
    task->has_random = false;
}

void ri_task_part(void)
{
    if (running != NULL) {
        ri_task_keep(running);
        ri_io_relieve(&running->io);
    }
}

/* ---- shared answers ---- */

static void drop_shared(ri_task *task)
{
    ri_shared_release(task->shared);
    task->shared = NULL;
}

void ri_task_share(ri_task *task, ri_shared *shared)
{
    RI_ASSERT(task->waits && task->call.slot == RI_CALL_HEAD_SWAP);
    ri_shared *own = ri_shared_retain(shared);
    drop_shared(task);
    task->shared = own;
}

bool ri_task_is_answered_elsewhere(const ri_task *task)
{
    return task->shared != NULL && ri_shared_is_over(task->shared);
}

/* A backend answers a shared call once: who is told of it then is no matter. */
static void abandon_call(ri_task *task)
{
    ri_answer answer;
    bool answered = task->shared != NULL && (ri_shared_is_over(task->shared) || ri_shared_take(task->shared, &answer));
    if (task->begun && !answered) {
        ri_store_cancel(&task->call);
    }
    task->begun = false;
}

void ri_task_withdraw(ri_task *task)
{
    abandon_call(task);
    drop_shared(task);
    ri_arena_deinit(&task->memory);
    task->waits = false;
    task->lacks = false;
}

void ri_task_forget(ri_task *task)
{
    ri_task_keep(task);
    ri_task_withdraw(task);
    ri_io_clear(&task->io);
    while (task->part_count > 0) {
        const ri_part *part = &task->parts[--task->part_count];
        part->release(part->state);
    }
    while (task->held_count > 0) {
        ri_store_release(task->held[--task->held_count]);
    }
    ri_store_release(task->opened);
    task->opened = NULL;
}

void ri_task_deinit(ri_task *task)
{
    ri_task_forget(task);
    (void)ri_trash_empty(&task->trash, SIZE_MAX);
    ri_free(task->answers);
    ri_free(task->held);
    ri_free(task->parts);
    task->answers = NULL;
    task->held = NULL;
    task->parts = NULL;
    task->answer_cap = task->held_cap = task->part_cap = 0;
    ri_io_deinit(&task->io);
}

void ri_task_cancel(ri_task *task)
{
    atomic_store_explicit(&task->cancelled, true, memory_order_relaxed);
}

/* ---- a run ---- */

static bool is_cancelled(const ri_task *task)
{
    return atomic_load_explicit(&task->cancelled, memory_order_relaxed);
}

static bool has_swapped(const ri_task *task)
{
    return task->answer_count > 0 && task->answers[task->answer_count - 1].slot == RI_CALL_HEAD_SWAP;
}

static void keep_supplied(ri_task *task, ri_answer *answer);

/* What another task got is the answer of this one, too. */
static void take_answer(ri_task *task)
{
    ri_answer answer;
    if (task->waits && task->shared != NULL && ri_shared_take(task->shared, &answer)) {
        keep_supplied(task, &answer);
    }
}

ri_task *ri_task_enter(ri_task *task)
{
    ri_task *outer = running;
    if (task != NULL) {
        ri_io_drop_supplied(&task->io);
        take_answer(task);
        task->lacks = task->waits || (is_cancelled(task) && !has_swapped(task));
        task->answer_next = 0;
        task->paused = false;
        task->work = task->looks = task->looks_min = 0;
    }
    set_running(task);
    return outer;
}

static bool hold(ri_task *task, ri_store *store)
{
    for (size_t i = 0; i < task->held_count; i++) {
        if (task->held[i] == store) {
            return true;
        }
    }
    if (store == NULL || !RI_GROW(&task->held, &task->held_cap, task->held_count + 1)) {
        return store == NULL;
    }
    task->held[task->held_count++] = ri_store_retain(store);
    return true;
}

static bool hold_stores(ri_task *task)
{
    bool good = !task->waits || hold(task, task->call.store);
    for (size_t i = 0; good && i < task->io.want_count; i++) {
        good = hold(task, task->io.wants[i].store);
    }
    return good;
}

static int go_on(rille_err *err)
{
    return ri_fail(err, RILLE_AGAIN, "the budget is exhausted");
}

int ri_task_leave(ri_task *task, ri_task *outer, int rc, rille_err *err)
{
    RI_ASSERT(running == task);
    set_running(outer);
    if (task != NULL && is_cancelled(task)) {
        ri_task_withdraw(task);
        ri_io_abandon(&task->io);
        return ri_fail(err, RILLE_CANCELLED, "the operation was cancelled");
    }
    if (task != NULL && task->failure.code != 0) {
        if (err != NULL) {
            *err = task->failure;
        }
        return task->failure.code;
    }
    if (task != NULL && (task->lacks || rc == RILLE_NEED)) {
        if (!hold_stores(task) && task->shared == NULL) { /* of what is shared, its owner holds the store */
            ri_task_forget(task);
            return ri_fail_nomem(err);
        }
        bool needs = !task->paused && ri_task_wants(task) > 0; /* the host may have got it without being asked */
        return needs ? ri_fail(err, RILLE_NEED, "storage must be read first") : go_on(err);
    }
    if (task != NULL && rc == RILLE_AGAIN) {
        ri_task_forget(task);
        return go_on(err);
    }
    return rc;
}

/* ---- pauses ---- */

void ri_task_set_budget(ri_task *task, uint64_t budget_us)
{
    task->ends_us = budget_us == 0 ? 0 : ri_clock_us() + budget_us;
}

static bool look(ri_task *task)
{
    task->work_max = task->work > task->work_max ? task->work : task->work_max;
    task->work = 0;
    if (is_cancelled(task)) {
        return true;
    }
    if (++task->looks < task->looks_min) {
        return false;
    }
    return task->interrupt != NULL ? task->interrupt(task->interrupt_context)
                                   : task->ends_us != 0 && ri_clock_us() >= task->ends_us;
}

#define TRASH_PORTION ((size_t)2 * RI_TASK_WORK)

bool ri_task_empty_trash(ri_task *task)
{
    bool may_pause = task->ends_us != 0 || task->interrupt != NULL;
    bool empty = ri_trash_empty(&task->trash, may_pause ? TRASH_PORTION : SIZE_MAX);
    while (!empty && !look(task)) {
        empty = ri_trash_empty(&task->trash, TRASH_PORTION);
    }
    return empty;
}

bool ri_task_spend(ri_task *task, size_t work)
{
    if (task->trash.first != NULL) {
        (void)ri_trash_empty(&task->trash, TRASH_PORTION);
    }
    task->work += work;
    bool looks = task->work >= RI_TASK_WORK || task->interrupt != NULL;
    if (!task->lacks && looks && look(task)) {
        task->paused = true;
        task->lacks = true;
    }
    return task->lacks;
}

bool ri_task_pause(size_t work)
{
    return running != NULL && ri_task_spend(running, work);
}

bool ri_task_may_pause(void)
{
    return running != NULL && (running->ends_us != 0 || running->interrupt != NULL);
}

bool ri_task_lacks(void)
{
    return running != NULL && running->lacks;
}

bool ri_task_lacks_time(void)
{
    return running != NULL && running->paused;
}

void ri_task_insist(uint64_t looks)
{
    if (running != NULL) {
        running->looks_min = looks;
    }
}

void *ri_task_take(void (*release)(void *state), uint64_t key)
{
    for (size_t i = 0; running != NULL && i < running->part_count; i++) {
        ri_part *part = &running->parts[i];
        if (part->release == release && part->key == key) {
            void *state = part->state;
            *part = running->parts[--running->part_count];
            return state;
        }
    }
    return NULL;
}

int ri_task_put(void *state, void (*release)(void *state), uint64_t key, rille_err *err)
{
    ri_task *task = running;
    if (task == NULL || !RI_GROW(&task->parts, &task->part_cap, task->part_count + 1)) {
        release(state);
        return task == NULL ? RILLE_NEED : ri_fail_nomem(err);
    }
    task->parts[task->part_count++] = (ri_part){ state, release, key };
    return RILLE_NEED;
}

/* ---- calls ---- */

/* Room for an answer comes before the call: what was done must not be lost for want of memory. */
static int make_room(ri_task *task, rille_err *err)
{
    return RI_GROW(&task->answers, &task->answer_cap, task->answer_count + 1) ? 0 : ri_fail_nomem(err);
}

/* Takes what the answer holds. */
static void keep_answer(ri_task *task, ri_answer *answer)
{
    RI_ASSERT(task->answer_count < task->answer_cap);
    task->answers[task->answer_count++] = *answer;
    *answer = (ri_answer){ 0 };
}

static int wait_for(ri_task *task, const ri_slot_call *call, rille_err *err)
{
    ri_arena_deinit(&task->memory);
    if (!ri_call_copy(&task->memory, call, &task->call)) {
        return ri_fail_nomem(err);
    }
    task->call.caller = task;
    task->waits = true;
    task->lacks = true;
    return RILLE_NEED;
}

static bool is_far(ri_task *task, const ri_store *store)
{
    return ri_store_has(store, RILLE_BACKEND_DEFERRED) ||
           (task->io.defer != NULL && task->io.defer(task->io.defer_context));
}

int ri_task_call(ri_task *task, const ri_slot_call *call, ri_answer *out, rille_err *err)
{
    if (task->lacks) {
        return RILLE_NEED;
    }
    uint64_t asked = ri_call_hash(call);
    if (task->answer_next < task->answer_count && task->answers[task->answer_next].asked != asked) {
        drop_answers(task, task->answer_next);
    }
    if (task->answer_next == task->answer_count) {
        RI_TRY(make_room(task, err));
        if (!call->is_kept && is_far(task, call->store)) {
            return wait_for(task, call, err);
        }
        ri_answer answer;
        (void)ri_store_call_now(call, true, &answer);
        answer.asked = asked;
        answer.slot = call->slot;
        keep_answer(task, &answer);
    }
    const ri_answer *answer = &task->answers[task->answer_next++];
    if (!ri_answer_copy(answer, out)) {
        return ri_fail_nomem(err);
    }
    if (err != NULL && out->rc < 0) {
        *err = out->err;
    }
    return out->rc;
}

/* The answer of the call that it waits for. */
static void keep_supplied(ri_task *task, ri_answer *answer)
{
    abandon_call(task); /* the host has the answer from elsewhere */
    if (task->shared != NULL) {
        ri_shared_give(task->shared, answer);
    }
    drop_shared(task);
    answer->asked = ri_call_hash(&task->call);
    answer->slot = task->call.slot;
    task->waits = false;
    ri_arena_deinit(&task->memory);
    keep_answer(task, answer);
}

/* ---- the host's side ---- */

size_t ri_task_wants(const ri_task *task)
{
    ri_answer answer;
    bool waits = task->waits &&
                 (task->shared == NULL || (!ri_shared_is_over(task->shared) && !ri_shared_take(task->shared, &answer)));
    return task->io.want_count + (waits ? 1 : 0);
}

/* A failure of the call is the next run's. */
static int get_answer(ri_task *task, bool waits, rille_err *err)
{
    ri_answer answer;
    if (ri_task_wants(task) == task->io.want_count) {
        return 0; /* others have the answer, which the next run takes, or need it no more */
    }
    int rc = ri_store_call_now(&task->call, waits, &answer);
    task->begun = rc == RILLE_NEED;
    return rc == RILLE_NEED ? rc : ri_task_supply(task, &answer, err);
}

int ri_task_fetch(ri_task *task, rille_err *err)
{
    RI_ASSERT(running != task);
    ri_task *outer = ri_task_enter(NULL); /* this waits, whoever asks for it */
    int rc = ri_io_fetch(&task->io, err);
    rc = rc == 0 && task->waits ? get_answer(task, true, err) : rc;
    return ri_task_leave(NULL, outer, rc, err);
}

int ri_task_poll(ri_task *task, rille_err *err)
{
    RI_ASSERT(running != task);
    ri_task *outer = ri_task_enter(NULL);
    int rc = ri_io_poll(&task->io, err);
    int call_rc = (rc == 0 || rc == RILLE_NEED) && task->waits ? get_answer(task, false, err) : 0;
    return ri_task_leave(NULL, outer, call_rc != 0 ? call_rc : rc, err);
}

int ri_task_supply(ri_task *task, ri_answer *answer, rille_err *err)
{
    if (!task->waits) {
        ri_answer_deinit(answer);
        return ri_fail(err, RILLE_MISUSE, "the operation does not wait for an answer");
    }
    keep_supplied(task, answer);
    return 0;
}
