// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A registry that wants to be shown a certificate of ours.
@Suite(.enabled(if: TestRegistry.isInstalled, "docker-registry is not installed"))
struct ClientCertificateTests {
    let files: TemporaryFolder
    let home: URL
    let authority: TestAuthority
    let server: ServerProcess
    let host: String
    /// Where its certificate is looked for.
    let folder: String

    init() async throws {
        files = try TemporaryFolder()
        home = files.url.appending(path: "home")
        authority = try TestAuthority("Ours")
        let own = try authority.issue(rsa: true)
        let settings = try files.write(
            "registry.yml",
            """
            version: 0.1
            storage: {filesystem: {rootdirectory: \(files.url.path)/data}}
            http: {addr: "127.0.0.1:0", tls: {certificate: \(own.certificate.path), key: \(own.key.path), \
            clientcas: [\(authority.certificate.path)]}}

            """
        )
        server = try await ServerProcess(["docker-registry", "serve", settings.path], readyAt: "listening on ")
        host = "127.0.0.1:\(try server.port(after: "listening on "))"
        folder = "home/.config/containers/certs.d/\(host)"
    }

    private func ls() throws -> Program {
        try Program.run(
            ["registry", "ls", "--ca", authority.certificate.path, host],
            environment: ["HOME": home.path, "XDG_CONFIG_HOME": "", "CORACLE_STORE": home.path + "/store"]
        )
    }

    private func keep(_ pair: (certificate: URL, key: URL)) throws {
        for (name, file) in [("client.cert", pair.certificate), ("client.key", pair.key)] {
            try files.write("\(folder)/\(name)", String(contentsOf: file, encoding: .utf8))
        }
    }

    @Test func withoutOneItIsSaidWhereToPutIt() throws {
        let result = try ls()

        // Loopback hosts are tried with plain HTTP where they have no TLS; this one has.
        #expect(result.status == 3, "\(result.errors)")
        #expect(
            result.errors.contains(
                "127.0.0.1 port \(host.dropFirst(10)): the server wants to be shown a client certificate, "
                    + "and there is none for it"
            ),
            "\(result.errors)"
        )
        #expect(
            result.errors.contains(
                "put certificate and key (PEM) into \(files.url.path)/\(folder)/ as client.cert and client.key"
            ),
            "\(result.errors)"
        )
        #expect(!result.errors.contains("attempt"), "it is no use to try again: \(result.errors)")
    }

    @Test func whatTheHintSaysLetsIn() throws {
        try keep(authority.issue("DNS:client"))

        let result = try ls()

        #expect(result.status == 0, "\(result.errors)")
    }

    @Test func oneThatIsNotAcceptedIsNamed() throws {
        let other = try TestAuthority("Another")
        try keep(other.issue("DNS:client"))

        let result = try ls()

        #expect(result.status == 3, "\(result.errors)")
        #expect(
            result.errors.contains(
                "the server does not accept the client certificate \(files.url.path)/\(folder)/client.cert"
            ),
            "\(result.errors)"
        )
        #expect(result.errors.contains("openssl x509 -noout -text -in"), "\(result.errors)")
    }
}
