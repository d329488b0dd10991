// SPDX-License-Identifier: Apache-2.0
internal import CCrypto
public import OCI

/// A SHA-256 in the making, by libcrypto.
public struct SHA256: ~Copyable {
    private let context: OpaquePointer

    /// Starts with no bytes.
    public init() {
        // Null only where memory is exhausted, as with any allocation.
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, EVP_sha256(), nil)
    }

    deinit {
        EVP_MD_CTX_free(context)
    }

    /// Adds bytes.
    ///
    /// - Parameter bytes: May be empty.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    /// Adds bytes.
    ///
    /// - Parameter bytes: May be empty.
    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// The digest of all bytes so far; starts again with none.
    ///
    /// - Returns: The 32 bytes.
    public mutating func finish() -> [UInt8] {
        let hash = [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            EVP_DigestFinal_ex(context, buffer.baseAddress, nil)
            count = 32
        }
        EVP_DigestInit_ex(context, EVP_sha256(), nil)
        return hash
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
