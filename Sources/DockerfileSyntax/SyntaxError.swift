// SPDX-License-Identifier: Apache-2.0

/// A value in a Dockerfile that cannot be read, as an error; it holds the diagnostic to show.
public struct SyntaxError: Error, Hashable, Sendable {
    /// What is wrong, and where.
    public let diagnostic: Diagnostic

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - message: One line, values in it, no full stop.
    ///   - range: The part of the text it is about.
    ///   - notes: Further lines.
    public init(_ message: String, at range: SourceRange, notes: [Diagnostic.Note] = []) {
        diagnostic = Diagnostic(.error, message, at: range, notes: notes)
    }
}
