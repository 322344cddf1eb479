// Documents that every reader of RFC 8259 must accept, and documents that it must refuse, in the manner of
// the JSON parsing test suites: one oddity each. Used whole, cut at every byte, and as food for mutation.
// Source: the grammar of RFC 8259, section by section.

let goodDocuments: [String] = [
    "null", "true", "false", "0", "-0", "1", "-1", "10", "1.5", "-1.25e3", "1E5", "1e+5", "1e-5", "0.0",
    "0e0",
    "0e1", "1.0000000000000000000000000001", "123456789012345678901234567890", "1e400", "-1e-400", "\"\"",
    "\"a\"", " 1 ", "\t\r\n [ ] \n", "[]", "[[]]", "[1]", "[1,2 , 3]", "[null,true,false]", "{}",
    "{\"a\":1}", "{\"a\":1,\"b\":[{\"c\":{}}]}", "{ \"a\" : { } }", "{\"\":0}", "{\"a\":1,\"a\":2}",
    "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "\"\\u0041\\u00e9\\u20AC\"", "\"\\ud83d\\ude00\"",
    "\"\\uD834\\uDD1E\"",
    "\"\\u0000\"", "\"\u{7F}\"", "\"\u{80}\u{7FF}\u{800}\u{FFFD}\u{FFFF}\u{10000}\u{10FFFF}\"",
    "\"\u{2028}\u{2029}\"", "\"\u{FEFF}\"", "{\"\u{1F600}\":\"\u{E9}\"}", "[[[[[[[[[[1]]]]]]]]]]",
    String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
    "[" + Array(repeating: "{\"k\":[0,\"v\"]}", count: 20).joined(separator: ",") + "]",
    """
    {"model_name":"iris","model_version":"2","outputs":[{"name":"p","datatype":"FP64","shape":[1,3],
     "data":[0.125,0.25,0.625]},{"name":"label","datatype":"INT64","shape":[1],"data":[2]}]}
    """,
]

let badDocuments: [String] = [
    "", " ", "nul", "nulll", "NULL", "True", "tru e", "falsy", "undefined", "NaN", "Infinity", "-Infinity",
    "+1", "01", "-01", "-", "1.", ".5", "-.5", "1e", "1e+", "1.e5", "0x10", "1_000", "1 2", "1,", "--1", "1a",
    "0 0", "00", "1e1.5", "\"", "\"a", "'a'", "a", "\"\t\"", "\"\n\"", "\"\u{0}\"", "\"\u{1F}\"", "\"\\x41\"",
    "\"\\a\"", "\"\\'\"", "\"\\u12\"", "\"\\u123g\"", "\"\\U0041\"", "\"\\ud800\"", "\"\\udc00\"",
    "\"\\ud800\\ud800\"", "\"\\ud800x\"", "\"\\ud800\\n\"", "\"\\ud800\\u0041\"", "\"\\", "\"\\u", "[", "]",
    "[1",
    "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1,,2]", "[1}", "[\"a\":1]", "{", "}", "{]", "{\"a\"", "{\"a\":",
    "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{\"a\",1}", "{a:1}", "{1:1}", "{'a':1}",
    "{\"a\":1 \"b\":2}", "{\"a\":1]", "{\"a\":1}}", "[1]]", "[][]", "// c\n1", "/* c */ 1", "[1] // c", "#1",
    "\u{FEFF}1", "\u{A0}1", "\u{B}1", "\u{C}1", "[1\u{0}]", "\u{0}", "true false", "{} []", "\"a\" \"b\"",
    "null\u{0}", String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
    String(repeating: "[", count: 100_000), String(repeating: "{\"a\":", count: 5_000),
]

/// Bytes that are no UTF-8, each inside a string.
let badUTF8: [[UInt8]] = [
    [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
    [0xE2, 0x82], [0xE2, 0x28, 0xA1], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0x80],
    [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x9F, 0x98], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFE],
    [0xFF], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xC3, 0xA9, 0xA9],
]
