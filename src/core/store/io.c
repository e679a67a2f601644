/* SPDX-License-Identifier: MIT
 *
 * What one operation wants and holds. Pins are a hash table by the object's key, by a keyed hash of its first bytes; wants are a list, since there are few between two rounds.
 *
 * (N1) Between two rounds a want is in the list once.
 * (N2) Wants that were supplied have no store; they leave the list when the next want comes or at the next fetch.
 * (N3) A call of the backend that was begun is asked for again, with the same wants, or cancelled.
 */
#include "io.h"

#include "../base/mem.h"
#include "host.h"
#include "inside.h"

#define DOUBTS_MAX 4096 /* then storage is damaged, not what came from it */

static uint64_t mix_pointer(const void *bytes, size_t len)
{
    uint64_t x = 0;
    memcpy(&x, bytes, len < sizeof x ? len : sizeof x);
    return ri_mix64(x);
}

/* The last 8 bytes of the key tell apart, the first 8 stay random. */
static void mix_into(uint8_t key[RI_KEY_SIZE], uint64_t x)
{
    ri_store_u64(key + RI_KEY_SIZE - 8, ri_load_u64(key + RI_KEY_SIZE - 8) ^ x);
}

void ri_object_key(uint8_t key[RI_KEY_SIZE], const uint8_t addr[RI_HASH_SIZE], ri_decode_fn decode)
{
    memcpy(key, addr, RI_KEY_SIZE);
    if (decode != NULL) {
        mix_into(key, mix_pointer(&decode, sizeof decode));
    }
}

void ri_region_key(uint8_t key[RI_KEY_SIZE], const ri_noderef *region, ri_decode_fn decode)
{
    ri_object_key(key, region->pack, decode);
    mix_into(key, ri_mix64(region->offset + 1));
}

void ri_want_key(uint8_t key[RI_KEY_SIZE], const ri_want *want)
{
    if (ri_addr_is_zero(want->ref.addr)) {
        ri_region_key(key, &want->ref, want->decode);
    } else {
        ri_object_key(key, want->ref.addr, want->decode);
    }
}

/* Locators inside an object are those of one store. */
static void pin_key(uint8_t out[RI_KEY_SIZE], const ri_store *store, const uint8_t key[RI_KEY_SIZE])
{
    memcpy(out, key, RI_KEY_SIZE);
    mix_into(out, mix_pointer(&store, sizeof store));
}

/* The place of the key, or the free place where it belongs. pin_cap > 0 and not full. */
static struct ri_pin *find_pin(struct ri_pin *pins, size_t cap, const uint8_t key[RI_KEY_SIZE])
{
    size_t i = (size_t)ri_keyed_word(ri_load_u64(key)) & (cap - 1);
    while (pins[i].object != NULL && memcmp(pins[i].addr, key, RI_KEY_SIZE) != 0) {
        i = (i + 1) & (cap - 1);
    }
    return &pins[i];
}

ri_object *ri_io_pinned(const ri_io *io, const ri_store *store, const uint8_t key[RI_KEY_SIZE])
{
    if (io->pin_count == 0) {
        return NULL;
    }
    uint8_t own[RI_KEY_SIZE];
    pin_key(own, store, key);
    ri_object *object = find_pin(io->pins, io->pin_cap, own)->object;
    if (object != NULL) {
        ri_object_take(object);
    }
    return object;
}

static bool grow_pins(ri_io *io)
{
    size_t cap = io->pin_cap == 0 ? 16 : io->pin_cap * 2;
    size_t size;
    struct ri_pin *pins;
    if (!ri_mul_size(cap, sizeof *pins, &size) || (pins = ri_alloc_zero(size)) == NULL) {
        return false;
    }
    for (size_t i = 0; i < io->pin_cap; i++) {
        if (io->pins[i].object != NULL) {
            *find_pin(pins, cap, io->pins[i].addr) = io->pins[i];
        }
    }
    ri_free(io->pins);
    io->pins = pins;
    io->pin_cap = cap;
    return true;
}

