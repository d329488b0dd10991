// SPDX-License-Identifier: Apache-2.0
internal import OCI

extension ContainerInstances {
    private static let resourcesVersion = "2021-04-01"

    /// Whether the subscription may use Container Instances, and where.
    public struct Provider: Hashable, Sendable {
        /// Whether it is registered.
        public let isRegistered: Bool
        /// The regions; empty where that is not said.
        public let locations: [String]
    }

    /// Asks whether the subscription may use Container Instances.
    ///
    /// - Returns: The state; `nil` where the cloud does not say.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func provider() async throws -> Provider? {
        let id = "/subscriptions/\(subscription)/providers/Microsoft.ContainerInstance"
        guard let json = try await arm.find(id, apiVersion: Self.resourcesVersion), json != .null else { return nil }
        let type = (json["resourceTypes"]?.array ?? [])
            .first { $0["resourceType"]?.string?.lowercased() == "containergroups" }
        return Provider(
            isRegistered: json["registrationState"]?.string?.lowercased() == "registered",
            locations: type?["locations"]?.texts ?? []
        )
    }

    /// The region of the resource group.
    ///
    /// - Returns: The region; `nil` where there is no such group.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func location() async throws -> String? {
        let id = "/subscriptions/\(subscription)/resourceGroups/\(resourceGroup)"
        return try await arm.find(id, apiVersion: Self.resourcesVersion)?["location"]?.string
    }

    /// How much of something a region still has for the subscription.
    public struct Usage: Hashable, Sendable {
        /// What: `ContainerGroups`, `StandardCores`.
        public let name: String
        /// How much is used.
        public let used: Double
        /// How much there is.
        public let limit: Double
    }

    /// What the subscription uses in a region.
    ///
    /// - Parameter location: The region.
    /// - Returns: The uses; empty where the cloud does not say.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func usage(in location: String) async throws -> [Usage] {
        let id = "/subscriptions/\(subscription)/providers/Microsoft.ContainerInstance/locations/\(location)/usages"
        let json = try await arm.find(id, apiVersion: ContainerGroup.baseVersion)
        return (json?["value"]?.array ?? [])
            .compactMap { usage in
                guard let used = usage["currentValue"]?.number, let limit = usage["limit"]?.number else { return nil }
                return Usage(name: usage["name"]?["value"]?.string ?? "", used: used, limit: limit)
            }
    }

    /// The most that one group may have in a region.
    public struct Capability: Hashable, Sendable {
        /// Processors.
        public let cpu: Double
        /// Gigabytes of memory.
        public let memory: Double
    }

    /// The most that one group of Linux containers may have in a region.
    ///
    /// - Parameters:
    ///   - location: The region.
    ///   - isPublic: Whether the group has a public address.
    /// - Returns: The limits; `nil` where the cloud does not say.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func capability(in location: String, isPublic: Bool) async throws -> Capability? {
        let id =
            "/subscriptions/\(subscription)/providers/Microsoft.ContainerInstance/locations/\(location)/capabilities"
        let json = try await arm.find(id, apiVersion: ContainerGroup.baseVersion)
        let fitting = (json?["value"]?.array ?? [])
            .filter { capability in
                let gpu = capability["gpu"]?.string?.lowercased() ?? "none"
                let type = capability["ipAddressType"]?.string?.lowercased() ?? ""
                return capability["osType"]?.string?.lowercased() == "linux" && gpu == "none"
                    && (isPublic ? type == "public" : true)
            }
            .compactMap { capability -> Capability? in
                guard let cpu = capability["capabilities"]?["maxCpu"]?.number,
                    let memory = capability["capabilities"]?["maxMemoryInGB"]?.number
                else { return nil }
                return Capability(cpu: cpu, memory: memory)
            }
        return fitting.max { $0.cpu < $1.cpu }
    }
}
