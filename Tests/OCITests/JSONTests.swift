// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

@Suite struct JSONTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    private func fault(_ bytes: some Sequence<UInt8>) throws -> String {
        try #require(throws: ContentError.self) { try JSONValue(parsing: Array(bytes)) }.message
    }

    @Test func documentsAreReadWhole() throws {
        let text = " {\"a\": [1, -2, 0, true, false, null, \"x\"], \"b\": {\"c\": {}}, \"d\": []}\r\n\t"

        let value = try parse(text)

        #expect(value["a"] == [1, -2, 0, true, false, nil, "x"])
        #expect(value["b"]?["c"] == [:])
        #expect(value["d"] == [])
        #expect(try parse(value.canonical) == value)
        #expect(try parse(value.pretty) == value)
    }

    @Test(arguments: [
        (#""\n\r\t\b\f\"\\\/""#, "\n\r\t\u{8}\u{C}\"\\/"), (#""\u0041\u00e9\u20AC""#, "Aé€"),
        (#""\ud83d\ude00""#, "😀"), (#""\uD800""#, "\u{FFFD}"), (#""\uDC00x""#, "\u{FFFD}x"),
        (#""\uD800\u0041""#, "\u{FFFD}A"), (#""\uD800\uD83D\uDE00""#, "\u{FFFD}😀"), (#""\ud800\n""#, "\u{FFFD}\n"),
        ("\"\u{7F}é\"", "\u{7F}é"), (#""\u0000""#, "\0"),
    ])
    func escapesAndSurrogates(text: String, value: String) throws {
        #expect(try parse(text).string == value)
        #expect(try parse(JSONValue.string(value).canonical).string == value)
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1", "[1,", "[1,]", "[,]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
        "{a:1}", "{1:1}", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12", "\"\\u+123\"", "\"\\u-123\"", "\"\n\"",
        "tru",
        "nul", "True", "NaN", "Infinity", "+1", "01", "-", "-01", "1.", ".5", "1e", "1e+", "--1", "1 2", "[1] x",
        "'a'", "//", "{\"a\":1}}",
    ])
    func malformedTextIsRefused(text: String) throws {
        #expect(try fault(text.utf8).hasPrefix("malformed JSON at byte "))
    }

    @Test(
        arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82]] as [[UInt8]]
    )
    func textsThatAreNotUTF8AreRefused(bytes: [UInt8]) throws {
        #expect(try fault([0x22] + bytes + [0x22]).hasSuffix("a text is not UTF-8"))
        #expect(try fault([0x7B, 0x22] + bytes + Array("\":1}".utf8)).hasSuffix("a text is not UTF-8"))
    }

    @Test(arguments: [
        ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min), ("1e3", 1000), ("1.5e1", 15),
        ("-0", 0), ("2.9", 2), ("1E-2", 0), ("10", 10),
    ])
    func numbersAreWhole(text: String, value: Int64) throws {
        #expect(try parse(text).int == value)
    }

    @Test(arguments: ["9223372036854775808", "1e400", "-1e99", "9e15"])
    func numbersThatDoNotFitAreRefused(text: String) throws {
        #expect(try fault(text.utf8).hasSuffix("a number is too large"))
    }

    @Test func aMillionDigitsAreNoTrouble() throws {
        #expect(try fault(repeatElement(0x39, count: 1_000_000)).hasSuffix("a number is too large"))
    }

    @Test(arguments: ["[", "{\"a\":"])
    func depthHasALimit(open: String) throws {
        let close = open == "[" ? "]" : "}"
        let nested = { (depth: Int) in
            String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
        }

        #expect(try parse(nested(512)).canonical == nested(512))
        #expect(try fault(nested(513).utf8).hasSuffix("nested more than 512 deep"))
        #expect(try fault(String(repeating: open, count: 1_000_000).utf8).hasSuffix("nested more than 512 deep"))
    }

    @Test func theLastOfTwoMembersStays() throws {
        #expect(try parse("{\"a\":1,\"a\":2}") == ["a": 2])
    }

    @Test func equalValuesGiveEqualBytes() throws {
        let text = "{\"é\":\"\\u0001\",\"a\":[1,{\"z\":null,\"b\":true}]}"
        #expect(
            try parse(" {\"a\":[1,{\"b\":true, \"z\":null}], \"\\u00e9\":\"\\u0001\"}").canonical
                == "{\"a\":[1,{\"b\":true,\"z\":null}],\"é\":\"\\u0001\"}"
        )
        #expect(try parse(text) == parse(parse(text).pretty))
    }

    @Test(
        "Numbers with a fraction come back as they were written",
        arguments: ["0.5", "1.5", "-2.25", "0.1", "1e-07", "123456.789"]
    )
    func fractions(text: String) throws {
        let value = try JSONValue(parsing: Array(text.utf8))

        #expect(value.canonical == text)
        #expect(value.number == Double(text))
    }

    @Test("A member is set, replaced and removed")
    func members() {
        var value: JSONValue = ["a": 1, "b": ["c": 2]]

        value["b"]?["c"] = 0.5
        value["a"] = nil
        value["d"] = "new"

        #expect(value == ["b": ["c": 0.5], "d": "new"])
    }
}
