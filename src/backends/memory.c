/* SPDX-License-Identifier: MIT
 *
 * mem:NAME - a database in this process's memory, shared by name. It lives until it is dropped or the process ends,
 * so that a script can open it again. mem: without a name belongs to its handle alone.
 *
 * Objects are chained in a hash table by id (by a keyed hash); heads are a list, since there are few. One lock
 * a database; the registry has one of its own, taken before it.
 *
 * (N1) A revision is a number that the database gives once: it starts at 1 and never repeats.
 * (N2) A dropped database is out of the registry, empty, and takes no writes.
 */
#include "../core/base/bytes.h"
#include "../core/base/err.h"
#include "../core/base/hash.h"
#include "../core/base/mem.h"
#include "../core/base/sync.h"
#include "../core/store/backends.h"

#include <string.h>

typedef struct memory_object {
    struct memory_object *next;
    rille_object_id id;
    uint64_t put_us; /* ri_clock_us */
    size_t len;
    uint8_t bytes[];
} memory_object;

typedef struct memory_head {
    struct memory_head *next;
    uint8_t *cell;
    size_t len;
    size_t cap;
    uint64_t revision;
    char branch[];
} memory_head;

typedef struct memory_db {
    struct memory_db *next; /* in the registry */
    size_t handle_count;    /* under the registry's lock */
    bool registered;
    ri_mutex lock; /* of what follows */
    memory_object **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    size_t object_count;
    memory_head *heads;
    uint64_t last_revision;
    uint64_t bytes;
    bool dropped;
    char name[];
} memory_db;

static struct {
    ri_mutex lock;
    memory_db *first;
} registry = { RI_MUTEX_INIT, NULL };

/* ---- objects ---- */

static size_t bucket_of(const memory_db *db, const rille_object_id *id)
{
    return (size_t)ri_keyed_word(ri_load_u64(id->id) + id->kind) & (db->bucket_count - 1);
}

/* The link that leads to the object, or the last link of its chain (*link NULL). NULL: there are no buckets yet. */
static memory_object **find_object(const memory_db *db, const rille_object_id *id)
{
    if (db->bucket_count == 0) {
        return NULL;
    }
    memory_object **link = &db->buckets[bucket_of(db, id)];
    while (*link != NULL && ((*link)->id.kind != id->kind || memcmp((*link)->id.id, id->id, RILLE_ID_SIZE) != 0)) {
        link = &(*link)->next;
    }
    return link;
}

static bool grow_buckets(memory_db *db)
{
    if (db->object_count < db->bucket_count) {
        return true;
    }
    memory_db bigger = { .bucket_count = db->bucket_count == 0 ? 64 : db->bucket_count * 2 };
    size_t size;
    if (!ri_mul_size(bigger.bucket_count, sizeof(memory_object *), &size) ||
        (bigger.buckets = ri_alloc_zero(size)) == NULL) {
        return db->bucket_count > 0; /* longer chains will do */
    }
    for (size_t i = 0; i < db->bucket_count; i++) {
        while (db->buckets[i] != NULL) {
            memory_object *object = db->buckets[i];
            memory_object **to = &bigger.buckets[bucket_of(&bigger, &object->id)];
            db->buckets[i] = object->next;
            object->next = *to;
            *to = object;
        }
    }
    ri_free(db->buckets);
    db->buckets = bigger.buckets;
    db->bucket_count = bigger.bucket_count;
    return true;
}

static int put_object(memory_db *db, const rille_put *put, rille_err *err)
{
    if (!grow_buckets(db)) {
        return ri_fail_nomem(err);
    }
    memory_object **link = find_object(db, &put->object);
    if (*link != NULL) {
        return RILLE_OK;
    }
    memory_object *object = put->len > SIZE_MAX - sizeof *object ? NULL : ri_alloc(sizeof *object + put->len);
    if (object == NULL) {
        return ri_fail_nomem(err);
    }
    object->next = NULL;
    object->id = put->object;
    object->put_us = ri_clock_us();
    object->len = put->len;
    if (put->len > 0) {
        memcpy(object->bytes, put->bytes, put->len);
    }
    *link = object;
    db->object_count++;
    db->bytes += put->len;
    return RILLE_OK;
}

static int put_objects(memory_db *db, const rille_put *puts, size_t count, rille_err *err)
{
    for (size_t i = 0; i < count; i++) {
        RI_TRY(put_object(db, &puts[i], err));
    }
    return RILLE_OK;
}

