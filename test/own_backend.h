/* SPDX-License-Identifier: MIT
 *
 * A backend of a program's own, by include/rille alone: lists in memory, found by the name of their place.
 */
#ifndef RILLE_TEST_OWN_BACKEND_H
#define RILLE_TEST_OWN_BACKEND_H

#include "rille/backend.h"

#include <stdio.h>
#include <string.h>

typedef struct own_item { /* an object by its id, or a head by its branch, kind 'h' */
    struct own_item *next;
    uint8_t kind;
    char key[64];
    size_t len;
    uint64_t revision;
    uint8_t bytes[];
} own_item;

typedef struct own_place {
    struct own_place *next;
    char name[256];
    own_item *items;
    unsigned handles;
    bool is_dropped;
} own_place;

static own_place *own_places;
static uint64_t own_revisions;

static inline int own_fail(rille_err *err, int code, const char *message)
{
    if (err != NULL) {
        err->code = code;
        (void)snprintf(err->message, sizeof err->message, "%s", message);
    }
    return code;
}

static inline own_item **own_find(own_place *place, uint8_t kind, const void *key, size_t key_len)
{
    own_item **at = &place->items;
    while (*at != NULL && ((*at)->kind != kind || memcmp((*at)->key, key, key_len) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static inline void own_remove(own_item **at)
{
    own_item *item = *at;
    *at = item->next;
    rille_free(item);
}

static inline own_item *own_set(own_place *place, uint8_t kind, const void *key, size_t key_len, const void *bytes,
                                size_t len)
{
    own_item *item = rille_alloc(sizeof *item + len);
    own_item **old = own_find(place, kind, key, key_len);
    if (item == NULL) {
        return NULL;
    }
    if (*old != NULL) {
        own_remove(old);
    }
    *item = (own_item){ place->items, kind, { 0 }, len, ++own_revisions };
    memcpy(item->key, key, key_len);
    memcpy(item->bytes, bytes, len);
    place->items = item;
    return item;
}

static inline bool own_copy(uint8_t **out, const uint8_t *bytes, size_t len)
{
    *out = rille_alloc(len + 1);
    if (*out != NULL) {
        memcpy(*out, bytes, len);
    }
    return *out != NULL;
}

static inline int own_get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    (void)err;
    for (rille_get *get = gets; get < gets + count; get++) {
        const own_item *item = *own_find(self, get->object.kind, get->object.id, RILLE_ID_SIZE);
        uint64_t left = item != NULL && get->offset <= item->len ? item->len - get->offset : 0;
        get->bytes = NULL;
        get->bytes_len = (size_t)(get->len == 0 ? left : get->len);
        get->rc = item == NULL ? RILLE_NOTFOUND : get->offset > item->len || get->len > left ? RILLE_CORRUPT : 0;
        if (get->rc == 0 && !own_copy(&get->bytes, item->bytes + get->offset, get->bytes_len)) {
            get->rc = RILLE_NOMEM;
        }
    }
    return 0;
}

static inline int own_put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (own_set(self, puts[i].object.kind, puts[i].object.id, RILLE_ID_SIZE, puts[i].bytes, puts[i].len) == NULL) {
            return own_fail(err, RILLE_NOMEM, "out of memory");
        }
    }
    return 0;
}

static inline rille_revision own_revision(const own_item *head)
{
    rille_revision revision = { { 0 } };
    memcpy(revision.bytes, head != NULL ? &head->revision : &(uint64_t){ 0 }, sizeof head->revision);
    return revision;
}

static inline int own_head_read(void *self, const char *branch, const rille_revision *known, rille_head *out,
                                rille_err *err)
{
    const own_item *head = *own_find(self, 'h', branch, strlen(branch) + 1);
    *out = (rille_head){ NULL, 0, own_revision(head) };
    if (head == NULL) {
        return own_fail(err, RILLE_NOTFOUND, "there is no head");
    }
    if (known != NULL && memcmp(known, &out->revision, sizeof *known) == 0) {
        return RILLE_DONE;
    }
    out->len = head->len;
    return own_copy(&out->bytes, head->bytes, head->len) ? 0 : own_fail(err, RILLE_NOMEM, "out of memory");
}

