// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A process could not be started in its sandbox, or not be waited for.
public struct SandboxError: Error, Sendable, CustomStringConvertible {
    /// What callers branch on.
    ///
    /// Codes may be added in any release: compare with `==`, never switch exhaustively.
    public struct Code: Hashable, Sendable {
        let name: String

        /// The program is not in the root, may not be executed, or is for another kind of machine.
        public static let program = Code(name: "program")
        /// The machine refuses what the isolation needs.
        public static let refused = Code(name: "refused")
        /// Something named in the specification is wrong: a path, a user, a limit.
        public static let specification = Code(name: "specification")
        /// A call of the operating system failed for another reason.
        public static let system = Code(name: "system")
    }

    /// What callers branch on.
    public let code: Code
    /// What was being done, to what, and what was found: one line, no full stop.
    public let message: String
    /// The command or setting most likely to put it right, where one is known.
    public let hint: String?
    /// Whether the program, or what it needs to be loaded, is not in the root.
    public let isProgramMissing: Bool

    /// The message, and the hint behind it.
    public var description: String { hint.map { "\(message); \($0)" } ?? message }

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: What callers branch on.
    ///   - message: One line, no full stop.
    ///   - hint: Something to type or to change.
    public init(_ code: Code, _ message: String, hint: String? = nil) {
        (self.code, self.message, self.hint, isProgramMissing) = (code, message, hint, false)
    }

    /// The error for a program that is not there.
    init(missing message: String, hint: String?) {
        (code, self.message, self.hint, isProgramMissing) = (.program, message, hint, true)
    }

    /// An error of the operating system.
    init(_ what: String, errno error: Int32) {
        self.init(.system, "\(what): \(Self.text(error))")
    }

    /// The operating system's words for an error.
    static func text(_ error: Int32) -> String { String(cString: strerror(error)) }
}
