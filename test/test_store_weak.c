/* SPDX-License-Identifier: MIT
 *
 * Weak places: they say where objects are, and neither keep them alive nor speak of what is gone.
 */
#include "../src/core/store/cache.h"
#include "../src/core/store/weak.h"
#include "test_store_support.h"
#include "test_threads.h"

#define MARK UINT64_C(0x600d600d600d600d)

typedef struct thing {
    ri_object object;
    uint64_t mark;
} thing;

static atomic_llong alive;

static void destroy_thing(ri_object *object)
{
    ri_weak_forget(object);
    ((thing *)object)->mark = 0;
    (void)atomic_fetch_sub(&alive, 1);
    free(object);
}

static ri_object *new_thing(void)
{
    thing *t = malloc(sizeof *t);
    if (t == NULL) {
        abort();
    }
    *t = (thing){ .object = { .mem_bytes = 100, .destroy = destroy_thing }, .mark = MARK };
    ri_refs_init(&t->object.refs);
    (void)atomic_fetch_add(&alive, 1);
    return &t->object;
}

/* What the place says, without a reference. */
static ri_object *said(ri_weak *place)
{
    ri_object *object = ri_weak_get(place);
    ri_object_release(object);
    return object;
}

TEST(weak__says_where_an_object_is_until_it_goes)
{
    ri_weak place = { 0 };
    ri_object *object = new_thing();
    CHECK(said(&place) == NULL);
    ri_weak_set(&place, object);
    CHECK(said(&place) == object);
    ri_object *held = ri_weak_get(&place);
    ri_object_release(object);
    CHECK(said(&place) == held); /* somebody has it still */
    ri_object_release(held);
    CHECK_EQ_INT(atomic_load(&alive), 0); /* the place has not kept it */
    CHECK(said(&place) == NULL);
    CHECK_EQ_INT(atomic_load(&place.word), 0);
}

TEST(weak__place_may_go_before_its_object)
{
    ri_weak places[2] = { { 0 }, { 0 } };
    ri_object *object = new_thing();
    ri_weak_set(&places[0], object);
    ri_weak_clear(&places[0]);
    CHECK_EQ_INT(atomic_load(&places[0].word), 0);
    CHECK_EQ_INT(atomic_load(&object->home), 0);
    atomic_store(&places[0].word, UINTPTR_MAX); /* its memory is something else now */
    ri_weak_set(&places[1], object);
    CHECK(said(&places[1]) == object);
    ri_object_release(object);
    CHECK_EQ_INT(atomic_load(&alive), 0);
    CHECK(atomic_load(&places[0].word) == UINTPTR_MAX);
    ri_weak_clear(&places[1]);
}

