// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Why a command ends without its result: what is printed, and the exit code.
public struct ExitReason: Error, Sendable, CustomStringConvertible {
    /// What kind of thing went wrong; its number is the exit code.
    public enum Code: Int32, Sendable {
        /// A build step failed.
        case step = 1
        /// Wrong usage, or a fault in the Dockerfile.
        case usage = 2
        /// Credentials were refused or are missing.
        case credentials = 3
        /// The network or a registry failed.
        case registry = 4
        /// Azure or the cluster refused.
        case cloud = 5
        /// A fault of Coracle itself.
        case internalFault = 70
    }

    /// The exit code.
    public let code: Code
    /// One line, no full stop; empty where everything was printed already.
    public let message: String
    /// What to type or to change; `nil` where nothing is known.
    public let hint: String?

    /// The message.
    public var description: String { message }

    /// The reason as an event, one line of JSON: `{"event":"error","exitCode":…,"message":…,"hint":…}`.
    public var json: String {
        var json: JSONValue = ["event": "error", "exitCode": .int(Int64(code.rawValue)), "message": .string(message)]
        json["hint"] = hint.map { .string($0) }
        return json.canonical
    }

    /// Creates a reason.
    ///
    /// - Parameters:
    ///   - code: The exit code.
    ///   - message: One line, no full stop; empty where everything was printed already.
    ///   - hint: What to type or to change.
    public init(_ code: Code, _ message: String, hint: String? = nil) {
        (self.code, self.message, self.hint) = (code, message, hint)
    }
}
