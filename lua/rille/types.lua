-- SPDX-License-Identifier: MIT
---@meta
-- luacheck: ignore
--
-- Types of the handles that rille.core makes, for editors. Never loaded. rille.lua, run.lua and query.lua say the rest.

---A value of a type that Lua has none of its own for. Interned: equal values are the same object.
---@class rille.Value: userdata
---@field type string "keyword", "symbol", "uuid", "instant", "bytes", "bigint", "bigdec", "char"
---@field text string without the colon
---@field ms integer? of an instant: milliseconds since 1970
---@field name string? of a keyword or symbol
---@field namespace string?

---A connection to one branch of a database.
---@class rille.Conn: userdata
local Conn = {}

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

---Counters since the store was opened.
---@return table<string, integer>
function Conn:stats() end

---Reads and checks everything.
---@return {branches: integer, transactions: integer, datoms: integer, nodes: integer, blobs: integer, bytes: integer}?
---@return string? message
---@return string? code "CORRUPT"
function Conn:verify() end

---@return string
function Conn:url() end

---A database value: never changes.
---@class rille.Db: userdata
local Db = {}

---The value at a transaction id, an instant (also as ISO text) or a commit id.
---@param point integer|string|rille.Value
---@return rille.Db? db
---@return string? message
---@return string? code "NOTFOUND"
function Db:as_of(point) end

---@return {t: integer, instant: rille.Value, commit: string, branch: string}
function Db:basis() end

---@return table<string, {id: integer, type: string, cardinality: "one"|"many", unique: string?, index: boolean}>
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

---@return string
function Query:text() end

---@return string[]
function Query:columns() end

---@return {kind: "source"|"rules"|"scalar"|"list"|"row"|"rows", name: string}[]
function Query:inputs() end

function Query:close() end

---A query that runs.
---@class rille.Op: userdata
local Op = {}

---Rows of the batch at hand that were not taken yet.
---@return integer
function Op:count() end

---Fetches what the last step needed. Blocks.
---@return boolean? done
---@return string? message
---@return string? code
function Op:fetch() end

---What the last step needs; length 0: to the end.
---@return {store: string, kind: "pack"|"node"|"blob", id: string, offset: integer, length: integer}[]
function Op:wanted() end

---Hands in what number i of wanted() asked for.
---@param i integer
---@param bytes string
---@return boolean? done
---@return string? message
---@return string? code "CORRUPT"
function Op:supply(i, bytes) end

---The next step gives CANCELLED.
function Op:cancel() end

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

function Result:close() end

---@class rille.Options
