// SPDX-License-Identifier: Apache-2.0

/// Something mounted in a root for as long as a process runs.
public struct MountSpec: Sendable {
    /// What is mounted.
    public enum Source: Sendable {
        /// A file or folder of the machine, with what is mounted beneath it.
        case bind(String, isReadOnly: Bool)
        /// An empty file system in memory: at most `size` bytes (half of the memory where `nil`).
        case tmpfs(size: Int64?, mode: UInt32 = 0o1777)
        /// A folder whose changes go to another one: what a writable bind mount of a build is.
        case overlay(lower: [String], upper: String, work: String, isReadOnly: Bool = false)
        /// A file of these bytes; it lies in memory, and is gone with the process.
        case file([UInt8], mode: UInt32, user: ProcessSpec.User = .init(), isReadOnly: Bool = true)
    }

    /// What is mounted.
    public var source: Source
    /// Where, as a path in the root; links on the way are followed inside it.
    public var target: String

    /// Creates a mount.
    ///
    /// - Parameters:
    ///   - source: What is mounted.
    ///   - target: Where, as an absolute path in the root.
    public init(_ source: Source, at target: String) {
        (self.source, self.target) = (source, target)
    }
}
