// SPDX-License-Identifier: Apache-2.0
internal import CCrypto
internal import Glibc
internal import Store

/// A certificate for loopback, and that of the authority that issued it: made once in a folder, and used again.
///
/// The key of the authority is thrown away, so that nothing else is ever issued by what people trust for tests.
struct EmulatorCertificate: Sendable {
    /// The authority's certificate, PEM.
    let authority: String
    /// The server's certificate, PEM.
    let chain: String
    /// Its key, PEM.
    let key: String

    private static let lifetime = 30 * 86_400

    init(in folder: String) throws {
        (authority, chain, key) = (folder + "/ca.pem", folder + "/server.pem", folder + "/server.key")
        var status = stat()
        let isFresh = stat(chain, &status) == 0 && Moment.now - Int64(status.st_mtim.tv_sec) < 29 * 86_400
        if isFresh, access(authority, R_OK) == 0, access(key, R_OK) == 0 { return }
        let (authorityKey, serverKey) = (try TokenKeys.make(), try TokenKeys.make())
        defer {
            EVP_PKEY_free(authorityKey)
            EVP_PKEY_free(serverKey)
        }
        let root = try Self.make("Coracle Azure Emulator", authorityKey, issuer: nil, authorityKey)
        defer { X509_free(root) }
        let server = try Self.make("127.0.0.1", serverKey, issuer: root, authorityKey)
        defer { X509_free(server) }
        try DiskFile.write(Self.pem { PEM_write_bio_X509($0, root) }, to: authority, isSynced: false)
        try DiskFile.write(Self.pem { PEM_write_bio_X509($0, server) }, to: chain, isSynced: false)
        try DiskFile.write(
            Self.pem { PEM_write_bio_PrivateKey($0, serverKey, nil, nil, 0, nil, nil) },
            to: key,
            isSynced: false
        )
        chmod(key, 0o600)
    }

    static func pem(_ write: (OpaquePointer?) -> Int32) throws -> [UInt8] {
        guard let output = BIO_new(BIO_s_mem()) else { throw EmulatorError(message: "writing a certificate") }
        defer { BIO_free(output) }
        guard write(output) == 1 else { throw EmulatorError(message: "writing a certificate: libcrypto refuses") }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = BIO_read(output, &bytes, Int32(bytes.count))
        return Array(bytes.prefix(max(0, Int(count))))
    }

    static func make(
        _ name: String,
        _ key: OpaquePointer,
        issuer: OpaquePointer?,
        _ signer: OpaquePointer,
        organization: String? = nil
    ) throws -> OpaquePointer {
        guard let certificate = X509_new() else { throw EmulatorError(message: "making a certificate") }
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1...Int.max >> 8))
        // An hour back, for clocks that differ.
        X509_gmtime_adj(X509_getm_notBefore(certificate), -3600)
        X509_gmtime_adj(X509_getm_notAfter(certificate), lifetime)
        X509_set_pubkey(certificate, key)
        let subject = X509_get_subject_name(certificate)
        // MBSTRING_ASC, which is a chain of macros.
        if let organization { X509_NAME_add_entry_by_txt(subject, "O", 0x1001, organization, -1, -1, 0) }
        X509_NAME_add_entry_by_txt(subject, "CN", 0x1001, name, -1, -1, 0)
        X509_set_issuer_name(certificate, issuer.map { X509_get_subject_name($0) } ?? subject)
        var extensions: [(Int32, String)] = [(NID_subject_key_identifier, "hash")]
        if issuer == nil {
            extensions += [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
            ]
        } else if organization != nil {
            // Who has an organisation is a client, which shows this to servers.
            extensions += [
                (NID_basic_constraints, "critical,CA:FALSE"), (NID_ext_key_usage, "clientAuth"),
                (NID_key_usage, "critical,digitalSignature,keyEncipherment"), (NID_authority_key_identifier, "keyid"),
            ]
        } else {
            extensions += [
                (NID_basic_constraints, "critical,CA:FALSE"), (NID_ext_key_usage, "serverAuth"),
                (NID_key_usage, "critical,digitalSignature,keyEncipherment"),
                (NID_subject_alt_name, "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1"),
                (NID_authority_key_identifier, "keyid"),
            ]
        }
        for (number, value) in extensions {
            var context = X509V3_CTX()
            X509V3_set_ctx(&context, issuer ?? certificate, certificate, nil, nil, 0)
            guard let made = X509V3_EXT_conf_nid(nil, &context, number, value) else {
                throw EmulatorError(message: "making a certificate: no extension \(value)")
            }
            X509_add_ext(certificate, made, -1)
            X509_EXTENSION_free(made)
        }
        guard X509_sign(certificate, signer, EVP_sha256()) > 0 else {
            throw EmulatorError(message: "signing a certificate: libcrypto refuses")
        }
        return certificate
    }
}
