/* SPDX-License-Identifier: MIT
 *
 * A task: an operation that a host drives in steps, of code that is written as if it could wait.
 *
 * A step runs that code from its beginning. Where it lacks something that the store cannot give at once, the run notes
 * it and ends with RILLE_NEED; everything on the way out is released, as after a failure. The host gets what is wanted,
 * and the next step runs the code again. Nodes and blobs that were read are pinned in the task; what calls of the
 * backend's other slots answered is given again as long as the same calls are made in the same order, so each run sees
 * the same answers and gets further, whatever the size of the cache. Nothing is kept between two steps but these: no lock, no stack.
 *
 * Once a run lacks something, it makes no more calls of the backend, also when the code passes over the failure.
 *
 * An operation that writes, or reads much, is several such pieces one after the other (ri_task_forget between them),
 * whose state is kept by who owns the task.
 *
 * PAUSES. A run may have a budget of time. Code that may take long does its work in units, and asks ri_task_pause after
 * each: true means that it lacks time, and it returns RILLE_NEED as where it lacks a node. What it has done so far must
 * then be kept, by whoever owns the operation or in the task (ri_task_put), for the next run to go on from there
 * (ri_task_take). So each run does at least what lies between two looks at the budget, and nothing is done twice.
 *
 * COST. A piece with n rounds of reading runs n + 1 times; it keeps what it reads. A unit costs an addition, a look at
 * the budget one at the clock.
 */
#ifndef RI_TASK_H
#define RI_TASK_H

#include "../base/arena.h"
#include "store.h"

typedef enum ri_slot_kind {
    RI_CALL_GET,
    RI_CALL_PUT,
    RI_CALL_HEAD_READ,
    RI_CALL_HEAD_SWAP,
    RI_CALL_HEAD_DELETE,
    RI_CALL_HEAD_LIST,
    RI_CALL_LIST,
    RI_CALL_DELETE,
    RI_CALL_DROP
} ri_slot_kind;

/* A call of a slot of the backend: what it is given. */
typedef struct ri_slot_call {
    ri_store *store;
    ri_slot_kind slot;
    const void *caller; /* as in ri_store_caller; NULL: one that waits for the answer */
    const char *branch;
    const rille_revision *known; /* HEAD_READ; may be NULL */
    bool is_kept;                /* HEAD_READ: of what the tier keeps */
    const rille_head_swap *swap; /* HEAD_SWAP */
    const rille_put *puts;       /* PUT */
    const rille_object_id *ids;  /* DELETE */
    rille_get *gets;             /* GET; they get the bytes */
    size_t count;                /* of puts, ids or gets */
    rille_object_kind kind;      /* LIST */
} ri_slot_call;

/* The same for hosts and backends; borrows from it. */
rille_want ri_slot_want(const ri_slot_call *call);
/* Tells the backend that a call which it has begun is not asked for again. */
void ri_store_cancel(const ri_slot_call *call);

/* What it gives; the bytes are the caller's. */
typedef struct ri_answer {
    int rc;
    rille_head head;      /* HEAD_READ; of HEAD_SWAP the revision */
    int64_t read_ms;      /* HEAD_READ of what is kept: since when */
    char *names;          /* HEAD_LIST */
    rille_object_id *ids; /* LIST */
    rille_get *gets;      /* GET, with their bytes */
    size_t count;         /* of names, ids or gets */
    uint64_t asked;       /* the call, as a hash: the task's, as is the next */
    ri_slot_kind slot;
    rille_err err;
} ri_answer;

/* What a paused run has done of one thing. */
typedef struct ri_part {
    void *state;
    void (*release)(void *state); /* which also tells of what kind it is */
    uint64_t key;
} ri_part;

/* Work between two looks at the budget, in units of about one byte read or written: less than a tenth of a millisecond,
 * where the memory is fast. */
#define RI_TASK_WORK (64U * 1024U)

/* The answer of a call that several tasks wait for, which is asked once: what one of them gets, all have. Internally
 * locked. */
typedef struct ri_shared ri_shared;
ri_shared *ri_shared_new(void); /* NULL: no memory */
ri_shared *ri_shared_retain(ri_shared *shared);
void ri_shared_release(ri_shared *shared);
/* It is not waited for any more: its tasks may run. */
void ri_shared_end(ri_shared *shared);

