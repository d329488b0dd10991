// SPDX-License-Identifier: Apache-2.0
internal import CCrypto
public import OCI

/// A SHA-256 in the making, by libcrypto.
public struct SHA256: ~Copyable {
    private var hash = MessageDigest(EVP_sha256())

    /// Starts with no bytes.
    public init() {}

    /// Adds bytes.
    ///
    /// - Parameter bytes: May be empty.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bytes)
    }

    /// Adds bytes.
    ///
    /// - Parameter bytes: May be empty.
    public mutating func update(_ bytes: [UInt8]) {
        hash.update(bytes)
    }

    /// The digest of all bytes so far; starts again with none.
    ///
    /// - Returns: The 32 bytes.
    public mutating func finish() -> [UInt8] {
        hash.finish()
    }

    /// The digest of some bytes.
    ///
    /// - Parameter bytes: May be empty.
    /// - Returns: Their name.
    public static func digest(_ bytes: [UInt8]) -> Digest {
        var hash = SHA256()
        hash.update(bytes)
        return Digest(sha256: hash.finish())
    }
}
