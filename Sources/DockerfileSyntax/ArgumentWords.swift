// SPDX-License-Identifier: Apache-2.0

/// Cuts the arguments of an instruction into words; each kind of instruction has its own way.
enum ArgumentWords {
    /// Cuts at runs of blanks, as EXPOSE, FROM and the plain form of COPY do; quotes mean nothing.
    static func blankSeparated(_ line: LogicalLine, _ range: Range<Int>) -> [Word] {
        var words: [Word] = []
        var index = range.lowerBound
        while index < range.upperBound {
            let end = line.bytes[index..<range.upperBound].firstIndex(where: WhiteSpace.isBlank) ?? range.upperBound
            words.append(line.word(index..<end))
            index = end
            while index < range.upperBound, WhiteSpace.isBlank(line.bytes[index]) { index += 1 }
        }
        return words
    }

    /// Cuts at white space outside quotes, as ENV, LABEL and ARG do; quotes and escapes stay in the words.
    static func quoted(_ line: LogicalLine, _ range: Range<Int>, escape: UInt8) -> [Word] {
        var words: [Word] = []
        var index = range.lowerBound
        while true {
            index = WhiteSpace.skipping(index..<range.upperBound, in: line.bytes)
            guard index < range.upperBound else { return words }
            let start = index
            let text = readQuoted(line.bytes, &index, range.upperBound, escape)
            if !text.isEmpty {
                words.append(Word(String(decoding: text, as: UTF8.self), at: line.range(start..<index)))
            }
        }
    }

    /// Reads one word of ``quoted(_:_:escape:)`` and moves the index behind it.
    private static func readQuoted(_ bytes: [UInt8], _ index: inout Int, _ end: Int, _ escape: UInt8) -> [UInt8] {
        var text: [UInt8] = []
        var quote: UInt8?
        while index < end {
            let byte = bytes[index]
            if quote == nil {
                if WhiteSpace.width(at: index, in: bytes, end: end) > 0 { break }
                if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") { quote = byte }
            } else if byte == quote {
                quote = nil
            }
            // Nothing can be escaped between single quotes.
            if byte == escape, quote != UInt8(ascii: "'") {
                // An escape at the end of the line is dropped.
                guard index + 1 < end else {
                    index += 1
                    break
                }
                text.append(byte)
                index += 1
            }
            text.append(bytes[index])
            index += 1
        }
        return text
    }

    /// The two parts of `KEY value`; `nil` where there is no value.
    static func legacyPair(_ line: LogicalLine, _ range: Range<Int>) -> (key: Word, value: Word)? {
        guard let space = line.bytes[range].firstIndex(where: WhiteSpace.isBlank) else { return nil }
        var value = space
        while value < range.upperBound, WhiteSpace.isBlank(line.bytes[value]) { value += 1 }
        return (line.word(range.lowerBound..<space), line.word(value..<range.upperBound))
    }
}
