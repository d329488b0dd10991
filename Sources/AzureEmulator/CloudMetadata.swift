// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Where a cloud's services are, as clients ask before they know anything.
struct CloudMetadata: Sendable {
    let world: World

    /// Whom tokens for the resource manager are made for; with or without a slash at the end.
    static let audiences = ["https://management.core.windows.net", "https://management.azure.com"]

    func answer(_ request: AzureRequest) -> AzureAnswer {
        let origin = request.origin
        let host = origin.split(separator: "/").last.map(String.init) ?? ""
        let suffixes: JSONValue = [
            "acrLoginServer": ".azurecr.io", "keyVaultDns": ".vault.azure.net", "storage": "core.windows.net",
            "storageSyncEndpointSuffix": "afs.azure.net", "sqlServerHostname": ".database.windows.net",
            "mysqlServerEndpoint": ".mysql.database.azure.com", "mhsmDns": ".managedhsm.azure.net",
            "postgresqlServerEndpoint": ".postgres.database.azure.com",
        ]
        let authentication: JSONValue = [
            "loginEndpoint": .string(origin + "/"), "audiences": JSONValue(CloudMetadata.audiences.map { $0 + "/" }),
            "tenant": .string(world.options.tenant), "identityProvider": "AAD",
        ]
        let cloud: JSONValue = [
            "name": "AzureEmulator", "portal": .string(origin), "authentication": authentication,
            "resourceManager": .string(origin + "/"), "media": .string(origin),
            "graph": .string(origin + "/"), "graphAudience": .string(origin + "/"),
            "microsoftGraphResourceId": .string(origin + "/"), "gallery": .string(origin + "/"),
            "batch": "https://batch.core.windows.net/", "activeDirectoryDataLake": "https://datalake.azure.net/",
            "sqlManagement": .string(origin + "/"), "vmImageAliasDoc": .string("\(origin)/metadata/images"),
            "suffixes": suffixes, "host": .string(host),
        ]
        // Versions of 2019 to 2021 give a list; earlier and later ones the cloud itself.
        let version = request.query("api-version") ?? ""
        return AzureAnswer(200, version >= "2019-05-01" && version < "2022-09-01" ? [cloud] : cloud)
    }
}