static int get_range(const memory_db *db, rille_get *get)
{
    memory_object **link = find_object(db, &get->object);
    if (link == NULL || *link == NULL) {
        return RILLE_NOTFOUND;
    }
    const memory_object *object = *link;
    if (get->offset > object->len || object->len - get->offset < get->len) {
        return RILLE_CORRUPT;
    }
    size_t len = get->len == 0 ? object->len - (size_t)get->offset : (size_t)get->len;
    get->bytes = ri_alloc(len);
    if (get->bytes == NULL) {
        return RILLE_NOMEM;
    }
    if (len > 0) {
        memcpy(get->bytes, object->bytes + get->offset, len);
    }
    get->bytes_len = len;
    return RILLE_OK;
}

static int memory_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    memory_db *db = self;
    (void)err;
    ri_mutex_lock(&db->lock);
    for (size_t i = 0; i < count; i++) {
        gets[i].bytes = NULL;
        gets[i].bytes_len = 0;
        gets[i].rc = get_range(db, &gets[i]);
    }
    ri_mutex_unlock(&db->lock);
    return RILLE_OK;
}

static int fail_dropped(const memory_db *db, rille_err *err)
{
    return ri_fail(err, RILLE_NOTFOUND, "mem:%s: the database was dropped", db->name);
}

static int memory_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    memory_db *db = self;
    ri_mutex_lock(&db->lock);
    int rc = db->dropped ? fail_dropped(db, err) : put_objects(db, puts, count, err);
    ri_mutex_unlock(&db->lock);
    return rc;
}

static int list_objects(const memory_db *db, rille_object_kind kind, rille_object_id **ids, size_t *count,
                        rille_err *err)
{
    rille_object_id *all = ri_alloc_array(db->object_count, sizeof *all);
    if (all == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < db->bucket_count; i++) {
        for (const memory_object *object = db->buckets[i]; object != NULL; object = object->next) {
            if (object->id.kind == kind) {
                all[(*count)++] = object->id;
            }
        }
    }
    *ids = all;
    return RILLE_OK;
}

static int memory_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    memory_db *db = self;
    *ids = NULL;
    *count = 0;
    ri_mutex_lock(&db->lock);
    int rc = list_objects(db, kind, ids, count, err);
    ri_mutex_unlock(&db->lock);
    return rc;
}

static int memory_ages(void *self, const rille_object_id *ids, size_t count, int64_t *ages_ms, rille_err *err)
{
    memory_db *db = self;
    uint64_t now_us = ri_clock_us();
    (void)err;
    ri_mutex_lock(&db->lock);
    for (size_t i = 0; i < count; i++) {
        const memory_object *object = *find_object(db, &ids[i]);
        ages_ms[i] = object == NULL ? -1 : (int64_t)((now_us - object->put_us) / 1000);
    }
    ri_mutex_unlock(&db->lock);
    return RILLE_OK;
}

static int memory_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    memory_db *db = self;
    (void)err;
    ri_mutex_lock(&db->lock);
    for (size_t i = 0; i < count; i++) {
        memory_object **link = find_object(db, &ids[i]);
        if (link != NULL && *link != NULL) {
            memory_object *object = *link;
            *link = object->next;
            db->object_count--;
            db->bytes -= object->len;
            ri_free(object);
        }
    }
    ri_mutex_unlock(&db->lock);
    return RILLE_OK;
}

/* ---- heads ---- */

static memory_head **find_head(memory_db *db, const char *branch)
{
    memory_head **link = &db->heads;
    while (*link != NULL && strcmp((*link)->branch, branch) != 0) {
        link = &(*link)->next;
    }
    return link;
}

static rille_revision revision_of(uint64_t number)
{
    rille_revision revision = { { 0 } };
    ri_store_u64(revision.bytes, number);
    return revision;
}

static int read_head(memory_db *db, const char *branch, const rille_revision *known, rille_head *out, rille_err *err)
{
    const memory_head *head = *find_head(db, branch);
    if (head == NULL) {
        return ri_fail(err, RILLE_NOTFOUND, "mem:%s: there is no branch \"%s\"", db->name, branch);
    }
    rille_revision revision = revision_of(head->revision);
    if (known != NULL && memcmp(known, &revision, sizeof revision) == 0) {
        return RILLE_DONE;
    }
    out->bytes = ri_alloc(head->len);
    if (out->bytes == NULL) {
        return ri_fail_nomem(err);
    }
    if (head->len > 0) {
        memcpy(out->bytes, head->cell, head->len);
    }
    out->len = head->len;
    out->revision = revision;
    return RILLE_OK;
}

