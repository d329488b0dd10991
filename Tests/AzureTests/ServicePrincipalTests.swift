// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import TestSupport
import Testing

@testable import Azure

@Suite("Service principals")
struct ServicePrincipalTests {
    static let client = "11111111-2222-3333-4444-555555555555"
    static let tenant = "99999999-8888-7777-6666-555555555555"

    static func principal(_ proof: ServicePrincipal.Proof, _ cloud: AzureCloud) throws -> ServicePrincipal {
        try ServicePrincipal(client: client, tenant: tenant, proof: proof, cloud: cloud, session: session())
    }

    @Test("A secret is sent as it is, whatever characters are in it")
    func secret() async throws {
        let peer = try Peer { _, _ in .token("the-token") }
        let principal = try Self.principal(.secret("a+b&c~d%e=f"), try .local(peer))

        let token = try await principal.token(for: "https://management.azure.com")

        #expect(token.value == "the-token")
        #expect(abs(token.expires - Clock.now - 3599) < 5)
        let request = try #require(peer.requests.first)
        #expect(request.method == "POST")
        #expect(request.target == "/\(Self.tenant)/oauth2/v2.0/token")
        #expect(
            request.form == [
                "grant_type": "client_credentials", "client_id": Self.client, "client_secret": "a+b&c~d%e=f",
                "scope": "https://management.azure.com/.default",
            ]
        )
    }

    @Test("A resource that ends with a slash keeps it in its scope")
    func slash() async throws {
        let peer = try Peer { _, _ in .token("x") }

        _ = try await Self.principal(.secret("s3cret"), try .local(peer)).token(for: "https://batch.core.windows.net/")

        #expect(peer.requests.first?.form["scope"] == "https://batch.core.windows.net//.default")
    }

    @Test("Each cloud has tokens of its own place", arguments: AzureCloud.known)
    func clouds(cloud: AzureCloud) throws {
        let hosts = [
            "AzureCloud": "login.microsoftonline.com", "AzureUSGovernment": "login.microsoftonline.us",
            "AzureChinaCloud": "login.chinacloudapi.cn",
        ]
        let entra = try EntraClient(cloud: cloud, tenant: Self.tenant, session: session())

        #expect(entra.endpoint.text == "https://\(hosts[cloud.name] ?? "")/\(Self.tenant)/oauth2/v2.0/token")
    }

    @Test("A tenant that is a path is refused before anything is sent", arguments: ["", "a/b", "..?x", "a b", "a@b"])
    func tenants(tenant: String) throws {
        let error = #expect(throws: AzureError.self) {
            try EntraClient(cloud: .public, tenant: tenant, session: session())
        }
        #expect(error?.kind == .usage)
    }

    @Test("No secret is sent over plain HTTP to another machine")
    func plain() throws {
        var cloud = AzureCloud.public
        cloud.authority = try HTTPURL("http://login.example.com/")

        let error = #expect(throws: AzureError.self) { try Self.principal(.secret("s3cret"), cloud) }

        #expect(error?.message == "login.example.com would be shown secrets over plain HTTP")
    }

    /// What Entra ID says, and what is to be typed then.
    static let refusals: [(Int, String)] = [
        (7_000_215, "az ad app credential reset --id \(client)"),
        (7_000_222, "az ad app credential reset --id \(client)"),
        (700_016, "az ad sp show --id \(client)"), (90002, "az account list"),
        (700_027, "az ad app credential reset --id \(client) --append --cert"), (700_024, "clock"),
        (7_000_112, "az ad sp update --id \(client)"), (7_000_218, "AZURE_CLIENT_SECRET"),
        (7_000_229, "az ad sp create --id \(client)"), (500_011, "CORACLE_AZURE_CLOUD"), (53003, "conditional access"),
        (50076, "az login --tenant \(tenant)"), (700_082, "az login --tenant \(tenant)"),
        (900_382, "CORACLE_AZURE_CLOUD"),
    ]

    @Test("Each refusal of Entra ID comes with its code, its correlation id and what to type", arguments: refusals)
    func refusal(number: Int, remedy: String) async throws {
        let peer = try Peer { _, _ in
            .json(
                [
                    "error": "invalid_client",
                    "error_description": .string(
                        "AADSTS\(number): It is wrong. The secret was 'wr0ng-s3cret'. Trace ID: abc\r\nCorrelation ID: def"
                    ),
                    "error_codes": [.int(Int64(number))], "correlation_id": "0f0f0f0f-1111",
                ],
                status: 401
            )
        }

        let error = try await #require(throws: AzureError.self) {
            try await Self.principal(.secret("wr0ng-s3cret"), try .local(peer)).token(for: "https://x")
        }

        #expect(error.kind == .refused)
        #expect(error.code == "AADSTS\(number)")
        #expect(error.correlationID == "0f0f0f0f-1111")
        #expect(error.message.contains("AADSTS\(number): It is wrong."))
        #expect(error.message.contains("correlation id 0f0f0f0f-1111"))
        #expect(!error.message.contains("Trace ID"))
        #expect(error.hint?.contains(remedy) == true, "\(error.hint ?? "")")
        #expect(!"\(error)".contains("wr0ng"), "\(error)")
        #expect(peer.requests.count == 1, "a refusal is final")
    }

    @Test("A storm of 429 and 503 is sat out")
    func storm() async throws {
        let peer = try Peer { _, index in
            index < 3 ? .status(index == 1 ? 503 : 429, ["Retry-After": "0"]) : .token("at-last")
        }

        let token = try await Self.principal(.secret("s3cret"), try .local(peer)).token(for: "https://x")

        #expect(token.value == "at-last")
        #expect(peer.requests.count == 4)
    }

    @Test(
        "An answer without a token is no token",
        arguments: ["", "{}", "[]", #"{"access_token":""}"#, #"{"access_token":"a b"}"#]
    )
    func nonsense(body: String) async throws {
        let peer = try Peer { _, _ in .status(200, [:], body) }

        let error = try await #require(throws: AzureError.self) {
            try await Self.principal(.secret("s3cret"), try .local(peer)).token(for: "https://x")
        }

        #expect(error.message.hasSuffix("has no token in it"))
    }

    @Test("Tokens and proofs show nothing of themselves")
    func redacted() async throws {
        let token = AzureToken("v3ry-s3cret", expires: 1)
        var dumped = ""
        dump(token, to: &dumped)
        dump(ServicePrincipal.Proof.secret("v3ry-s3cret"), to: &dumped)
        dump(try Self.principal(.secret("v3ry-s3cret"), .public), to: &dumped)
        dump(FederatedToken.file("/nowhere"), to: &dumped)

        #expect(!dumped.contains("v3ry"))
        #expect(
            !"\(token) \(String(reflecting: token)) \(ServicePrincipal.Proof.secret("v3ry-s3cret"))".contains("v3ry")
        )
    }

    @Test("Tokens are kept until five minutes before they end")
    func kept() async throws {
        let peer = try Peer { _, index in .token("t\(index)", seconds: index == 0 ? 299 : 3600) }
        let tokens = AzureTokens(try Self.principal(.secret("s3cret"), try .local(peer)))

        var values: [String] = []
        for _ in 0..<4 { values.append(try await tokens.token(for: "https://x").value) }
        let refused = try await tokens.token(for: "https://x")
        values.append(try await tokens.token(for: "https://x", refused: refused).value)
        values.append(try await tokens.token(for: "https://y").value)

        #expect(values == ["t0", "t1", "t1", "t1", "t2", "t3"])
    }

    @Test("However many wait, one token is asked for")
    func herd() async throws {
        let peer = try Peer { _, _ in .token("t") }
        let tokens = AzureTokens(try Self.principal(.secret("s3cret"), try .local(peer)))

        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<20 { group.addTask { _ = try await tokens.token(for: "https://x") } }
            try await group.waitForAll()
        }

        #expect(peer.requests.count == 1)
    }
}
