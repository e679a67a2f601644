-- SPDX-License-Identifier: MIT
---@meta
-- luacheck: ignore
--
-- Types for editors, never loaded: the handles that rille.core makes, with all their methods, and what the modules offer
-- without a comment of their own beside the code. spec/types_spec.lua compares this file with what is really there.

---A value of a type that Lua has none of its own for. Interned: equal values are the same object.
---@class rille.Value: userdata
---@field type string "keyword", "symbol", "uuid", "instant", "bytes", "bigint", "bigdec", "char"
---@field text string without the colon
---@field ms integer? of an instant: milliseconds since 1970
---@field name string? of a keyword or symbol
---@field namespace string?

---@class rille
---@field _VERSION string
---@field null userdata stands for nil in data
---@field edn rille.edn
---@field query rille.query
---@field backend fun(scheme: string, backend: rille.Backend?): rille.Backend?
---@field driver fun(f: (fun(op: rille.Op, state: "need"|"again"))?, options: {budget_us: number?}?): function?
---@field kw fun(text: string): rille.Value a keyword; the colon may be left out
---@field sym fun(text: string): rille.Value
---@field uuid fun(text: string?): rille.Value without text: a random one
---@field instant fun(at: string|integer|nil): rille.Value ISO text, or milliseconds since 1970; nil: now
---@field bytes fun(text: string): rille.Value
---@field bigint fun(text: string): rille.Value
---@field bigdec fun(text: string): rille.Value
---@field value_type fun(x: any): string?
---@field vars fun(): table<string, rille.Value> `v.x` is ?x, `v._` the blank
---@field q fun(query: string|rille.Builder|table|rille.Query, ...: any): any, string?, string?
---@field rows fun(query: string|rille.Builder|table|rille.Query, ...: any): fun(...): any
---@field explain fun(query: string|rille.Builder|table|rille.Query, ...: any): string?, string?, string?
---@field explain_data fun(query: string|rille.Builder|table|rille.Query, ...: any): rille.Explained?, string?, string?
---@field prepare fun(query: string|rille.Builder|table): rille.Query?, string?, string?
---@field options fun(options: {timeout_ms: number?, memory_bytes: number?, limit: integer?, offset: integer?}): rille.Options
---@field rules fun(rules: string|table): table?, string?, string?
---@field fn fun(name: string, f: fun(...): any)
---@field csv fun(path: string, options: table?): any[][]?, string?, string?
---@field csv_parse fun(text: string, options: table?): any[][]?, string?, string?

---A backend written in Lua, as docs/lua-api.md describes it.
---@class rille.Backend
---@field open? fun(place: string, how: table): any, string?, string?
---@field get_many fun(state: any, gets: {kind: string, id: string, offset: integer, length: integer}[]): (string|false)[]?, string?, string?
---@field put_many fun(state: any, objects: {kind: string, id: string, bytes: string}[]): true?, string?, string?
---@field head_read fun(state: any, branch: string, known: string?): string|boolean|nil, string?, string?
---@field head_swap fun(state: any, swap: table): string|false|nil, string?, string?
---@field head_delete? fun(state: any, branch: string): true?, string?, string?
---@field head_list? fun(state: any): string[]?, string?, string?
---@field list? fun(state: any, kind: "pack"|"node"|"blob"): string[]?, string?, string?
---@field delete_many? fun(state: any, objects: {kind: string, id: string}[]): true?, string?, string?
---@field drop? fun(state: any): true?, string?, string?
---@field close? fun(state: any)
---@field size_bytes? fun(state: any): number?, string?, string?
---@field ages? fun(state: any, objects: {kind: string, id: string}[]): (number|false)[]?, string?, string?
---@field rows boolean? it keeps single nodes, instead of packs of them
---@field readonly boolean?
---@field plain boolean? objects are not compressed

---What db:warm reads. Without attributes and index: everything.
---@class rille.Warm
---@field attributes string[]?
---@field index "eavt"|"aevt"|"avet"|"vaet"|nil of the attributes: aevt, and avet where they are in it
---@field from any? with one attribute: its first value; with an index alone: an array of components
---@field to any? the first one that does not belong to it any more
---@field max_nodes integer?
---@field max_bytes integer? as they are in storage

---What db:warm has read.
---@class rille.Warmed
---@field nodes integer that were read
---@field bytes integer of these, as they are in storage
---@field cached_nodes integer that were in the cache before
---@field complete boolean all of it is in the cache now

