// SPDX-License-Identifier: Apache-2.0
public import HTTP
internal import OCI

extension AzureCloud {
    /// Asks a resource manager what cloud it is of, and where that cloud's services are.
    ///
    /// - Parameters:
    ///   - resourceManager: The address of the resource manager.
    ///   - session: Sends requests.
    /// - Returns: The cloud.
    /// - Throws: ``AzureError`` where it cannot be reached, or its answer names no place for tokens.
    public static func discover(_ resourceManager: HTTPURL, session: HTTPSession) async throws -> AzureCloud {
        let what = "ask \(resourceManager.authority) where its cloud's services are"
        var url = resourceManager
        url.target = "/metadata/endpoints?api-version=2022-09-01"
        let answer: JSONValue
        do {
            let response = try await session.send(HTTPRequest(.get, url))
            let bytes = try await response.bytes(limit: 4 << 20)
            guard response.isSuccess else {
                throw AzureError(
                    .network,
                    "\(what): it answered \(response.status)",
                    hint: "check the address of the resource manager in CORACLE_AZURE_CLOUD"
                )
            }
            answer = try JSONValue(parsing: bytes)
        } catch let error as ServerError {
            throw AzureError(AzureError.Kind(error), "\(what): \(error.message)", hint: error.hint)
        } catch let error as ContentError {
            throw AzureError(.network, "\(what): \(error.message)")
        }
        // A list of clouds, of which ours is the one with this resource manager; older ones describe themselves only.
        let clouds = answer.array ?? [answer]
        let own = clouds.first { cloud in
            let address = cloud["resourceManager"]?.string.flatMap { try? HTTPURL($0) }
            return address?.host == resourceManager.host && address?.port == resourceManager.port
        }
        guard let found = own ?? clouds.first, let cloud = AzureCloud(found, at: resourceManager) else {
            throw AzureError(.network, "\(what): its answer names no place for tokens")
        }
        return cloud
    }

    private init?(_ answer: JSONValue, at resourceManager: HTTPURL) {
        guard let login = answer["authentication"]?["loginEndpoint"]?.string, let authority = try? HTTPURL(login) else {
            return nil
        }
        self = AzureCloud(named: answer["name"]?.string ?? "") ?? .public
        name = answer["name"]?.string ?? resourceManager.host
        self.authority = authority
        self.resourceManager = resourceManager
        self.resourceManager.target = "/"
        let audiences = answer["authentication"]?["audiences"]?.texts ?? []
        // Both forms are known in public clouds; the one without a slash at its end makes the cleaner scope.
        if let audience = audiences.first(where: { !$0.hasSuffix("/") }) ?? audiences.first {
            resourceManagerAudience = audience
        }
        let suffixes = answer["suffixes"]
        func suffix(_ name: String) -> String? {
            suffixes?[name]?.string.map { String($0.drop { $0 == "." }) }.flatMap { $0.isEmpty ? nil : $0 }
        }
        if let found = suffix("acrLoginServer") { registrySuffix = found }
        if let found = suffix("keyVaultDns") { keyVaultSuffix = found }
        if let found = answer["batch"]?.string { batchAudience = found }
    }
}