static int pin_as(ri_io *io, const uint8_t own[RI_KEY_SIZE], ri_object *object, rille_err *err)
{
    if ((io->pin_count + 1) * 4 > io->pin_cap * 3 && !grow_pins(io)) {
        return ri_fail_nomem(err);
    }
    struct ri_pin *pin = find_pin(io->pins, io->pin_cap, own);
    if (pin->object == NULL) {
        memcpy(pin->addr, own, RI_KEY_SIZE);
        pin->object = object;
        ri_object_take(object);
        io->pin_count++;
        io->pin_bytes += object->mem_bytes;
    }
    return RILLE_OK;
}

int ri_io_pin(ri_io *io, const ri_store *store, const uint8_t key[RI_KEY_SIZE], ri_object *object, rille_err *err)
{
    uint8_t own[RI_KEY_SIZE];
    pin_key(own, store, key);
    return pin_as(io, own, object, err);
}

bool ri_io_asks(const ri_io *io)
{
    const ri_task *task = io != NULL ? ri_task_running() : NULL;
    io = task != NULL ? &task->io : io;
    return io != NULL && io->defer != NULL;
}

void ri_io_drop_supplied(ri_io *io)
{
    size_t kept = 0;
    for (size_t i = 0; i < io->want_count; i++) {
        if (io->wants[i].store != NULL) {
            io->wants[kept++] = io->wants[i];
        }
    }
    io->want_count = kept;
    io->supplied_count = 0;
}

static bool same_want(const ri_want *want, const ri_store *store, const ri_noderef *ref, ri_decode_fn decode)
{
    return want->store == store && want->decode == decode && memcmp(want->ref.addr, ref->addr, RI_HASH_SIZE) == 0 &&
           (!ri_addr_is_zero(ref->addr) ||
            (memcmp(want->ref.pack, ref->pack, RI_HASH_SIZE) == 0 && want->ref.offset == ref->offset));
}

int ri_io_want(ri_io *io, ri_store *store, const ri_noderef *ref, ri_decode_fn decode, bool ahead, rille_err *err)
{
    if (io->supplied_count > 0) {
        ri_io_drop_supplied(io);
    }
    for (size_t i = io->want_count; i-- > 0;) {
        if (same_want(&io->wants[i], store, ref, decode)) {
            io->wants[i].ahead = io->wants[i].ahead && ahead;
            return RILLE_NEED;
        }
    }
    if (!RI_GROW(&io->wants, &io->want_cap, io->want_count + 1)) {
        return ri_fail_nomem(err);
    }
    io->wants[io->want_count++] = (ri_want){ store, *ref, decode, ahead };
    io->want_bytes += ref->len;
    return RILLE_NEED;
}

static void forget_wants(ri_io *io)
{
    io->want_count = 0;
    io->want_bytes = 0;
}

bool ri_io_is_full(const ri_io *io)
{
    const ri_task *task = ri_task_running();
    io = task != NULL ? &task->io : io;
    return io->want_count >= RI_IO_WANTS_MAX || io->want_bytes >= RI_IO_AHEAD_BYTES;
}

void ri_io_unpin(ri_io *io)
{
    if (io->pin_count > 0) {
        for (size_t i = 0; i < io->pin_cap; i++) {
            ri_object_release(io->pins[i].object);
            io->pins[i].object = NULL;
        }
    }
    io->pin_count = 0;
    io->pin_bytes = 0;
}

void ri_io_relieve(ri_io *io)
{
    if (io->pin_bytes > RI_IO_PIN_BYTES) {
        ri_io_unpin(io);
    }
}

static void end_call(ri_io *io)
{
    ri_store_release(io->begun);
    io->begun = NULL;
    io->begun_count = 0;
}

