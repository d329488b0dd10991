// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import TestSupport
import Testing

@Suite("Trust", .inTurns)
struct TrustTests {
    /// openssl's server, which answers every request with a page.
    static func serve(_ pair: (certificate: URL, key: URL), _ more: [String] = []) async throws -> (ServerProcess, Int)
    {
        let port = try UnusedPort.find()
        let server = try await ServerProcess(
            [
                "openssl", "s_server", "-accept", "127.0.0.1:\(port)", "-www", "-cert", pair.certificate.path, "-key",
                pair.key.path,
            ] + more,
            readyAt: "ACCEPT"
        )
        return (server, port)
    }

    static func fault(_ url: String, _ settings: NetworkSettings = NetworkSettings()) async throws -> ServerError {
        try await #require(throws: ServerError.self) { try await ConnectionTests.get(url, settings) }
    }

    @Test("An unknown authority is named, and what to type; --ca, SSL_CERT_FILE and --insecure let in")
    func unknownAuthority() async throws {
        let authority = try TestAuthority("Corporate Proxy CA")
        let (server, port) = try await Self.serve(authority.issue())
        defer { withExtendedLifetime(server) {} }
        let url = "https://127.0.0.1:\(port)/"

        let error = try await Self.fault(url)
        var trusting = NetworkSettings()
        trusting.authorityFiles = [authority.certificate.path]
        var byHost = NetworkSettings()
        byHost.authorityFilesByHost = ["127.0.0.1:\(port)": [authority.certificate.path]]
        var insecure = NetworkSettings()
        insecure.insecureHosts = ["127.0.0.1:\(port)"]
        let environment = NetworkSettings(environment: ["SSL_CERT_FILE": authority.certificate.path])

        #expect(error.code == .certificate)
        #expect(
            error.message == "127.0.0.1 port \(port): the certificate is not signed by anyone this machine trusts, "
                + "it was issued by \"Corporate Proxy CA\""
        )
        #expect(error.hint?.contains("--ca FILE") == true)
        #expect(error.hint?.contains("--insecure 127.0.0.1:\(port)") == true)
        for settings in [trusting, byHost, insecure, environment] {
            #expect(try await ConnectionTests.get(url, settings).status == 200)
        }
    }

    @Test("Another host may not be let in by --insecure")
    func insecureIsByHost() async throws {
        let authority = try TestAuthority()
        let (server, port) = try await Self.serve(authority.issue())
        defer { withExtendedLifetime((server, authority)) {} }
        var settings = NetworkSettings()
        settings.insecureHosts = ["127.0.0.1:1", "localhost"]

        #expect(try await Self.fault("https://127.0.0.1:\(port)/", settings).code == .certificate)
    }

    @Test("An expired certificate is told from an unknown one")
    func expired() async throws {
        let authority = try TestAuthority()
        let (server, port) = try await Self.serve(authority.issue(days: -3))
        defer { withExtendedLifetime(server) {} }
        var settings = NetworkSettings()
        settings.authorityFiles = [authority.certificate.path]

        let error = try await Self.fault("https://127.0.0.1:\(port)/", settings)

        #expect(error.message == "127.0.0.1 port \(port): the certificate has expired 3 days ago")
        #expect(error.hint?.contains("clock") == true)
    }

    @Test("A certificate of another host is told, with the names it has")
    func otherHost() async throws {
        let authority = try TestAuthority()
        let (server, port) = try await Self.serve(authority.issue("DNS:acr.example,IP:10.0.0.1"))
        defer { withExtendedLifetime(server) {} }
        var settings = NetworkSettings()
        settings.authorityFiles = [authority.certificate.path]

        for host in ["127.0.0.1", "localhost"] {
            let error = try await Self.fault("https://\(host):\(port)/", settings)
            #expect(
                error.message
                    == "\(host) port \(port): the certificate is not for this host but for acr.example, 10.0.0.1"
            )
        }
    }

    @Test("A server that speaks plain HTTP is told from one with a bad certificate")
    func plain() async throws {
        let server = try FaultyServer { _ in .answer(400) }
        let registry = try await ServerProcess(
            ["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"],
            readyAt: "port"
        )
        let port = try #require(
            registry.text.split(separator: " ").drop { $0 != "port" }.dropFirst().first.flatMap { Int($0) }
        )
        defer { withExtendedLifetime(server) {} }

        let error = try await Self.fault("https://127.0.0.1:\(port)/")

        #expect(error.code == .handshake)
        #expect(error.message == "127.0.0.1 port \(port): the server speaks plain HTTP there, not TLS")
        #expect(error.hint == "if that is meant to be so, allow it: --insecure 127.0.0.1:\(port)")
    }

    @Test("A server that asks for our certificate gets it")
    func clientCertificate() async throws {
        let authority = try TestAuthority()
        let ours = try authority.issue("DNS:client")
        let (server, port) = try await Self.serve(
            authority.issue(),
            ["-Verify", "1", "-CAfile", authority.certificate.path, "-verify_return_error"]
        )
        defer { withExtendedLifetime(server) {} }
        var settings = NetworkSettings()
        settings.authorityFiles = [authority.certificate.path]
        let without = try await Self.fault("https://127.0.0.1:\(port)/", settings)
        settings.clientCertificates["127.0.0.1"] = .init(
            certificateFile: ours.certificate.path,
            keyFile: ours.key.path
        )

        #expect(try await ConnectionTests.get("https://127.0.0.1:\(port)/", settings).status == 200)
        #expect(without.code == .clientCertificate)
        #expect(
            without.message
                == "127.0.0.1 port \(port): the server wants to be shown a client certificate, and there is none for it"
        )
    }

    @Test("Files without certificates are told before anything is sent")
    func badFiles() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("ca.pem", "nothing")
        var settings = NetworkSettings()
        settings.authorityFiles = [file.path]
        let environment = NetworkSettings(environment: ["SSL_CERT_FILE": "/nonexistent.pem"])

        #expect(
            try await Self.fault("https://127.0.0.1:1/", settings).message
                == "--ca \(file.path): there is no certificate in it (PEM)"
        )
        #expect(
            try await Self.fault("https://127.0.0.1:1/", environment).message
                == "SSL_CERT_FILE /nonexistent.pem: no such file or directory"
        )
    }
}
