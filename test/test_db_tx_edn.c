/* SPDX-License-Identifier: MIT
 *
 * The forms of transaction data, what they mean, and what is refused with which words.
 */
#include "test_db_world.h"

static const char schema_text[] =
    "[{:db/ident :p/name :db/valueType :db.type/string}"
    " {:db/ident :p/age :db/valueType :db.type/long}"
    " {:db/ident :p/mail :db/valueType :db.type/string :db/unique :db.unique/identity}"
    " {:db/ident :p/tag :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}"
    " {:db/ident :p/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}"
    " {:db/ident :p/boss :db/valueType :db.type/ref}"
    " {:db/ident :p/part :db/valueType :db.type/ref :db/isComponent true :db/cardinality :db.cardinality/many}"
    " {:db/ident :p/no :db/valueType :db.type/long :db/unique :db.unique/value}"
    " {:db/ident :p/score :db/valueType :db.type/double}"
    " {:db/ident :p/point :db/valueType :db.type/tuple}"
    " {:db/ident :p/vec :db/valueType :db.type/floats}"
    " {:db/ident :p/path :db/valueType :db.type/tuple :db/cardinality :db.cardinality/many}"
    " {:db/ident :p/home :db/valueType :db.type/ref :db/unique :db.unique/identity}"
    " {:db/ident :p/big :db/valueType :db.type/bigint}"
    " {:db/ident :p/code :db/valueType :db.type/long :db/unique :db.unique/identity}]";

static world people(void)
{
    world w = world_open(false);
    GIVES(schema_text, NULL);
    return w;
}

TEST(edn__maps_make_entities)
{
    world w = people();
    GIVES("[{:p/name \"Ann\" :p/age 30} nil {:db/id \"b\" :p/name \"Bob\"}]",
          "[e0 :p/name \"Ann\" +] [e0 :p/age 30 +] [e1 :p/name \"Bob\" +]");
    GIVES("({:db/id -1 :p/tag [:x :y :x]} {:db/id -1 :p/tag #{:z} \"p/age\" 1})",
          "[e2 :p/age 1 +] [e2 :p/tag :x +] [e2 :p/tag :y +] [e2 :p/tag :z +]");
    REFUSES("[nil {:p/name \"Cid\" :p/age nil}]", RILLE_TX_SYNTAX,
            "transaction data, item 2: attribute :p/age: nil is not a value");
    REFUSES("[{:p/tag [:x nil]}]", RILLE_TX_SYNTAX, "attribute :p/tag: nil is not a value");
    REFUSES("[{:p/_friend nil}]", RILLE_TX_SYNTAX, "attribute :p/friend: nil is not a value");
    REFUSES("[{:db/id nil :p/age 1}]", RILLE_TX_SYNTAX, "nil in transaction data: expected an entity");
    GIVES("[]", "");
    GIVES("[{} {:db/id \"unused\"}]", "");
    world_close(&w);
}

TEST(edn__nested_maps_and_reverse_attributes)
{
    world w = people();
    GIVES(
        "[{:p/name \"Ann\" :p/friend [{:p/name \"Bob\"} {:p/name \"Cid\" :p/boss {:p/name \"Dan\"}}]}]",
        "[e0 :p/name \"Ann\" +] [e0 :p/friend e1 +] [e0 :p/friend e2 +] [e1 :p/name \"Bob\" +] [e2 :p/name \"Cid\" +] "
        "[e2 :p/boss e3 +] [e3 :p/name \"Dan\" +]");
    GIVES("[{:p/name \"Eve\" :p/_friend [1048576 {:p/name \"Fay\"}] :p/_boss 1048577}]",
          "[e0 :p/friend e4 +] [e1 :p/boss e4 +] [e4 :p/name \"Eve\" +] [e5 :p/name \"Fay\" +] [e5 :p/friend e4 +]");
    REFUSES("[{:p/_name 5}]", RILLE_TYPE, ":p/name is of type string");
    REFUSES("[{:p/friend {}}]", RILLE_TX_SYNTAX, "is only used as a value");
    world_close(&w);
}

