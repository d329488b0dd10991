// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("What the resource manager refuses", .serialized, .waiting)
struct RequestTests {
    private let good = ShellImage.group([ShellImage.container("web", "true")])

    private func refusal(_ azure: Emulating, _ body: String, version: String? = "2023-05-01") async throws -> (
        code: String, message: String
    ) {
        try Emulating.error(await azure.arm("PUT", "\(Emulating.container)/web", body, version: version))
    }

    @Test("Versions that are missing, malformed or unknown")
    func versions() async throws {
        let azure = try await Emulating()

        #expect(try await refusal(azure, good, version: nil).code == "MissingApiVersionParameter")
        #expect(try await refusal(azure, good, version: "latest").code == "InvalidApiVersionParameter")
        let unknown = try await refusal(azure, good, version: "2019-01-01")
        #expect(unknown.code == "NoRegisteredProviderFound")
        #expect(unknown.message.contains("'2019-01-01' for type 'containerGroups'"))
    }

    @Test(
        "Groups that Container Instances would refuse, each with its code",
        arguments: [
            ("\"Linux\"", "\"Windows\"", "OsVersionNotSupported"),
            ("\"name\": \"web\"", "\"name\": \"Web\"", "InvalidContainerGroupName"),
            ("\"restartPolicy\": \"Always\"", "\"restartPolicy\": \"Sometimes\"", "InvalidRestartPolicy"),
            ("{\"requests\": {\"cpu\": 0.5, \"memoryInGB\": 0.5}}", "{}", "MissingResources"),
            ("\"cpu\": 0.5", "\"cpu\": 64", "ServiceUnavailable"),
            (
                "\"osType\"", "\"ipAddress\": {\"type\": \"Public\", \"ports\": [{\"port\": 80}]}, \"osType\"",
                "PortsNotFoundInContainers"
            ),
            (
                "\"osType\"",
                "\"imageRegistryCredentials\": [{\"server\": \"other.azurecr.io\", \"username\": \"u\", \"password\": \"p\"}], \"osType\"",
                "InvalidImageRegistryCredential"
            ),
            (
                "\"osType\"",
                "\"imageRegistryCredentials\": [{\"server\": \"example.org\", \"username\": \"u\", \"password\": \"\"}], \"osType\"",
                "InvalidImageRegistryPassword"
            ),
            ("westeurope", "atlantis", "NoRegisteredProviderFound"),
            (ShellImage.name, "example.org/absent:1", "InaccessibleImage"),
        ]
    )
    func groups(old: String, new: String, code: String) async throws {
        let azure = try await Emulating()

        let error = try await refusal(azure, good.replacingOccurrences(of: old, with: new))

        #expect(error.code == code, "\(error.message)")
    }

    @Test("Members that the published schema does not have", .enabled(if: Specifications.folder != nil))
    func schemas() async throws {
        let azure = try await Emulating(["--specs", try #require(Specifications.folder)])

        let unknown = try await refusal(
            azure,
            good.replacingOccurrences(of: "\"osType\"", with: "\"osKind\": 1, \"osType\"")
        )
        #expect(unknown.code == "InvalidRequestContent")
        #expect(
            unknown.message.contains(
                "Could not find member 'osKind' on object of type 'properties'. Path 'properties.osKind'"
            )
        )
        let wrong = try await refusal(azure, good.replacingOccurrences(of: "\"cpu\": 0.5", with: "\"cpu\": \"half\""))
        #expect(
            wrong.message.contains("Path 'properties.containers[0].properties.resources.requests.cpu'"),
            "\(wrong.message)"
        )
        // What a later version has is no member of an earlier one.
        let later = good.replacingOccurrences(of: "\"osType\"", with: "\"secretReferences\": [], \"osType\"")
        #expect(try await refusal(azure, later, version: "2023-05-01").code == "InvalidRequestContent")
        #expect(try await refusal(azure, later, version: "2025-09-01").code == "InaccessibleImage")
    }

    @Test("Those who are nobody, or may not")
    func rights() async throws {
        let azure = try await Emulating(["--role", "Reader"])

        let nobody = try await azure.arm("GET", "/subscriptions", token: "x.y.z")
        #expect(nobody.status == 401)
        #expect(nobody["WWW-Authenticate"]?.contains("authorization_uri=") == true)
        let wrong = try await azure.arm("GET", "/subscriptions", token: azure.token(for: "https://graph.microsoft.com"))
        #expect(try Emulating.error(wrong).code == "InvalidAuthenticationTokenAudience")
        let reader = try await azure.arm("PUT", "\(Emulating.container)/web", good)
        #expect(reader.status == 403)
        let error = try Emulating.error(reader)
        #expect(error.code == "AuthorizationFailed")
        #expect(error.message.contains("'Microsoft.ContainerInstance/containerGroups/write'"))
        #expect(try await azure.arm("GET", Emulating.container).status == 200)
    }

    @Test(
        "Planned faults happen as often as they were planned, and to whom",
        arguments: [
            ("throttled", 429, "TooManyRequests"), ("transitioning", 409, "ContainerGroupTransitioning"),
            ("quota", 409, "ContainerGroupQuotaReached"), ("noCapacity", 409, "ServiceUnavailable"),
            ("registryTrouble", 409, "RegistryErrorResponse"), ("denied", 403, "AuthorizationFailed"),
            ("expiredToken", 401, "ExpiredAuthenticationToken"),
            ("unregisteredProvider", 409, "MissingSubscriptionRegistration"),
        ]
    )
    func faults(name: String, status: Int, code: String) async throws {
        let azure = try await Emulating()
        try await azure.plan(
            "{\"fault\": \"\(name)\", \"retryAfter\": 7, \"method\": \"PUT\", \"path\": \"containergroups\"}"
        )

        #expect(try await azure.arm("GET", Emulating.container).status == 200)
        let planned = try await azure.arm("PUT", "\(Emulating.container)/web", good)
        let next = try await azure.arm("PUT", "\(Emulating.container)/web", good)

        #expect(planned.status == status)
        #expect(try Emulating.error(planned).code == code)
        #expect(planned["Retry-After"] == (name == "throttled" ? "7" : nil))
        #expect(planned["x-ms-correlation-request-id"]?.count == 36)
        #expect(try Emulating.error(next).code == "InaccessibleImage")
    }
}
