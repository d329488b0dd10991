// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import TestSupport
import Testing

@testable import Azure

@Suite("Managed identities", .inTurns)
struct ManagedIdentityTests {
    private static let reply: JSONValue = [
        "access_token": "the-token", "expires_in": "86399", "expires_on": "1506484173", "token_type": "Bearer",
        "resource": "https://x",
    ]

    private static func identity(
        _ environment: [String: String],
        _ selection: ManagedIdentity.Selection = .system,
        _ patience: ManagedIdentity.Patience = .insists
    ) -> ManagedIdentity {
        var identity = ManagedIdentity(
            environment: environment,
            selection: selection,
            patience: patience,
            network: AzureNetwork(NetworkSettings())
        )
        identity.firstDelay = .milliseconds(1)
        return identity
    }

    private static func token(
        _ environment: [String: String],
        _ selection: ManagedIdentity.Selection = .system
    ) async throws -> AzureToken {
        try await identity(environment, selection).token(for: "https://x")
    }

    @Test("Instance metadata: numbers are texts, and the length counts by our own clock")
    func machine() async throws {
        let peer = try Peer { _, _ in .json(Self.reply) }

        let token = try await Self.token(["AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://\(peer.host)"])

        #expect(token.value == "the-token")
        #expect(abs(token.expires - Clock.now - 86399) < 5)
        let request = try #require(peer.requests.first)
        #expect(request.path == "/metadata/identity/oauth2/token")
        #expect(request.query == ["api-version": "2018-02-01", "resource": "https://x"])
        #expect(request.fields["metadata"] == "true")
    }

