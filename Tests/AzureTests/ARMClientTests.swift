// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Synchronization
import TestSupport
import Testing

@testable import Azure

@Suite("The resource manager", .inTurns)
struct ARMClientTests {
    static let group = "/subscriptions/s1/resourceGroups/rg/providers/Microsoft.ContainerInstance/containerGroups/web"
    static let version = "2023-05-01"

    static func client(_ peer: Peer, _ identity: any AzureIdentity = Somebody()) throws -> ARMClient {
        var client = ARMClient(cloud: try .local(peer), identity: identity, session: session())
        client.patience.interval = .milliseconds(1)
        client.patience.longestInterval = .milliseconds(2)
        client.patience.longestBusy = .seconds(5)
        return client
    }

    private static func state(_ state: String) -> JSONValue {
        ["id": .string(group), "properties": ["provisioningState": .string(state)]]
    }

    @Test("A request has a token, a version and an id of its own")
    func get() async throws {
        let peer = try Peer { _, _ in .json(["cpu": .decimal(0.5), "count": 2]) }

        let answer = try await Self.client(peer).get(Self.group, apiVersion: Self.version)

        #expect(answer["cpu"]?.number == 0.5)
        #expect(answer.canonical == #"{"count":2,"cpu":0.5}"#, "a number is written back as it was read")
        let request = try #require(peer.requests.first)
        #expect(request.target == "\(Self.group)?api-version=2023-05-01")
        #expect(request.fields["authorization"] == "Bearer token-of-somebody")
        #expect(request.fields["x-ms-client-request-id"]?.count == 36)
    }