TEST(edn__operations)
{
    world w = people();
    GIVES("[[:db/add \"a\" :p/name \"Ann\"] [:db/add \"a\" :p/age 30] (:db/add \"a\" :p/tag :x)]",
          "[e0 :p/name \"Ann\" +] [e0 :p/age 30 +] [e0 :p/tag :x +]");
    GIVES("[[:db/add 1048576 :p/name \"Ann\"] [:db/add 1048576 :p/age 31] [:db/add 1048576 :p/tag :y]]",
          "[e0 :p/age 30 -] [e0 :p/age 31 +] [e0 :p/tag :y +]");
    GIVES("[[:db/retract 1048576 :p/age 30] [:db/retract 1048576 :p/tag :x]]", "[e0 :p/tag :x -]");
    GIVES("[[:db/retract 1048576 :p/tag] [:db/retract 1048576 :p/boss]]", "[e0 :p/tag :y -]");
    GIVES("[[:db.fn/retractAttribute 1048576 :p/age]]", "[e0 :p/age 31 -]");
    GIVES("[[:db/cas 1048576 :p/age nil 5]]", "[e0 :p/age 5 +]");
    GIVES("[[:db.fn/cas 1048576 :p/age 5 6]]", "[e0 :p/age 5 -] [e0 :p/age 6 +]");
    GIVES("[[:db/cas 1048576 :p/age 6 6]]", "");
    GIVES("[[:db/add \"b\" :p/boss {:p/name \"Zoe\"}]]", "[e1 :p/boss e2 +] [e2 :p/name \"Zoe\" +]");
    GIVES("[[:db/retract 1048577 :p/boss 1048578]]", "[e1 :p/boss e2 -]");
    REFUSES("[[:db/cas 1048576 :p/age 7 8]]", RILLE_TX_CAS, "attribute :p/age of entity 1048576 is 6, expected 7");
    REFUSES("[[:db/cas 1048576 :p/age nil 8]]", RILLE_TX_CAS, "is 6, expected none");
    REFUSES("[[:db/cas 1048577 :p/age 1 8]]", RILLE_TX_CAS, "is absent, expected 1");
    world_close(&w);
}

TEST(edn__retracting_an_entity_takes_components_and_incoming_refs)
{
    world w = people();
    GIVES("[{:db/id \"a\" :p/name \"Ann\" :p/part [{:p/name \"arm\" :p/part {:p/name \"hand\"}}] :p/friend \"b\"}"
          " {:db/id \"b\" :p/name \"Bob\" :p/friend \"a\" :p/boss \"a\"}]",
          NULL);
    GIVES("[[:db/retractEntity 1048576]]",
          "[e0 :p/name \"Ann\" -] [e0 :p/friend e3 -] [e0 :p/part e1 -] [e1 :p/name \"arm\" -] [e1 :p/part e2 -] "
          "[e2 :p/name \"hand\" -] [e3 :p/friend e0 -] [e3 :p/boss e0 -]");
    GIVES("[[:db.fn/retractEntity 1048576] [:db/retractEntity 1048579] [:db/retract 1048579 :p/name \"Bob\"]]",
          "[e3 :p/name \"Bob\" -]");
    REFUSES("[[:db/retractEntity :db/ident]]", RILLE_SCHEMA, "is built in");
    REFUSES("[[:db/retractEntity \"x\"]]", RILLE_TX_SYNTAX, "does not resolve to an existing entity");
    world_close(&w);
}