---What only databases behind s3:, http: and https: are opened with.
---@class rille.Storage
---@field backend table? for backends written in Lua: options of their own
---@field timeout_ms number? of a request with all its repetitions; 30,000
---@field ca_file string? certificates to trust, in PEM
---@field region string? s3:
---@field endpoint string? s3: of another store than AWS: "https://HOST"
---@field style "path"|"virtual"|nil s3: where the bucket's name stands
---@field fencing "auto"|"none"|nil s3: "none" allows a store that ignores conditions, for one writer only
---@field profile string? s3: of AWS's files
---@field access_key string? s3:
---@field secret_key string? s3:
---@field session_token string? s3:
---@field user string? http:
---@field password string? http:
---@field bearer string? http: a token
---@field netrc string? http: the path of such a file

---@class rille.Open: rille.Storage
---@field cache_bytes number? memory of the connection
---@field cache string? what is read is kept there, for others too: "file:DIR", "mem:NAME"
---@field cache_max_bytes number? of it
---@field max_staleness_ms number? how old a value may be that is taken without asking

---@class rille.Create: rille.Open
---@field keep_history boolean?
---@field schema_flexibility "write"|"read"|nil
---@field durability string?
---@field flush string?

---@class rille.Connect: rille.Create
---@field branch string?
---@field create boolean?

---@class rille.At: rille.Open
---@field branch string?
---@field as_of any
---@field commit string?

---@class rille.query
---@field methods table of builders
---@field eq fun(...: any): rille.Clause
---@field ne fun(...: any): rille.Clause
---@field lt fun(...: any): rille.Clause
---@field le fun(...: any): rille.Clause
---@field gt fun(...: any): rille.Clause
---@field ge fun(...: any): rille.Clause
---@field count fun(var: rille.Value): rille.Clause
---@field count_distinct fun(var: rille.Value): rille.Clause
---@field distinct fun(var: rille.Value): rille.Clause
---@field sum fun(var: rille.Value): rille.Clause
---@field avg fun(var: rille.Value): rille.Clause
---@field median fun(var: rille.Value): rille.Clause
---@field min fun(var: rille.Value, n: integer?): rille.Clause
---@field max fun(var: rille.Value, n: integer?): rille.Clause
---@field variance fun(var: rille.Value): rille.Clause
---@field stddev fun(var: rille.Value): rille.Clause

---@class rille.Stats
---@field reads integer calls that read ranges of objects
---@field read_ranges integer
---@field read_bytes integer
---@field writes integer objects
---@field written_bytes integer
---@field head_reads integer
---@field head_swaps integer
---@field cache_hits integer nodes and blobs in memory
---@field cache_misses integer
---@field cache_bytes integer
---@field cache_bytes_max integer
---@field size_bytes integer in storage; 0: not known
---@field head_age_ms number since the newest known value was read
---@field requests integer sent to the storage
---@field retries integer
---@field hedges integer
---@field received_bytes integer
---@field sent_bytes integer
---@field rounds integer
---@field wait_us integer microseconds
---@field tier_hits integer of a cache in front of the storage
---@field tier_misses integer
---@field tier_evictions integer
---@field tier_bytes integer

---A connection to one branch of a database.
---@class rille.Conn: userdata
local Conn = {}

---Commits transaction data: a list of entity maps and operations, or EDN text.
---@param tx_data table|string
---@param options? {meta: table?} meta: attributes of the transaction itself
---@return rille.Report? report
---@return string? message
---@return string? code "TX_SYNTAX", "ATTRIBUTE", "TYPE", "TX_UNIQUE", "TX_CONFLICT", "TX_CAS", "BUSY" ...
function Conn:transact(tx_data, options) end

---Calls f(report) after each transaction of this connection.
---@param f fun(report: rille.Report)
---@return integer id
function Conn:listen(f) end

---Ends what listen began.
---@param id integer
function Conn:unlisten(id) end

---The newest value.
---@return rille.Db? db
---@return string? message
---@return string? code
function Conn:db() end

---Folds recent transactions into the trees now.
---@return boolean? done
---@return string? message
---@return string? code
function Conn:flush() end

---Counters since the store was opened; docs/lua-api.md says what each counts.
---@return rille.Stats
function Conn:stats() end

---Reads and checks everything.
---@return {branches: integer, transactions: integer, datoms: integer, nodes: integer, blobs: integer, bytes: integer}?
---@return string? message
---@return string? code "CORRUPT"
function Conn:verify() end

