// SPDX-License-Identifier: Apache-2.0
internal import CCrypto

/// A hash of a file's bytes in the making, for keys of our own: BLAKE2b-512 by libcrypto, its first 32 bytes.
///
/// Names that others give and see are SHA-256. Nobody sees this one, and it is nearly twice as fast where the processor
/// has no instructions for SHA; one hash for all processors, as keys are shared between machines.
public struct FileHash: ~Copyable {
    private let context: OpaquePointer

    /// Starts with no bytes.
    public init() {
        // Null only where memory is exhausted, as with any allocation.
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, EVP_blake2b512(), nil)
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

    /// The hash of all bytes so far; starts again with none.
    ///
    /// - Returns: 32 bytes.
    public mutating func finish() -> [UInt8] {
        var hash = [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
            EVP_DigestFinal_ex(context, buffer.baseAddress, nil)
            count = 64
        }
        EVP_DigestInit_ex(context, EVP_blake2b512(), nil)
        hash.removeLast(32)
        return hash
    }
}
