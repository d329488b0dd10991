// SPDX-License-Identifier: Apache-2.0

extension JSONValue {
    /// Reads a document.
    ///
    /// Specification: RFC 8259. A number is ``int(_:)`` where its value is whole, however it is written.
    ///
    /// - Parameter bytes: The document, in UTF-8; at most 512 levels deep.
    /// - Throws: ``ContentError`` that says where it is malformed.
    public init(parsing bytes: [UInt8]) throws(ContentError) {
        var parser = JSONParser(bytes)
        self = try parser.document()
    }

    /// A member of an object; `nil` where there is none, or where this is no object.
    ///
    /// What is set in something else than an object makes it one; `nil` removes a member.
    ///
    /// - Parameter name: The member's name.
    public subscript(name: String) -> JSONValue? {
        get { if case .object(let members) = self { members[name] } else { nil } }
        set {
            var members = object ?? [:]
            // Moved out, so that the change is made in place.
            self = .null
            members[name] = newValue
            self = .object(members)
        }
    }

    /// The text; `nil` where this is none.
    public var string: String? { if case .string(let text) = self { text } else { nil } }
    /// The number, without its fraction where it has one; `nil` where this is none.
    public var int: Int64? {
        switch self {
        case .int(let number): number
        case .decimal(let number): Int64(exactly: number.rounded(.towardZero))
        default: nil
        }
    }
    /// The number; `nil` where this is none.
    public var number: Double? {
        switch self {
        case .int(let number): Double(number)
        case .decimal(let number): number
        default: nil
        }
    }
    /// The truth value; `nil` where this is none.
    public var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    /// The elements; `nil` where this is no array.
    public var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    /// The members; `nil` where this is no object.
    public var object: [String: JSONValue]? { if case .object(let members) = self { members } else { nil } }
    /// The texts of an array; `nil` where this is no array.
    public var texts: [String]? { array?.compactMap(\.string) }
    /// The members that are texts; `nil` where this is no object.
    public var strings: [String: String]? { object?.compactMapValues(\.string) }

    /// An object of texts.
    ///
    /// - Parameter members: Its members.
    public init(_ members: [String: String]) { self = .object(members.mapValues { .string($0) }) }
}

/// Reads JSON strictly; bad input ends in an error, however deep or long it is.
struct JSONParser {
    private let bytes: [UInt8]
    private var index = 0
    private var depth = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func document() throws(ContentError) -> JSONValue {
        let result = try value()
        skipBlanks()
        guard index == bytes.count else { throw fault("something follows the document") }
        return result
    }

    private func fault(_ reason: String) -> ContentError {
        ContentError(message: "malformed JSON at byte \(index): \(reason)")
    }

    private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipBlanks() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func value() throws(ContentError) -> JSONValue {
        skipBlanks()
        switch peek {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try text())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ text: String, _ value: JSONValue) throws(ContentError) -> JSONValue {
        guard bytes[index...].starts(with: text.utf8) else { throw fault("no value") }
        index += text.utf8.count
        return value
    }

    private mutating func number() throws(ContentError) -> JSONValue {
        let start = index
        if peek == UInt8(ascii: "-") { index += 1 }
        let isZero = peek == UInt8(ascii: "0")
        let whole = digits()
        guard whole == 1 || (whole > 1 && !isZero) else { throw fault("no value") }
        if peek == UInt8(ascii: ".") {
            index += 1
            guard digits() > 0 else { throw fault("a number has no digit after its point") }
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            index += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { index += 1 }
            guard digits() > 0 else { throw fault("a number has no digit in its exponent") }
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if let number = Int64(text) { return .int(number) }
        // Beyond 2^53 a number with a fraction or exponent is no longer the one that was written.
        guard let real = Double(text), real.magnitude < 9e15 else { throw fault("a number is too large") }
        return Int64(exactly: real).map { .int($0) } ?? .decimal(real)
    }

    /// Skips digits; how many there were.
    private mutating func digits() -> Int {
        let start = index
        while let byte = peek, (0x30...0x39).contains(byte) { index += 1 }
        return index - start
    }

    private mutating func enter() throws(ContentError) {
        depth += 1
        index += 1
        guard depth <= 512 else { throw fault("nested more than 512 deep") }
    }

    private mutating func array() throws(ContentError) -> JSONValue {
        try enter()
        defer { depth -= 1 }
        var elements: [JSONValue] = []
        skipBlanks()
        if peek == UInt8(ascii: "]") {
            index += 1
            return .array([])
        }
        while true {
            elements.append(try value())
            if try ends(with: UInt8(ascii: "]")) { return .array(elements) }
        }
    }

    private mutating func object() throws(ContentError) -> JSONValue {
        try enter()
        defer { depth -= 1 }
        var members: [String: JSONValue] = [:]
        skipBlanks()
        if peek == UInt8(ascii: "}") {
            index += 1
            return .object([:])
        }
        while true {
            skipBlanks()
            guard peek == UInt8(ascii: "\"") else { throw fault("a member has no name") }
            let name = try text()
            skipBlanks()
            guard peek == UInt8(ascii: ":") else { throw fault("a member has no value") }
            index += 1
            members[name] = try value()
            if try ends(with: UInt8(ascii: "}")) { return .object(members) }
        }
    }

    /// Reads a comma, or the end of a list.
    private mutating func ends(with close: UInt8) throws(ContentError) -> Bool {
        skipBlanks()
        guard let byte = peek, byte == close || byte == UInt8(ascii: ",") else { throw fault("a list does not end") }
        index += 1
        return byte == close
    }

    private mutating func text() throws(ContentError) -> String {
        index += 1
        var result: [UInt8] = []
        while let byte = peek {
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: result, as: UTF8.self) else { throw fault("a text is not UTF-8") }
                return text
            case UInt8(ascii: "\\"): try escape(into: &result)
            case 0..<0x20: throw fault("a control character in a text")
            default: result.append(byte)
            }
        }
        throw fault("a text does not end")
    }

    private mutating func escape(into result: inout [UInt8]) throws(ContentError) {
        guard let byte = peek else { throw fault("a text does not end") }
        index += 1
        switch byte {
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0C)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(byte)
        case UInt8(ascii: "u"):
            var unit = try hexadecimal()
            if (0xD800..<0xDC00).contains(unit), bytes[index...].starts(with: "\\u".utf8) {
                let afterFirst = index
                index += 2
                let low = try hexadecimal()
                if (0xDC00..<0xE000).contains(low) {
                    unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
                } else {
                    // Half a pair; what follows it is a character of its own.
                    index = afterFirst
                }
            }
            result.append(contentsOf: String(Unicode.Scalar(unit).map { Character($0) } ?? "\u{FFFD}").utf8)
        default: throw fault("no such escape")
        }
    }

    private mutating func hexadecimal() throws(ContentError) -> UInt32 {
        guard index + 4 <= bytes.count,
            // A sign is a number's, and no digit.
            bytes[index] != UInt8(ascii: "+"), bytes[index] != UInt8(ascii: "-"),
            let unit = UInt32(String(decoding: bytes[index..<(index + 4)], as: UTF8.self), radix: 16)
        else { throw fault("\\u without four digits") }
        index += 4
        return unit
    }
}
