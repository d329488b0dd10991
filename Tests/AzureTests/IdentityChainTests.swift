// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import TestSupport
import Testing

@testable import Azure

@Suite("az, and the chain of identities", .inTurns)
struct IdentityChainTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A program called `az`, and the environment that finds it.
    private func az(_ script: String) throws -> [String: String] {
        let file = try Program.install("#!/bin/sh\n\(script)\n", at: folder.url.appending(path: "bin/az"))
        return ["PATH": "\(file.deletingLastPathComponent().path):/usr/bin:/bin"]
    }

    @Test("az is asked for a token, and its time in UTC counts")
    func session() async throws {
        let environment = try az(
            """
            echo "$@" > \(folder.url.path)/arguments
            echo 'WARNING: something' >&2
            echo '{"accessToken":"az-token","expires_on":4102444800,"expiresOn":"2001-01-01 00:00:00.000000","tokenType":"Bearer"}'
            """
        )

        let token = try await AzureCLIIdentity(tenant: "t", subscription: "s", environment: environment)
            .token(for: "https://x")

        #expect(token == AzureToken("az-token", expires: 4_102_444_800))
        let arguments = try String(contentsOf: folder.url.appending(path: "arguments"), encoding: .utf8)
        #expect(arguments == "account get-access-token --output json --resource https://x --tenant t\n")
    }

    @Test("Nobody logged in: what az says, and what to type")
    func loggedOut() async throws {
        let environment = try az("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1")

        let error = try await #require(throws: AzureError.self) {
            try await AzureCLIIdentity(environment: environment).token(for: "https://x")
        }

        #expect(error.kind == .unavailable)
        #expect(error.message == "az account get-access-token: Please run 'az login' to setup account. (exit 1)")
        #expect(error.hint == "az login")
    }

    @Test("A session that has ended keeps its code")
    func ended() async throws {
        let environment = try az(
            "echo 'ERROR: AADSTS700082: The refresh token has expired due to inactivity.' >&2; echo 'Run: az login' >&2; exit 1"
        )

        let error = try await #require(throws: AzureError.self) {
            try await AzureCLIIdentity(tenant: "t1", environment: environment).token(for: "https://x")
        }

        #expect(error.code == "AADSTS700082")
        #expect(error.hint == "az login --tenant t1")
    }

    @Test("The subscription of a session; where there is none, none; and a broken session is said")
    func subscription() async throws {
        func find(_ script: String?) async throws -> String? {
            let environment = try script.map { try az($0) } ?? ["PATH": "/nowhere"]
            return try await AzureSettings(environment: environment).cliSubscription(.public)
        }

        #expect(try await find("echo '{\"accessToken\":\"t\",\"subscription\":\"s-1\"}'") == "s-1")
        #expect(try await find(nil) == nil)
        #expect(try await find("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1") == nil)
        for script in [
            "echo 'ERROR: AADSTS700082: The refresh token has expired. Please run az login' >&2; exit 1", "echo oops",
            "echo 'ERROR: No subscription found.' >&2; exit 1",
        ] { await #expect(throws: AzureError.self, "\(script)") { try await find(script) } }
    }

    @Test("The chain says what was tried where there is nobody")
    func nobody() async throws {
        let metadata = try Peer { _, _ in .status(400) }
        let environment = ["PATH": folder.url.path, "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://\(metadata.host)"]
        let settings = AzureSettings(environment: environment)
        let chain = try settings.identity(.public, network: AzureNetwork(NetworkSettings()))

        let error = try await #require(throws: AzureError.self) { try await chain.token(for: "https://x") }

        #expect(error.kind == .unavailable)
        #expect(
            error.trace == [
                "environment: a service principal needs AZURE_CLIENT_ID, and AZURE_TENANT_ID, and a secret or certificate",
                "federated identity: there is no token file, no GitHub Actions, no Azure Pipelines",
                "managed identity (instance metadata): \(metadata.host) answered 400",
                "who is logged in with az: az is not in PATH",
            ]
        )
        #expect(error.trace.allSatisfy { error.message.contains($0) })
    }

    @Test("The environment comes first, and what it names is not passed over when it is refused")
    func refused() async throws {
        let entra = try Peer { _, _ in
            .json(
                ["error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."],
                status: 401
            )
        }
        var environment = try az("echo '{\"accessToken\":\"az-token\",\"expires_on\":4102444800}'")
        environment["AZURE_CLIENT_ID"] = "c"
        environment["AZURE_TENANT_ID"] = "t"
        environment["AZURE_CLIENT_SECRET"] = "env-s3cret"
        let chain = try AzureSettings(environment: environment)
            .identity(.local(entra), network: AzureNetwork(NetworkSettings()))

        let error = try await #require(throws: AzureError.self) { try await chain.token(for: "https://x") }

        #expect(error.code == "AADSTS7000215")
        #expect(error.trace.count == 1, "what comes after it was not tried")
        #expect(!"\(error) \(error.trace)".contains("s3cret"))
    }

    @Test("Once one is found, it alone is asked")
    func chosen() async throws {
        let metadata = try Peer { _, _ in .status(400) }
        var environment = try az("echo '{\"accessToken\":\"az-token\",\"expires_on\":4102444800}'")
        environment["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = "http://\(metadata.host)"
        let chain = try AzureSettings(environment: environment)
            .identity(.public, network: AzureNetwork(NetworkSettings()))

        let first = try await chain.token(for: "https://x")
        _ = try await chain.token(for: "https://y")

        #expect(first.value == "az-token")
        #expect(metadata.requests.count == 1)
        #expect(chain.summary == "who is logged in with az")
        #expect((chain as? IdentityChain)?.trace.last == "who is logged in with az: used")
    }

    @Test("What is missing is named")
    func missing() throws {
        var settings = AzureSettings(environment: ["AZURE_CLIENT_ID": "c"])
        settings.method = .servicePrincipal

        let error = #expect(throws: AzureError.self) {
            try settings.identity(.public, network: AzureNetwork(NetworkSettings()))
        }

        #expect(
            error?.message
                == "a service principal needs AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH, and AZURE_TENANT_ID"
        )
    }
}