void ri_io_abandon(ri_io *io)
{
    if (io->begun != NULL) {
        for (size_t i = 0; i < io->begun_count; i++) { /* there was room for them when it began */
            io->gets[i] = ri_store_request(&io->wants[i]);
        }
        ri_slot_call call = { .store = io->begun, .slot = RI_CALL_GET, .gets = io->gets, .count = io->begun_count };
        ri_store_cancel(&call);
        end_call(io);
    }
}

void ri_io_clear(ri_io *io)
{
    ri_io_abandon(io);
    ri_io_unpin(io);
    ri_io_drop_arrivals(io);
    ri_buf_deinit(&io->doubts);
    io->at_once = false;
    forget_wants(io);
    io->supplied_count = 0;
    io->spent_count = 0;
}

int ri_io_doubt(ri_io *io, const ri_want *want, rille_err *err)
{
    uint8_t key[RI_KEY_SIZE];
    uint8_t own[RI_KEY_SIZE];
    ri_want_key(key, want);
    pin_key(own, want->store, key);
    for (size_t at = 0; at < io->doubts.len; at += RI_KEY_SIZE) {
        if (memcmp(io->doubts.p + at, own, RI_KEY_SIZE) == 0) {
            return RILLE_CORRUPT;
        }
    }
    if (io->doubts.len >= (size_t)DOUBTS_MAX * RI_KEY_SIZE) {
        return RILLE_CORRUPT;
    }
    ri_buf_put(&io->doubts, own, RI_KEY_SIZE);
    return io->doubts.failed ? ri_fail_nomem(err) : RILLE_OK;
}

int ri_io_keep(ri_io *io, rille_err *err)
{
    ri_task *task = ri_task_running();
    ri_io *from = task == NULL ? io : &task->io;
    for (size_t i = 0; from != io && i < from->pin_cap; i++) {
        if (from->pins[i].object != NULL) {
            RI_TRY(pin_as(io, from->pins[i].addr, from->pins[i].object, err));
        }
    }
    return RILLE_OK;
}

void ri_io_deinit(ri_io *io)
{
    ri_io_clear(io);
    ri_free(io->wants);
    ri_free(io->pins);
    ri_free(io->arrivals);
    ri_free(io->spent);
    ri_free(io->gets);
    ri_free(io->objects);
    *io = (ri_io){ 0 };
}

/* The wants of one call of the backend come first: those of the call that is under way; or the first one, and others of
 * its store. Their number, or 0: no memory for what it needs. */
static size_t gather_call(ri_io *io)
{
    size_t count = io->begun_count;
    for (size_t i = 0; io->begun == NULL && i < io->want_count && count < RI_IO_WANTS_MAX; i++) {
        if (io->wants[i].store == io->wants[0].store) {
            ri_want want = io->wants[i];
            io->wants[i] = io->wants[count];
            io->wants[count++] = want;
        }
    }
    bool room = RI_GROW(&io->gets, &io->get_cap, count) && RI_GROW(&io->objects, &io->object_cap, count);
    return room ? count : 0;
}

static int pin_all(ri_io *io, const ri_want *wants, size_t count, ri_object **objects, int rc, rille_err *err)
{
    io->fetch_count++;
    for (size_t i = 0; i < count; i++) {
        if (objects[i] != NULL) {
            uint8_t key[RI_KEY_SIZE];
            ri_want_key(key, &wants[i]);
            int pin_rc = ri_io_pin(io, wants[i].store, key, objects[i], rc == RILLE_OK ? err : NULL);
            rc = rc == RILLE_OK ? pin_rc : rc;
            ri_object_release(objects[i]);
        }
    }
    return rc;
}

int ri_io_take_answers(ri_io *io, const ri_want *wants, rille_get *gets, size_t count, uint64_t us, rille_err *err)
{
    ri_object *objects[RI_HOST_WANTS_MAX] = { NULL };
    ri_slot_call call = { .store = wants[0].store, .slot = RI_CALL_GET, .gets = gets, .count = count };
    ri_answer answer = { .gets = gets };
    ri_reading how = { .io = io, .slices = !io->at_once, .returns = true };
    ri_store_count_call(&call, &answer, us);
    ri_io_spend(io, wants[0].store, gets, count, 1, us);
    int rc = ri_store_finish_wants(wants[0].store, wants, gets, count, 0, &how, objects, err);
    return pin_all(io, wants, count, objects, rc, err);
}

