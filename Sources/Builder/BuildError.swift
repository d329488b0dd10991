// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax

/// A build that cannot go on.
public struct BuildError: Error, Sendable, CustomStringConvertible {
    /// What was being done, to what, and what was found: one line, no full stop.
    public let message: String
    /// Where the Dockerfile asks for it; `nil` where it does not.
    public let range: SourceRange?
    /// What to do, or what else is known.
    public let notes: [String]

    /// The message.
    public var description: String { message }

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - message: One line, no full stop.
    ///   - range: Where the Dockerfile asks for it.
    ///   - notes: What to do, or what else is known.
    public init(_ message: String, at range: SourceRange? = nil, notes: [String] = []) {
        (self.message, self.range, self.notes) = (message, range, notes)
    }
}