TEST(edn__upsert_by_identity)
{
    world w = people();
    GIVES("[{:p/mail \"a@x\" :p/age 1}]", "[e0 :p/age 1 +] [e0 :p/mail \"a@x\" +]");
    GIVES("[{:p/mail \"a@x\" :p/age 2}]", "[e0 :p/age 1 -] [e0 :p/age 2 +]");
    GIVES("[[:db/add \"t\" :p/name \"Ann\"] [:db/add \"t\" :p/mail \"a@x\"]]", "[e0 :p/name \"Ann\" +]");
    GIVES("[{:p/mail \"b@x\" :p/tag :x} {:p/mail \"b@x\" :p/tag :y}]",
          "[e1 :p/mail \"b@x\" +] [e1 :p/tag :x +] [e1 :p/tag :y +]");
    GIVES("[{:p/mail \"a@x\" :p/code 7}]", "[e0 :p/code 7 +]");
    GIVES("[{:p/mail \"a@x\" :p/code 7 :p/age 9}]", "[e0 :p/age 2 -] [e0 :p/age 9 +]");
    GIVES("[{:p/mail \"c@x\" :p/code 7}]", "[e0 :p/mail \"a@x\" -] [e0 :p/mail \"c@x\" +]");
    GIVES("[{:db/id 1048577 :p/code 8} {:p/code 8 :p/age 5}]", "[e1 :p/age 5 +] [e1 :p/code 8 +]");
    REFUSES("[{:p/mail \"c@x\" :p/code 8}]", RILLE_TX_UPSERT, "belongs to entity");
    REFUSES("[{:db/id 1048577 :p/mail \"c@x\"}]", RILLE_TX_UNIQUE, "already the value of entity 1048576");
    REFUSES("[{:p/mail \"n@x\" :p/age 1} {:p/mail \"n@x\" :p/age 2}]", RILLE_TX_CONFLICT, "two values, 1 and 2");
    world_close(&w);
}

TEST(edn__upsert_by_a_unique_ref_in_any_order)
{
    world w = people();
    GIVES("[{:p/code 1} {:p/code 2 :p/home [:p/code 1]}]", "[e0 :p/code 1 +] [e1 :p/home e0 +] [e1 :p/code 2 +]");
    GIVES("[{:p/home \"h\" :p/age 4} {:db/id \"h\" :p/code 1}]", "[e1 :p/age 4 +]");
    GIVES("[{:db/id \"x\" :p/home \"y\" :p/age 5} {:db/id \"y\" :p/home \"z\"} {:db/id \"z\" :p/code 1}]",
          "[e2 :p/age 5 +] [e2 :p/home e1 +]");
    GIVES("[{:p/home \"n\" :p/tag :a} {:p/home \"n\" :p/tag :b} {:db/id \"n\" :p/name \"new\"}]",
          "[e3 :p/tag :a +] [e3 :p/tag :b +] [e3 :p/home e4 +] [e4 :p/name \"new\" +]");
    world_close(&w);
}

TEST(edn__unique_values_are_unique)
{
    world w = people();
    GIVES("[{:p/no 1} {:p/no 2}]", NULL);
    REFUSES("[{:p/no 1}]", RILLE_TX_UNIQUE, "attribute :p/no is unique: 1 is already the value of entity 1048576");
    REFUSES("[{:p/no 3} {:p/no 3}]", RILLE_TX_UNIQUE, "attribute :p/no is unique: 3");
    GIVES("[[:db/add 1048576 :p/no 2] [:db/add 1048577 :p/no 1]]",
          "[e0 :p/no 1 -] [e0 :p/no 2 +] [e1 :p/no 1 +] [e1 :p/no 2 -]");
    GIVES("[[:db/retract 1048576 :p/no 2] {:db/id \"n\" :p/no 2}]", "[e0 :p/no 2 -] [e2 :p/no 2 +]");
    world_close(&w);
}

