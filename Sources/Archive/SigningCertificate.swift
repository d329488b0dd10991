// SPDX-License-Identifier: Apache-2.0
internal import CCrypto

/// A certificate with its private key, which proves who we are by signing, by libcrypto.
///
/// Printing or dumping one shows nothing of the key.
public final class SigningCertificate: Sendable, CustomReflectable {
    /// Why a file cannot be used to sign; no secret is in it.
    public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        /// What was found: one line, no full stop.
        public let message: String

        /// The message.
        public var description: String { message }
    }

    /// The certificate, DER.
    public let certificate: [UInt8]
    /// The certificate, and after it those that issued it as far as the file has them, DER.
    public let chain: [[UInt8]]
    // SAFETY: made once and only read after; libcrypto counts references to keys with atomic operations.
    private nonisolated(unsafe) let key: OpaquePointer

    /// Nothing within is shown.
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Reads a certificate and its RSA key, in one file.
    ///
    /// - Parameters:
    ///   - file: PEM with `CERTIFICATE` and `PRIVATE KEY` blocks in any order, or PKCS #12 (`.pfx`, `.p12`).
    ///   - passphrase: What the key is encrypted with; `nil` for nothing.
    /// - Throws: ``Fault`` where one of them is not there, they do not belong together, or the passphrase is wrong.
    public init(_ file: [UInt8], passphrase: String?) throws(Fault) {
        let isText = file.firstRange(of: Array("-----BEGIN".utf8)) != nil
        let found =
            isText
            ? try SigningCertificate.pem(file, passphrase) : try SigningCertificate.pkcs12(file, passphrase)
        defer { for certificate in found.certificates { X509_free(certificate) } }
        guard let leaf = found.certificates.first(where: { X509_check_private_key($0, found.key) == 1 }) else {
            EVP_PKEY_free(found.key)
            throw Fault(message: "its private key is not that of a certificate in it")
        }
        guard EVP_PKEY_is_a(found.key, "RSA") == 1 else {
            EVP_PKEY_free(found.key)
            throw Fault(message: "its key is not RSA, and Entra ID takes no other")
        }
        key = found.key
        certificate = SigningCertificate.der(leaf)
        chain = [certificate] + found.certificates.filter { $0 != leaf }.map { SigningCertificate.der($0) }
    }

    deinit {
        EVP_PKEY_free(key)
    }

    /// Signs as PS256 has it: RSASSA-PSS with SHA-256, MGF1 with SHA-256, a salt of 32 bytes.
    ///
    /// Specification: RFC 7518, section 3.5.
    ///
    /// - Parameter message: What to sign.
    /// - Returns: The signature, as long as the key.
    /// - Throws: ``Fault`` where libcrypto refuses, as with a key that is too short.
    public func signPS256(_ message: [UInt8]) throws(Fault) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw Fault(message: "signing: no memory") }
        defer { EVP_MD_CTX_free(context) }
        var parameters: OpaquePointer?
        var size = 0
        guard EVP_DigestSignInit(context, &parameters, EVP_sha256(), nil, key) == 1,
            EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1,
            EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, 32) == 1,
            EVP_DigestSign(context, nil, &size, message, message.count) == 1
        else { throw Fault(message: "signing: libcrypto does not take the key") }
        var signature = [UInt8](repeating: 0, count: size)
        guard EVP_DigestSign(context, &signature, &size, message, message.count) == 1 else {
            throw Fault(message: "signing: libcrypto does not take the key")
        }
        return Array(signature.prefix(size))
    }

    // MARK: Reading

    private typealias Found = (key: OpaquePointer, certificates: [OpaquePointer])

    private static func pem(_ file: [UInt8], _ passphrase: String?) throws(Fault) -> Found {
        guard let keyInput = BIO_new_mem_buf(file, Int32(clamping: file.count)) else {
            throw Fault(message: "no memory")
        }
        defer { BIO_free(keyInput) }
        // Without a passphrase the library would ask for one at the terminal; with an empty one it does not.
        let key = (passphrase ?? "")
            .withCString { text in
                PEM_read_bio_PrivateKey(keyInput, nil, nil, UnsafeMutableRawPointer(mutating: text))
            }
        guard let key else {
            ERR_clear_error()
            guard file.firstRange(of: Array("PRIVATE KEY-----".utf8)) != nil else {
                throw Fault(message: "there is no private key in it")
            }
            let isEncrypted = file.firstRange(of: Array("ENCRYPTED".utf8)) != nil
            guard isEncrypted else { throw Fault(message: "its private key is malformed") }
            throw Fault(
                message: passphrase == nil
                    ? "its private key is encrypted, and there is no password for it" : "its password is wrong"
            )
        }
        var certificates: [OpaquePointer] = []
        if let input = BIO_new_mem_buf(file, Int32(clamping: file.count)) {
            defer { BIO_free(input) }
            while let next = PEM_read_bio_X509(input, nil, nil, nil) { certificates.append(next) }
            ERR_clear_error()
        }
        guard !certificates.isEmpty else {
            EVP_PKEY_free(key)
            throw Fault(message: "there is no certificate in it")
        }
        return (key, certificates)
    }

    private static func pkcs12(_ file: [UInt8], _ passphrase: String?) throws(Fault) -> Found {
        guard let input = BIO_new_mem_buf(file, Int32(clamping: file.count)) else { throw Fault(message: "no memory") }
        defer { BIO_free(input) }
        guard let store = d2i_PKCS12_bio(input, nil) else {
            ERR_clear_error()
            throw Fault(message: "it is neither PEM nor PKCS #12")
        }
        defer { PKCS12_free(store) }
        let word = passphrase ?? ""
        guard PKCS12_verify_mac(store, word, -1) == 1 || (passphrase == nil && PKCS12_verify_mac(store, nil, 0) == 1)
        else {
            ERR_clear_error()
            throw Fault(
                message: passphrase == nil
                    ? "it is encrypted, and there is no password for it" : "its password is wrong"
            )
        }
        var (key, leaf, others): (OpaquePointer?, OpaquePointer?, OpaquePointer?) = (nil, nil, nil)
        guard PKCS12_parse(store, word, &key, &leaf, &others) == 1 else {
            ERR_clear_error()
            throw Fault(
                message: "it is encrypted in an old way that OpenSSL 3 does not read: write it anew with "
                    + "openssl pkcs12 -legacy -in FILE -nodes -out FILE.pem"
            )
        }
        var certificates = leaf.map { [$0] } ?? []
        if let others {
            for index in 0..<OPENSSL_sk_num(others) {
                guard let next = OPENSSL_sk_value(others, index) else { continue }
                certificates.append(OpaquePointer(next))
            }
            OPENSSL_sk_free(others)
        }
        guard let key else {
            for certificate in certificates { X509_free(certificate) }
            throw Fault(message: "there is no private key in it")
        }
        return (key, certificates)
    }

    private static func der(_ certificate: OpaquePointer) -> [UInt8] {
        let size = i2d_X509(certificate, nil)
        guard size > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            var place = buffer.baseAddress
            count = Int(max(0, i2d_X509(certificate, &place)))
        }
    }
}

/// A hash that certificates are named by, and nothing else should be: SHA-1.
public enum CertificateThumbprint {
    /// The thumbprint of some bytes.
    ///
    /// - Parameter certificate: A certificate, DER.
    /// - Returns: 20 bytes.
    public static func sha1(_ certificate: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 20) { buffer, count in
            EVP_Digest(certificate, certificate.count, buffer.baseAddress, nil, EVP_sha1(), nil)
            count = 20
        }
    }
}