    @Test("Lists are read to their end")
    func list() async throws {
        let peer = try Peer { request, index in
            let host = request.fields["host"] ?? ""
            let next: JSONValue = index < 2 ? .string("http://\(host)/next?page=\(index + 1)&api-version=x") : nil
            return .json(["value": [.int(Int64(index))], "nextLink": next])
        }

        let all = try await Self.client(peer).list("/subscriptions", apiVersion: Self.version)

        #expect(all == [0, 1, 2])
        #expect(
            peer.requests.map(\.target) == [
                "/subscriptions?api-version=2023-05-01", "/next?page=1&api-version=x", "/next?page=2&api-version=x",
            ]
        )
    }

    @Test(
        "The token is not sent to another host, whatever a page or an operation says",
        arguments: [
            "https://evil.example/next", "http://127.0.0.1:1/next", "http://localhost/next",
        ]
    )
    func foreign(address: String) async throws {
        let peer = try Peer { request, _ in
            request.method == "GET"
                ? .json(["value": [], "nextLink": .string(address)])
                : .json([:], status: 202, ["Azure-AsyncOperation": address])
        }
        let client = try Self.client(peer)

        let listed = try await #require(throws: ServerError.self) { try await client.list("/x", apiVersion: "1") }
        let put = try await #require(throws: ServerError.self) {
            try await client.put("/x", apiVersion: "1", body: [:])
        }

        #expect(listed.message.contains("which is not Azure's"))
        #expect(put.message.contains("which is not Azure's"))
        #expect(peer.requests.count == 2)
    }

    @Test("An operation with a status of its own: the resource is read when it has ended")
    func asyncOperation() async throws {
        let peer = try Peer { request, index in
            let host = request.fields["host"] ?? ""
            if request.method == "PUT" {
                return .json(
                    Self.state("Pending"),
                    status: 201,
                    ["Azure-AsyncOperation": "http://\(host)/operations/1?t=x"]
                )
            }
            if request.path == "/operations/1" {
                return .json(["status": index < 3 ? "InProgress" : "Succeeded"], ["Retry-After": "0"])
            }
            return .json(Self.state("Succeeded"))
        }
        let seen = Mutex<[String]>([])

        let made = try await Self.client(peer)
            .put(Self.group, apiVersion: Self.version, body: ["location": "westeurope"]) { progress in
                seen.withLock { seen in
                    switch progress {
                    case .accepted: seen.append("accepted")
                    case .running(let status, _): seen.append(status)
                    case .busy: seen.append("busy")
                    }
                }
            }

        #expect(made == Self.state("Succeeded"))
        #expect(seen.withLock { $0 } == ["accepted", "InProgress", "InProgress"])
        #expect(peer.requests.first?.json == ["location": "westeurope"])
        #expect(peer.requests.map(\.method) == ["PUT", "GET", "GET", "GET", "GET"])
    }

    @Test("An operation whose result is elsewhere, and one that the resource itself tells of")
    func location() async throws {
        let moved = try Peer { request, index in
            let host = request.fields["host"] ?? ""
            if request.method == "POST" { return .status(202, ["Location": "http://\(host)/result"]) }
            return index < 3 ? .status(202, ["Location": "http://\(host)/result2"]) : .json(["changes": []])
        }
        let settled = try Peer { _, index in .json(Self.state(index < 3 ? "Creating" : "Succeeded")) }

        let answer = try await Self.client(moved).post("/whatIf", apiVersion: "1", body: [:])
        let made = try await Self.client(settled).put(Self.group, apiVersion: Self.version, body: [:])

        #expect(answer == ["changes": []])
        #expect(moved.requests.map(\.path) == ["/whatIf", "/result", "/result2", "/result2"])
        #expect(made == Self.state("Succeeded"))
        #expect(settled.requests.map(\.method) == ["PUT", "GET", "GET", "GET"])
    }

    @Test("An operation that ends badly is an error with its code")
    func failed() async throws {
        let peer = try Peer { request, _ in
            let host = request.fields["host"] ?? ""
            guard request.path.hasPrefix("/operations") else {
                return .json(
                    Self.state("Pending"),
                    status: 201,
                    ["Azure-AsyncOperation": "http://\(host)/operations/1"]
                )
            }
            return .json(
                [
                    "status": "Failed",
                    "error": ["code": "InaccessibleImage", "message": "The image 'a/b:1' is not accessible."],
                ],
                ["x-ms-correlation-request-id": "corr-1"]
            )
        }

        let error = try await #require(throws: ARMError.self) {
            try await Self.client(peer).put(Self.group, apiVersion: Self.version, body: [:])
        }

        #expect(error.code == "InaccessibleImage")
        #expect(error.correlationID == "corr-1")
        #expect(
            error.description
                == "put containerGroups/web: The image 'a/b:1' is not accessible. (InaccessibleImage) (correlation id corr-1)"
        )
    }

    @Test("Deleting waits until it is gone, and does not mind what is gone")
    func delete() async throws {
        let peer = try Peer { request, index in
            let host = request.fields["host"] ?? ""
            if request.path == "/gone" {
                return .json(["error": ["code": "ResourceNotFound", "message": "no"]], status: 404)
            }
            if request.path == "/none" { return .status(204) }
            if request.method == "DELETE" { return .status(202, ["Location": "http://\(host)/wait"]) }
            return index < 3 ? .status(202) : .status(204)
        }
        let client = try Self.client(peer)

        #expect(try await client.delete(Self.group, apiVersion: "1"))
        #expect(try await !client.delete("/gone", apiVersion: "1"))
        #expect(try await !client.delete("/none", apiVersion: "1"))
        #expect(try await client.find("/gone", apiVersion: "1") == nil)
    }

    @Test("What is still changing is asked again; a storm of 429 is sat out")
    func busy() async throws {
        let peer = try Peer { _, index in
            switch index {
            case 0:
                .json(
                    [
                        "error": [
                            "code": "ContainerGroupTransitioning", "message": "still transitioning, please retry later",
                        ]
                    ],
                    status: 409
                )
            case 1, 2, 3: .status(429, ["Retry-After": "0"])
            case 4: .status(503, ["Retry-After": "0"])
            default: .json(Self.state("Succeeded"))
            }
        }
        let waits = Mutex(0)

        _ = try await Self.client(peer)
            .put(Self.group, apiVersion: Self.version, body: [:]) { progress in
                if case .busy = progress { waits.withLock { $0 += 1 } }
            }

        #expect(waits.withLock { $0 } == 1)
        #expect(peer.requests.count == 6)
    }

    @Test("A token that ends in the middle is renewed, once")
    func expiry() async throws {
        struct Aging: AzureIdentity {
            let count: Counter
            var summary: String { "aging" }
            func token(for resource: String) async throws -> AzureToken {
                AzureToken("t\(count.next())", expires: Clock.now + 3600)
            }
        }
        let ended: JSONValue = [
            "error": ["code": "ExpiredAuthenticationToken", "message": "The access token expiry UTC time is past."]
        ]
        let peer = try Peer { request, _ in
            request.fields["authorization"] == "Bearer t0" ? .json(ended, status: 401) : .json(Self.state("Succeeded"))
        }
        let never = try Peer { _, _ in .json(ended, status: 401) }

        _ = try await Self.client(peer, Aging(count: Counter())).get(Self.group, apiVersion: "1")
        let error = try await #require(throws: ARMError.self) {
            try await Self.client(never, Aging(count: Counter())).get(Self.group, apiVersion: "1")
        }

        #expect(peer.requests.map { $0.fields["authorization"] } == ["Bearer t0", "Bearer t1"])
        #expect(never.requests.count == 2)
        #expect(error.code == "ExpiredAuthenticationToken")
    }

    @Test("What was sent as a secret is in no error, even if Azure repeats it")
    func secrets() async throws {
        let body: JSONValue = [
            "properties": [
                "containers": [["properties": ["environmentVariables": [["name": "A", "secureValue": "sv-hidden"]]]]],
                "imageRegistryCredentials": [["server": "x", "password": "pw-hidden"]],
                "volumes": [["azureFile": ["storageAccountKey": "ak-hidden"]], ["secret": ["file": "c2YtaGlkZGVu"]]],
            ]
        ]
        let peer = try Peer { _, _ in
            .json(
                [
                    "error": [
                        "code": "Invalid", "message": "sv-hidden pw-hidden ak-hidden c2YtaGlkZGVu",
                        "details": [["code": "I", "message": "pw-hidden"]],
                    ]
                ],
                status: 400
            )
        }

        let error = try await #require(throws: ARMError.self) {
            try await Self.client(peer).put(Self.group, apiVersion: Self.version, body: body)
        }

        var text = "\(error)"
        dump(error, to: &text)
        #expect(!text.contains("hidden") && !text.contains("c2Yt"), "\(text)")
    }
}