/* What a call has given is pinned, and its wants leave the list. */
static int end_fetch(ri_io *io, size_t count, int rc, rille_err *err)
{
    end_call(io);
    rc = pin_all(io, io->wants, count, io->objects, rc, err);
    io->want_count -= count;
    memmove(io->wants, io->wants + count, io->want_count * sizeof *io->wants);
    return rc;
}

static int fetch(ri_io *io, bool polls, rille_err *err)
{
    int rc = RILLE_OK;
    ri_io_drop_supplied(io);
    while (io->want_count > 0 && rc == RILLE_OK) {
        size_t count = gather_call(io);
        if (count == 0) {
            rc = ri_fail_nomem(err);
            break;
        }
        ri_store *store = io->wants[0].store;
        uint64_t begun_us = io->begun != NULL ? io->begun_us : ri_clock_us();
        ri_reading how = {
            .io = io, .slices = !io->at_once, .polls = polls, .returns = polls, .begun_us = begun_us, .gets = io->gets
        };
        rc = ri_store_read_wants(store, io->wants, count, &how, io->objects, err);
        if (rc == RILLE_NEED) {
            if (io->begun == NULL) {
                io->begun = ri_store_retain(store);
                io->begun_count = count;
                io->begun_us = begun_us;
            }
            return rc;
        }
        rc = end_fetch(io, count, rc, err);
    }
    forget_wants(io);
    return rc;
}

int ri_io_poll(ri_io *io, rille_err *err)
{
    return fetch(io, true, err);
}

int ri_io_fetch(ri_io *io, rille_err *err)
{
    ri_task *task = ri_task_running();
    if (task != NULL) {
        task->lacks = true;
        return RILLE_NEED;
    }
    return fetch(io, false, err);
}

/* Its bytes are kept, to be checked by the next steps. */
static int supply_large(ri_io *io, const ri_want *want, const uint8_t *bytes, size_t len, rille_err *err)
{
    uint8_t *copy = ri_alloc(len);
    if (copy == NULL) {
        return ri_fail_nomem(err);
    }
    memcpy(copy, bytes, len);
    return ri_io_arrive(io, want, copy, len, false, err);
}

static int supply_now(ri_io *io, const ri_want *want, const uint8_t *bytes, size_t len, rille_err *err)
{
    ri_object *object;
    uint8_t key[RI_KEY_SIZE];
    RI_TRY(ri_store_decode_want(want->store, want, bytes, len, &object, err));
    ri_store_keep(want, bytes, len);
    ri_want_key(key, want);
    int rc = ri_io_pin(io, want->store, key, object, err);
    ri_object_release(object);
    return rc;
}

int ri_io_supply(ri_io *io, size_t index, const uint8_t *bytes, size_t len, rille_err *err)
{
    if (index >= io->want_count || io->wants[index].store == NULL) {
        return ri_fail(err, RILLE_MISUSE,
                       "this range is not needed, or was supplied already: supply each range that the last step "
                       "needs once");
    }
    ri_want *want = &io->wants[index];
    RI_TRY(!io->at_once && ri_arrival_is_large(want, bytes, len) ? supply_large(io, want, bytes, len, err)
                                                                 : supply_now(io, want, bytes, len, err));
    if (index < io->begun_count) {
        ri_io_abandon(io);
    }
    rille_get get = { .bytes_len = len, .requests = 1, .received_bytes = len };
    ri_io_spend(io, want->store, &get, 1, 0, 0);
    want->store = NULL;
    io->supplied_count++;
    return RILLE_OK;
}

rille_get ri_io_request(const ri_io *io, size_t index)
{
    if (index >= io->want_count) {
        return (rille_get){ 0 };
    }
    return ri_store_request(&io->wants[index]);
}