TEST(edn__lookup_refs_idents_and_ids_name_entities)
{
    world w = people();
    GIVES("[{:db/ident :color/red} {:p/mail \"a@x\"}]", "[e0 :db/ident :color/red +] [e1 :p/mail \"a@x\" +]");
    GIVES("[[:db/add [:p/mail \"a@x\"] :p/age 1] {:db/id [:p/mail \"a@x\"] :p/boss :color/red :p/friend [[:p/mail "
          "\"a@x\"] :color/red]}]",
          "[e1 :p/age 1 +] [e1 :p/friend e0 +] [e1 :p/friend e1 +] [e1 :p/boss e0 +]");
    GIVES("[{:db/id :color/red :p/friend [:p/mail \"a@x\"]}]", "[e0 :p/friend e1 +]");
    GIVES("[{:p/mail \"b@x\"} [:db/add [:p/mail \"b@x\"] :p/age 3]]", "[e2 :p/age 3 +] [e2 :p/mail \"b@x\" +]");
    GIVES("[{:db/id 2000000 :p/age 1} {:p/age 2}]", "[e951424 :p/age 1 +] [e951425 :p/age 2 +]");
    GIVES("[{:db/id \"datomic.tx\" :p/name \"meta\"} [:db/add :db/current-tx :p/age 1]]",
          "[tx :p/name \"meta\" +] [tx :p/age 1 +]");
    GIVES("[{:p/boss :db/current-tx}]", "[e951426 :p/boss tx +]");
    REFUSES("[[:db/add [:p/mail \"no\"] :p/age 3]]", RILLE_ENTITY_MISSING,
            "no entity matches the lookup ref [:p/mail \"no\"]");
    REFUSES("[[:db/add [:p/mail \"no\"] :p/mail \"no\"]]", RILLE_ENTITY_MISSING, "no entity matches");
    REFUSES("[[:db/add [:p/name \"no\"] :p/age 3]]", RILLE_TX_SYNTAX, "not unique");
    REFUSES("[[:db/add :color/blue :p/age 3]]", RILLE_ENTITY_MISSING, "ident :color/blue");
    REFUSES("[[:db/add 500 :p/age 3]]", RILLE_ENTITY_MISSING, "unknown entity id 500");
    REFUSES("[[:db/add 1099511727776 :p/age 3]]", RILLE_ENTITY_MISSING, "unknown entity id");
    REFUSES("[[:db/add 0 :p/age 3]]", RILLE_TX_SYNTAX, "expected an entity");
    REFUSES("[{:db/id 1.5 :p/age 3}]", RILLE_TX_SYNTAX, "expected an entity");
    REFUSES("[{:p/boss \"x\"}]", RILLE_TX_SYNTAX,
            "tempid \"x\" is only used as a value: assert at least one attribute of it, or refer to an existing entity "
            "by a lookup ref, [:unique/attribute value], or by its ident, written with a colon");
    REFUSES("[[:db/retractEntity \"x\"]]", RILLE_TX_SYNTAX,
            "cannot retract tempid \"x\", which does not resolve to an existing entity");
    REFUSES("[{:db/ident :p/z :db/valueType \"string\"}]", RILLE_ENTITY_MISSING,
            "attribute :db/valueType: no entity has the ident :string (did you mean :db.type/string?)");
    REFUSES("[{:db/ident :p/z :db/valueType :db.type/string :db/unique true}]", RILLE_TYPE,
            "attribute :db/unique: true is a boolean, expected a ref: use :db.unique/identity or :db.unique/value");
    world_close(&w);
}

TEST(edn__values_have_the_type_of_their_attribute)
{
    world w = people();
    GIVES("[{:p/score 1 :p/big 5 :p/vec [1 2.5]} {:p/big 123456789012345678901N :p/score ##Inf}]", NULL);
    GIVES("[{:p/point [1 \"a\" [:k nil]] :p/path [[1 2] [1 3]]} {:p/path [1 2]}]", NULL);
    REFUSES("[{:p/age \"x\"}]", RILLE_TYPE, "attribute :p/age: \"x\" is a string, expected a long");
    REFUSES("[{:p/age [1 2]}]", RILLE_TYPE, "cardinality one");
    REFUSES("[{:p/age #{1}}]", RILLE_TYPE, "cardinality one");
    REFUSES("[{:p/age 1.0}]", RILLE_TYPE, ":p/age");
    REFUSES("[{:p/score 9007199254740993}]", RILLE_TYPE, "no double is exactly equal to it");
    REFUSES("[{:p/score ##NaN}]", RILLE_TYPE, ":p/score");
    REFUSES("[{:p/name \\c}]", RILLE_TYPE, ":p/name");
    REFUSES("[[:db/add \"x\" :p/name nil]]", RILLE_TYPE, ":p/name");
    REFUSES("[{:p/boss 1.5}]", RILLE_TYPE, ":p/boss");
    REFUSES("[{:p/point [{}]}]", RILLE_TX_SYNTAX, "tuple");
    REFUSES("[{:p/vec [\"a\"]}]", RILLE_TYPE, "only numbers");
    REFUSES("[{:p/nmae \"x\"}]", RILLE_ATTRIBUTE, "attribute :p/nmae is not in the schema (did you mean :p/name?)");
    REFUSES("[{:q/name \"x\"}]", RILLE_ATTRIBUTE, "did you mean :p/name?");
    REFUSES("[{:entirely/other \"x\"}]", RILLE_ATTRIBUTE, "attribute :entirely/other is not in the schema");
    world_close(&w);
}

