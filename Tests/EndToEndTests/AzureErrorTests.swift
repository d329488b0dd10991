// SPDX-License-Identifier: Apache-2.0
import Foundation
import OCI
import TestSupport
import Testing

/// An error of the resource manager or of Container Instances, as the answer to a group that is put.
struct AzureRefusal: Sendable, CustomTestStringConvertible {
    var status = 400
    let code: String
    var message = "It cannot be done."
    /// How often, where coracle tries again.
    var times = 1
    /// What to type.
    let next: String
    var testDescription: String { code }
}

/// Every error of Azure that users are known to meet, through the program: one sentence that keeps Azure's code and the
/// correlation id, and what to type next.
@Suite("Azure's errors, through the program", .serialized, .waiting)
struct AzureErrorTests {
    private static let identity =
        "/subscriptions/s1/resourceGroups/r1/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull"
    private static let group =
        "--resource-group demo --name web"

    static let refusals: [AzureRefusal] = [
        // Who we are.
        .init(status: 401, code: "InvalidAuthenticationTokenTenant", next: "AZURE_TENANT_ID"),
        .init(status: 401, code: "InvalidAuthenticationToken", times: 2, next: "az login"),
        .init(status: 401, code: "ExpiredAuthenticationToken", times: 2, next: "az login"),
        .init(status: 401, code: "InvalidAuthenticationTokenAudience", times: 2, next: "CORACLE_AZURE_CLOUD"),
        .init(
            status: 403,
            code: "AuthorizationFailed",
            message: "The client 'c' with object id '1234-ab' does not have authorization to perform action "
                + "'Microsoft.ContainerInstance/containerGroups/write' over scope '/subscriptions/s1/resourceGroups/demo'.",
            next: "az role assignment create --assignee-object-id 1234-ab --role \"Contributor\" "
                + "--scope /subscriptions/s1/resourceGroups/demo"
        ),
        .init(
            status: 403,
            code: "LinkedAuthorizationFailed",
            message: "The client with object id '1234-ab' has permission to perform action "
                + "'Microsoft.ContainerInstance/containerGroups/write'; however, it does not have permission to perform "
                + "action(s) 'assign/action' on the linked scope(s) '\(identity)'.",
            next: "--role \"Managed Identity Operator\" --scope \(identity)"
        ),
        .init(status: 403, code: "RequestDisallowedByPolicy", next: "az policy assignment list"),
        .init(status: 409, code: "ScopeLocked", next: "az lock list --resource-group demo"),
        .init(status: 409, code: "ReadOnlyDisabledSubscription", next: "az account show --subscription"),
        // What is not there.
        .init(status: 404, code: "ResourceGroupNotFound", next: "az group create --name demo"),
        .init(status: 404, code: "SubscriptionNotFound", next: "az account list"),
        .init(status: 409, code: "ResourceGroupBeingDeleted", next: "az group wait --name demo --deleted"),
        .init(
            status: 409,
            code: "MissingSubscriptionRegistration",
            message: "The subscription is not registered to use namespace 'Microsoft.ContainerInstance'.",
            next: "az provider register --namespace Microsoft.ContainerInstance --wait"
        ),
        .init(code: "NoRegisteredProviderFound", next: "az provider show --namespace Microsoft.ContainerInstance"),
        // The region.
        .init(code: "LocationNotAvailableForResourceType", next: "choose another region: az provider show"),
        .init(status: 409, code: "InvalidResourceLocation", next: "--location"),
        .init(
            status: 409,
            code: "ContainerGroupQuotaReached",
            message: "Container group quota 'StandardCores' exceeded in region 'westeurope'.",
            next: "az container list-usage --location westeurope"
        ),
        .init(status: 409, code: "ServiceUnavailable", next: "--location, another region"),
        .init(code: "DnsNameLabelNotAvailable", next: "--dns-label"),
        // Too much, too soon.
        .init(status: 429, code: "TooManyRequests", times: 6, next: "Azure asks to be left alone"),
        .init(status: 429, code: "SubscriptionRequestsThrottled", times: 6, next: "Azure asks to be left alone"),
        .init(status: 409, code: "Conflict", next: "az resource show --ids /subscriptions/"),
        .init(status: 500, code: "InternalServerError", times: 6, next: "https://azure.status.microsoft"),
        // Images.
        .init(code: "InaccessibleImage", next: "coracle inspect"),
        .init(status: 409, code: "RegistryErrorResponse", next: "coracle copy"),
        .init(code: "InvalidImageRegistryPassword", next: "--pull-with"),
        .init(code: "InvalidImageRegistryCredentialType", next: "user-assigned identity"),
        .init(code: "OsVersionNotSupported", next: "--platform linux/amd64"),
        // What a group may be.
        .init(code: "InvalidContainerGroupUpdate", next: "--recreate, or az container delete \(group)"),
        .init(code: "SubnetDelegationRequired", next: "az network vnet subnet update"),
        .init(code: "PublicIpAddressNotSupportedWithVNet", next: "--ip private"),
        .init(code: "ResourceCountExceeded", next: "60 containers"),
        .init(code: "PortsNotFoundInContainers", next: "--port"),
        .init(code: "InvalidEnvironmentVariableName", next: "--env"),
        .init(code: "VolumeMountNotFound", next: "--volume"),
    ]

