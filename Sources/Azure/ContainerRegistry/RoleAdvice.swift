// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Registry

/// What a web token says of itself, unverified.
struct WebTokenClaims: Sendable {
    let expires: Int64?
    let issued: Int64?
    /// Whose it is: the object id.
    let object: String?
    /// The application's client id.
    let application: String?
    /// Whether it is a person's.
    let isPerson: Bool
    let tenant: String?

    init?(_ token: String) {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let bytes = Base64.decode(parts[1]), let claims = try? JSONValue(parsing: bytes) else {
            return nil
        }
        let clean = { (name: String) -> String? in
            claims[name]?.string
                .flatMap { text in
                    text.utf8.allSatisfy { ($0 > 0x2C && $0 < 0x3A) || ($0 | 0x20 > 0x60 && $0 | 0x20 < 0x7B) }
                        ? text : nil
                }
        }
        (expires, issued) = (claims["exp"]?.int, claims["iat"]?.int ?? claims["nbf"]?.int)
        (object, application, tenant) = (clean("oid"), clean("appid") ?? clean("azp"), clean("tid"))
        isPerson = claims["idtyp"]?.string == "user" || claims["scp"] != nil
    }
}

/// The command that gives somebody a right in a registry.
public struct RoleAdvice: Sendable {
    /// A right, as tokens of registries have it.
    public enum Action: String, Sendable {
        /// Reading images.
        case pull
        /// Writing images.
        case push
        /// Removing images.
        case delete
        /// Listing repositories.
        case catalog = "*"
    }

    private let registry: String
    private let assignee: String
    private let known: ContainerRegistry?

    /// Knows the registry and whose rights are lacking.
    ///
    /// - Parameters:
    ///   - registry: `myacr.azurecr.io`.
    ///   - token: A token of whose rights are lacking, which says who that is; `nil` where there is none.
    ///   - user: The user that was shown to the registry; an application's id where it is a service principal.
    ///   - known: The registry as the resource manager knows it; `nil` where that was not asked.
    public init(registry: String, token: AzureToken?, user: String? = nil, known: ContainerRegistry? = nil) {
        (self.registry, self.known) = (registry, known)
        let claims = token.flatMap { WebTokenClaims($0.value) }
        if let object = claims?.object {
            let kind = claims?.isPerson == true ? "User" : "ServicePrincipal"
            assignee = "--assignee-object-id \(object) --assignee-principal-type \(kind)"
        } else {
            assignee = "--assignee \(claims?.application ?? user ?? "CLIENT-ID")"
        }
    }

    /// The command.
    ///
    /// - Parameter actions: What must be allowed; the least role that has all of it is named.
    /// - Returns: A line for a shell.
    public func command(for actions: [Action]) -> String {
        let isByRepository = known?.usesRepositoryRights
        let role: String
        let other: String
        if actions.contains(.catalog) {
            (role, other) = ("AcrPull", "Container Registry Repository Catalog Lister")
        } else if actions.contains(.delete) {
            (role, other) = ("AcrDelete", "Container Registry Repository Contributor")
        } else if actions.contains(.push) {
            (role, other) = ("AcrPush", "Container Registry Repository Writer")
        } else {
            (role, other) = ("AcrPull", "Container Registry Repository Reader")
        }
        let first = registry.prefix { !".:-".contains($0) }
        let name = first.allSatisfy(\.isNumber) ? "REGISTRY" : first
        let scope = known?.id ?? "$(az acr show --name \(name) --query id --output tsv)"
        let line =
            "az role assignment create \(assignee) --role \"\(isByRepository == true ? other : role)\" --scope \(scope)"
        // Which roles count depends on the registry's mode, and we were not told.
        return isByRepository == nil ? "\(line)  # where rights are given by repository: \"\(other)\"" : line
    }
}
