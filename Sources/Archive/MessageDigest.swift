// SPDX-License-Identifier: Apache-2.0
internal import CCrypto

/// A hash in the making, by an algorithm of libcrypto.
struct MessageDigest: ~Copyable {
    private let context: OpaquePointer

    /// Starts with no bytes.
    init(_ algorithm: OpaquePointer?) {
        // Null only where memory is exhausted, as with any allocation.
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, algorithm, nil)
    }

    deinit {
        EVP_MD_CTX_free(context)
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// The hash of all bytes so far, as long as the algorithm makes it; starts again with none.
    mutating func finish() -> [UInt8] { finish { Array($0) } }

    /// The hash of all bytes so far, where it is; starts again with none.
    mutating func finish<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let result = withUnsafeTemporaryAllocation(byteCount: Int(EVP_MAX_MD_SIZE), alignment: 8) { buffer in
            var size: UInt32 = 0
            EVP_DigestFinal_ex(context, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), &size)
            return body(UnsafeRawBufferPointer(rebasing: buffer.prefix(Int(size))))
        }
        // The algorithm that it has: to look one up by its name takes as long as a short hash.
        EVP_DigestInit_ex(context, nil, nil)
        return result
    }
}
