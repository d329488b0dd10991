// SPDX-License-Identifier: Apache-2.0

/// A file, folder or link as an archive has it, without its content.
///
/// Paths are bytes: no system says that names are UTF-8.
public struct TarEntry: Hashable, Sendable {
    /// What it is.
    public enum Kind: UInt8, Hashable, Sendable {
        /// A file with content.
        case file
        /// A folder.
        case directory
        /// A link by name.
        case symlink
        /// A further name of an entry before it.
        case hardLink
        /// A character device.
        case characterDevice
        /// A block device.
        case blockDevice
        /// A named pipe.
        case fifo
    }

    /// A named value of a file system.
    public struct Attribute: Hashable, Sendable {
        /// The whole name: `security.capability`.
        public let name: [UInt8]
        /// The value.
        public let value: [UInt8]

        /// Creates an attribute.
        ///
        /// - Parameters:
        ///   - name: The whole name.
        ///   - value: The value.
        public init(name: [UInt8], value: [UInt8]) {
            (self.name, self.value) = (name, value)
        }
    }

    /// The path from the root, without a slash at either end; empty for the root.
    public var path: [UInt8]
    /// What it is.
    public var kind: Kind
    /// Permissions, from 0 to 0o7777.
    public var mode: UInt32 = 0
    /// The owner's number.
    public var uid: UInt32 = 0
    /// The group's number.
    public var gid: UInt32 = 0
    /// Bytes of content; 0 for everything but files.
    public var size: Int64 = 0
    /// Seconds since 1970.
    public var mtime: Int64 = 0
    /// What a link names: for a hard link, a path as ``path`` is one.
    public var target: [UInt8] = []
    /// A device's major number.
    public var major: UInt32 = 0
    /// A device's minor number.
    public var minor: UInt32 = 0
    /// Named values, sorted by name.
    public var attributes: [Attribute] = []

    /// Creates an entry.
    ///
    /// - Parameters:
    ///   - path: The path from the root, without a slash at either end.
    ///   - kind: What it is.
    public init(path: [UInt8], kind: Kind) {
        (self.path, self.kind) = (path, kind)
    }

    /// The path for messages.
    public var name: String { String(decoding: path, as: UTF8.self) }
}