TEST(edn__conflicts_within_a_transaction)
{
    world w = people();
    GIVES("[{:p/age 1 :p/tag [:a :b]}]", NULL);
    REFUSES("[[:db/add 1048576 :p/age 2] [:db/add 1048576 :p/age 3]]", RILLE_TX_CONFLICT,
            "attribute :p/age of entity 1048576 would have two values, 2 and 3");
    REFUSES("[[:db/add 1048576 :p/age 2] [:db/retract 1048576 :p/age 2]]", RILLE_TX_CONFLICT,
            "both added and retracted");
    REFUSES("[[:db/add 1048576 :p/tag :a] [:db/retract 1048576 :p/tag :a]]", RILLE_TX_CONFLICT,
            "both added and retracted");
    REFUSES("[[:db/add 1048576 :p/tag :a] [:db/retract 1048576 :p/tag]]", RILLE_TX_CONFLICT,
            "both added and retracted");
    GIVES("[[:db/add 1048576 :p/tag :c] [:db/retract 1048576 :p/tag]]",
          "[e0 :p/tag :a -] [e0 :p/tag :b -] [e0 :p/tag :c +]");
    GIVES("[[:db/add 1048576 :p/age 2] [:db/retract 1048576 :p/age 1]]", "[e0 :p/age 1 -] [e0 :p/age 2 +]");
    GIVES("[[:db/add 1048576 :p/age 1] [:db/retract 1048576 :p/age]]", "[e0 :p/age 1 +] [e0 :p/age 2 -]");
    GIVES("[[:db/add 1048576 :p/age 1] [:db/add 1048576 :p/age 1]]", "");
    world_close(&w);
}

TEST(edn__what_is_no_transaction_data)
{
    world w = people();
    REFUSES("{:p/age 1}", RILLE_TX_SYNTAX, "expected a vector of entity maps and operations");
    REFUSES("[1]", RILLE_TX_SYNTAX, "expected an entity map or an operation");
    REFUSES("[[]]", RILLE_TX_SYNTAX, "expected an operation");
    REFUSES("[[:db/nothing 1 2]]", RILLE_TX_SYNTAX, "[:db/nothing 1 2]");
    REFUSES("[[:db/add 1048576 :p/age]]", RILLE_TX_SYNTAX, "expected [:db/add e a v]");
    REFUSES("[{1.5 2}]", RILLE_TX_SYNTAX, "expected an attribute");
    REFUSES("[{:db/id \"t\" :db/txInstant #inst \"2000\"}]", RILLE_TX_SYNTAX, ":db/txInstant");
    world_close(&w);
}

TEST(edn__a_given_instant_is_kept)
{
    world w = people();
    w.clock = INT64_C(1577836800000) - 60000;
    GIVES("[{:db/id \"datomic.tx\" :db/txInstant #inst \"2020-01-01\"}]", "");
    CHECK_EQ_INT(w.db->instant, INT64_C(1577836800000));
    GIVES("[{:p/age 1}]", NULL);
    CHECK_EQ_INT(w.db->instant, INT64_C(1577836800001));
    REFUSES("[{:db/id \"datomic.tx\" :db/txInstant #inst \"2019-01-01\"}]", RILLE_TX_SYNTAX,
            "is before the last transaction");
    world_close(&w);
}