---Begins to commit transaction data. The operation's result is the report. It begins again by itself when another
---writer was first. When it is closed or cancelled while the head is being swapped, it may have committed.
---@param tx_data table|string not changed until the operation has ended
---@param options? {meta: table?}
---@return rille.Op op
function Conn:start_transact(tx_data, options) end

---Begins to read the branch head. The operation's result is the newest database value.
---@return rille.Op op
function Conn:start_db() end

---Begins a flush. The operation's result is true.
---@return rille.Op op
function Conn:start_flush() end

---Begins a verification. The operation's result is what was checked.
---@return rille.Op op
function Conn:start_verify() end

---Where the database is stored, without what may be a secret.
---@return string
function Conn:url() end

---Closes the connection; its database values stay usable.
function Conn:close() end

---A database value: never changes.
---@class rille.Db: userdata
local Db = {}

---Where the database is stored, without what may be a secret.
---@return string
function Db:url() end

---Runs a query with this value as its first input.
---@param query string|rille.Builder|table|rille.Query
---@param ... any more inputs
---@return rille.Result|any result
---@return string? message
---@return string? code
function Db:q(query, ...) end

---Iterates over the datoms of an index that begin with the given components. Raises errors.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any components, in the order of the index's name
---@return fun(): integer, string, any, integer, boolean
function Db:datoms(index, ...) end

---Iterates over the datoms of an index from the given components to its end. Raises errors.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any components, in the order of the index's name
---@return fun(): integer, string, any, integer, boolean
function Db:seek_datoms(index, ...) end

---Iterates over the datoms of an indexed or unique attribute by value, from `from` to before `to`. Raises errors.
---@param attr string
---@param from any? nil: from the least
---@param to any? nil: to the end
---@return fun(): integer, string, any, integer, boolean
function Db:index_range(attr, from, to) end

---The exact number of datoms of an index that begin with the given components.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any
---@return integer? count
---@return string? message
---@return string? code
function Db:count(index, ...) end

---The value that transacting the data would give, in a report; nothing is stored.
---@param tx_data table|string
---@return rille.Report? report
---@return string? message
---@return string? code
function Db:with(tx_data) end

---The value at a transaction id, an instant (also as ISO text) or a commit id.
---@param point integer|string|rille.Value
---@return rille.Db? db
---@return string? message
---@return string? code "NOTFOUND"
function Db:as_of(point) end

---Begins to read datoms, as datoms does: after each "rows" step, `for e, a, v, tx, added in op:rows()`.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any
---@return rille.Op op
function Db:start_datoms(index, ...) end

---Begins to read the datoms of an index from the given components to its end.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any
---@return rille.Op op
function Db:start_seek_datoms(index, ...) end

---Begins to read a range of values of an attribute.
---@param attr string
---@param from any?
---@param to any?
---@return rille.Op op
function Db:start_index_range(attr, from, to) end

---Begins to count datoms. The operation's result is the number.
---@param index "eavt"|"aevt"|"avet"|"vaet"
---@param ... any
---@return rille.Op op
function Db:start_count(index, ...) end

---Begins to read a part of the database into the cache. The operation's result is what was read.
---@param options? rille.Warm
---@return rille.Op op
function Db:start_warm(options) end

---Reads a part of the database into the cache, level by level and many nodes at once, within a budget.
---@param options? rille.Warm
---@return rille.Warmed? warmed
---@return string? message
---@return string? code
function Db:warm(options) end

---Begins a look at what transacting the data would give. The operation's result is a report.
---@param tx_data table|string not changed until the operation has ended
---@return rille.Op op
function Db:start_with(tx_data) end

---Begins to read a value of the past: the operation's result.
---@param point any a transaction id, an instant, or a commit id
---@return rille.Op op
function Db:start_as_of(point) end

---Begins to look an entity up. The operation's result is its id.
---@param entity any an ident or a lookup ref
---@return rille.Op op
function Db:start_entid(entity) end

---@return {t: integer, instant: rille.Value, commit: string, branch: string}
function Db:basis() end

---@return table<string, {id: integer, type: string, cardinality: "one"|"many", unique: string?, index: boolean, component: boolean, no_history: boolean}>
function Db:schema() end

---The id of an ident or lookup ref.
---@param entity integer|string|rille.Value|table
---@return integer? id
---@return string? message
---@return string? code "ENTITY_MISSING"
function Db:entid(entity) end

---The ident of an entity.
---@param id integer
---@return string?
function Db:ident(id) end

---May be called twice; the collector closes it, too.
function Db:close() end