@Suite("Clouds", .inTurns)
struct CloudTests {
    @Test(
        "A registry's name says what cloud it is in",
        arguments: [
            ("my.azurecr.io", "AzureCloud"), ("my.azurecr.us", "AzureUSGovernment"),
            ("my.azurecr.cn", "AzureChinaCloud"),
            ("docker.io", "AzureCloud"),
        ]
    )
    func registry(host: String, name: String) async throws {
        #expect(try await AzureSettings(environment: [:]).cloud(ofRegistry: host, session: session()).name == name)
    }

    @Test("The place of tokens says what cloud it is of; flags come first")
    func authority() async throws {
        var settings = AzureSettings(environment: ["AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/"])
        #expect(try await settings.cloud(session: session()).resourceManager.host == "management.usgovcloudapi.net")
        settings.cloud = "AzureChinaCloud"
        let mixed = try await settings.cloud(session: session())
        #expect(mixed.name == "AzureChinaCloud")
        #expect(mixed.authority.host == "login.microsoftonline.us")
    }

    @Test("Another cloud is asked where its services are")
    func discovery() async throws {
        let peer = try Peer { request, _ in
            .json([
                [
                    "name": "AzureCloud", "resourceManager": "https://management.azure.com/",
                    "authentication": ["loginEndpoint": "https://a/"],
                ],
                [
                    "name": "Own",
                    "resourceManager": .string(
                        "http://127.0.0.1:\(request.fields["host"]?.split(separator: ":").last ?? "")/"
                    ),
                    "authentication": [
                        "loginEndpoint": "https://login.own.example/",
                        "audiences": ["https://arm.own.example/", "https://arm.own.example"],
                    ],
                    "suffixes": ["acrLoginServer": ".azurecr.own.example", "keyVaultDns": ".vault.own.example"],
                    "batch": "https://batch.own.example/",
                ],
            ])
        }
        let cloud = try await AzureSettings(environment: ["CORACLE_AZURE_CLOUD": "http://\(peer.host)"])
            .cloud(session: session())

        #expect(peer.requests.first?.target == "/metadata/endpoints?api-version=2022-09-01")
        #expect(cloud.name == "Own")
        #expect(cloud.authority.host == "login.own.example")
        #expect(cloud.resourceManager.port == peer.port)
        #expect(cloud.resourceManagerAudience == "https://arm.own.example")
        #expect(cloud.registrySuffix == "azurecr.own.example")
        #expect(cloud.ownsRegistry("team.azurecr.own.example"))
        #expect(!cloud.ownsRegistry("team.azurecr.io"))
    }

    @Test(
        "Only registries of the cloud are its own",
        arguments: [
            ("my.azurecr.io", true), ("MY.AZURECR.IO", true), ("my.azurecr.io:443", true),
            ("my.westeurope.geo.azurecr.io", true),
            ("azurecr.io", false), ("evilazurecr.io", false), ("my.azurecr.io.evil.com", false),
            ("my.azurecr.us", false),
            ("127.0.0.1:5000", false), ("docker.io", false), ("", false),
        ]
    )
    func owned(host: String, isOwned: Bool) {
        #expect(AzureCloud.public.ownsRegistry(host) == isOwned)
    }

    @Test("What is no cloud is told", arguments: ["Nowhere", "azurecloud2"])
    func unknown(name: String) async throws {
        let error = try await #require(throws: AzureError.self) {
            try await AzureSettings(environment: ["CORACLE_AZURE_CLOUD": name]).cloud(session: session())
        }
        #expect(error.message == "\"\(name)\" is no cloud")
    }
}
