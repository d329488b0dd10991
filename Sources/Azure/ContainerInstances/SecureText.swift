// SPDX-License-Identifier: Apache-2.0

/// A text that nobody may see: it prints as dots, whoever prints it.
public struct SecureText: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The text itself, for the one request that needs it.
    public let value: String

    /// Keeps a text.
    ///
    /// - Parameter value: The text.
    public init(_ value: String) { self.value = value }

    /// Dots, whatever the text is.
    public var description: String { SecureText.mask }
    /// Dots, whatever the text is.
    public var debugDescription: String { SecureText.mask }
    /// Nothing of the text.
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// What stands for every secret.
    public static let mask = "•••"
}
