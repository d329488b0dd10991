// SPDX-License-Identifier: Apache-2.0
internal import CCrypto

/// A SHA-512 in the making, by libcrypto: for names that others give, as our own are SHA-256.
public struct SHA512: ~Copyable {
    private var hash = MessageDigest(EVP_sha512())

    /// Starts with no bytes.
    public init() {}

    /// Adds bytes.
    ///
    /// - Parameter bytes: May be empty.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bytes)
    }

    /// The hash of all bytes.
    ///
    /// - Returns: 128 lower-case hexadecimal digits.
    public consuming func finish() -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: hash.finish().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
