-- SPDX-License-Identifier: MIT
local rille = require "rille"
local support = require "spec.support.init"

local edn = rille.edn

local function round_trip(text)
  local value, message = edn.decode(text)
  assert(value ~= nil, message)
  return (assert(edn.encode(value)))
end

describe("EDN", function()
  it("survives decode and encode in every form", function()
    local texts = {
      "nil", "true", "false", "0", "-7", "9007199254740991", "1.5", "-2.5e100", "1234567890123456789012N", "1.25M",
      [["a \"b\" \\ \n \t é"]], "\\a", "\\newline", "\\space", "\\é", ":a", ":a/b", ":a.b/c-d", "sym", "a/b", "?x",
      "$src", "%", "()", "(1 2)", "[]", "[1 [2 [3]]]", "{}", "{:a 1}", "#{}", "#{1 2}",
      [[#inst "2026-11-22T10:00:00.123Z"]], [[#uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]],
      [[#bytes "AAEC/w=="]], "#my/tag [1 {:a ()}]", "##Inf", "##-Inf", "##NaN", "[nil nil]",
    }
    for _, text in ipairs(texts) do assert.equal(text, round_trip(text)) end
  end)

  it("gives plain Lua values for plain things", function()
    assert.equal(42, edn.decode "42")
    assert.equal(1.5, edn.decode "1.5")
    assert.equal("x", edn.decode [["x"]])
    assert.is_true(edn.decode "true")
    assert.same({ 1, "a", { 2 } }, edn.decode [=[[1 "a" [2]]]=])
    assert.equal(rille.null, edn.decode "nil")
    assert.equal(rille.null, edn.decode("[1 nil]")[2])
  end)

  it("tells lists, sets, maps and vectors apart", function()
    assert.equal("list", edn.type(edn.decode "(1)"))
    assert.equal("set", edn.type(edn.decode "#{1}"))
    assert.equal("map", edn.type(edn.decode "{}"))
    assert.equal("vector", edn.type(edn.decode "[]"))
    assert.equal("tagged", edn.type(edn.decode "#a 1"))
    assert.equal("keyword", edn.type(edn.decode ":a"))
    assert.equal("nil", edn.type(edn.decode "nil"))
  end)

  it("interns values, so that equal ones are the same key of a table", function()
    local map = edn.decode [[{:a/b 1, "a/b" 2, a/b 3}]]
    assert.equal(1, map[rille.kw "a/b"])
    assert.equal(2, map["a/b"])
    assert.equal(3, map[rille.sym "a/b"])
    local uuid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    assert.equal(rille.uuid(uuid), edn.decode(([[#uuid "%s"]]):format(uuid)))
    assert.equal(rille.instant(0), rille.instant "1970-01-01T00:00:00Z")
    assert.equal(rille.bytes "\0\1", edn.decode [[#bytes "AAE="]])
    assert.not_equal(rille.kw "a", rille.sym "a")
  end)

  it("keeps keys that Lua would merge or refuse", function()
    assert.equal("{##NaN 1}", round_trip "{##NaN 1}")
    assert.equal("{nil 1}", round_trip "{nil 1}")
    assert.equal("{[1 2] 3}", round_trip "{[1 2] 3}")
  end)

  it("writes Lua tables: arrays as vectors, others as maps in the order of their keys", function()
    assert.equal("[1 2 3]", edn.encode { 1, 2, 3 })
    assert.equal([[{"a" 1, "b" 2, "c" 3}]], edn.encode { c = 3, a = 1, b = 2 })
    assert.equal("[]", edn.encode {})
    assert.equal("{}", edn.encode(edn.map {}))
    assert.equal("(+ 1 2)", edn.encode(edn.list { rille.sym "+", 1, 2 }))
    assert.equal("#{:a}", edn.encode(edn.set { rille.kw "a" }))
    assert.equal("#t 1", edn.encode(edn.tagged("t", 1)))
    assert.equal("[nil 1]", edn.encode { rille.null, 1 })
    assert.equal("(1)", tostring(edn.list { 1 }))
  end)

  it("reads all forms of a text, skipping comments", function()
    assert.same({ 1, 2, { 3 } }, edn.decode_all "1 ; one\n 2 #_ignored [3]")
    assert.same({}, edn.decode_all "  ")
    assert.same({ "[1 2]", "{:a 1}", "x" }, edn.split "[1 2] {:a 1} ;no\n x")
  end)

  it("says where text does not parse", function()
    local value, message, code = edn.decode "[1\n  2"
    assert.is_nil(value)
    assert.equal("SYNTAX", code)
    assert.matches("^%d+:%d+: ", message)
    local wrong = { "", "]", "{:a}", "{:a 1 :a 2}", "#{1 1}", ":", "1 2", "\"open", "#inst \"x\"", "##Foo", "1x" }
    for _, text in ipairs(wrong) do
      local _, why, what = edn.decode(text)
      assert.equal("SYNTAX", what, text)
      assert.is_string(why)
    end
  end)

  it("calls nil by its name where an array has a hole", function()
    local function holes()
      local array = { 1, 2, nil, 4 }
      array.x = 1
      return array
    end
    for _, array in ipairs { holes(), edn.list(holes()) } do
      local value, message, code = edn.encode(array)
      assert.is_nil(value)
      assert.equal("TYPE", code)
      assert.is_nil(message:find("a nil", 1, true), message)
      assert.matches("nil", message)
    end
  end)

  it("refuses text nested ten thousand deep without falling over", function()
    for _, bracket in ipairs { "[", "(", "{", "#{", "#a " } do
      local value, message, code = edn.decode(bracket:rep(10000))
      assert.is_nil(value)
      assert.is_string(message)
      assert.is_true(code == "LIMIT" or code == "SYNTAX")
    end
    local deep = ("["):rep(500) .. ("]"):rep(500)
    assert.equal(deep, round_trip(deep))
  end)

  it("refuses Lua data that is no EDN", function()
    local _, message, code = edn.encode(print)
    assert.equal("TYPE", code)
    assert.matches("function", message)
    assert.equal("TYPE", select(3, edn.encode { { "\255" } }))
    local own = {}
    own[1] = own
    assert.equal("LIMIT", select(3, edn.encode(own)))
  end)

  it("shows the parts of values", function()
    local kw = rille.kw ":a.b/c"
    assert.equal("a.b", kw.namespace)
    assert.equal("c", kw.name)
    assert.equal("a.b/c", kw.text)
    assert.equal(":a.b/c", tostring(kw))
    assert.equal("keyword", kw.type)
    assert.is_nil(rille.kw("x").namespace)
    assert.equal(1500, rille.instant(1500).ms)
    assert.equal("1970-01-01T00:00:01.500Z", tostring(rille.instant(1500)))
    assert.equal("12345678901234567890", tostring(rille.bigint "12345678901234567890"))
    assert.equal("1.5", rille.bigdec("1.50").text)
    assert.equal("\0x", rille.bytes("\0x").text)
    assert.is_true(rille.instant(1) < rille.instant(2))
    assert.is_true(rille.kw "a" <= rille.kw "a")
    assert.equal("instant", rille.value_type(rille.instant(0)))
    assert.is_nil(rille.value_type "x")
    assert.matches("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", tostring(rille.uuid()))
    assert.equal("<:a>", "<" .. rille.kw "a" .. ">")
  end)

  it("raises an error for values that cannot be", function()
    assert.matches("not a valid keyword", support.failure(rille.kw, "a b"))
    assert.matches("not a valid symbol", support.failure(rille.sym, ""))
    assert.matches("not a UUID", support.failure(rille.uuid, "123"))
    assert.matches("not an instant", support.failure(rille.instant, "yesterday"))
    assert.is_string(support.failure(rille.bigint, "12x"))
    assert.is_string(support.failure(rille.bigdec, "1..2"))
    assert.is_string(support.failure(rille.kw, nil))
  end)

  it("keeps integers beyond 2^53 exact, or says that it cannot", function()
    local value, _, code = edn.decode "9007199254740993"
    if value == nil then
      assert.equal("UNSUPPORTED", code)
    else
      assert.equal("9007199254740993", edn.encode(value))
      assert.equal("-9223372036854775808", round_trip "-9223372036854775808")
    end
  end)

  it("round-trips random data", function()
    local seed = support.seed()
    local function random(depth)
      local n = math.random(depth > 3 and 8 or 12)
      if n == 1 then return math.random(-1000000, 1000000) end
      if n == 2 then return math.random() + 0.25 end
      if n == 3 then return ("é"):rep(math.random(0, 5)) .. "\"\\\n" end
      if n == 4 then return rille.kw("k" .. math.random(100)) end
      if n == 5 then return rille.sym("s/" .. math.random(100)) end
      if n == 6 then return rille.instant(math.random(0, 2 ^ 31 - 1)) end
      if n == 7 then return rille.null end
      if n == 8 then return rille.bytes(string.char(math.random(0, 255), math.random(0, 255))) end
      local items = {}
      for i = 1, math.random(0, 4) do items[i] = random(depth + 1) end
      if n == 9 then return items end
      if n == 10 then return edn.list(items) end
      if n == 11 then return edn.tagged("t/x", items) end
      local map = {}
      for i, item in ipairs(items) do map[rille.kw("k" .. i)] = item end
      return edn.map(map)
    end
    for _ = 1, 300 do
      local text = assert(edn.encode(random(0)))
      assert.equal(text, round_trip(text), "seed " .. seed)
    end
  end)

  it("refuses arrays with more than elements", function()
    local mixed = { 1, 2, a = 3 }
    local holes = { 1, nil, 3 }
    for _, make in ipairs { function(t) return t end, edn.list, edn.set } do
      local text, message, code = edn.encode(make { 1, 2, a = 3 })
      assert.is_nil(text)
      assert.equal("TYPE", code)
      assert.matches('key "a" in addition', message)
      assert.is_nil((edn.encode(make { 1, nil, 3 })))
    end
    assert.is_nil((edn.encode { x = mixed }))
    assert.is_nil((edn.encode { { holes } }))
    assert.equal("{1 2, 3 4}", edn.encode(edn.map { [1] = 2, [3] = 4 }))
  end)

  it("refuses what is there twice, and writes equal things in one way", function()
    for _, items in ipairs { { 1, 1 }, { "a", "b", "a" }, { { 1 }, { 1 } }, { rille.kw "a", rille.kw "a" } } do
      local text, message, code = edn.encode(edn.set(items))
      assert.is_nil(text)
      assert.equal("TYPE", code)
      assert.matches("duplicate", message)
    end
    assert.is_string((edn.encode(edn.set { 1, "1", rille.kw "a", "a" })))
    if math.type then assert.equal("#{1 1.0}", edn.encode((edn.decode "#{1 1.0}"))) end
    if rawget(_G, "jit") then
      local keys = edn.map { [5] = 1 }
      keys[rille.edn.decode "[9007199254740993]"[1]] = 2
      keys[rille.edn.decode "[9007199254740993]"[1]] = 3
      assert.equal("TYPE", select(3, edn.encode(keys)))
    end
    local spellings = { { "1N", "1" }, { "1.50M", "1.5M" }, { "1E5M", "100000M" }, { "-0M", "0M" },
      { "\\u0041", "\\A" }, { '#inst "2020-01-01T00:00:00+02:00"', '#inst "2019-12-31T22:00:00.000Z"' } }
    for _, pair in ipairs(spellings) do assert.equal(pair[2], edn.encode((edn.decode(pair[1])))) end
  end)
end)
