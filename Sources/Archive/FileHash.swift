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
    public mutating func finish() -> [UInt8] { finish { Array($0) } }

    /// The hash of all bytes so far, where it is; starts again with none.
    ///
    /// - Parameter body: Is given the 32 bytes.
    /// - Returns: What the body makes of them.
    public mutating func finish<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        hash.finish { body(UnsafeRawBufferPointer(rebasing: $0.prefix(32))) }
    }
}
