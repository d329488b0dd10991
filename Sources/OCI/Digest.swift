// SPDX-License-Identifier: Apache-2.0

/// The name of some bytes: `sha256:` and 64 lowercase hexadecimal digits.
///
/// Only well-formed text becomes a `Digest`, so code that holds one never checks it again.
///
/// Specification: OCI image-spec 1.1, `descriptor.md#digests`.
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The digest as it is written in manifests and URLs, 71 bytes of ASCII.
    public let description: String

    /// The 64 hexadecimal digits.
    public var hex: String { String(description.dropFirst(7)) }

    /// The first 12 digits, for people.
    public var short: String { String(description.dropFirst(7).prefix(12)) }

    /// Reads a digest.
    ///
    /// - Parameter text: The 71 characters, algorithm included.
    /// - Throws: ``ContentError`` if `text` has another form, or names another algorithm.
    public init(_ text: some StringProtocol) throws(ContentError) {
        let hex = text.utf8.dropFirst(7)
        guard text.hasPrefix("sha256:"), hex.count == 64,
            hex.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else {
            throw ContentError(
                message: "\"\(text)\" is not a digest: expected \"sha256:\" and 64 lowercase hexadecimal digits"
            )
        }
        description = String(text)
    }

    /// Makes a digest of a hash.
    ///
    /// - Parameter bytes: The 32 bytes of a SHA-256.
    public init(sha256 bytes: some Sequence<UInt8>) {
        let digits = Array("0123456789abcdef".utf8)
        var text = Array("sha256:".utf8)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        description = String(decoding: text, as: UTF8.self)
    }
}
