// SPDX-License-Identifier: Apache-2.0
public import OCI

/// A container registry as the resource manager knows it.
public struct ContainerRegistry: Hashable, Sendable {
    /// The resource: `/subscriptions/…/registries/myacr`.
    public let id: String
    /// `myacr`.
    public let name: String
    /// As references name it; not always name and suffix: `myacr.azurecr.io`, `myacr-a1b2c3.azurecr.io`.
    public let loginServer: String
    /// The region: `westeurope`.
    public let location: String
    /// `Basic`, `Standard`, `Premium`.
    public let tier: String
    /// Whether there is a user with a password.
    public let isAdminEnabled: Bool
    /// Whether anybody may pull.
    public let isAnonymousPullEnabled: Bool
    /// Whether rights are given by repository (ABAC); the roles AcrPull and AcrPush give none then.
    public let usesRepositoryRights: Bool
    /// Whether it is reached from the internet; where it is not, from networks that were let in only.
    public let isPublic: Bool

    /// Reads a registry; `nil` where it has no id or no login server.
    ///
    /// - Parameter resource: As the resource manager has it, from 2023-07-01 on.
    public init?(_ resource: JSONValue) {
        guard let id = resource["id"]?.string, let server = resource["properties"]?["loginServer"]?.string else {
            return nil
        }
        let properties = resource["properties"]
        (self.id, loginServer) = (id, server.lowercased())
        name = resource["name"]?.string ?? id.split(separator: "/").last.map { String($0) } ?? ""
        location = resource["location"]?.string ?? ""
        tier = resource["sku"]?["name"]?.string ?? ""
        isAdminEnabled = properties?["adminUserEnabled"]?.bool ?? false
        isAnonymousPullEnabled = properties?["anonymousPullEnabled"]?.bool ?? false
        let mode = properties?["roleAssignmentMode"]?.string?.lowercased() ?? ""
        usesRepositoryRights = mode.hasPrefix("abac")
        isPublic = properties?["publicNetworkAccess"]?.string?.lowercased() != "disabled"
    }
}
