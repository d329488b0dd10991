// SPDX-License-Identifier: Apache-2.0

/// A place in a text as people count: both numbers start at 1.
public struct SourcePosition: Hashable, Sendable {
    /// The line, counted from 1.
    public let line: Int
    /// The column in Unicode scalars, counted from 1; an invalid UTF-8 byte counts as one column.
    public let column: Int

    /// Creates a position.
    ///
    /// - Parameters:
    ///   - line: Counted from 1.
    ///   - column: Counted from 1.
    public init(line: Int, column: Int) {
        (self.line, self.column) = (line, column)
    }
}

/// A part of a text as machines count: UTF-8 offsets from the start of the text, `start` in, `end` out.
///
/// An empty range marks a place between two bytes.
public struct SourceRange: Hashable, Sendable {
    /// The offset of the first byte.
    public let start: Int
    /// The offset after the last byte; at least `start`.
    public let end: Int

    /// Creates a range.
    ///
    /// - Parameters:
    ///   - start: The offset of the first byte.
    ///   - end: The offset after the last byte; a smaller number than `start` is taken as `start`.
    public init(_ start: Int, _ end: Int) {
        (self.start, self.end) = (start, max(start, end))
    }

    /// The range from the start of this one to the end of another.
    ///
    /// - Parameter other: A range that does not end before this one starts.
    /// - Returns: The smallest range that holds both.
    public func joined(with other: SourceRange) -> SourceRange {
        SourceRange(min(start, other.start), max(end, other.end))
    }
}

/// A text with a name and a table of its lines, so that an offset can be shown as line and column.
public struct SourceText: Sendable {
    /// The name shown in messages: a path, or `<stdin>`.
    public let name: String
    /// The text as it was read, byte for byte.
    public let bytes: [UInt8]
    /// The offset at which each line starts; never empty.
    let lineStarts: [Int]

    /// Wraps a text.
    ///
    /// - Parameters:
    ///   - bytes: Any bytes; they need not be UTF-8.
    ///   - name: The name shown in messages.
    public init(_ bytes: [UInt8], name: String) {
        (self.bytes, self.name) = (bytes, name)
        var starts = [0]
        for index in bytes.indices where bytes[index] == 0x0A {
            starts.append(index + 1)
        }
        lineStarts = starts
    }

    /// Wraps a text.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - name: The name shown in messages.
    public init(_ text: String, name: String) {
        self.init(Array(text.utf8), name: name)
    }

    /// The number of the line that holds an offset, counted from 1.
    ///
    /// - Parameter offset: An offset into `bytes`; one past the end belongs to the last line.
    /// - Returns: The line's number.
    public func line(at offset: Int) -> Int {
        var (low, high) = (0, lineStarts.count)
        while low + 1 < high {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low + 1
    }

    /// Line and column of an offset.
    ///
    /// - Parameter offset: An offset into `bytes`, at most `bytes.count`.
    /// - Returns: The position as people count.
    public func position(of offset: Int) -> SourcePosition {
        let line = line(at: offset)
        let start = lineStarts[line - 1]
        return SourcePosition(line: line, column: 1 + columns(start, min(offset, bytes.count)))
    }

    /// The text of a line, without its line ending; invalid UTF-8 is shown as U+FFFD.
    ///
    /// - Parameter number: Counted from 1; a line that does not exist is empty.
    /// - Returns: The text.
    public func text(ofLine number: Int) -> String {
        let range = bytesOfLine(number)
        return String(decoding: bytes[range.start..<range.end], as: UTF8.self)
    }

    /// The text of a range; invalid UTF-8 is shown as U+FFFD.
    ///
    /// - Parameter range: Offsets into `bytes`; what lies beyond the end is left out.
    /// - Returns: The text.
    public func text(of range: SourceRange) -> String {
        let start = min(range.start, bytes.count)
        return String(decoding: bytes[start..<max(start, min(range.end, bytes.count))], as: UTF8.self)
    }

    /// The offsets of a line, without its line ending.
    func bytesOfLine(_ number: Int) -> SourceRange {
        guard number >= 1, number <= lineStarts.count else { return SourceRange(bytes.count, bytes.count) }
        let start = lineStarts[number - 1]
        var end = number < lineStarts.count ? lineStarts[number] : bytes.count
        while end > start, bytes[end - 1] == 0x0A || bytes[end - 1] == 0x0D { end -= 1 }
        return SourceRange(start, end)
    }

    /// How many columns the bytes between two offsets of one line take.
    func columns(_ start: Int, _ end: Int) -> Int {
        guard start < end else { return 0 }
        return String(decoding: bytes[start..<end], as: UTF8.self).unicodeScalars.count
    }
}
