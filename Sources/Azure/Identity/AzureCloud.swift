// SPDX-License-Identifier: Apache-2.0
public import HTTP

/// One of Azure's clouds, which know nothing of each other: where its services are, and what their tokens are for.
///
/// The known ones are ``public``, ``usGovernment`` and ``china``; all others, and an emulator, are asked where their
/// services are with ``discover(_:session:)``.
public struct AzureCloud: Hashable, Sendable {
    /// As `az cloud list` names it: `AzureCloud`, `AzureUSGovernment`, `AzureChinaCloud`.
    public var name: String
    /// Where Entra ID gives tokens: `https://login.microsoftonline.com`.
    public var authority: HTTPURL
    /// The resource manager, ARM: `https://management.azure.com`.
    public var resourceManager: HTTPURL
    /// What tokens for ARM are asked for: `https://management.azure.com`.
    public var resourceManagerAudience: String
    /// What the names of container registries end with, without the dot before it: `azurecr.io`.
    public var registrySuffix: String
    /// What tokens for container registries are asked for; the same in every cloud.
    public var registryAudience: String
    /// What tokens of others that stand for an identity here (workload identity federation) are made out to.
    public var federationAudience: String
    /// What the names of container groups end with, without the dot before it: `azurecontainer.io`.
    public var containerInstanceSuffix: String
    /// What the names of key vaults end with, without the dot before it: `vault.azure.net`.
    public var keyVaultSuffix: String
    /// What tokens for Batch are asked for.
    public var batchAudience: String

    /// The cloud that most use.
    public static let `public` = AzureCloud(
        name: "AzureCloud",
        authority: "login.microsoftonline.com",
        resourceManager: "management.azure.com",
        registrySuffix: "azurecr.io",
        federationAudience: "api://AzureADTokenExchange",
        containerInstanceSuffix: "azurecontainer.io",
        keyVaultSuffix: "vault.azure.net",
        batchAudience: "https://batch.core.windows.net/"
    )

    /// The cloud of the government of the United States.
    public static let usGovernment = AzureCloud(
        name: "AzureUSGovernment",
        authority: "login.microsoftonline.us",
        resourceManager: "management.usgovcloudapi.net",
        registrySuffix: "azurecr.us",
        federationAudience: "api://AzureADTokenExchangeUSGov",
        containerInstanceSuffix: "azurecontainer.usgovcloudapi.net",
        keyVaultSuffix: "vault.usgovcloudapi.net",
        batchAudience: "https://batch.core.usgovcloudapi.net/"
    )

    /// The cloud in China, which 21Vianet runs.
    public static let china = AzureCloud(
        name: "AzureChinaCloud",
        authority: "login.chinacloudapi.cn",
        resourceManager: "management.chinacloudapi.cn",
        registrySuffix: "azurecr.cn",
        federationAudience: "api://AzureADTokenExchangeChina",
        containerInstanceSuffix: "azurecontainer.azure.cn",
        keyVaultSuffix: "vault.azure.cn",
        batchAudience: "https://batch.chinacloudapi.cn/"
    )

    /// The clouds that need not be asked where they are.
    public static let known = [AzureCloud.public, .usGovernment, .china]

    private init(
        name: String,
        authority: StaticString,
        resourceManager: StaticString,
        registrySuffix: String,
        federationAudience: String,
        containerInstanceSuffix: String,
        keyVaultSuffix: String,
        batchAudience: String
    ) {
        self.name = name
        self.authority = HTTPURL(wellKnown: authority)
        self.resourceManager = HTTPURL(wellKnown: resourceManager)
        resourceManagerAudience = "https://\(resourceManager)"
        registryAudience = "https://containerregistry.azure.net"
        (self.registrySuffix, self.federationAudience) = (registrySuffix, federationAudience)
        (self.containerInstanceSuffix, self.keyVaultSuffix) = (containerInstanceSuffix, keyVaultSuffix)
        self.batchAudience = batchAudience
    }

    /// The known cloud of a name; `nil` where it is none.
    ///
    /// - Parameter name: As `az`, azure-identity or the tools of others have it, in any case: `AzureUSGovernment`,
    ///   `AzureUSGovernmentCloud`, `usgovernment`.
    public init?(named name: String) {
        let names: [String: AzureCloud] = [
            "azurecloud": .public, "azurepubliccloud": .public, "public": .public,
            "azureusgovernment": .usGovernment, "azureusgovernmentcloud": .usGovernment, "usgovernment": .usGovernment,
            "usgov": .usGovernment, "azurechinacloud": .china, "azurechina": .china, "china": .china,
        ]
        guard let found = names[name.lowercased()] else { return nil }
        self = found
    }

    /// The known cloud that a registry is in, by its name's end; `nil` where it is in none.
    ///
    /// - Parameter registry: The registry's host: `myacr.azurecr.us`.
    public init?(ofRegistry registry: String) {
        let host = registry.lowercased()
        guard let found = AzureCloud.known.first(where: { host.hasSuffix("." + $0.registrySuffix) }) else { return nil }
        self = found
    }

    /// Whether a host is a container registry of this cloud, which tokens of its identities may be shown to.
    ///
    /// - Parameter registry: `HOST` or `HOST:PORT`.
    /// - Returns: Whether its name ends as those of registries do; where the cloud is an emulator on this machine, whether
    ///   the host is this machine.
    public func ownsRegistry(_ registry: String) -> Bool {
        let host = registry.lowercased()
        guard let url = try? HTTPURL(isSecure: true, authority: host, target: "/") else { return false }
        if isLocal, url.isLoopback { return true }
        let suffix = "." + registrySuffix.lowercased()
        let name = suffix.contains(":") ? host : url.host
        return name.hasSuffix(suffix) && name.utf8.count > suffix.utf8.count
    }

    /// Whether this is an emulator on this machine.
    public var isLocal: Bool { authority.isLoopback && resourceManager.isLoopback }
}
