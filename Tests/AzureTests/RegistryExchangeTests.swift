// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Registry
import Synchronization
import TestSupport
import Testing

@testable import Azure

@Suite("Azure's registries")
struct RegistryExchangeTests {
    /// A registry as Azure's are, at a server of this machine: tokens are exchanged there, and say what they are good for.
    static func registry(
        refresh: @escaping @Sendable (Int) -> String = { "refresh-\($0)" },
        actions: [String] = ["pull", "push"],
        realm: String? = nil
    ) throws -> Peer {
        let exchanges = Counter()
        let tokens = Counter()
        return try Peer { request, _ in
            let host = request.fields["host"] ?? ""
            switch request.path {
            case "/oauth2/exchange":
                guard request.form["access_token"] == "token-of-somebody" else {
                    return .json(
                        ["errors": [["code": "UNAUTHORIZED", "message": "bad token token-of-nobody"]]],
                        status: 401,
                        ["x-ms-correlation-request-id": "corr-7"]
                    )
                }
                return .json(["refresh_token": .string(refresh(exchanges.next()))])
            case "/oauth2/token":
                guard let shown = request.form["refresh_token"], !shown.isEmpty else { return .status(401) }
                let name = request.form["scope"]?.split(separator: ":").dropFirst().first.map { String($0) } ?? ""
                let access: JSONValue = [["type": "repository", "name": .string(name), "actions": JSONValue(actions)]]
                let now = Clock.now
                return .json([
                    "access_token": .string(
                        webToken([
                            "access": access, "iat": .int(now), "exp": .int(now + 4500),
                            "n": .int(Int64(tokens.next())),
                        ])
                    )
                ])
            default:
                if request.fields["authorization"]?.hasPrefix("Bearer ") == true,
                    actions.contains("push") || request.method == "GET"
                {
                    return request.path == "/v2/" ? .status(200) : .json(["name": "team/app", "tags": ["1"]])
                }
                let realm = realm ?? "http://\(host)/oauth2/token"
                return .json(
                    ["errors": [["code": "UNAUTHORIZED", "message": "authentication required"]]],
                    status: 401,
                    ["WWW-Authenticate": "Bearer realm=\"\(realm)\",service=\"\(host)\""]
                )
            }
        }
    }

    private static func exchange(_ peer: Peer, _ value: String = "token-of-somebody", tenant: String? = "t1") throws
        -> RegistryExchange
    {
        RegistryExchange(
            AzureTokens(Somebody(value: value)),
            cloud: try .local(peer),
            tenant: tenant,
            session: session()
        )
    }