TEST(weak__object_has_one_place_and_a_place_one_object)
{
    ri_weak places[2] = { { 0 }, { 0 } };
    ri_object *a = new_thing();
    ri_object *b = new_thing();
    ri_weak_set(&places[0], a);
    ri_weak_set(&places[0], b); /* it says something already */
    CHECK(said(&places[0]) == a);
    CHECK_EQ_INT(atomic_load(&b->home), 0);
    ri_weak_set(&places[1], a); /* the newest place has it */
    CHECK(said(&places[0]) == NULL && said(&places[1]) == a);
    ri_weak_set(&places[0], b);
    ri_object_release(a);
    CHECK(said(&places[0]) == b && said(&places[1]) == NULL);
    ri_object_release(b);
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

TEST(weak__agrees_with_a_model)
{
    enum { PLACES = 6, OBJECTS = 5, ROUNDS = 20000 };
    ri_weak places[PLACES] = { { 0 } };
    ri_object *objects[OBJECTS] = { NULL };
    ri_object *model[PLACES] = { NULL };
    test_rng rng = test_rng_new();
    for (int round = 0; round < ROUNDS; round++) {
        size_t p = test_random_below(&rng, PLACES);
        size_t o = test_random_below(&rng, OBJECTS);
        uint64_t what = test_random_below(&rng, 4);
        if (objects[o] == NULL) {
            objects[o] = new_thing();
        } else if (what == 0) {
            for (size_t i = 0; i < PLACES; i++) {
                model[i] = model[i] == objects[o] ? NULL : model[i];
            }
            ri_object_release(objects[o]);
            objects[o] = NULL;
        } else if (what == 1) {
            ri_weak_clear(&places[p]);
            model[p] = NULL;
        } else if (model[p] == NULL) {
            for (size_t i = 0; i < PLACES; i++) {
                model[i] = model[i] == objects[o] ? NULL : model[i];
            }
            ri_weak_set(&places[p], objects[o]);
            model[p] = objects[o];
        }
        for (size_t i = 0; i < PLACES; i++) {
            CHECK(said(&places[i]) == model[i]);
        }
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        ri_object_release(objects[i]);
    }
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

/* A cache does not drop what is used by its place alone. */
TEST(weak__use_counts_for_the_cache)
{
    ri_cache *cache;
    REQUIRE_RC(ri_cache_new(100000, &cache, &test_err), RILLE_OK);
    ri_weak place = { 0 };
    for (uint64_t i = 0; i < 5000; i++) {
        uint8_t addr[RI_HASH_SIZE];
        ri_blake2b(addr, &i, sizeof i);
        ri_object *object = new_thing();
        object->mem_bytes = 1000;
        ri_cache_put(cache, addr, object);
        if (i == 0) {
            ri_weak_set(&place, object);
        }
        ri_object_release(object);
        CHECK(said(&place) != NULL);
    }
    ri_cache_release(cache);
    CHECK(said(&place) == NULL);
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

/* ---- threads ---- */

enum { THREADS = 4, SHARED = 8, TURNS = 4000 };

/* Objects in a table under a lock, as in a cache; places that all threads use, and of each thread some that come and go. */
typedef struct table {
    ri_mutex lock;
    ri_object *objects[SHARED];
    ri_weak places[SHARED];
    atomic_uint started;
    atomic_llong wrong;
} table;

static void look(table *t, ri_weak *place)
{
    ri_object *object = ri_weak_get(place);
    if (object != NULL) {
        (void)atomic_fetch_add(&t->wrong, ((thing *)object)->mark != MARK);
        ri_object_release(object);
    }
}

static ri_object *take(table *t, size_t i)
{
    ri_mutex_lock(&t->lock);
    ri_object *object = t->objects[i];
    ri_object_take(object);
    ri_mutex_unlock(&t->lock);
    return object;
}

static void replace(table *t, size_t i)
{
    ri_object *object = new_thing();
    ri_mutex_lock(&t->lock);
    ri_object *old = t->objects[i];
    t->objects[i] = object;
    ri_mutex_unlock(&t->lock);
    ri_object_release(old);
}

static void *use_table(void *argument)
{
    table *t = argument;
    test_rng rng = { atomic_fetch_add(&t->started, 1) + 1 };
    ri_weak own[SHARED] = { { 0 } };
    for (int turn = 0; turn < TURNS; turn++) {
        size_t i = test_random_below(&rng, SHARED);
        ri_weak *place = test_random_below(&rng, 2) == 0 ? &t->places[i] : &own[i];
        look(t, place);
        if (turn % 4 == 0) {
            ri_object *object = take(t, i);
            ri_weak_set(place, object);
            ri_object_release(object);
        } else if (turn % 16 == 1) {
            replace(t, i);
        } else if (turn % 16 == 3) {
            ri_weak_clear(&own[i]);
        }
    }
    for (size_t i = 0; i < SHARED; i++) {
        ri_weak_clear(&own[i]);
    }
    return NULL;
}

TEST(weak__threads_may_look_while_objects_and_places_go)
{
    table t = { .started = 0 };
    test_thread threads[THREADS];
    ri_mutex_init(&t.lock);
    for (size_t i = 0; i < SHARED; i++) {
        t.objects[i] = new_thing();
    }
    for (size_t i = 0; i < THREADS; i++) {
        REQUIRE(test_thread_start(&threads[i], use_table, &t));
    }
    for (size_t i = 0; i < THREADS; i++) {
        test_thread_join(&threads[i]);
    }
    for (size_t i = 0; i < SHARED; i++) {
        ri_object_release(t.objects[i]);
        CHECK_EQ_INT(atomic_load(&t.places[i].word), 0);
    }
    ri_mutex_deinit(&t.lock);
    CHECK_EQ_INT(atomic_load(&t.wrong), 0);
    CHECK_EQ_INT(atomic_load(&alive), 0);
}

TEST_MAIN(weak__says_where_an_object_is_until_it_goes, weak__place_may_go_before_its_object,
          weak__object_has_one_place_and_a_place_one_object, weak__agrees_with_a_model, weak__use_counts_for_the_cache,
          weak__threads_may_look_while_objects_and_places_go)
