// SPDX-License-Identifier: Apache-2.0

/// A `.dockerignore` file: what of the build context a build does not see.
///
/// Rules apply in order and the last that matches a path or a folder above it decides; `!` takes back what earlier
/// rules hide.
///
/// Specification: Dockerfile reference, ".dockerignore file".
public struct IgnoreFile: Sendable {
    /// One line that is neither empty nor a comment.
    public struct Rule: Hashable, Sendable {
        /// The pattern in its shortest form, without `!`.
        public let pattern: String
        /// Whether it takes back what earlier rules hide.
        public let isException: Bool
        /// The line in the file, counted from 1.
        public let line: Int
        /// Where it stands in the file.
        public let range: SourceRange
        let matcher: PathPattern

        /// The rule as in a file: with `!` where it is an exception.
        public var text: String { (isException ? "!" : "") + pattern }
    }

    /// What the rules say of a path.
    public struct Decision: Hashable, Sendable {
        /// Whether the path is hidden.
        public let isIgnored: Bool
        /// The rule that decided; `nil` where none matched.
        public let rule: Rule?
    }

    /// The rules in order; may be empty.
    public let rules: [Rule]
    private let exceptions: [PathPattern]

    /// Reads a file.
    ///
    /// - Parameter source: The text; any bytes at all.
    /// - Returns: The rules that could be read, and what is wrong with the others.
    public static func parse(_ source: SourceText) -> (file: IgnoreFile, diagnostics: [Diagnostic]) {
        var (rules, diagnostics): ([Rule], [Diagnostic]) = ([], [])
        for number in 1...source.lineStarts.count {
            var range = source.bytesOfLine(number)
            if number == 1, source.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { range = SourceRange(3, range.end) }
            let content = WhiteSpace.trimmed(range.start..<range.end, in: source.bytes)
            guard !content.isEmpty, source.bytes[range.start] != UInt8(ascii: "#") else { continue }
            let place = SourceRange(content.lowerBound, content.upperBound)
            do {
                if let rule = try rule(source, content, number) { rules.append(rule) }
            } catch {
                diagnostics.append(.error(error.message, at: place))
            }
        }
        return (IgnoreFile(rules), diagnostics)
    }

    private init(_ rules: [Rule]) {
        self.rules = rules
        exceptions = rules.filter(\.isException).map(\.matcher)
    }

    private static func rule(_ source: SourceText, _ content: Range<Int>, _ line: Int) throws(PatternError) -> Rule? {
        let place = SourceRange(content.lowerBound, content.upperBound)
        let isException = source.bytes[content.lowerBound] == UInt8(ascii: "!")
        let inner = WhiteSpace.trimmed(
            (content.lowerBound + (isException ? 1 : 0))..<content.upperBound,
            in: source.bytes
        )
        if inner.isEmpty { throw PatternError(message: "\"!\" takes back nothing; a pattern follows it: !keep.txt") }
        var text = cleaned(source.text(of: SourceRange(inner.lowerBound, inner.upperBound)))
        if text.utf8.count > 1, text.hasPrefix("/") { text.removeFirst() }
        let matcher = try PathPattern(text)
        return Rule(pattern: text, isException: isException, line: line, range: place, matcher: matcher)
    }

    /// The shortest path that means the same, as Go's `filepath.Clean` has it.
    static func cleaned(_ path: String) -> String {
        let isAbsolute = path.hasPrefix("/")
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part != ".." {
                parts.append(part)
            } else if let last = parts.last, last != ".." {
                parts.removeLast()
            } else if !isAbsolute {
                parts.append(part)
            }
        }
        let joined = parts.joined(separator: "/")
        return isAbsolute ? "/" + joined : joined.isEmpty ? "." : joined
    }

    // MARK: Deciding

    /// What the rules say of a path.
    ///
    /// - Parameter path: Relative to the context, with slashes, cleaned.
    /// - Returns: Whether it is hidden, and by which rule.
    public func decision(for path: String) -> Decision {
        decision(for: Array(path.utf8))
    }

    /// What the rules say of a path whose name need not be UTF-8.
    ///
    /// - Parameter path: Relative to the context, with slashes, cleaned.
    /// - Returns: Whether it is hidden, and by which rule.
    public func decision(for path: [UInt8]) -> Decision {
        decide(path) { rule, parents in parents.contains { rule.matcher.matches($0) } }
    }

    /// What the rules say of a path, of the folders above it only the one as deep as a rule's pattern looked at.
    ///
    /// - Parameter path: Relative to the context, with slashes, cleaned.
    /// - Returns: Whether it is hidden, and by which rule.
    public func shallowDecision(for path: String) -> Decision {
        decide(Array(path.utf8)) { rule, parents in
            let depth = rule.matcher.depth
            return depth <= parents.count && rule.matcher.matches(parents[depth - 1])
        }
    }

    private func decide(_ path: [UInt8], _ parentMatches: (Rule, [ArraySlice<UInt8>]) -> Bool) -> Decision {
        var parents: [ArraySlice<UInt8>]?
        var decision = Decision(isIgnored: false, rule: nil)
        for rule in rules where rule.isException == decision.isIgnored {
            if rule.matcher.matches(path) {
                decision = Decision(isIgnored: !rule.isException, rule: rule)
                continue
            }
            let above = parents ?? IgnoreFile.parents(of: path)
            parents = above
            if !above.isEmpty, parentMatches(rule, above) {
                decision = Decision(isIgnored: !rule.isException, rule: rule)
            }
        }
        return decision
    }

    /// The folders above a path, the outermost first.
    private static func parents(of path: [UInt8]) -> [ArraySlice<UInt8>] {
        path.indices.filter { $0 > 0 && path[$0] == UInt8(ascii: "/") }.map { path[..<$0] }
    }

    /// Whether nothing below an ignored folder can be seen, so that a walk need not enter it.
    ///
    /// - Parameter path: A folder, relative to the context, with slashes, cleaned.
    /// - Returns: `false` where an exception might match something below.
    public func hidesAll(below path: [UInt8]) -> Bool {
        decision(for: path).isIgnored && !exceptions.contains { $0.couldMatch(below: path) }
    }
}
