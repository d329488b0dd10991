// SPDX-License-Identifier: Apache-2.0

/// A logical line cut into keyword, flags and arguments; nothing is known yet of what the keyword means.
struct Statement {
    let line: LogicalLine
    let keyword: Range<Int>
    private(set) var flags: [Flag] = []
    /// What follows the flags, trimmed.
    private(set) var arguments: Range<Int>

    /// Cuts a line, or the part of an ONBUILD line that holds its trigger.
    init(_ line: LogicalLine, in range: Range<Int>, escape: UInt8) {
        self.line = line
        let content = WhiteSpace.trimmed(range, in: line.bytes)
        let space = line.bytes[content].firstIndex(where: WhiteSpace.isBlank) ?? content.upperBound
        keyword = content.lowerBound..<space
        arguments = space..<content.upperBound
        let end = readFlags(escape: escape)
        arguments = WhiteSpace.trimmed(end..<content.upperBound, in: line.bytes)
    }

    /// Reads words that start with `--` up to the first that does not, or up to `--` alone.
    ///
    /// - Returns: Where the arguments start.
    private mutating func readFlags(escape: UInt8) -> Int {
        let bytes = line.bytes
        var index = arguments.lowerBound
        while true {
            index = WhiteSpace.skipping(index..<arguments.upperBound, in: bytes)
            guard index + 1 < arguments.upperBound, bytes[index] == UInt8(ascii: "-"),
                bytes[index + 1] == UInt8(ascii: "-")
            else { return index }
            var word = FlagWord()
            let start = index
            index = word.read(bytes, from: index, to: arguments.upperBound, escape: escape)
            if word.bytes == [UInt8(ascii: "-"), UInt8(ascii: "-")] { return index }
            flags.append(flag(word, start..<index))
        }
    }

    private func flag(_ word: FlagWord, _ range: Range<Int>) -> Flag {
        let equals = word.bytes.firstIndex(of: UInt8(ascii: "="))
        let name = String(decoding: word.bytes[2..<(equals ?? word.bytes.count)], as: UTF8.self)
        let value = equals.map { equals in
            let text = String(decoding: word.bytes[(equals + 1)...], as: UTF8.self)
            return Word(
                text,
                at: line.range(min(word.valueStart ?? range.upperBound, range.upperBound)..<range.upperBound)
            )
        }
        return Flag(name: name, value: value, raw: line.word(range))
    }
}

/// A flag's word with quotes and escapes removed.
private struct FlagWord {
    var bytes: [UInt8] = []
    /// The index after the first `=`.
    var valueStart: Int?

    /// Reads up to the first white space outside quotes.
    ///
    /// - Returns: The index after the word.
    mutating func read(_ source: [UInt8], from start: Int, to end: Int, escape: UInt8) -> Int {
        var index = start
        var quote: UInt8?
        while index < end {
            var byte = source[index]
            if let open = quote {
                if byte == open {
                    quote = nil
                    index += 1
                    continue
                }
            } else if WhiteSpace.isBlank(byte) {
                break
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                quote = byte
                index += 1
                continue
            }
            if byte == escape {
                index += 1
                // An escape at the end of the line is dropped.
                guard index < end else { break }
                byte = source[index]
            }
            if byte == UInt8(ascii: "="), valueStart == nil { valueStart = index + 1 }
            bytes.append(byte)
            index += 1
        }
        return index
    }
}