TEST(edn__schema_is_data)
{
    world w = people();
    const ri_attr *mail = ri_schema_attr(w.db->schema, "p/mail", 6);
    REQUIRE(mail != NULL);
    CHECK(mail->unique == RI_UNIQUE_IDENTITY && mail->avet && !mail->many && mail->type == RI_STRING);
    GIVES("[{:db/ident :p/mail :db/doc \"address\"}]", "[a2 :db/doc \"address\" +]");
    GIVES("[{:db/ident :p/name :db/valueType :db.type/long}]",
          "[a0 :db/valueType :db.type/long +] [a0 :db/valueType :db.type/string -]");
    GIVES("[{:p/name 5}]", "[e0 :p/name 5 +]");
    REFUSES("[{:db/ident :p/name :db/valueType :db.type/string}]", RILLE_SCHEMA,
            "attribute :p/name has values (1), so its :db/valueType");
    GIVES("[{:db/ident :p/name :db/index true}]", "[a0 :db/index true +]"); /* longs are in AVET anyway */
    REFUSES("[{:db/ident :p/name :db/unique :db.unique/value}]", RILLE_SCHEMA, ":db/unique cannot change");
    GIVES("[{:db/ident :p/name :db/cardinality :db.cardinality/many}]", "[a0 :db/cardinality :db.cardinality/many +]");
    REFUSES("[{:db/ident :p/name :db/cardinality :db.cardinality/one}]", RILLE_SCHEMA, ":db/cardinality cannot change");
    REFUSES("[[:db/retractEntity :p/name]]", RILLE_SCHEMA, "definition cannot change");
    GIVES("[{:db/id :p/name :db/ident :p/size}]", NULL);
    GIVES("[{:p/size 6}]", "[e1 :p/size 6 +]");
    REFUSES("[{:p/name 6}]", RILLE_ATTRIBUTE, ":p/name is not in the schema");
    GIVES("[[:db/retractEntity :p/age]]", NULL);
    REFUSES("[{:p/age 6}]", RILLE_ATTRIBUTE, ":p/age is not in the schema");
    REFUSES("[{:db/ident :x/y :db/valueType :db.type/long} {:x/y 5}]", RILLE_ATTRIBUTE, "transact the schema first");
    REFUSES("[{:db/ident :x/y :db/cardinality :db.cardinality/one}]", RILLE_SCHEMA,
            "attribute :x/y has no :db/valueType");
    REFUSES("[{:db/valueType :db.type/long}]", RILLE_SCHEMA, "has no :db/ident");
    REFUSES("[[:db/add 50 :p/size 1]]", RILLE_ENTITY_MISSING, "unknown entity id 50");
    REFUSES("[{:db/ident :x/y :db/unique :db.unique/value}]", RILLE_SCHEMA, "no :db/valueType");
    REFUSES("[{:db/ident :x/y :db/valueType :db.type/long :db/isComponent true}]", RILLE_SCHEMA,
            "requires :db/valueType :db.type/ref");
    REFUSES("[{:db/ident :x/y :db/valueType :db.unique/value}]", RILLE_SCHEMA,
            "expected a type such as :db.type/long: boolean, long");
    REFUSES("[{:db/ident :x/y :db/valueType :db.type/lnog}]", RILLE_ENTITY_MISSING,
            "no entity has the ident :db.type/lnog (did you mean :db.type/long?); the types are boolean, long");
    REFUSES("[{:db/ident :x/y :db/valueType :db.type/int}]", RILLE_ENTITY_MISSING,
            "(did you mean :db.type/long?); the types are boolean, long");
    REFUSES("[{:db/ident :x/y :db/valueType :text}]", RILLE_ENTITY_MISSING,
            "(did you mean :db.type/string?); the types are");
    REFUSES("[{:db/ident :x/y :db/valueType :db.type/frob}]", RILLE_ENTITY_MISSING,
            ":db.type/frob; the types are boolean");
    REFUSES("[{:db/ident :db/mine :db/valueType :db.type/long}]", RILLE_SCHEMA, "are reserved");
    REFUSES("[[:db/add :db/doc :db/index true]]", RILLE_SCHEMA, "is built in");
    GIVES("[{:db/id 1048578 :db/ident :just/a-name}]", "[e2 :db/ident :just/a-name +]");
    REFUSES("[{:db/ident :just/a-name :db/valueType :db.type/long}]", RILLE_SCHEMA, "cannot become one");
    world_close(&w);
}

