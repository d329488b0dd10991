// SPDX-License-Identifier: Apache-2.0

/// Cuts a text into logical lines: comments dropped, continuations joined, directives read.
///
/// Specification: Dockerfile reference, "Format", "Parser directives", "escape".
struct Lexer {
    /// The longest physical line, line ending included; BuildKit's reader has the same bound.
    static let longestLine = 65_535

    let source: SourceText
    private(set) var directives: [Directive] = []
    private(set) var escape = UInt8(ascii: "\\")
    private(set) var diagnostics: [Diagnostic] = []
    private var offset = 0
    private var lookingForDirectives = true
    private var comments: [Word] = []

    init(_ source: SourceText) {
        self.source = source
        // A byte order mark is no part of the first line.
        if source.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
        if source.bytes[offset...].starts(with: "#!".utf8) { readDirectivesBelowShebang() }
    }

    /// Reads the directives that BuildKit looks for on its own, and so finds below `#!`, too: not `escape`.
    private mutating func readDirectivesBelowShebang() {
        let (start, old) = (offset, diagnostics)
        defer { (offset, diagnostics) = (start, old) }
        _ = nextPhysicalLine()
        while let line = nextPhysicalLine() {
            let content = WhiteSpace.skipping(line, in: source.bytes)..<line.upperBound
            guard let (name, value) = directive(in: content) else { return }
            if name == .escape || directives.contains(where: { $0.name == name }) { continue }
            let range = SourceRange(content.lowerBound, content.upperBound)
            directives.append(Directive(name: name, value: value, range: range))
        }
    }

    /// The next logical line that is not empty; `nil` at the end.
    mutating func next() -> LogicalLine? {
        while let physical = nextPhysicalLine() {
            let content = WhiteSpace.skipping(physical, in: source.bytes)..<physical.upperBound
            let isComment = noteComment(physical, content)
            if lookingForDirectives { readDirective(content) }
            if isComment { continue }
            var line = LogicalLine(start: content.lowerBound)
            line.end = content.upperBound
            var continues = append(content, to: &line)
            if content.isEmpty { continue }
            while continues, let more = nextPhysicalLine() {
                line.end = more.upperBound
                let visible = WhiteSpace.skipping(more, in: source.bytes)
                if visible < more.upperBound, source.bytes[visible] == UInt8(ascii: "#") { continue }
                if visible == more.upperBound {
                    line.emptyContinuation = SourceRange(more.lowerBound, more.upperBound)
                    continue
                }
                continues = append(more, to: &line)
            }
            if line.emptyContinuation != nil { line.emptyContinuation = SourceRange(line.end, line.end) }
            line.comments = comments
            comments = []
            return line
        }
        return nil
    }

    /// The lines up to a heredoc's delimiter.
    ///
    /// - Returns: The content's range, line endings included, and the end of the delimiter's line; `nil` where
    ///   the text ends before it.
    mutating func heredoc(until delimiter: [UInt8], strippingTabs: Bool) -> (content: Range<Int>, end: Int)? {
        let start = offset
        while offset < source.bytes.count {
            let lineStart = offset
            guard let line = nextPhysicalLine() else { break }
            var first = line.lowerBound
            if strippingTabs {
                while first < line.upperBound, source.bytes[first] == UInt8(ascii: "\t") { first += 1 }
            }
            if source.bytes[first..<line.upperBound].elementsEqual(delimiter) {
                return (start..<lineStart, line.upperBound)
            }
        }
        return nil
    }

    /// Adds a physical line without its continuation character.
    ///
    /// - Returns: Whether the line goes on.
    private func append(_ range: Range<Int>, to line: inout LogicalLine) -> Bool {
        var end = range.upperBound
        while end > range.lowerBound, source.bytes[end - 1] == 0x20 || source.bytes[end - 1] == 0x09 { end -= 1 }
        // An escape character that is itself escaped does not continue the line.
        guard end > range.lowerBound, source.bytes[end - 1] == escape,
            end - 1 == range.lowerBound || source.bytes[end - 2] != escape
        else {
            line.append(range, of: source.bytes)
            return false
        }
        line.append(range.lowerBound..<(end - 1), of: source.bytes)
        return true
    }

    /// The next line without its line ending; `nil` at the end of the text.
    private mutating func nextPhysicalLine() -> Range<Int>? {
        let start = offset
        guard start < source.bytes.count else { return nil }
        var end = start
        while end < source.bytes.count, source.bytes[end] != 0x0A { end += 1 }
        offset = min(end + 1, source.bytes.count)
        if offset - start > Lexer.longestLine {
            diagnostics.append(
                .error(
                    "line is \(offset - start) bytes long, over the limit of \(Lexer.longestLine)",
                    at: SourceRange(start, start),
                    notes: [.init("split it with line continuations, or COPY a file that holds the text")]
                )
            )
        }
        while end > start, source.bytes[end - 1] == 0x0D || source.bytes[end - 1] == 0x0A { end -= 1 }
        return start..<end
    }

    /// Keeps a comment for the instruction below it; an empty comment ends the run of comments.
    private mutating func noteComment(_ physical: Range<Int>, _ content: Range<Int>) -> Bool {
        guard let first = content.first, source.bytes[first] == UInt8(ascii: "#") else { return false }
        let inner = WhiteSpace.trimmed((content.lowerBound + 1)..<content.upperBound, in: source.bytes)
        if inner.isEmpty {
            comments = []
        } else {
            let range = SourceRange(inner.lowerBound, inner.upperBound)
            comments.append(Word(source.text(of: range), at: range))
        }
        return true
    }

    /// Reads `# name=value`; the first line that is none ends the search.
    private mutating func readDirective(_ content: Range<Int>) {
        guard let (name, value) = directive(in: content) else {
            lookingForDirectives = false
            return
        }
        if !comments.isEmpty { comments.removeLast() }
        let range = SourceRange(content.lowerBound, content.upperBound)
        if directives.contains(where: { $0.name == name }) {
            diagnostics.append(.error("a second \"\(name.rawValue)\" directive; only one may be used", at: range))
        }
        directives.append(Directive(name: name, value: value, range: range))
        guard name == .escape else { return }
        if value.text == "\\" || value.text == "`" {
            escape = value.text.utf8.first ?? escape
        } else {
            diagnostics.append(
                .error("escape character \"\(value.text)\" is neither a backslash nor a backtick", at: value.range)
            )
        }
    }

    /// The parts of a directive's line; `nil` where the line is none, or the name is unknown.
    private func directive(in content: Range<Int>) -> (Directive.Name, Word)? {
        let bytes = source.bytes
        guard let hash = content.first, bytes[hash] == UInt8(ascii: "#") else { return nil }
        let body = WhiteSpace.trimmed((hash + 1)..<content.upperBound, in: bytes)
        guard let equals = bytes[body].firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let key = WhiteSpace.trimmed(body.lowerBound..<equals, in: bytes)
        let value = WhiteSpace.trimmed((equals + 1)..<body.upperBound, in: bytes)
        let text = String(decoding: bytes[key], as: UTF8.self).lowercased()
        guard !value.isEmpty, let name = Directive.Name(rawValue: text) else { return nil }
        let range = SourceRange(value.lowerBound, value.upperBound)
        return (name, Word(source.text(of: range), at: range))
    }
}