typedef struct ri_task {
    ri_io io;          /* what was read, and what is to be read */
    bool lacks;        /* the run at hand does */
    bool paused;       /* ... time */
    bool pauses_only;  /* a query's: it has a budget and parts, but calls, answers and pins are not its own */
    uint64_t ends_us;  /* its budget; 0: none */
    uint64_t work;     /* since its last look at it */
    uint64_t work_max; /* the most between two looks, in all runs */
    uint64_t looks;
    uint64_t looks_min; /* before it pauses */
    ri_trash trash;     /* memory that was given back; a portion is freed in each unit */
    /* For tests, NULL otherwise: asked after each unit, in place of a look at the clock after several. */
    bool (*interrupt)(void *context);
    void *interrupt_context;
    ri_part *parts;
    size_t part_count;
    size_t part_cap;
    bool waits;        /* for `call`, in `memory` */
    bool begun;        /* ... which the backend has begun */
    ri_shared *shared; /* ... and whose answer others wait for, too; or NULL */
    ri_store *opened;  /* by this piece */
    ri_store **held;   /* what is wanted is read from these, whoever lets go of them meanwhile */
    size_t held_count;
    size_t held_cap;
    ri_slot_call call;
    ri_arena memory;
    uint64_t first; /* ri_task_first; 0: none yet */
    uint8_t random[16];
    bool has_random;
    ri_answer *answers; /* of this piece, in the order of their calls */
    size_t answer_count;
    size_t answer_cap;
    size_t answer_next;
    rille_err failure; /* of the host, to get what is wanted; code 0: none */
    atomic_bool cancelled;
} ri_task; /* all zero is a fresh one */

void ri_task_deinit(ri_task *task);
/* A piece of it is done: pins and answers are dropped. */
void ri_task_forget(ri_task *task);
/* While it waits for a call: a piece ends before that call, and the next one begins with its answer. */
void ri_task_keep(ri_task *task);
/* A part of the piece that is running is done, and kept elsewhere: its answers, and pins that are too many, are dropped. */
void ri_task_part(void);
/* The call that a run waits for is not made after all, and the run may fail. */
void ri_task_withdraw(ri_task *task);
/* The call that the running task waits for is also that of others. */
void ri_task_share(ri_task *task, ri_shared *shared);
/* Does it wait for a shared answer that nobody needs any more? Then it may withdraw. */
bool ri_task_is_answered_elsewhere(const ri_task *task);
/* From any thread: every later step gives RILLE_CANCELLED, and makes no more calls of the backend. One that has the
 * outcome of a swap of the head ends with it, though: its owner says whether that is too late. */
void ri_task_cancel(ri_task *task);

/* The next run's. 0: it does not pause. */
void ri_task_set_budget(ri_task *task, uint64_t budget_us);
/* Around a run, in the thread that makes it. enter gives what was running there before; task NULL: the code between
 * waits. leave gives rc, RILLE_NEED, RILLE_AGAIN or RILLE_CANCELLED, and then what the code gave is to be released.
 * RILLE_AGAIN, with a message: the run paused, or (rc) its piece has ended. */
ri_task *ri_task_enter(ri_task *task);
int ri_task_leave(ri_task *task, ri_task *outer, int rc, rille_err *err);
/* The one that is running in this thread, or NULL; one that only pauses does not count. */
ri_task *ri_task_running(void);
/* Where a task is running, the number that was given here first in this piece: what was known when its first call was
 * answered, which others may know better by now. */
uint64_t ri_task_first(uint64_t number);
/* Random bytes, 16 at most: in a task, the same in each run of a piece. */
void ri_task_random(uint8_t *bytes, size_t len);
/* After a jump out of a run: as enter had found it. */
void ri_task_return(ri_task *outer);

/* ---- pauses ---- */

/* Counts work that was done and is kept. True: the run must not do more, and returns RILLE_NEED. */
bool ri_task_pause(size_t work);
/* The same for a task that is not running, while the host's code is. */
bool ri_task_spend(ri_task *task, size_t work);
/* Is there anything that may make this run pause? */
bool ri_task_may_pause(void);
/* Frees what was given back, until there is no more time. False: some is left. */
bool ri_task_empty_trash(ri_task *task);
/* Does it lack something? Then what it does further is for nothing, but asking for more. */
bool ri_task_lacks(void);
/* ... time? */
bool ri_task_lacks_time(void);
/* This run does not pause before so many looks at its budget. */
void ri_task_insist(uint64_t looks);
/* The state that an earlier run has put, or NULL. It is the caller's until it is put again. */
void *ri_task_take(void (*release)(void *state), uint64_t key);
/* Keeps a state for the next run: RILLE_NEED. Where no task is running, or no memory is left, it is released. */
int ri_task_put(void *state, void (*release)(void *state), uint64_t key, rille_err *err);

/* ---- the host's side ---- */

/* How many things are wanted now: ranges to read (ri_io_request of task->io), then the call, if it waits. */
size_t ri_task_wants(const ri_task *task);
/* Does what is wanted, blocking. */
int ri_task_fetch(ri_task *task, rille_err *err);
/* Begins it, or takes what is there, without waiting: RILLE_NEED while something is under way. */
int ri_task_poll(ri_task *task, rille_err *err);
/* Until something that was begun may be there, or after timeout_ms; at once where the backend cannot wait. */
void ri_store_wait(ri_store *store, uint64_t timeout_ms);
/* The answer of the call, for hosts that make it themselves. What it holds is the task's from now on. */
int ri_task_supply(ri_task *task, ri_answer *answer, rille_err *err);
void ri_answer_deinit(ri_answer *answer);

#endif
