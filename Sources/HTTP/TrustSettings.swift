// SPDX-License-Identifier: Apache-2.0
internal import Glibc
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
            configuration.trustRoots = .certificates(try TrustSettings.authorities(file, "SSL_CERT_FILE"))
        }
        var files = settings.authorityFiles
        for (name, more) in settings.authorityFilesByHost where url.isNamed(name) { files += more }
        var authorities: [NIOSSLCertificate] = []
        for file in files { authorities += try TrustSettings.authorities(file, "--ca") }
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
            try TrustSettings.add(ours, of: name, to: &configuration)
        }
        return configuration
    }

    /// Has us show a certificate of our own.
    private static func add(
        _ ours: NetworkSettings.ClientCertificate,
        of name: String,
        to configuration: inout TLSConfiguration
    ) throws(ServerError) {
        let what = "the client certificate of \(name)"
        do throws(ServerError) {
            if let content = ours.content {
                let chain = try certificates(content.certificate, what)
                configuration.certificateChain = chain.map { .certificate($0) }
                guard let key = try? NIOSSLPrivateKey(bytes: content.key, format: .pem) else {
                    throw ServerError(.badSettings, "the key of \(what) cannot be read (PEM, no passphrase)")
                }
                configuration.privateKey = .privateKey(key)
                return
            }
            let chain = try certificates(ours.certificateFile, "\(what) \(ours.certificateFile)")
            configuration.certificateChain = chain.map { .certificate($0) }
            guard let key = try? NIOSSLPrivateKey(file: ours.keyFile, format: .pem) else {
                throw ServerError(
                    .badSettings,
                    "\(ours.keyFile) is no private key that can be read (PEM, no passphrase)"
                )
            }
            configuration.privateKey = .privateKey(key)
        } catch {
            throw ServerError(.badClientCertificate, error.message, hint: error.hint)
        }
    }

    private static func certificates(_ content: [UInt8], _ what: String) throws(ServerError) -> [NIOSSLCertificate] {
        let found = (try? NIOSSLCertificate.fromPEMBytes(content)) ?? []
        guard !found.isEmpty else {
            throw ServerError(.badSettings, "\(what): there are no certificates to be read in it (PEM)")
        }
        return found
    }

    /// The certificates of a file that was named by a flag or a variable.
    static func authorities(_ file: String, _ flag: String) throws(ServerError) -> [NIOSSLCertificate] {
        try certificates(file, "\(flag) \(file)")
    }

    private static func certificates(_ file: String, _ what: String) throws(ServerError) -> [NIOSSLCertificate] {
        let found = (try? NIOSSLCertificate.fromPEMFile(file)) ?? []
        guard !found.isEmpty else {
            throw ServerError(
                .badSettings,
                "\(what): \(fault(in: file))",
                hint: "name a file of certificates in PEM form: -----BEGIN CERTIFICATE-----"
            )
        }
        return found
    }

    /// Why no certificate could be read of a file.
    private static func fault(in file: String) -> String {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return String(cString: strerror(errno)).lowercased() }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        // What says that a certificate follows is near the begin, if anywhere.
        while text.count < 1 << 20 {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EISDIR { return "is a directory" }
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        return text.firstRange(of: Array("-----BEGIN CERTIFICATE-----".utf8)) == nil
            ? "there is no certificate in it (PEM)" : "a certificate in it cannot be read"
    }
}
