// SPDX-License-Identifier: Apache-2.0

/// A fault or a doubtful place in a Dockerfile, pointing into it.
public struct Diagnostic: Hashable, Sendable {
    /// How bad it is.
    public enum Severity: String, Hashable, Sendable {
        /// The file cannot be built.
        case error
        /// The file can be built, and something in it is probably not what was meant.
        case warning
    }

    /// A further line under the excerpt: what hides a file, a similar name, where a name was first used.
    public struct Note: Hashable, Sendable {
        /// One line, no full stop.
        public let message: String
        /// Where it points, in the same text; absent where it points outside of it.
        public let range: SourceRange?

        /// Creates a note.
        ///
        /// - Parameters:
        ///   - message: One line, no full stop.
        ///   - range: Where it points, in the same text.
        public init(_ message: String, at range: SourceRange? = nil) {
            (self.message, self.range) = (message, range)
        }
    }

    /// How bad it is.
    public let severity: Severity
    /// The lint rule that found it; absent for faults of the language.
    public let rule: LintRule?
    /// What is wrong: one line, values in it, no full stop.
    public let message: String
    /// The part of the text it is about; the caret stands under it.
    public let range: SourceRange
    /// Further lines, in the order they are shown; may be empty.
    public let notes: [Note]

    /// Creates a diagnostic.
    ///
    /// - Parameters:
    ///   - severity: How bad it is.
    ///   - message: One line, values in it, no full stop.
    ///   - range: The part of the text it is about.
    ///   - rule: The lint rule that found it.
    ///   - notes: Further lines.
    public init(
        _ severity: Severity,
        _ message: String,
        at range: SourceRange,
        rule: LintRule? = nil,
        notes: [Note] = []
    ) {
        self.severity = severity
        self.message = message
        self.range = range
        self.rule = rule
        self.notes = notes
    }

    /// An error of the language.
    static func error(_ message: String, at range: SourceRange, notes: [Note] = []) -> Diagnostic {
        Diagnostic(.error, message, at: range, notes: notes)
    }
}
