// SPDX-License-Identifier: Apache-2.0
public import OCI

/// The name of a repository in a registry: `team/app`.
///
/// No component is `.` or `..` or begins with `_`, so a name is also a safe path.
///
/// Specification: OCI distribution-spec 1.1, "Pulling manifests".
public struct RepositoryName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The name as URLs have it.
    public let description: String

    /// Reads a name.
    ///
    /// - Parameter text: Components of lower-case letters and digits, joined by one dot, one or two underscores or any
    ///   number of dashes, with slashes between; at most 255 bytes.
    /// - Throws: ``ContentError`` where the form is another.
    public init(_ text: some StringProtocol) throws(ContentError) {
        let components = text.utf8.split(separator: 0x2F, omittingEmptySubsequences: false)
        guard text.utf8.count <= 255, components.allSatisfy({ RepositoryName.isComponent(Array($0)) }) else {
            throw ContentError(
                message: "\"\(text)\" is not the name of a repository: expected at most 255 lower-case letters and "
                    + "digits, with single . _ - / between them"
            )
        }
        description = String(text)
    }

    private static func isComponent(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first, let last = bytes.last, isAlphanumeric(first), isAlphanumeric(last) else {
            return false
        }
        return bytes.split(whereSeparator: isAlphanumeric)
            .allSatisfy { run in
                run.elementsEqual(".".utf8) || run.elementsEqual("_".utf8) || run.elementsEqual("__".utf8)
                    || run.allSatisfy { $0 == 0x2D }
            }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
    }

    /// Orders names as their bytes are.
    public static func < (left: RepositoryName, right: RepositoryName) -> Bool {
        left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }
}

/// The name of an image in a repository: `1.4`.
///
/// Specification: OCI distribution-spec 1.1, "Pulling manifests".
public struct TagName: Hashable, Sendable, CustomStringConvertible {
    /// The tag as URLs have it.
    public let description: String

    /// Reads a tag.
    ///
    /// - Parameter text: A letter, a digit or `_`, and up to 127 more of them, `.` or `-`.
    /// - Throws: ``ContentError`` where the form is another.
    public init(_ text: some StringProtocol) throws(ContentError) {
        guard let first = text.utf8.first, text.utf8.count <= 128, TagName.isWord(first),
            text.utf8.allSatisfy({ TagName.isWord($0) || $0 == 0x2D || $0 == 0x2E })
        else {
            throw ContentError(
                message: "\"\(text)\" is not a tag: expected a letter, digit or _, and up to 127 of those, . or -"
            )
        }
        description = String(text)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte == 0x5F || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
