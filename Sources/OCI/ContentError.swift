// SPDX-License-Identifier: Apache-2.0

/// Bytes or text that are not what they should be: a malformed digest, reference, platform or document.
public struct ContentError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was found and what was expected: one line, no full stop.
    public let message: String

    /// The message.
    public var description: String { message }

    /// Creates an error.
    ///
    /// - Parameter message: One line, values in it, no full stop.
    public init(message: String) {
        self.message = message
    }
}