    /// One place for all: each error is an answer to one request, and changes nothing.
    private static let place = Task {
        let place = try await AzurePlace()
        return (place, try await place.pushed())
    }

    private func line(_ program: Program) throws -> String {
        let lines = program.errors.split(separator: "\n").filter { $0.hasPrefix("coracle: error: ") }
        try #require(lines.count == 1, "one sentence: \(program.errors)")
        return String(lines[0])
    }

    private func hint(_ program: Program) throws -> String {
        let lines = program.errors.split(separator: "\n").filter { $0.hasPrefix("   hint: ") }
        return String(try #require(lines.last, "\(program.errors)"))
    }

    private func json(_ text: String) -> String { JSONValue.string(text).canonical }

    @Test("What the resource manager and Container Instances refuse", arguments: refusals)
    func refused(refusal: AzureRefusal) async throws {
        let (place, image) = try await Self.place.value
        try await place.heal()
        try await place.fail(
            """
            {"fault": "status", "status": \(refusal.status), "code": "\(refusal.code)", "times": \(refusal.times),
            "message": \(json(refusal.message)), "method": "PUT", "path": "containerGroups"}
            """
        )
        let run = try await place.coracle(["deploy", "aci", image, "-g", "demo", "-n", "web"])

        #expect(run.status == 5)
        let error = try line(run)
        #expect(error.contains("put containerGroups/web: "), "\(error)")
        #expect(error.contains("(\(refusal.code))"), "\(error)")
        #expect(error.contains("(correlation id "), "\(error)")
        #expect(try hint(run).contains(refusal.next), "\(run.errors)")
        #expect(
            try await place.coracle(["ps", "-g", "demo", "--format", "json"]).output.contains("\"deployments\": []")
        )
        try await place.check()
    }

    @Test("An error that nobody here knows leads to what Azure kept of it")
    func unknown() async throws {
        let (place, image) = try await Self.place.value
        try await place.heal()
        try await place.fail(
            #"{"fault": "status", "status": 400, "code": "SomethingNew", "method": "PUT", "path": "containerGroups"}"#
        )
        let run = try await place.coracle(["deploy", "aci", image, "-g", "demo", "-n", "web"])

        #expect(run.status == 5)
        let id = try #require(try line(run).firstMatch(of: /correlation id ([0-9a-f-]{36})/)).1
        #expect(try hint(run).contains("az monitor activity-log list --correlation-id \(id)"))
    }

    /// What Entra ID says of a service principal with a secret.
    static let signIns: [(Int, String)] = [
        (7_000_215, "az ad app credential reset --id"), (7_000_222, "az ad app credential reset --id"),
        (700_016, "az ad sp show --id"), (90002, "az account list"), (900_023, "az account list"),
        (7_000_112, "az ad sp update --id"), (7_000_218, "AZURE_CLIENT_SECRET"), (7_000_229, "az ad sp create --id"),
        (500_011, "CORACLE_AZURE_CLOUD"), (53003, "conditional access"), (900_382, "CORACLE_AZURE_CLOUD"),
        (50034, "az ad sp show --id"), (50105, "az login --tenant"), (50076, "az login --tenant"),
        (999_999, "https://login.microsoftonline.com/error?code=999999"),
    ]