    @Test("Which of several is said in the words of each place")
    func selection() async throws {
        let peer = try Peer { _, _ in .json(Self.reply) }
        let machine = ["AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://\(peer.host)"]
        let service = ["IDENTITY_ENDPOINT": "http://\(peer.host)/msi", "IDENTITY_HEADER": "head-s3cret"]

        _ = try await Self.token(machine, .client("c"))
        _ = try await Self.token(machine, .object("o"))
        _ = try await Self.token(machine, .resource("/subscriptions/s/r"))
        _ = try await Self.token(service, .client("c"))
        _ = try await Self.token(service, .resource("/subscriptions/s/r"))

        let chosen = peer.requests.map { $0.query.filter { !["api-version", "resource"].contains($0.key) } }
        #expect(
            chosen == [
                ["client_id": "c"], ["object_id": "o"], ["msi_res_id": "/subscriptions/s/r"], ["client_id": "c"],
                ["mi_res_id": "/subscriptions/s/r"],
            ]
        )
    }

    @Test("App Service")
    func appService() async throws {
        let end = Clock.now + 4000
        let peer = try Peer { _, _ in .json(["access_token": "app", "expires_on": .string("\(end)"), "resource": "x"]) }

        let token = try await Self.token([
            "IDENTITY_ENDPOINT": "http://\(peer.host)/msi/token", "IDENTITY_HEADER": "head-s3cret",
        ])

        #expect(token == AzureToken("app", expires: end))
        let request = try #require(peer.requests.first)
        #expect(request.target == "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fx")
        #expect(request.fields["x-identity-header"] == "head-s3cret")
    }

    @Test("Machine Learning and Cloud Shell")
    func others() async throws {
        let peer = try Peer { _, _ in .json(Self.reply) }
        let endpoint = "http://\(peer.host)/x"

        _ = try await Self.token(["MSI_ENDPOINT": endpoint, "MSI_SECRET": "ml-s3cret"], .client("c"))
        _ = try await Self.token(["MSI_ENDPOINT": endpoint])

        #expect(peer.requests[0].query == ["api-version": "2017-09-01", "resource": "https://x", "clientid": "c"])
        #expect(peer.requests[0].fields["secret"] == "ml-s3cret")
        #expect(peer.requests[1].method == "POST")
        #expect(peer.requests[1].form == ["resource": "https://x"])
        #expect(peer.requests[1].fields["metadata"] == "true")
        let error = try await #require(throws: AzureError.self) {
            try await Self.token(["MSI_ENDPOINT": endpoint], .client("c"))
        }
        #expect(error.message == "managed identity (Cloud Shell): one of several cannot be chosen here in that way")
    }

    @Test("Azure Arc: the key in the file that the agent names is shown, and its identity must be the one asked for")
    func arc() async throws {
        let folder = try TemporaryFolder()
        let name = try folder.write("agent.key", "k3y-in-file\n").path
        let peer = try Peer { request, _ in
            guard request.fields["authorization"] == "Basic k3y-in-file" else {
                return .status(401, ["WWW-Authenticate": "Basic realm=\(name)"])
            }
            var reply = Self.reply
            if case .object(var members) = reply {
                members["client_id"] = "c"
                reply = .object(members)
            }
            return .json(reply)
        }
        let environment = ["IDENTITY_ENDPOINT": "http://\(peer.host)/arc", "IMDS_ENDPOINT": "http://\(peer.host)"]

        func token(_ selection: ManagedIdentity.Selection) async throws -> AzureToken {
            var identity = Self.identity(environment, selection)
            identity.arcFolder = folder.url.path
            return try await identity.token(for: "https://x")
        }

        _ = try await token(.system)
        _ = try await token(.client("C"))
        let error = try await #require(throws: AzureError.self) { try await token(.client("other")) }

        #expect(peer.requests.first?.query == ["api-version": "2020-06-01", "resource": "https://x"])
        #expect(error.message.hasSuffix("the machine gave a token of another identity"))
    }

    @Test(
        "Azure Arc: no other file is read, whatever the answer names",
        arguments: [
            "/etc/shadow", "/var/opt/azcmagent/tokens/../../../../etc/shadow", "/var/opt/azcmagent/tokens/a/b.key",
            "/var/opt/azcmagent/tokens/.key", "/var/opt/azcmagent/tokens/key.txt", "tokens/a.key", "",
        ]
    )
    func arcPath(path: String) async throws {
        let peer = try Peer { _, _ in .status(401, ["WWW-Authenticate": "Basic realm=\"\(path)\""]) }
        let environment = ["IDENTITY_ENDPOINT": "http://\(peer.host)/arc", "IMDS_ENDPOINT": "http://\(peer.host)"]

        let error = try await #require(throws: AzureError.self) { try await Self.token(environment) }

        #expect(error.message.contains("a file that is not read"))
        #expect(peer.requests.count == 1)
    }

    @Test("Service Fabric: the node's certificate must be the one of the thumbprint")
    func serviceFabric() async throws {
        let folder = try TemporaryFolder()
        let (certificate, key) = (folder.url.appending(path: "c.pem"), folder.url.appending(path: "k.pem"))
        let openssl = try #require(Program.named("openssl"))
        _ = try Program.run(
            [
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=node", "-keyout", key.path,
                "-out", certificate.path,
            ],
            of: openssl
        )
        let print = try Program.run(["x509", "-in", certificate.path, "-noout", "-fingerprint", "-sha1"], of: openssl)
        let thumbprint = print.output.split(separator: "=").last?.filter { $0.isHexDigit }.lowercased() ?? ""
        let port = try UnusedPort.find()
        // It answers every GET with a page, which is no token, but who gets that far has been let through.
        let files = ["-cert", certificate.path, "-key", key.path]
        let server = try Child(
            ["s_server", "-accept", "127.0.0.1:\(port)"] + files + ["-www", "-quiet"],
            of: openssl
        )
        defer { server.send(SIGKILL) }
        try await Waiting.until("the server") { (try? Wire(port: port)) != nil }
        var environment = [
            "IDENTITY_ENDPOINT": "https://127.0.0.1:\(port)/metadata", "IDENTITY_HEADER": "sf-s3cret",
            "IDENTITY_SERVER_THUMBPRINT": thumbprint,
        ]

        let passed = try await #require(throws: AzureError.self) { try await Self.token(environment) }
        environment["IDENTITY_SERVER_THUMBPRINT"] = String(repeating: "0", count: 40)
        let stopped = try await #require(throws: AzureError.self) { try await Self.token(environment) }

        #expect(passed.message.contains("no token in it"), "\(passed)")
        #expect(stopped.message.contains("is not that of IDENTITY_SERVER_THUMBPRINT"), "\(stopped)")
    }

    @Test("A service that is not ready yet is asked again", arguments: [404, 410, 429, 500])
    func later(status: Int) async throws {
        let peer = try Peer { _, index in index < 2 ? .status(status) : .json(Self.reply) }

        let token = try await Self.token(["AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://\(peer.host)"])

        #expect(token.value == "the-token")
        #expect(peer.requests.count == 3)
    }

    @Test("A machine without an identity says so")
    func none() async throws {
        let peer = try Peer { _, _ in
            .json(["error": "invalid_request", "error_description": "Identity not found"], status: 400)
        }
        let environment = ["AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://\(peer.host)"]

        let error = try await #require(throws: AzureError.self) { try await Self.token(environment) }
        let probed = try await #require(throws: AzureError.self) {
            try await Self.identity(environment, .system, .probes).token(for: "https://x")
        }

        #expect(error.kind == .refused)
        #expect(error.message == "managed identity (instance metadata): Identity not found")
        #expect(error.hint?.contains("az vm identity assign") == true)
        #expect(probed.kind == .unavailable)
    }

    @Test("No proxy is asked for what is in the machine")
    func proxy() async throws {
        let peer = try Peer { _, _ in .json(Self.reply) }
        let proxy = try Peer { _, _ in .status(502) }
        var settings = NetworkSettings()
        settings.proxy.plain = "http://\(proxy.host)"
        var identity = ManagedIdentity(
            environment: ["AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://\(peer.host)"],
            network: AzureNetwork(settings)
        )
        identity.firstDelay = .milliseconds(1)

        _ = try await identity.token(for: "https://x")

        #expect(proxy.requests.isEmpty)
    }
}
