// SPDX-License-Identifier: Apache-2.0

/// Expands the variables of a word and removes its quotes, as instructions do with their arguments.
///
/// `$x`, `${x}`, `${x:-w}`, `${x-w}`, `${x:+w}`, `${x+w}`, `${x:?w}`, `${x?w}`, `${x#p}`, `${x##p}`, `${x%p}`, `${x%%p}`,
/// `${x/p/w}` and `${x//p/w}` are replaced, words within them too; quotes and escapes are those of a shell.
///
/// Specification: Dockerfile reference, "Environment replacement".
public struct WordExpander: Sendable {
    /// Departures from ordinary expansion.
    public struct Options: OptionSet, Sendable {
        /// The bits.
        public let rawValue: Int

        /// Creates options from bits.
        ///
        /// - Parameter rawValue: The bits.
        public init(rawValue: Int) {
            self.rawValue = rawValue
        }

        /// Quotes stay in the result.
        public static let rawQuotes = Options(rawValue: 1)
        /// Escape characters stay in the result.
        public static let rawEscapes = Options(rawValue: 2)
        /// Quotes are ordinary characters, as in the content of heredocs.
        public static let skipQuotes = Options(rawValue: 4)
        /// Variables without a value stay as they are written.
        public static let keepUnset = Options(rawValue: 8)
    }

    /// The longest result, in UTF-8 bytes; a variable that doubles itself is stopped here.
    static let longestResult = 8 << 20

    private let escape: Unicode.Scalar
    private let options: Options

    /// Creates an expander.
    ///
    /// - Parameters:
    ///   - escape: A backslash, or the character of the `escape` directive.
    ///   - options: Departures from ordinary expansion.
    public init(escape: UInt8 = UInt8(ascii: "\\"), options: Options = []) {
        self.escape = Unicode.Scalar(escape)
        self.options = options
    }

    /// Expands a word.
    ///
    /// - Parameters:
    ///   - word: The word as written.
    ///   - lookup: The value of a variable; `nil` where it is not set.
    /// - Returns: The result, and which variables were and were not set.
    /// - Throws: ``ExpansionError`` for a quote or brace that is not closed, an unknown modifier, a bad pattern, a
    ///   variable that `?` requires, and a result over 8 MiB.
    public func expand(_ word: String, with lookup: (String) -> String?) throws(ExpansionError) -> Expansion {
        if isPlain(word) { return Expansion(text: word, matched: [], unmatched: []) }
        var run = ExpansionRun(word, escape: escape, options: options, splits: false)
        let result = try run.read(until: nil, keepsEscapes: options.contains(.rawEscapes), depth: 0, lookup)
        return Expansion(text: result.text, matched: run.matched, unmatched: run.unmatched)
    }

    /// Expands a text and cuts it into words at the white space that is neither quoted nor escaped, after variables
    /// are replaced.
    ///
    /// - Parameters:
    ///   - text: The text as written.
    ///   - lookup: The value of a variable; `nil` where it is not set.
    /// - Returns: The words; may be empty.
    /// - Throws: As ``expand(_:with:)``.
    public func words(_ text: String, with lookup: (String) -> String?) throws(ExpansionError) -> [String] {
        var run = ExpansionRun(text, escape: escape, options: options, splits: true)
        return try run.read(until: nil, keepsEscapes: options.contains(.rawEscapes), depth: 0, lookup).words
    }

    /// Whether a word has nothing to expand, as most have.
    private func isPlain(_ word: String) -> Bool {
        let escape = UInt8(truncatingIfNeeded: escape.value)
        return word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "$"), UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "<"): false
            default: byte != escape
            }
        }
    }
}

/// What a word expanded to.
public struct Expansion: Hashable, Sendable {
    /// The text after expansion.
    public let text: String
    /// The variables that had a value, in the order of their first use.
    public let matched: [String]
    /// The variables that had none, in the order of their first use.
    public let unmatched: [String]
}

/// A word that cannot be expanded.
public struct ExpansionError: Error, Hashable, Sendable {
    /// What is wrong: one line, no full stop.
    public let message: String
    /// Where reading stopped, in Unicode scalars from the start of the word.
    public let offset: Int
}
