// SPDX-License-Identifier: Apache-2.0

/// How to reach servers: whom to trust, what proxy to use, how long to wait.
public struct NetworkSettings: Sendable {
    /// A certificate of our own, for servers that ask for one.
    public struct ClientCertificate: Hashable, Sendable {
        /// The file of the certificate and its chain, PEM.
        public var certificateFile: String
        /// The file of its private key, PEM, without a passphrase.
        public var keyFile: String

        /// Names the files.
        ///
        /// - Parameters:
        ///   - certificateFile: The certificate and its chain.
        ///   - keyFile: The private key.
        public init(certificateFile: String, keyFile: String) {
            (self.certificateFile, self.keyFile) = (certificateFile, keyFile)
        }

        /// What the files would hold, where there are none.
        var content: Content?

        struct Content: Hashable {
            let certificate: [UInt8]
            let key: [UInt8]
        }

        /// Certificate and key themselves, which are written nowhere.
        ///
        /// - Parameters:
        ///   - certificate: The certificate and its chain, PEM.
        ///   - key: The private key, PEM, without a passphrase.
        public init(certificate: [UInt8], key: [UInt8]) {
            (certificateFile, keyFile) = ("", "")
            content = Content(certificate: certificate, key: key)
        }
    }

    /// Files of certificates to trust besides the system's, PEM: `--ca`.
    public var authorityFiles: [String] = []
    /// Files of certificates to trust besides the system's for one host (`HOST` or `HOST:PORT`), PEM.
    public var authorityFilesByHost: [String: [String]] = [:]
    /// The file of certificates to trust in place of the system's, as OpenSSL has it; `nil` for the system's.
    public var systemAuthorityFile: String?
    /// The only certificates to trust, PEM, in place of the system's and all files; `nil` for these.
    public var onlyAuthorities: [UInt8]?
    /// The name that a host's certificate must be for, where it is not that of the host; by host in lower case.
    public var serverNames: [String: String] = [:]
    /// Our certificates by host: `HOST` or `HOST:PORT`.
    public var clientCertificates: [String: ClientCertificate] = [:]
    /// The folder that has a folder for each host with our certificate for it, to be named in advice; `nil` for none.
    public var clientCertificateFolder: String?
    /// Hosts whose certificates are not verified, and with which plain HTTP is spoken where they have no TLS: `HOST` or
    /// `HOST:PORT`.
    public var insecureHosts: Set<String> = []
    /// The one certificate, DER, that a host must show, whoever issued it and whatever names are in it: by `HOST:PORT`.
    public var pinnedCertificates: [String: [UInt8]] = [:]
    /// The proxies.
    public var proxy = ProxySettings()
    /// The longest a connection may take to be made, TLS included.
    public var connectTimeout: Duration = .seconds(15)
    /// The longest that nothing may arrive while an answer is awaited.
    public var idleTimeout: Duration = .seconds(60)
    /// How we name ourselves.
    public var userAgent = "coracle"

    /// Takes `SSL_CERT_FILE` and the proxies from an environment.
    ///
    /// - Parameter environment: The environment of the process; may be empty.
    public init(environment: [String: String] = [:]) {
        systemAuthorityFile = environment["SSL_CERT_FILE"].flatMap { $0.isEmpty ? nil : $0 }
        proxy = ProxySettings(environment: environment)
    }

    /// Reads the files of `--ca`, so that one which cannot be used is told before anything is done.
    ///
    /// - Throws: ``ServerError`` with the file, and what is wrong with it.
    public func checkAuthorities() throws(ServerError) {
        for file in authorityFiles { _ = try TrustSettings.authorities(file, "--ca") }
    }

    /// Whether a host was named as one whose certificate need not be verified.
    ///
    /// - Parameter url: The host and port.
    /// - Returns: Whether the host was named, alone or with this port.
    public func isInsecure(_ url: HTTPURL) -> Bool {
        insecureHosts.contains { url.isNamed($0) }
    }
}