static inline int own_head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    const own_item *head = *own_find(self, 'h', swap->branch, strlen(swap->branch) + 1);
    rille_revision now = own_revision(head);
    if (memcmp(&now, &swap->expected, sizeof now) != 0) {
        return RILLE_CONFLICT;
    }
    if (((own_place *)self)->is_dropped) {
        return own_fail(err, RILLE_NOTFOUND, "the database was dropped");
    }
    if (head != NULL && swap->kept_len > head->len) {
        return own_fail(err, RILLE_MISUSE, "the head is shorter than what is to be kept of it");
    }
    int rc = own_put_many(self, swap->puts, swap->put_count, err);
    if (rc == 0) {
        head = own_set(self, 'h', swap->branch, strlen(swap->branch) + 1, swap->cell, swap->cell_len);
        rc = head == NULL ? own_fail(err, RILLE_NOMEM, "out of memory") : 0;
        *revision = own_revision(head);
    }
    return rc;
}

static inline int own_head_delete(void *self, const char *branch, rille_err *err)
{
    own_item **head = own_find(self, 'h', branch, strlen(branch) + 1);
    if (*head == NULL) {
        return own_fail(err, RILLE_NOTFOUND, "there is no head");
    }
    own_remove(head);
    return 0;
}

/* Keys of a kind, each in `size` bytes; size 0: as text, each with a zero behind it. */
static inline int own_keys(const own_place *place, uint8_t kind, size_t size, void **out, size_t *count, rille_err *err)
{
    size_t len = 0;
    char *to = NULL;
    *count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (const own_item *item = place->items; item != NULL; item = item->next) {
            size_t own = size == 0 ? strlen(item->key) + 1 : size;
            if (item->kind == kind && pass == 1) {
                to[0] = (char)kind; /* of a rille_object_id */
                memcpy(to + (size == 0 ? 0 : 1), item->key, size == 0 ? own : RILLE_ID_SIZE);
                to += own;
                *count += 1;
            }
            len += item->kind == kind && pass == 0 ? own : 0;
        }
        if (pass == 0 && (*out = to = rille_alloc(len + 1)) == NULL) {
            return own_fail(err, RILLE_NOMEM, "out of memory");
        }
    }
    return 0;
}

static inline int own_head_list(void *self, char **names, size_t *count, rille_err *err)
{
    void *keys;
    int rc = own_keys(self, 'h', 0, &keys, count, err);
    *names = keys;
    return rc;
}

static inline int own_list(void *self, rille_object_kind kind, rille_object_id **ids, size_t *count, rille_err *err)
{
    void *keys;
    int rc = own_keys(self, (uint8_t)kind, sizeof **ids, &keys, count, err);
    *ids = keys;
    return rc;
}

static inline int own_delete_many(void *self, const rille_object_id *ids, size_t count, rille_err *err)
{
    (void)err;
    for (size_t i = 0; i < count; i++) {
        own_item **at = own_find(self, ids[i].kind, ids[i].id, RILLE_ID_SIZE);
        if (*at != NULL) {
            own_remove(at);
        }
    }
    return 0;
}

static inline int own_drop(void *self, rille_err *err)
{
    own_place *place = self;
    (void)err;
    while (place->items != NULL) {
        own_remove(&place->items);
    }
    place->is_dropped = true;
    return 0;
}

static inline void own_close(void *self)
{
    own_place *place = self;
    place->handles--;
    for (own_place **at = &own_places; *at != NULL; at = &(*at)->next) {
        if (*at == place && place->is_dropped && place->handles == 0) {
            *at = place->next;
            rille_free(place);
            return;
        }
    }
}

static inline uint64_t own_size_bytes(void *self)
{
    uint64_t sum = 0;
    for (const own_item *item = ((own_place *)self)->items; item != NULL; item = item->next) {
        sum += item->len;
    }
    return sum;
}

static inline int own_open(const char *name, bool create, rille_backend *out, rille_err *err)
{
    static const rille_backend_ops ops = {
        .get_many = own_get_many,
        .put_many = own_put_many,
        .head_read = own_head_read,
        .head_swap = own_head_swap,
        .head_list = own_head_list,
        .head_delete = own_head_delete,
        .delete_many = own_delete_many,
        .list = own_list,
        .size_bytes = own_size_bytes,
        .drop = own_drop,
        .close = own_close,
    };
    own_place *place = own_places;
    while (place != NULL && (place->is_dropped || strcmp(place->name, name) != 0)) {
        place = place->next;
    }
    *out = (rille_backend){ 0 };
    if (place == NULL && !create) {
        return own_fail(err, RILLE_NOTFOUND, "there is no such place");
    }
    if (place == NULL) {
        place = rille_alloc(sizeof *place);
        if (place == NULL) {
            return own_fail(err, RILLE_NOMEM, "out of memory");
        }
        *place = (own_place){ .next = own_places };
        (void)snprintf(place->name, sizeof place->name, "%s", name);
        own_places = place;
    }
    place->handles++;
    *out = (rille_backend){ &ops, place, 0 };
    return 0;
}

#endif
