// SPDX-License-Identifier: Apache-2.0
internal import CCrypto

/// A hash of a file's bytes in the making, for keys of our own: BLAKE2b-512 by libcrypto, its first 32 bytes.
///
/// Names that others give and see are SHA-256. Nobody sees this one, and it is nearly twice as fast where the processor
/// has no instructions for SHA; one hash for all processors, as keys are shared between machines.
public struct FileHash: ~Copyable {
    private var hash = MessageDigest(EVP_blake2b512())

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

    /// The hash of all bytes so far; starts again with none.
    ///
    /// - Returns: 32 bytes.
    public mutating func finish() -> [UInt8] {
        Array(hash.finish().prefix(32))
    }
}
