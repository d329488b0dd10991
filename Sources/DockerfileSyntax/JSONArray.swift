// SPDX-License-Identifier: Apache-2.0

/// The exec form: a JSON array of strings, strictly as RFC 8259 has it.
///
/// A text that is not JSON is in shell form instead, so this reader says only what a text is, not what is
/// wrong with it.
struct JSONArray {
    /// What a text turned out to be.
    enum Outcome {
        /// An array of strings, unescaped.
        case strings([Word])
        /// JSON, an array, but with another element at the given place.
        case otherElements(Range<Int>)
        /// Not a JSON array.
        case notJSON
    }

    /// Arrays and objects nested deeper than this are not read as JSON.
    private static let deepest = 128

    private let line: LogicalLine
    private let end: Int
    private var index: Int

    /// Reads a part of a line.
    static func read(_ line: LogicalLine, _ range: Range<Int>) -> Outcome {
        let start = WhiteSpace.skipping(range, in: line.bytes)
        guard start < range.upperBound, line.bytes[start] == UInt8(ascii: "[") else { return .notJSON }
        var reader = JSONArray(line: line, end: range.upperBound, index: start + 1)
        return reader.readArray()
    }

    private mutating func readArray() -> Outcome {
        var words: [Word] = []
        var other: Range<Int>?
        skipSpace()
        if take("]") { return atEnd ? .strings([]) : .notJSON }
        while true {
            skipSpace()
            let start = index
            if peek == UInt8(ascii: "\"") {
                guard let text = readString() else { return .notJSON }
                words.append(Word(text, at: line.range(start..<index)))
            } else {
                guard skipValue(depth: 1) else { return .notJSON }
                other = other ?? start..<index
            }
            skipSpace()
            if take("]") { break }
            guard take(",") else { return .notJSON }
        }
        guard atEnd else { return .notJSON }
        return other.map { .otherElements($0) } ?? .strings(words)
    }

    private var peek: UInt8? { index < end ? line.bytes[index] : nil }

    /// Whether only white space is left.
    private var atEnd: Bool {
        mutating get {
            skipSpace()
            return index == end
        }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: scalar) else { return false }
        index += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A { index += 1 }
    }

    /// Reads a string with its quotes; `nil` where it is malformed.
    private mutating func readString() -> String? {
        index += 1
        var text: [UInt8] = []
        while let byte = peek {
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard readEscape(into: &text) else { return nil }
            case 0..<0x20: return nil
            default: text.append(byte)
            }
        }
        return nil
    }

    private mutating func readEscape(into text: inout [UInt8]) -> Bool {
        guard let byte = peek else { return false }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            guard let unit = readHex() else { return false }
            appendScalar(unit, to: &text)
        default: return false
        }
        return true
    }

    /// Adds a UTF-16 code unit, together with the other half of its pair where one follows.
    private mutating func appendScalar(_ unit: UInt32, to text: inout [UInt8]) {
        var scalar = unit
        if (0xD800..<0xDC00).contains(unit), peek == UInt8(ascii: "\\"), index + 1 < end,
            line.bytes[index + 1] == UInt8(ascii: "u")
        {
            let before = index
            index += 2
            if let low = readHex(), (0xDC00..<0xE000).contains(low) {
                scalar = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            } else {
                index = before
            }
        }
        // Half a pair alone is no character; JSON readers put U+FFFD in its place.
        text.append(contentsOf: String(Unicode.Scalar(scalar) ?? "\u{FFFD}").utf8)
    }

    private mutating func readHex() -> UInt32? {
        guard index + 4 <= end else { return nil }
        var value: UInt32 = 0
        for byte in line.bytes[index..<(index + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else { return nil }
            value = value << 4 | UInt32(digit)
        }
        index += 4
        return value
    }

    /// Moves behind any value; `false` where it is malformed or nested too deep.
    private mutating func skipValue(depth: Int) -> Bool {
        guard depth < JSONArray.deepest, let byte = peek else { return false }
        switch byte {
        case UInt8(ascii: "\""): return readString() != nil
        case UInt8(ascii: "["): return skipMembers(close: "]", depth: depth, named: false)
        case UInt8(ascii: "{"): return skipMembers(close: "}", depth: depth, named: true)
        case UInt8(ascii: "t"): return skipWord("true")
        case UInt8(ascii: "f"): return skipWord("false")
        case UInt8(ascii: "n"): return skipWord("null")
        default: return skipNumber()
        }
    }

    private mutating func skipMembers(close: Unicode.Scalar, depth: Int, named: Bool) -> Bool {
        index += 1
        skipSpace()
        if take(close) { return true }
        while true {
            skipSpace()
            if named {
                guard peek == UInt8(ascii: "\""), readString() != nil else { return false }
                skipSpace()
                guard take(":") else { return false }
                skipSpace()
            }
            guard skipValue(depth: depth + 1) else { return false }
            skipSpace()
            if take(close) { return true }
            guard take(",") else { return false }
        }
    }

    private mutating func skipWord(_ word: StaticString) -> Bool {
        for byte in word.description.utf8 {
            guard peek == byte else { return false }
            index += 1
        }
        return true
    }

    private mutating func skipNumber() -> Bool {
        _ = take("-")
        if !take("0") {
            guard skipDigits() else { return false }
        }
        if take("."), !skipDigits() { return false }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            return skipDigits()
        }
        return true
    }

    private mutating func skipDigits() -> Bool {
        let start = index
        while let byte = peek, (0x30...0x39).contains(byte) { index += 1 }
        return index > start
    }
}