TEST(edn__a_read_flexible_schema_grows_by_use)
{
    world w = world_open(true);
    GIVES("[{:a/b 1 :c \"x\"} {:a/b 1.5}]",
          "[a0 :db/ident :a/b +] [a0 :db/cardinality :db.cardinality/one +] [a1 :db/ident :c +] "
          "[a1 :db/cardinality :db.cardinality/one +] [e0 :a/b 1 +] [e0 :c \"x\" +] [e1 :a/b 1.5 +]");
    GIVES("[{:db/id 1048576 :a/b :now-a-keyword}]", "[e0 :a/b 1 -] [e0 :a/b :now-a-keyword +]");
    GIVES("[{:db/ident :d/e :db/cardinality :db.cardinality/many} {:db/ident :d/r :db/valueType :db.type/ref}]", NULL);
    GIVES("[{:d/e [1 :x] :d/r {:f/g 5}}]", NULL);
    GIVES("[{:db/ident :h/i :db/cardinality :db.cardinality/one} {:h/i 5}]", NULL);
    REFUSES("[{:db/ident :k/l :db/valueType :db.type/long} {:k/l 5}]", RILLE_SCHEMA, "cannot change in a transaction");
    REFUSES("[{:a/b {:a/b 1}}]", RILLE_TYPE, ":a/b");
    REFUSES("[{:db/mine 1}]", RILLE_SCHEMA, "are reserved");
    world_close(&w);
}

TEST(edn__long_values_become_stubs)
{
    world w = people();
    static char text[4000];
    char big[2001];
    memset(big, 'x', 2000);
    big[2000] = '\0';
    (void)snprintf(text, sizeof text, "[{:db/id 1048576 :p/name \"%s\" :p/mail \"%s\"}]", big, "a@x");
    GIVES(text, NULL);
    GIVES(text, "");
    (void)snprintf(text, sizeof text, "[[:db/retract 1048576 :p/name \"%s\"]]", big);
    char shown[WORLD_TEXT_SIZE];
    CHECK_RC(world_try(&w, text, shown, &test_err), 0);
    CHECK(strstr(shown, "-]") != NULL);
    world_close(&w);
}

static int everything(void)
{
    world w;
    int rc = world_try_open(&w, false);
    if (rc == 0) {
        rc = world_try(&w, schema_text, NULL, NULL);
    }
    if (rc == 0) {
        rc = world_try(&w,
                       "[{:db/id \"a\" :p/name \"Ann\" :p/mail \"a@x\" :p/part [{:p/age 1}] :p/tag [:a :b] :p/point [1 "
                       "2 [3]] :p/vec [1]}"
                       " {:db/id -1 :p/friend [\"a\" {:p/no 7}] :p/home \"a\"}]",
                       NULL, NULL);
    }
    if (rc == 0) {
        rc = world_try(
            &w, "[[:db/retractEntity [:p/mail \"a@x\"]] {:p/home \"z\" :p/_boss 1048577} {:db/id \"z\" :p/no 9}]", NULL,
            NULL);
    }
    if (rc == 0) {
        rc = world_try(&w, "[[:db/cas 1048577 :p/age nil 5]]", NULL, NULL);
        rc = rc == RILLE_NOMEM ? rc : 0;
    }
    world_close(&w);
    return rc;
}

TEST(edn__running_out_of_memory_leaves_nothing_behind)
{
    TEST_FAULT_SWEEP(everything());
}

TEST_MAIN(edn__maps_make_entities, edn__nested_maps_and_reverse_attributes, edn__operations,
          edn__retracting_an_entity_takes_components_and_incoming_refs, edn__upsert_by_identity,
          edn__upsert_by_a_unique_ref_in_any_order, edn__unique_values_are_unique,
          edn__lookup_refs_idents_and_ids_name_entities, edn__values_have_the_type_of_their_attribute,
          edn__conflicts_within_a_transaction, edn__what_is_no_transaction_data, edn__a_given_instant_is_kept,
          edn__schema_is_data, edn__a_read_flexible_schema_grows_by_use, edn__long_values_become_stubs,
          edn__running_out_of_memory_leaves_nothing_behind)
