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

    /// Whose fault it is.
    public let kind: Kind

    /// Whose fault a failure is.
    public enum Kind: Sendable {
        /// The step's own.
        case step
        /// The command line's: what the step needs was not given.
        case usage
        /// A server's, or the network's.
        case network
        /// Credentials were refused or are missing.
        case credentials
    }

    /// A build that wants files and has no context.
    static let noContext = BuildError("this build has no build context", kind: .usage)

    /// The message.
    public var description: String { message }

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - message: One line, no full stop.
    ///   - range: Where the Dockerfile asks for it.
    ///   - notes: What to do, or what else is known.
    ///   - kind: Whose fault it is.
    public init(_ message: String, at range: SourceRange? = nil, notes: [String] = [], kind: Kind = .step) {
        (self.message, self.range, self.notes) = (BuildError.printable(message), range, notes)
        self.kind = kind
    }

    /// Text without control characters: names of files in messages may come from anywhere, and a terminal obeys them.
    static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            let isControl = scalar.properties.generalCategory == .control
            result += isControl ? scalar.escaped(asASCII: true) : String(scalar)
        }
    }
}
