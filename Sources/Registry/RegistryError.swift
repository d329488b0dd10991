// SPDX-License-Identifier: Apache-2.0

/// A registry that refused, could not be reached, or answered with something that cannot be accepted.
public struct RegistryError: Error, Sendable, CustomStringConvertible {
    /// What callers branch on.
    ///
    /// Kinds may be added in any release: compare with `==`, never switch exhaustively.
    public struct Kind: Hashable, Sendable {
        let name: String

        /// Credentials are missing, or were not accepted (401).
        public static let auth = Kind(name: "auth")
        /// The credentials are good, but lack the right that is needed (403, or a token with less than was asked for).
        public static let denied = Kind(name: "denied")
        /// The registry does not hold what was named (404).
        public static let notFound = Kind(name: "not found")
        /// The registry cannot be reached, or the connection broke more often than the policy allows.
        public static let network = Kind(name: "network")
        /// The registry asked us to slow down more often than the policy allows (429).
        public static let throttled = Kind(name: "throttled")
        /// The registry failed (5xx), or sent other bytes than those of a digest.
        public static let server = Kind(name: "server")
        /// The registry refused what it was sent, or sent what cannot be read: a malformed answer.
        public static let invalid = Kind(name: "invalid")
        /// The registry is read-only: it says so in a way that ours and no other has.
        public static let readOnly = Kind(name: "read-only")
        /// The image is there, for other platforms than the one that is wanted.
        public static let wrongPlatform = Kind(name: "wrong platform")
        /// What was to be sent is not what its digest says: nothing is wrong with the registry.
        public static let damagedSource = Kind(name: "damaged source")
    }

    /// What callers branch on.
    public let kind: Kind
    /// What was being done, to what, and what came back: one line, no full stop, no secrets.
    public let message: String
    /// The command or setting most likely to put it right; `nil` where none is known.
    public let hint: String?
    /// The status of the answer; `nil` where there was none.
    public let status: Int?
    /// The registry's own codes, as `MANIFEST_UNKNOWN`; may be empty.
    public let codes: [String]
    /// The error underneath, kept for `--debug`.
    public let cause: (any Error)?

    /// The message, and the hint after it.
    public var description: String { hint.map { "\(message) (\($0))" } ?? message }

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - kind: What callers branch on.
    ///   - message: One line, no full stop; the caller has taken secrets out.
    ///   - hint: The command or setting most likely to put it right.
    ///   - status: The status of the answer.
    ///   - codes: The registry's own codes.
    ///   - cause: The error underneath.
    public init(
        _ kind: Kind,
        _ message: String,
        hint: String? = nil,
        status: Int? = nil,
        codes: [String] = [],
        cause: (any Error)? = nil
    ) {
        (self.kind, self.message, self.hint) = (kind, message, hint)
        (self.status, self.codes, self.cause) = (status, codes, cause)
    }
}
