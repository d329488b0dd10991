// SPDX-License-Identifier: Apache-2.0
internal import CCrypto

/// A key that signatures are checked with, by libcrypto.
public final class PublicKey: Sendable {
    // SAFETY: made once and only read after; libcrypto counts references to keys with atomic operations.
    private nonisolated(unsafe) let key: OpaquePointer

    /// Reads a key; `nil` where there is none.
    ///
    /// - Parameter pem: A certificate, or a public key, in PEM.
    public init?(pem: [UInt8]) {
        guard let found = PublicKey.certificate(pem) ?? PublicKey.plain(pem) else { return nil }
        key = found
    }

    deinit {
        EVP_PKEY_free(key)
    }

    private static func certificate(_ pem: [UInt8]) -> OpaquePointer? {
        guard let input = BIO_new_mem_buf(pem, Int32(pem.count)) else { return nil }
        defer { BIO_free(input) }
        guard let certificate = PEM_read_bio_X509(input, nil, nil, nil) else { return nil }
        defer { X509_free(certificate) }
        return X509_get_pubkey(certificate)
    }

    private static func plain(_ pem: [UInt8]) -> OpaquePointer? {
        guard let input = BIO_new_mem_buf(pem, Int32(pem.count)) else { return nil }
        defer { BIO_free(input) }
        return PEM_read_bio_PUBKEY(input, nil, nil, nil)
    }

    /// Whether a signature as JSON web tokens have it is right: RS256 of an RSA key, ES256 of one on P-256.
    ///
    /// Specification: RFC 7518, sections 3.3 and 3.4.
    ///
    /// - Parameters:
    ///   - message: What was signed.
    ///   - signature: The signature; of ES256 its two numbers one after the other.
    ///   - algorithm: `RS256` or `ES256`; no other is right, nor one that the key is not for.
    /// - Returns: Whether it is right.
    public func hasSigned(_ message: [UInt8], _ signature: [UInt8], _ algorithm: String) -> Bool {
        var signature = signature
        switch algorithm {
        case "RS256":
            guard EVP_PKEY_is_a(key, "RSA") == 1 else { return false }
        case "ES256":
            guard EVP_PKEY_is_a(key, "EC") == 1, signature.count == 64 else { return false }
            let numbers = PublicKey.number(signature[..<32]) + PublicKey.number(signature[32...])
            signature = [0x30, UInt8(numbers.count)] + numbers
        default: return false
        }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1 else { return false }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    /// A whole number as DER has it.
    private static func number(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var digits = Array(bytes.drop { $0 == 0 })
        if digits.first.map({ $0 >= 0x80 }) ?? true { digits.insert(0, at: 0) }
        return [0x02, UInt8(digits.count)] + digits
    }
}