static int memory_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out,
                            rille_err *err)
{
    memory_db *db = self;
    *out = (rille_head){ 0 };
    ri_mutex_lock(&db->lock);
    int rc = read_head(db, branch, known, out, err);
    ri_mutex_unlock(&db->lock);
    return rc;
}

/* Finds the head or makes an empty one, which is not in the list yet. */
static int reach_head(memory_db *db, const char *branch, memory_head **out, rille_err *err)
{
    *out = *find_head(db, branch);
    if (*out == NULL) {
        size_t len = strlen(branch);
        memory_head *head = ri_alloc_zero(sizeof *head + len + 1);
        if (head == NULL) {
            return ri_fail_nomem(err);
        }
        memcpy(head->branch, branch, len + 1);
        *out = head;
    }
    return RILLE_OK;
}

static int write_head(memory_db *db, memory_head *head, const rille_head_swap *swap, rille_err *err)
{
    size_t kept = swap->kept_len;
    if (kept > head->len || kept > swap->cell_len) {
        return ri_fail(err, RILLE_MISUSE, "mem:%s: cannot keep %zu bytes of a branch head of %zu bytes", db->name, kept,
                       head->len);
    }
    if (!RI_GROW(&head->cell, &head->cap, swap->cell_len)) {
        return ri_fail_nomem(err);
    }
    RI_TRY(put_objects(db, swap->puts, swap->put_count, err));
    if (swap->cell_len > kept) {
        memcpy(head->cell + kept, swap->cell + kept, swap->cell_len - kept);
    }
    db->bytes += swap->cell_len;
    db->bytes -= head->len;
    head->len = swap->cell_len;
    head->revision = ++db->last_revision;
    return RILLE_OK;
}

static int swap_head(memory_db *db, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    if (db->dropped) {
        return fail_dropped(db, err);
    }
    const memory_head *now = *find_head(db, swap->branch);
    rille_revision found = revision_of(now == NULL ? 0 : now->revision);
    if (memcmp(&found, &swap->expected, sizeof found) != 0) {
        return RILLE_CONFLICT;
    }
    memory_head *head;
    RI_TRY(reach_head(db, swap->branch, &head, err));
    int rc = write_head(db, head, swap, err);
    if (now == NULL && rc != RILLE_OK) {
        ri_free(head->cell);
        ri_free(head);
        return rc;
    }
    if (now == NULL) {
        head->next = db->heads;
        db->heads = head;
    }
    if (rc == RILLE_OK) {
        *revision = revision_of(head->revision);
    }
    return rc;
}

static int memory_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    memory_db *db = self;
    *revision = (rille_revision){ { 0 } };
    ri_mutex_lock(&db->lock);
    int rc = swap_head(db, swap, revision, err);
    ri_mutex_unlock(&db->lock);
    return rc;
}

static void free_head(memory_db *db, memory_head **link)
{
    memory_head *head = *link;
    *link = head->next;
    db->bytes -= head->len;
    ri_free(head->cell);
    ri_free(head);
}

static int memory_head_delete(void *self, const char *branch, rille_err *err)
{
    memory_db *db = self;
    ri_mutex_lock(&db->lock);
    memory_head **link = find_head(db, branch);
    int rc = RILLE_OK;
    if (*link == NULL) {
        rc = ri_fail(err, RILLE_NOTFOUND, "mem:%s: there is no branch \"%s\"", db->name, branch);
    } else {
        free_head(db, link);
    }
    ri_mutex_unlock(&db->lock);
    return rc;
}

static int list_heads(const memory_db *db, char **names, size_t *count, rille_err *err)
{
    size_t len = 0;
    for (const memory_head *head = db->heads; head != NULL; head = head->next) {
        len += strlen(head->branch) + 1;
    }
    char *all = ri_alloc(len);
    if (all == NULL) {
        return ri_fail_nomem(err);
    }
    size_t at = 0;
    for (const memory_head *head = db->heads; head != NULL; head = head->next) {
        size_t size = strlen(head->branch) + 1;
        memcpy(all + at, head->branch, size);
        at += size;
        (*count)++;
    }
    *names = all;
    return RILLE_OK;
}

