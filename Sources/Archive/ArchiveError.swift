// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What went wrong while an archive or a layer was read or written.
public struct ArchiveError: Error, Sendable, CustomStringConvertible {
    /// What was being done, to what, and what was found: one line, no full stop.
    public let message: String

    /// The message.
    public var description: String { message }

    /// Creates an error.
    ///
    /// - Parameter message: One line, no full stop.
    public init(_ message: String) {
        self.message = message
    }

    /// An error of the operating system.
    ///
    /// - Parameters:
    ///   - what: What was being done, to what.
    ///   - code: The error's number.
    public init(_ what: String, errno code: Int32) {
        let hint = code == ENOSPC ? "; free some space, or run coracle prune" : ""
        message = "\(what): \(String(cString: strerror(code)))\(hint)"
    }
}
