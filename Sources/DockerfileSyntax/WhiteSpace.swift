// SPDX-License-Identifier: Apache-2.0

/// White space in UTF-8, without decoding the text around it.
enum WhiteSpace {
    /// The white space between words: tab, vertical tab, form feed, carriage return, space.
    static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || (byte >= 0x0B && byte <= 0x0D)
    }

    /// How many bytes of Unicode white space start at an index; 0 where none does.
    static func width(at index: Int, in bytes: [UInt8], end: Int) -> Int {
        let byte = bytes[index]
        if byte < 0x80 { return byte == 0x0A || isBlank(byte) ? 1 : 0 }
        if byte == 0xC2, index + 1 < end { return bytes[index + 1] == 0x85 || bytes[index + 1] == 0xA0 ? 2 : 0 }
        guard index + 2 < end else { return 0 }
        switch (byte, bytes[index + 1], bytes[index + 2]) {
        case (0xE1, 0x9A, 0x80), (0xE2, 0x81, 0x9F), (0xE3, 0x80, 0x80): return 3
        case (0xE2, 0x80, let last) where (0x80...0x8A).contains(last) || [0xA8, 0xA9, 0xAF].contains(last): return 3
        default: return 0
        }
    }

    /// The part of a range without white space at its ends.
    static func trimmed(_ range: Range<Int>, in bytes: [UInt8]) -> Range<Int> {
        let start = skipping(range, in: bytes)
        var end = range.upperBound
        while end > start {
            if width(at: end - 1, in: bytes, end: end) == 1 {
                end -= 1
            } else if end - start >= 2, width(at: end - 2, in: bytes, end: end) == 2 {
                end -= 2
            } else if end - start >= 3, width(at: end - 3, in: bytes, end: end) == 3 {
                end -= 3
            } else {
                break
            }
        }
        return start..<end
    }

    /// The first index of a range that is not white space; its end where all is.
    static func skipping(_ range: Range<Int>, in bytes: [UInt8]) -> Int {
        var index = range.lowerBound
        while index < range.upperBound {
            let width = width(at: index, in: bytes, end: range.upperBound)
            if width == 0 { break }
            index += width
        }
        return index
    }
}
