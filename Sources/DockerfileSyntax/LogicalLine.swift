// SPDX-License-Identifier: Apache-2.0

/// An instruction's line with continuations removed, and where each of its bytes stands in the source.
struct LogicalLine {
    /// A run of bytes that stand together in the source too.
    struct Piece {
        let logical: Int
        let source: Int
    }

    private(set) var bytes: [UInt8] = []
    private var pieces: [Piece] = []
    /// Where the line starts in the source.
    let start: Int
    /// Where its last physical line ends in the source, line ending left out.
    var end: Int
    /// The comment lines above.
    var comments: [Word] = []
    /// The last line after an empty line inside a continuation was seen; absent without one.
    var emptyContinuation: SourceRange?

    init(start: Int) {
        (self.start, end) = (start, start)
    }

    /// Adds a part of the source.
    mutating func append(_ range: Range<Int>, of source: [UInt8]) {
        guard !range.isEmpty else { return }
        pieces.append(Piece(logical: bytes.count, source: range.lowerBound))
        bytes.append(contentsOf: source[range])
    }

    /// Where a byte stands in the source; for the end of the line, after its last byte.
    func offset(_ index: Int) -> Int {
        guard let first = pieces.first else { return start }
        if index >= bytes.count {
            let last = pieces[pieces.count - 1]
            return last.source + bytes.count - last.logical
        }
        if pieces.count == 1 { return first.source + index }
        var (low, high) = (0, pieces.count)
        while low + 1 < high {
            let middle = (low + high) / 2
            if pieces[middle].logical <= index { low = middle } else { high = middle }
        }
        return pieces[low].source + index - pieces[low].logical
    }

    /// The part of the source that holds a part of the line.
    func range(_ range: Range<Int>) -> SourceRange {
        if range.isEmpty {
            let place = offset(range.lowerBound)
            return SourceRange(place, place)
        }
        return SourceRange(offset(range.lowerBound), offset(range.upperBound - 1) + 1)
    }

    /// The text of a part of the line.
    func text(_ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self)
    }

    /// A part of the line as a word.
    func word(_ range: Range<Int>) -> Word {
        Word(text(range), at: self.range(range))
    }
}