static int memory_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    memory_db *db = self;
    *names = NULL;
    *count = 0;
    ri_mutex_lock(&db->lock);
    int rc = list_heads(db, names, count, err);
    ri_mutex_unlock(&db->lock);
    return rc;
}

/* ---- databases ---- */

static void empty_db(memory_db *db)
{
    for (size_t i = 0; i < db->bucket_count; i++) {
        while (db->buckets[i] != NULL) {
            memory_object *object = db->buckets[i];
            db->buckets[i] = object->next;
            ri_free(object);
        }
    }
    while (db->heads != NULL) {
        free_head(db, &db->heads);
    }
    ri_free(db->buckets);
    db->buckets = NULL;
    db->bucket_count = 0;
    db->object_count = 0;
    db->bytes = 0;
}

static void free_db(memory_db *db)
{
    empty_db(db);
    ri_mutex_deinit(&db->lock);
    ri_free(db);
}

static int memory_drop(void *self, rille_err *err)
{
    memory_db *db = self;
    (void)err;
    ri_mutex_lock(&registry.lock);
    for (memory_db **link = &registry.first; *link != NULL; link = &(*link)->next) {
        if (*link == db) {
            *link = db->next;
            break;
        }
    }
    db->registered = false;
    ri_mutex_unlock(&registry.lock);
    ri_mutex_lock(&db->lock);
    db->dropped = true;
    empty_db(db);
    ri_mutex_unlock(&db->lock);
    return RILLE_OK;
}

static void memory_close(void *self)
{
    memory_db *db = self;
    ri_mutex_lock(&registry.lock);
    bool last = --db->handle_count == 0 && !db->registered;
    ri_mutex_unlock(&registry.lock);
    if (last) {
        free_db(db);
    }
}

static uint64_t memory_size_bytes(void *self)
{
    memory_db *db = self;
    ri_mutex_lock(&db->lock);
    uint64_t bytes = db->bytes;
    ri_mutex_unlock(&db->lock);
    return bytes;
}

static const rille_backend_ops memory_ops = {
    .get_many = memory_get_many,
    .put_many = memory_put_many,
    .head_read = memory_head_read,
    .head_swap = memory_head_swap,
    .head_delete = memory_head_delete,
    .head_list = memory_head_list,
    .list = memory_list,
    .ages = memory_ages,
    .delete_many = memory_delete_many,
    .drop = memory_drop,
    .close = memory_close,
    .size_bytes = memory_size_bytes,
};

static memory_db *new_db(const char *name)
{
    size_t len = strlen(name);
    memory_db *db = ri_alloc_zero(sizeof *db + len + 1);
    if (db != NULL) {
        memcpy(db->name, name, len + 1);
        ri_mutex_init(&db->lock);
    }
    return db;
}

/* Under the registry's lock. */
static int reach_db(const char *name, bool create, memory_db **out, rille_err *err)
{
    bool is_private = *name == '\0';
    for (memory_db *db = registry.first; db != NULL && !is_private; db = db->next) {
        if (strcmp(db->name, name) == 0) {
            *out = db;
            return RILLE_OK;
        }
    }
    if (!create && !is_private) {
        return ri_fail(err, RILLE_NOTFOUND, "mem:%s: there is no database of that name in this process", name);
    }
    memory_db *db = new_db(name);
    if (db == NULL) {
        return ri_fail_nomem(err);
    }
    if (!is_private) {
        db->registered = true;
        db->next = registry.first;
        registry.first = db;
    }
    *out = db;
    return RILLE_OK;
}

int ri_backend_memory_open(const char *place, bool create, rille_backend *out, rille_err *err)
{
    memory_db *db = NULL;
    *out = (rille_backend){ 0 };
    ri_mutex_lock(&registry.lock);
    int rc = reach_db(place, create, &db, err);
    if (rc == RILLE_OK) {
        db->handle_count++;
    }
    ri_mutex_unlock(&registry.lock);
    if (rc == RILLE_OK) {
        *out =
            (rille_backend){ &memory_ops, db,
                             RILLE_BACKEND_ROWS | RILLE_BACKEND_TRUSTED | RILLE_BACKEND_THREADS | RILLE_BACKEND_PLAIN };
    }
    return rc;
}