/// Counts calls.
final class Counter: Sendable {
    private let count = Mutex(0)
    func next() -> Int {
        count.withLock { count in
            defer { count += 1 }
            return count
        }
    }
}

@Suite("Errors of the resource manager", .inTurns)
struct ARMRemedyTests {
    /// Code, message, status, and what is to be typed then.
    static let errors: [(String, String, Int, String)] = [
        ("InvalidAuthenticationTokenTenant", "wrong issuer", 401, "AZURE_TENANT_ID"),
        ("InvalidAuthenticationToken", "bad", 401, "az login"), ("ExpiredAuthenticationToken", "old", 401, "az login"),
        (
            "AuthorizationFailed",
            "The client 'c' with object id '1234-ab' does not have authorization to perform action "
                + "'Microsoft.ContainerInstance/containerGroups/write' over scope '/subscriptions/s1/resourceGroups/rg' or the scope is invalid.",
            403,
            "az role assignment create --assignee-object-id 1234-ab --role \"Contributor\" --scope /subscriptions/s1/resourceGroups/rg"
        ),
        (
            "AuthorizationFailed",
            "The client 'c' with object id '1234-ab' does not have authorization to perform action "
                + "'Microsoft.ContainerRegistry/registries/read' over scope '/subscriptions/s1'.",
            403, "--role \"Reader\" --scope /subscriptions/s1"
        ),
        ("RequestDisallowedByPolicy", "no", 403, "az policy assignment list"),
        ("ScopeLocked", "no", 409, "az lock list"),
        ("ResourceGroupNotFound", "no", 404, "az group create --name rg"),
        ("ResourceNotFound", "no", 404, "az resource list --resource-group rg"),
        ("SubscriptionNotFound", "no", 404, "az account list"),
        (
            "MissingSubscriptionRegistration",
            "The subscription is not registered to use namespace 'Microsoft.ContainerInstance'. See aka.ms", 409,
            "az provider register --namespace Microsoft.ContainerInstance --wait --subscription s1"
        ),
        ("NoRegisteredProviderFound", "no", 400, "az provider show --namespace Microsoft.ContainerInstance"),
        ("LocationNotAvailableForResourceType", "no", 400, "choose another region"),
        ("ContainerGroupQuotaReached", "no", 403, "az container list-usage"),
        ("ServiceUnavailable", "no", 409, "another region"), ("TooManyRequests", "no", 429, "left alone for 17 s"),
        ("DnsNameLabelNotAvailable", "no", 400, "--dns-label, another one"),
        ("InaccessibleImage", "no", 400, "coracle inspect"),
        ("RegistryErrorResponse", "no", 409, "coracle copy"),
        ("InvalidImageRegistryPassword", "no", 400, "password anew"),
        ("InvalidImageRegistryCredentialType", "no", 400, "user-assigned"),
        ("OsVersionNotSupported", "no", 400, "--platform linux/amd64"),
        ("InvalidContainerGroupUpdate", "no", 400, "az container delete --resource-group rg --name web"),
        ("ContainerGroupTransitioning", "no", 409, "az container show --resource-group rg --name web"),
        ("Conflict", "The container group 'web' is still transitioning, please retry later.", 409, "still changing"),
        ("SubnetDelegationRequired", "no", 400, "--delegations Microsoft.ContainerInstance/containerGroups"),
        ("SomethingNew", "no", 500, "Azure's fault"), ("SomethingNew", "no", 403, "az role assignment create"),
    ]