---One datom of a report.
---@class rille.Datom
---@field e integer
---@field a string
---@field v any
---@field tx integer
---@field added boolean

---What a transaction did.
---@class rille.Report
---@field db_before rille.Db
---@field db_after rille.Db
---@field tx integer
---@field instant rille.Value
---@field commit string
---@field tempids table<string|integer, integer>
---@field tx_data rille.Datom[]

---A parsed query.
---@class rille.Query: userdata
local Query = {}

---Runs it to its end.
---@param ... any inputs in the order of :in, then maybe rille.options
---@return rille.Result|any result nil, too, for `?x .` that finds nothing
---@return string? message
---@return string? code
function Query:run(...) end

---Iterates over its rows while it runs: several values for each row, no table. Raises errors.
---@param ... any inputs
---@return fun(...): any
function Query:rows(...) end

---Begins to run it, to be stepped by hosts with an event loop.
---@param ... any inputs
---@return rille.Op? op
---@return string? message
---@return string? code
function Query:start(...) end

---The plan, with the rows it expected and had.
---@param ... any inputs
---@return string? text
---@return string? message
---@return string? code
function Query:explain(...) end

---The same as data.
---@param ... any inputs
---@return rille.Explained? explained
---@return string? message
---@return string? code
function Query:explain_data(...) end

---@return string
function Query:text() end

---@return string[]
function Query:columns() end

---@return {kind: "source"|"rules"|"scalar"|"list"|"row"|"rows", name: string}[]
function Query:inputs() end

---May be called twice; the collector closes it, too.
function Query:close() end

---What a query asked of storage.
---@class rille.Spent
---@field requests integer
---@field received_bytes integer
---@field waits integer
---@field wait_us integer microseconds

---@class rille.ExplainedSource: rille.Spent
---@field names string[] sources of :in that share one storage
---@field url string
---@field planning rille.Spent what the planner took of that

---@class rille.ExplainedStage
---@field stage string
---@field clause string?
---@field range string? predicates that cut the range
---@field estimated_rows number?
---@field rows integer
---@field depth integer

---@class rille.Explained
---@field stages rille.ExplainedStage[]
---@field sources rille.ExplainedSource[]

---An operation: a query that runs, or another call that is made in steps.
---@class rille.Op: userdata
local Op = {}

---Goes on for about so many microseconds; nil or 0: until something happens.
---@param budget_us number?
---@return "rows"|"need"|"again"|"done"|nil state
---@return string? message
---@return string? code
function Op:step(budget_us) end

---Iterates over the rows of the last "rows" step.
---@return fun(): any
function Op:rows() end

---What the ordinary call gives, once a step said "done" or failed; of a query, what is left of its rows.
---@return any result
---@return string? message
---@return string? code
function Op:result() end

---Runs to the end, fetching by itself, and closes the operation.
---@return rille.Result|any result
---@return string? message
---@return string? code
function Op:run() end

---Rows of the batch at hand that were not taken yet.
---@return integer
function Op:count() end

---Fetches what the last step needed. Blocks.
---@return boolean? done
---@return string? message
---@return string? code
function Op:fetch() end

---The same without blocking: begins to fetch, or takes what has come. false: it is still under way.
---@return boolean? ready
---@return string? message
---@return string? code
function Op:poll() end

---What the last step needs: each has op ("get", "put", "head_read", "head_swap", "list", "delete", "drop"), store (a
---URL), and what the op is about (docs/lua-api.md).
---@return table[]
function Op:wanted() end

---Hands in the outcome of number i of wanted(); after a failure nil, a message and a code.
---@param i integer
---@param outcome any
---@param message string?
---@param code string?
---@return boolean? done
---@return string? message
---@return string? code "CORRUPT"
function Op:supply(i, outcome, message, code) end

---Of a query, between two steps: its plan, and what it asked of each database so far.
---@return string? text
---@return string? message
---@return string? code
function Op:explain() end

---@return rille.Explained? explained
---@return string? message
---@return string? code
function Op:explain_data() end

---The next step gives CANCELLED.
function Op:cancel() end

---May be called twice; the collector closes it, too.
function Op:close() end

---Rows over columns; `#result`, `result[i]`.
---@class rille.Result: userdata
---@field [integer] any[]
---@operator len: integer
local Result = {}

---@param j integer|string
---@return any[]
function Result:column(j) end

---@return string[]
function Result:columns() end

---@return fun(): any
function Result:rows() end

---@return any[][]
function Result:to_table() end

---May be called twice; the collector closes it, too.
function Result:close() end

---@class rille.Options
