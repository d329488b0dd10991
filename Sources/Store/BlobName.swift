// SPDX-License-Identifier: Apache-2.0
public import OCI

/// A digest as clients of a registry may write it: SHA-256, or SHA-512.
///
/// The store itself names blobs by SHA-256 only; a SHA-512 leads to one.
///
/// Specification: OCI image-spec 1.1, `descriptor.md#registered-algorithms`.
public struct BlobName: Hashable, Sendable, CustomStringConvertible {
    /// The algorithms that the specification registers.
    public enum Algorithm: String, Sendable {
        /// 64 hexadecimal digits.
        case sha256
        /// 128 hexadecimal digits.
        case sha512
    }

    /// How the bytes were hashed.
    public let algorithm: Algorithm
    /// The hash, in lower-case hexadecimal digits.
    public let hex: String

    /// Reads a name.
    ///
    /// - Parameter text: The algorithm, a colon, and hexadecimal digits.
    /// - Throws: ``ContentError`` where the form or the algorithm is another.
    public init(_ text: some StringProtocol) throws(ContentError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let algorithm = Algorithm(rawValue: String(parts[0])),
            parts[1].utf8.count == (algorithm == .sha256 ? 64 : 128),
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else {
            throw ContentError(
                message:
                    "\"\(text)\" is not a digest: expected sha256 or sha512, a colon, and lower-case hexadecimal digits"
            )
        }
        (self.algorithm, hex) = (algorithm, String(parts[1]))
    }

    /// The name of a blob of the store.
    ///
    /// - Parameter digest: Its SHA-256.
    public init(_ digest: Digest) {
        (algorithm, hex) = (.sha256, digest.hex)
    }

    /// The digest, algorithm included.
    public var description: String { "\(algorithm.rawValue):\(hex)" }

    /// The same as the store knows it; `nil` for another algorithm than SHA-256.
    public var sha256: Digest? { algorithm == .sha256 ? try? Digest(description) : nil }
}