    @Test("Each error comes with what to type, its code and its correlation id", arguments: errors)
    func remedies(code: String, message: String, status: Int, remedy: String) {
        let error = ARMError(
            operation: "put containerGroups/web",
            resource: ARMClientTests.group,
            status: status,
            body: ["error": ["code": .string(code), "message": .string(message)]],
            correlationID: "corr-9",
            retryAfter: 17
        )

        #expect(error.remedy?.contains(remedy) == true, "\(error.remedy ?? "nothing")")
        #expect(error.description.contains("(\(code))"))
        #expect(error.description.contains("(correlation id corr-9)"))
    }

    @Test("The cause is found at the leaves, in whatever they are wrapped")
    func leaves() {
        let inner = #"{"error":{"code":"InaccessibleImage","message":"The image 'x' is not accessible."}}"#
        let error = ARMError(
            operation: "put deployments/d",
            resource: "/subscriptions/s1/resourcegroups/rg/providers/Microsoft.Resources/deployments/d",
            status: 400,
            body: [
                "error": [
                    "code": "DeploymentFailed", "message": "At least one resource deployment operation failed.",
                    "details": [["code": "BadRequest", "message": .string(inner)]],
                ]
            ]
        )

        #expect(error.code == "InaccessibleImage")
        #expect(error.has("badrequest") && error.has("DeploymentFailed"))
        #expect(error.message == "The image 'x' is not accessible.")
        #expect(error.remedy?.contains("coracle inspect") == true)
    }

    @Test(
        "What is no error of ARM's form still says something",
        arguments: [JSONValue?.none, [], "text", ["error": "plain"], ["error": [:]]]
    )
    func formless(body: JSONValue?) {
        let error = ARMError(operation: "get x", resource: "/x", status: 502, body: body)

        #expect(error.description == "get x: the answer is 502")
        #expect(error.remedy != nil)
    }

    @Test("What is to be pasted into a shell has nothing in it that the shell would do")
    func injection() {
        let error = ARMError(
            operation: "put x",
            resource: "/subscriptions/s1",
            status: 403,
            body: [
                "error": [
                    "code": "AuthorizationFailed",
                    "message": "object id '$(reboot)' perform action 'a' over scope '/x; rm -r /'",
                ]
            ]
        )

        #expect(error.remedy?.contains("reboot") == false)
        #expect(error.remedy?.contains("rm -r") == false)
    }
}
