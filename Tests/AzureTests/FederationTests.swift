// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import TestSupport
import Testing

@testable import Azure

@Suite("Workload identity federation")
struct FederationTests {
    private static let subject = "repo:team/app:ref:refs/heads/main"

    private static func gitHub(_ peer: Peer) -> [String: String] {
        [
            "ACTIONS_ID_TOKEN_REQUEST_URL": "http://\(peer.host)/oidc?x=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "req-s3cret",
            "AZURE_CLIENT_ID": ServicePrincipalTests.client, "AZURE_TENANT_ID": ServicePrincipalTests.tenant,
        ]
    }

    private static func assertion(_ index: Int) -> String {
        webToken([
            "iss": "https://token.actions.githubusercontent.com", "sub": .string(subject),
            "aud": "api://AzureADTokenExchange",
            "jti": .int(Int64(index)),
        ])
    }

    @Test("GitHub Actions is asked for a new token for every token of Entra ID", arguments: AzureCloud.known)
    func gitHubActions(cloud: AzureCloud) async throws {
        let peer = try Peer { request, index in
            request.path == "/oidc" ? .json(["value": .string(Self.assertion(index))]) : .token("t\(index)")
        }
        let local = try AzureCloud.local(peer, like: cloud)
        var settings = AzureSettings(environment: Self.gitHub(peer))
        settings.method = .federated
        let identity = try settings.identity(local, network: AzureNetwork(NetworkSettings()))

        _ = try await identity.token(for: "https://a")
        _ = try await identity.token(for: "https://b")

        let minted = peer.requests.filter { $0.path == "/oidc" }
        #expect(minted.count == 2)
        #expect(minted.allSatisfy { $0.query == ["x": "1", "audience": cloud.federationAudience] })
        #expect(minted.allSatisfy { $0.fields["authorization"] == "bearer req-s3cret" })
        let sent = peer.requests.filter { $0.path != "/oidc" }.compactMap { $0.form["client_assertion"] }
        #expect(sent == [Self.assertion(0), Self.assertion(2)])
    }

    @Test("Azure Pipelines is asked in its own way")
    func pipelines() async throws {
        let peer = try Peer { request, _ in
            request.path == "/oidc" ? .json(["oidcToken": .string(Self.assertion(0))]) : .token("t")
        }
        var settings = AzureSettings(environment: [
            "SYSTEM_OIDCREQUESTURI": "http://\(peer.host)/oidc", "SYSTEM_ACCESSTOKEN": "sys-s3cret",
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "conn",
            "AZURESUBSCRIPTION_CLIENT_ID": ServicePrincipalTests.client,
            "AZURESUBSCRIPTION_TENANT_ID": ServicePrincipalTests.tenant,
        ])
        settings.method = .federated

        let identity = try settings.identity(try .local(peer), network: AzureNetwork(NetworkSettings()))
        let token = try await identity.token(for: "https://a")

        #expect(token.value == "t")
        let request = try #require(peer.requests.first)
        #expect(request.method == "POST")
        #expect(request.query == ["api-version": "7.1", "serviceConnectionId": "conn"])
        #expect(request.fields["authorization"] == "Bearer sys-s3cret")
    }

    @Test("A token file is read anew each time, as Kubernetes rotates it")
    func file() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("token", Self.assertion(1) + "\n")
        let peer = try Peer { _, _ in .token("t") }
        var settings = AzureSettings(environment: [
            "AZURE_FEDERATED_TOKEN_FILE": file.path, "AZURE_CLIENT_ID": ServicePrincipalTests.client,
            "AZURE_TENANT_ID": ServicePrincipalTests.tenant, "AZURE_AUTHORITY_HOST": "http://\(peer.host)/",
        ])
        settings.method = .federated
        let cloud = try await settings.cloud(session: session())
        let identity = try settings.identity(cloud, network: AzureNetwork(NetworkSettings()))

        _ = try await identity.token(for: "https://a")
        try folder.write("token", Self.assertion(2))
        _ = try await identity.token(for: "https://a")

        #expect(peer.requests.compactMap { $0.form["client_assertion"] } == [Self.assertion(1), Self.assertion(2)])
    }

    @Test(
        "A token that nobody trusts is told with its claims, and the command that has it trusted",
        arguments: [
            70021, 700_211, 700_212, 700_213, 7_002_138,
        ]
    )
    func untrusted(number: Int) async throws {
        let peer = try Peer { request, _ in
            guard request.path != "/oidc" else { return .json(["value": .string(Self.assertion(0))]) }
            return .json(
                [
                    "error": "invalid_client", "error_description": .string("AADSTS\(number): No match."),
                    "correlation_id": "c-1",
                ],
                status: 400
            )
        }
        var settings = AzureSettings(environment: Self.gitHub(peer))
        settings.method = .federated
        let identity = try settings.identity(try .local(peer), network: AzureNetwork(NetworkSettings()))

        let error = try await #require(throws: AzureError.self) { try await identity.token(for: "https://a") }

        #expect(error.code == "AADSTS\(number)")
        #expect(
            error.message.contains(
                "issuer \"https://token.actions.githubusercontent.com\", subject \"\(Self.subject)\", audience "
                    + "\"api://AzureADTokenExchange\""
            )
        )
        #expect(
            error.hint
                == "az ad app federated-credential create --id \(ServicePrincipalTests.client) --parameters "
                + #"'{"audiences":["api://AzureADTokenExchange"],"issuer":"https://token.actions.githubusercontent.com","#
                + #""name":"coracle","subject":"repo:team/app:ref:refs/heads/main"}'"#
        )
        #expect(!"\(error)".contains("s3cret") && !"\(error)".contains("eyJ"))
    }

    @Test("A job without the permission is told which one")
    func permission() async throws {
        let peer = try Peer { _, _ in .status(403, [:], #"{"message":"no id-token for req-s3cret"}"#) }
        var settings = AzureSettings(environment: Self.gitHub(peer))
        settings.method = .federated
        let identity = try settings.identity(try .local(peer), network: AzureNetwork(NetworkSettings()))

        let error = try await #require(throws: AzureError.self) { try await identity.token(for: "https://a") }

        #expect(error.message.hasPrefix("fetch a token of GitHub Actions from \(peer.host): it answered 403"))
        #expect(error.hint == "give the job \"permissions: id-token: write\"")
        #expect(!"\(error)".contains("s3cret"))
    }
}