    @Test("What Entra ID refuses", arguments: signIns)
    func signIn(number: Int, next: String) async throws {
        let (place, _) = try await Self.place.value
        try await place.heal()
        try await place.fail(#"{"fault": "signIn", "number": \#(number), "message": "It is refused."}"#)

        let run = try await place.coracle(["ps", "-g", "demo"])

        #expect(run.status == 3)
        let error = try line(run)
        #expect(error.contains("AADSTS\(number): It is refused."), "\(error)")
        #expect(error.contains("(correlation id "), "\(error)")
        #expect(try hint(run).contains(next), "\(run.errors)")
    }

    /// What Entra ID says of a token of somebody else.
    static let federated: [(Int, String)] = [
        (70021, "az ad app federated-credential create"), (700_211, "az ad app federated-credential create"),
        (700_212, "az ad app federated-credential create"), (700_213, "az ad app federated-credential create"),
        (7_002_138, "az ad app federated-credential create"), (700_024, "clock"), (50013, "AZURE_FEDERATED_TOKEN_FILE"),
        (700_027, "az ad app credential reset"),
    ]

    @Test("What Entra ID refuses of a federated token: what was sent is shown, and what to add", arguments: federated)
    func federation(number: Int, next: String) async throws {
        let (place, _) = try await Self.place.value
        try await place.heal()
        let claims = #"{"iss":"https://issuer.example","sub":"repo:team/app:ref:refs/heads/main","aud":"api://x"}"#
        try place.write(
            "token",
            "eyJhbGciOiJSUzI1NiJ9.\(Data(claims.utf8).base64EncodedString().prefix { $0 != "=" }).c2ln"
        )
        try await place.fail(#"{"fault": "signIn", "number": \#(number), "message": "It is refused."}"#)

        let run = try await place.coracle(
            ["ps", "-g", "demo"],
            ["AZURE_CLIENT_SECRET": "", "AZURE_FEDERATED_TOKEN_FILE": place.root.appending(path: "token").path]
        )

        #expect(run.status == 3)
        let error = try line(run)
        #expect(error.contains("AADSTS\(number)"), "\(error)")
        #expect(error.contains("(correlation id "), "\(error)")
        #expect(try hint(run).contains(next), "\(run.errors)")
        if next.contains("federated-credential") {
            #expect(error.contains("repo:team/app:ref:refs/heads/main"), "\(error)")
            #expect(try hint(run).contains("https://issuer.example"), "\(run.errors)")
        }
    }

    /// What a registry's tokens are refused with: where, status, code, message, how often, exit code, and what to type.
    static let registryFaults: [(String, Int, String, String, Int, Int32, String)] = [
        ("oauth2/exchange", 401, "UNAUTHORIZED", "authentication required", 2, 3, "az role assignment create"),
        (
            "oauth2/exchange", 403, "DENIED", "client with IP '203.0.113.7' is not allowed access", 1, 3,
            "az acr network-rule add --name"
        ),
        ("oauth2/exchange", 429, "TOOMANYREQUESTS", "too many requests", 6, 4, "try again later"),
        ("oauth2/token", 403, "DENIED", "client with IP '203.0.113.7' is not allowed access", 1, 3, "network rules"),
        ("oauth2/token", 429, "TOOMANYREQUESTS", "too many requests", 6, 4, "try again later"),
        ("oauth2/token", 503, "UNAVAILABLE", "try later", 6, 4, "try again later"),
    ]

    @Test("What a registry refuses", arguments: registryFaults)
    func registryRefuses(fault: (String, Int, String, String, Int, Int32, String)) async throws {
        let (place, _) = try await Self.place.value
        try await place.heal()
        try await place.fail(
            """
            {"fault": "registryStatus", "status": \(fault.1), "code": "\(fault.2)", "message": "\(fault.3)",
            "path": "\(fault.0)", "times": \(fault.4)}
            """
        )
        let run = try await place.coracle(["registry", "tags", "\(place.registry)/app"])

        #expect(run.status == fault.5, "\(run.errors)")
        let error = try line(run)
        #expect(error.contains(fault.3), "\(error)")
        #expect(error.contains("(x-ms-correlation-request-id "), "\(error)")
        #expect(try hint(run).contains(fault.6), "\(run.errors)")
    }

    @Test("A right that a token lacks is named, with the role that has it")
    func lacking() async throws {
        let (place, _) = try await Self.place.value
        try await place.heal()
        try await place.fail(#"{"fault": "lackingActions", "actions": ["push"], "times": 9}"#)
        try place.write("other/Dockerfile", "FROM scratch\nCOPY Dockerfile /other\n")

        let run = try await place.coracle(["build", "--push", "-t", "\(place.registry)/other:1", "other"])

        #expect(run.status == 3)
        #expect(run.errors.contains("lacks push on other"), "\(run.errors)")
        #expect(try hint(run).contains("az role assignment create"), "\(run.errors)")
    }

    @Test("No number of Entra ID that the notes on Azure name is missing from these tests")
    func complete() throws {
        let shared = ConformanceData.projectRoot.deletingLastPathComponent().appending(path: "shared")
        let files = ["specs/protocol.md", "field/azure-pain.md"].map { shared.appending(path: $0) }
        let texts = files.compactMap { try? String(contentsOf: $0, encoding: .utf8) }
        guard texts.count == 2 else {
            print("SKIPPED: which of Azure's errors are listed: no ../shared")
            return
        }
        let named = Set(texts.joined().matches(of: /AADSTS([0-9]+)/).compactMap { Int($0.1) })
        let tested = Set(Self.signIns.map(\.0) + Self.federated.map(\.0))

        #expect(named.subtracting(tested).isEmpty)
        let codes = [
            "InvalidAuthenticationToken", "ExpiredAuthenticationToken", "AuthorizationFailed", "ResourceGroupNotFound",
            "SubscriptionNotFound", "MissingSubscriptionRegistration", "Conflict", "NoRegisteredProviderFound",
            "InaccessibleImage", "RegistryErrorResponse", "OsVersionNotSupported", "InvalidImageRegistryPassword",
            "InvalidImageRegistryCredentialType", "InvalidContainerGroupUpdate", "ServiceUnavailable",
        ]
        for code in codes {
            #expect(texts.joined().contains(code), "the notes name \(code)")
            #expect(Self.refusals.contains { $0.code == code }, "\(code) is tested")
        }
    }
}
