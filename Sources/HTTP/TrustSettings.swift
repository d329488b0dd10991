// SPDX-License-Identifier: Apache-2.0
internal import NIOSSL
internal import Synchronization

/// Whom to trust at which host; the lock protects what was read from files, which is read once.
final class TrustSettings: Sendable {
    private let settings: NetworkSettings
    private let known = Mutex<[String: TLSConfiguration]>([:])

    init(_ settings: NetworkSettings) {
        self.settings = settings
    }

    func configuration(for url: HTTPURL) throws(ServerError) -> TLSConfiguration {
        let key = "\(url.host):\(url.port)"
        if let found = known.withLock({ $0[key] }) { return found }
        let made = try make(url)
        known.withLock { $0[key] = made }
        return made
    }

    private func make(_ url: HTTPURL) throws(ServerError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["http/1.1"]
        configuration.minimumTLSVersion = .tlsv12
        if let file = settings.systemAuthorityFile {
            configuration.trustRoots = .certificates(try TrustSettings.certificates(file, "SSL_CERT_FILE"))
        }
        var files = settings.authorityFiles
        for (name, more) in settings.authorityFilesByHost where url.isNamed(name) { files += more }
        var authorities: [NIOSSLCertificate] = []
        for file in files { authorities += try TrustSettings.certificates(file, "--ca") }
        if !authorities.isEmpty { configuration.additionalTrustRoots = [.certificates(authorities)] }
        if let only = settings.onlyAuthorities {
            configuration.trustRoots = .certificates(
                try TrustSettings.certificates(only, "the authority of \(url.authority)")
            )
            configuration.additionalTrustRoots = []
        }
        for (name, bytes) in settings.pinnedCertificates where url.isNamed(name) {
            guard let certificate = try? NIOSSLCertificate(bytes: bytes, format: .der) else { continue }
            configuration.trustRoots = .certificates([certificate])
            configuration.certificateVerification = .noHostnameVerification
        }
        if settings.isInsecure(url) { configuration.certificateVerification = .none }
        for (name, ours) in settings.clientCertificates where url.isNamed(name) {
            let what = "the client certificate of \(name)"
            if let content = ours.content {
                let chain = try TrustSettings.certificates(content.certificate, what)
                configuration.certificateChain = chain.map { .certificate($0) }
                guard let key = try? NIOSSLPrivateKey(bytes: content.key, format: .pem) else {
                    throw ServerError(.badSettings, "the key of \(what) cannot be read (PEM, no passphrase)")
                }
                configuration.privateKey = .privateKey(key)
                continue
            }
            let chain = try TrustSettings.certificates(ours.certificateFile, what)
            configuration.certificateChain = chain.map { .certificate($0) }
            do {
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: ours.keyFile, format: .pem))
            } catch {
                throw ServerError(
                    .badSettings,
                    "\(ours.keyFile) is no private key that can be read (PEM, no passphrase)"
                )
            }
        }
        return configuration
    }

    private static func certificates(_ content: [UInt8], _ what: String) throws(ServerError) -> [NIOSSLCertificate] {
        let found = (try? NIOSSLCertificate.fromPEMBytes(content)) ?? []
        guard !found.isEmpty else {
            throw ServerError(.badSettings, "\(what): there are no certificates to be read in it (PEM)")
        }
        return found
    }

    private static func certificates(_ file: String, _ what: String) throws(ServerError) -> [NIOSSLCertificate] {
        let found = (try? NIOSSLCertificate.fromPEMFile(file)) ?? []
        guard !found.isEmpty else {
            throw ServerError(
                .badSettings,
                "\(what): there are no certificates to be read in \(file)",
                hint: "name a file of certificates in PEM form: -----BEGIN CERTIFICATE-----"
            )
        }
        return found
    }
}
