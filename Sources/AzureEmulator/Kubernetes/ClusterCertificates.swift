// SPDX-License-Identifier: Apache-2.0
internal import CCrypto
internal import Glibc
internal import RegistryServer
internal import Store

/// The authority of a cluster, the certificate of its API server, and that of its user; made anew with each cluster.
struct ClusterCertificates: Sendable {
    /// The authority's certificate, a PEM file.
    let authority: String
    /// The server's certificate, a PEM file.
    let chain: String
    /// Its key, a PEM file.
    let key: String
    /// The user's certificate and key, PEM.
    let user: (certificate: [UInt8], key: [UInt8])
    /// The authority's certificate, PEM.
    let authorityBytes: [UInt8]

    init(in folder: String) throws {
        (authority, chain, key) = (folder + "/ca.pem", folder + "/server.pem", folder + "/server.key")
        let keys = try (0..<3).map { _ in try TokenKeys.make() }
        defer { for key in keys { EVP_PKEY_free(key) } }
        let root = try EmulatorCertificate.make("Coracle Kubernetes", keys[0], issuer: nil, keys[0])
        defer { X509_free(root) }
        let server = try EmulatorCertificate.make("kubernetes", keys[1], issuer: root, keys[0])
        defer { X509_free(server) }
        let client = try EmulatorCertificate.make(
            "masterclient",
            keys[2],
            issuer: root,
            keys[0],
            organization: "system:masters"
        )
        defer { X509_free(client) }
        let text = { (key: OpaquePointer) in
            try EmulatorCertificate.pem { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
        }
        authorityBytes = try EmulatorCertificate.pem { PEM_write_bio_X509($0, root) }
        user = (try EmulatorCertificate.pem { PEM_write_bio_X509($0, client) }, try text(keys[2]))
        try DiskFile.write(authorityBytes, to: authority, isSynced: false)
        try DiskFile.write(EmulatorCertificate.pem { PEM_write_bio_X509($0, server) }, to: chain, isSynced: false)
        try DiskFile.write(text(keys[1]), to: key, isSynced: false)
        chmod(key, 0o600)
    }
}

/// Base64 as Kubernetes writes it: the first alphabet, padded.
enum PaddedBase64 {
    static func encode(_ bytes: [UInt8]) -> String {
        let text = String(Base64.encode(bytes).map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        return text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    }

    /// Whether a text is what a strict reader takes.
    static func isOne(_ text: String) -> Bool {
        guard text.utf8.count % 4 == 0, !text.contains("-"), !text.contains("_") else { return false }
        return Base64.decode(text) != nil
    }
}
