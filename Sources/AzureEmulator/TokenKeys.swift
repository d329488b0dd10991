// SPDX-License-Identifier: Apache-2.0
internal import CCrypto
internal import Glibc
internal import OCI
internal import RegistryServer

/// The key that signs the directory's tokens, made anew by each emulator; RS256.
final class TokenKeys: Sendable {
    // SAFETY: made once and only read after; libcrypto counts references to keys with atomic operations.
    private nonisolated(unsafe) let key: OpaquePointer
    /// Names the key.
    let id: String

    init() throws {
        key = try TokenKeys.make()
        id = Base64.encode((0..<20).map { _ in UInt8.random(in: 0...255) })
    }

    deinit { EVP_PKEY_free(key) }

    /// Makes an RSA key of 2,048 bits.
    static func make() throws -> OpaquePointer {
        var key: OpaquePointer?
        // EVP_PKEY_RSA, which is a chain of macros.
        guard let context = EVP_PKEY_CTX_new_id(6, nil) else { throw EmulatorError(message: "making an RSA key") }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1,
            EVP_PKEY_keygen(context, &key) == 1, let key
        else { throw EmulatorError(message: "making an RSA key: libcrypto refuses") }
        return key
    }

    /// A token with these claims.
    func sign(_ claims: JSONValue) -> String {
        let header: JSONValue = ["alg": "RS256", "typ": "JWT", "kid": .string(id), "x5t": .string(id)]
        let text = [header, claims].map { Base64.encode(Array($0.canonical.utf8)) }.joined(separator: ".")
        return "\(text).\(Base64.encode(signature(Array(text.utf8))))"
    }

    private func signature(_ bytes: [UInt8]) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { return [] }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1 else { return [] }
        var size = 512
        var result = [UInt8](repeating: 0, count: size)
        guard EVP_DigestSign(context, &result, &size, bytes, bytes.count) == 1 else { return [] }
        return Array(result.prefix(size))
    }

    /// The claims of a token of ours, whatever its time; `nil` where it is not one.
    func claims(_ text: String) -> JSONValue? {
        guard let token = JSONWebToken(text), token.header["alg"]?.string == "RS256",
            JSONWebToken.verify(token.signed, token.signature, key, isPSS: false)
        else { return nil }
        return token.claims
    }

    /// The public half as clients fetch it.
    ///
    /// Specification: RFC 7517.
    var document: JSONValue {
        [
            "keys": [
                [
                    "kty": "RSA", "use": "sig", "kid": .string(id), "x5t": .string(id), "alg": "RS256",
                    "n": .string(number("n")), "e": .string(number("e")),
                ]
            ]
        ]
    }

    private func number(_ name: String) -> String {
        var value: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, name, &value) == 1, let value else { return "" }
        defer { BN_free(value) }
        var bytes = [UInt8](repeating: 0, count: (Int(BN_num_bits(value)) + 7) / 8)
        BN_bn2bin(value, &bytes)
        return Base64.encode(bytes)
    }
}

/// A JSON web token of anybody's, its parts not yet trusted.
///
/// Specification: RFC 7519.
struct JSONWebToken {
    let header: JSONValue
    let claims: JSONValue
    let signed: [UInt8]
    let signature: [UInt8]

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64.decode(parts[0]), let body = Base64.decode(parts[1]),
            let signature = Base64.decode(parts[2]), let header = try? JSONValue(parsing: head),
            let claims = try? JSONValue(parsing: body), header.object != nil, claims.object != nil
        else { return nil }
        (self.header, self.claims, self.signature) = (header, claims, signature)
        signed = Array("\(parts[0]).\(parts[1])".utf8)
    }

    /// Whether it is for somebody.
    func isFor(_ audience: String) -> Bool {
        claims["aud"]?.string == audience || (claims["aud"]?.texts ?? []).contains(audience)
    }

    /// Whether the owner of a public RSA key, of a PEM file, signed it; RS256.
    func isSigned(byKey pem: [UInt8]) -> Bool {
        guard header["alg"]?.string == "RS256", let input = BIO_new_mem_buf(pem, Int32(pem.count)) else { return false }
        defer { BIO_free(input) }
        guard let key = PEM_read_bio_PUBKEY(input, nil, nil, nil) else { return false }
        defer { EVP_PKEY_free(key) }
        return JSONWebToken.verify(signed, signature, key, isPSS: false)
    }

    /// Whether an RSA key made a signature, with SHA-256.
    static func verify(_ bytes: [UInt8], _ signature: [UInt8], _ key: OpaquePointer, isPSS: Bool) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        var parameters: OpaquePointer?
        guard EVP_DigestVerifyInit(context, &parameters, EVP_sha256(), nil, key) == 1 else { return false }
        if isPSS {
            guard EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1,
                // RFC 7518: the salt is as long as the hash.
                EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, 32) == 1
            else { return false }
        }
        return EVP_DigestVerify(context, signature, signature.count, bytes, bytes.count) == 1
    }
}

/// A certificate that an application has.
struct ApplicationCertificate {
    /// The thumbprints as headers of tokens have them, without padding: SHA-1 and SHA-256 of the certificate.
    let thumbprints: (sha1: String, sha256: String)
    private let file: [UInt8]

    /// Reads a PEM file; `nil` where it holds no certificate.
    init?(pem: [UInt8]) {
        guard let certificate = ApplicationCertificate.read(pem) else { return nil }
        defer { X509_free(certificate) }
        func thumbprint(_ kind: OpaquePointer?) -> String {
            var bytes = [UInt8](repeating: 0, count: 64)
            var count: UInt32 = 0
            X509_digest(certificate, kind, &bytes, &count)
            return Base64.encode(Array(bytes.prefix(Int(count))))
        }
        thumbprints = (thumbprint(EVP_sha1()), thumbprint(EVP_sha256()))
        file = pem
    }

    private static func read(_ pem: [UInt8]) -> OpaquePointer? {
        guard let input = BIO_new_mem_buf(pem, Int32(pem.count)) else { return nil }
        defer { BIO_free(input) }
        return PEM_read_bio_X509(input, nil, nil, nil)
    }

    /// Whether the certificate's owner signed a token.
    func hasSigned(_ token: JSONWebToken) -> Bool {
        guard let certificate = ApplicationCertificate.read(file) else { return false }
        defer { X509_free(certificate) }
        guard let key = X509_get_pubkey(certificate) else { return false }
        defer { EVP_PKEY_free(key) }
        switch token.header["alg"]?.string {
        case "PS256": return JSONWebToken.verify(token.signed, token.signature, key, isPSS: true)
        case "RS256": return JSONWebToken.verify(token.signed, token.signature, key, isPSS: false)
        default: return false
        }
    }
}
