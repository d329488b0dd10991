// SPDX-License-Identifier: Apache-2.0
internal import CCrypto

/// A SHA-512 in the making, by libcrypto: for names that others give, as our own are SHA-256.
public struct SHA512: ~Copyable {
    private let context: OpaquePointer

    /// Starts with no bytes.
    public init() {
        // Null only where memory is exhausted, as with any allocation.
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, EVP_sha512(), nil)
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

    /// The hash of all bytes.
    ///
    /// - Returns: 128 lower-case hexadecimal digits.
    public consuming func finish() -> String {
        let hash = [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
            EVP_DigestFinal_ex(context, buffer.baseAddress, nil)
            count = 64
        }
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: hash.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