    @Test("An Entra token is exchanged for the registry's own, once")
    func exchanged() async throws {
        let peer = try Self.registry()
        let exchange = try Self.exchange(peer)

        let first = try await exchange.credentials(for: peer.host)
        let second = try await exchange.credentials(for: peer.host)

        #expect(first == .identityToken("refresh-0"))
        #expect(second == first)
        let asked = try #require(peer.requests.first { $0.path == "/oauth2/exchange" })
        #expect(
            asked.form == [
                "grant_type": "access_token", "service": peer.host, "tenant": "t1", "access_token": "token-of-somebody",
            ]
        )
    }

    @Test("A registry's token that ends is exchanged anew, in the middle of whatever goes on")
    func renewed() async throws {
        let now = Clock.now
        let peer = try Self.registry(refresh: { index in
            webToken(["iat": .int(now), "exp": .int(now + (index == 0 ? 200 : 10800)), "i": .int(Int64(index))])
        })
        let exchange = try Self.exchange(peer)

        var seen: [Credentials] = []
        for _ in 0..<3 { seen.append(try await exchange.credentials(for: peer.host)) }

        #expect(seen[0] != seen[1])
        #expect(seen[1] == seen[2])
        #expect(peer.requests.filter { $0.path == "/oauth2/exchange" }.count == 2)
    }

    @Test(
        "Hosts that are no registries of the cloud are asked nothing, and shown nothing",
        arguments: [
            "docker.io", "ghcr.io", "evil.azurecr.io.example.com", "azurecr.io", "my.azurecr.us",
        ]
    )
    func foreign(host: String) async throws {
        let exchange = RegistryExchange(AzureTokens(Somebody()), cloud: .public, tenant: nil, session: session())

        #expect(try await exchange.credentials(for: host) == .anonymous)
    }

    @Test("A registry that wants its tokens elsewhere gets none")
    func realm() async throws {
        let peer = try Self.registry(realm: "https://evil.example.com/oauth2/token")

        let error = try await #require(throws: RegistryError.self) {
            try await Self.exchange(peer).credentials(for: peer.host)
        }

        #expect(error.message.contains("wants tokens to be sent to https://evil.example.com/oauth2/token"))
        #expect(!peer.requests.contains { $0.path == "/oauth2/exchange" })
    }

    @Test("A refusal names who it was, what came back, and the role to assign; no token")
    func refused() async throws {
        let value = webToken(["oid": "0b1ec7-01", "appid": "a99", "tid": "t1"])
        let peer = try Self.registry()

        let error = try await #require(throws: RegistryError.self) {
            try await Self.exchange(peer, value).credentials(for: peer.host)
        }

        #expect(error.kind == .auth)
        #expect(
            error.message.hasPrefix("log in to \(peer.host) as somebody: the registry does not accept it: bad token")
        )
        #expect(error.message.contains("corr-7"))
        #expect(
            error.hint?
                .hasPrefix(
                    "az role assignment create --assignee-object-id 0b1ec7-01 --assignee-principal-type ServicePrincipal --role \"AcrPull\""
                ) == true
        )
        #expect(!"\(error)".contains(value))
    }

    @Test("A client pulls with it, and shows the registry's token only")
    func client() async throws {
        let peer = try Self.registry()
        let client = RegistryClient(transport: NetworkTransport(), credentials: try Self.exchange(peer))
        let repository = try Repository(registry: peer.host, name: "team/app")

        let tags = try await client.tags(in: repository)

        #expect(tags == ["1"])
        let token = try #require(peer.requests.first { $0.path == "/oauth2/token" })
        #expect(token.form["grant_type"] == "refresh_token")
        #expect(token.form["refresh_token"] == "refresh-0")
        #expect(
            !peer.requests.contains {
                $0.path.hasPrefix("/v2") && $0.fields["authorization"]?.contains("token-of-somebody") == true
            }
        )
    }

    @Test(
        "The role that is lacking is named by right and by the registry's mode",
        arguments: [
            ("pull", false, "AcrPull"), ("push", false, "AcrPush"), ("delete", false, "AcrDelete"),
            ("pull", true, "Container Registry Repository Reader"),
            ("push", true, "Container Registry Repository Writer"),
            ("delete", true, "Container Registry Repository Contributor"),
            ("*", true, "Container Registry Repository Catalog Lister"),
        ]
    )
    func roles(action: String, byRepository: Bool, role: String) throws {
        let known = try #require(
            ContainerRegistry([
                "id": "/subscriptions/s/r/myacr", "name": "myacr",
                "properties": [
                    "loginServer": "myacr.azurecr.io",
                    "roleAssignmentMode": .string(
                        byRepository ? "AbacRepositoryPermissions" : "LegacyRegistryPermissions"
                    ),
                ],
            ])
        )
        let token = AzureToken(webToken(["oid": "o1", "scp": "user_impersonation"]), expires: 0)

        let line = RoleAdvice(registry: "myacr.azurecr.io", token: token, known: known)
            .command(for: [try #require(RoleAdvice.Action(rawValue: action))])
        let unknown = RoleAdvice(registry: "myacr-x1.azurecr.io", token: nil, user: "app").command(for: [.push])

        #expect(
            line
                == "az role assignment create --assignee-object-id o1 --assignee-principal-type User --role \"\(role)\" "
                + "--scope /subscriptions/s/r/myacr"
        )
        #expect(
            unknown.hasPrefix(
                "az role assignment create --assignee app --role \"AcrPush\" --scope $(az acr show --name myacr --query id"
            )
        )
        #expect(unknown.contains("Container Registry Repository Writer"))
    }

    @Test("A token whose claims would run in a shell is not repeated")
    func injection() {
        let token = AzureToken(webToken(["oid": "$(reboot)"]), expires: 0)

        #expect(!RoleAdvice(registry: "a.azurecr.io", token: token).command(for: [.pull]).contains("reboot"))
    }

    @Test("A registry is found by its name and by what references call it; its admin user is read")
    func lookup() async throws {
        let resource: JSONValue = [
            "id": "/subscriptions/s2/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/MyAcr",
            "name": "MyAcr",
            "location": "westeurope", "sku": ["name": "Premium"],
            "properties": [
                "loginServer": "myacr-a1b2.azurecr.io", "adminUserEnabled": true, "anonymousPullEnabled": true,
                "roleAssignmentMode": "AbacRepositoryPermissions", "publicNetworkAccess": "Disabled",
            ],
        ]
        let peer = try Peer { request, _ in
            if request.path.hasSuffix("/listCredentials") {
                return .json([
                    "username": "MyAcr",
                    "passwords": [["name": "password", "value": "adm-hidden"], ["name": "password2", "value": "x"]],
                ])
            }
            if request.path == "/subscriptions" {
                return .json([
                    "value": [
                        ["subscriptionId": "s1", "state": "Enabled"], ["subscriptionId": "s0", "state": "Disabled"],
                        ["subscriptionId": "s2"],
                    ]
                ])
            }
            return .json(["value": request.path.contains("/s2/") ? [resource] : []])
        }
        let client = try ARMClientTests.client(peer)

        let subscriptions = try await client.subscriptions()
        let byName = try await client.registry("myacr", in: subscriptions)
        let byServer = try #require(await client.registry("MYACR-a1b2.azurecr.io", in: subscriptions))
        let admin = try await client.adminCredentials(of: byServer)

        #expect(subscriptions == ["s1", "s2"])
        #expect(byName == byServer)
        #expect(
            byServer.tier == "Premium" && byServer.isAnonymousPullEnabled && byServer.usesRepositoryRights
                && !byServer.isPublic
        )
        #expect(admin == .basic(user: "MyAcr", password: "adm-hidden"))
        #expect(try await client.registry("other", in: subscriptions) == nil)
    }

    @Test("A registry without an admin user is told how to get one")
    func noAdmin() async throws {
        let peer = try Peer { _, _ in .status(500) }
        let registry = try #require(
            ContainerRegistry(["id": "/r/a", "name": "a", "properties": ["loginServer": "a.azurecr.io"]])
        )

        let error = try await #require(throws: AzureError.self) {
            try await ARMClientTests.client(peer).adminCredentials(of: registry)
        }

        #expect(error.message == "the registry a has no admin user")
        #expect(error.hint?.contains("az acr update --name a --admin-enabled true") == true)
        #expect(peer.requests.isEmpty)
    }
}
