// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import RegistryServer
internal import Store
internal import Synchronization

/// A registry of the emulated Azure while it is served.
struct LiveRegistry: Sendable {
    let name: String
    /// `127.0.0.1:5000`, its login server.
    let host: String
    let store: ImageStore

    /// Whether a credential of a container group may pull from a repository.
    func mayPull(_ repository: String, _ credential: JSONValue?, _ world: World) -> Bool {
        let rights = RegistryRights(world: world, name: name)
        if let id = credential?.member("identity")?.string {
            guard let identity = world.resource(id) else { return false }
            return rights.actions(of: .principal(World.principal(identity).objectID), repository).contains("pull")
        }
        let user = credential?.member("username")?.string
        guard let user, let password = credential?.member("password")?.string else {
            return rights.actions(of: .nobody, repository).contains("pull")
        }
        guard let known = rights.user(user, password, host: host) else { return false }
        return rights.actions(of: known, repository).contains("pull")
    }
}

/// Registries that should be served, or no longer; whoever runs the emulator takes these requests.
final class RegistryRequests: Sendable {
    enum Wish: Sendable {
        case begin(String, CheckedContinuation<LiveRegistry, any Error>)
        case end(String)
        /// Something that goes on after the request that asked for it was answered.
        case work(@Sendable () async -> Void)
    }

    let wishes: AsyncStream<Wish>
    private let input: AsyncStream<Wish>.Continuation

    init() {
        // As many as there are registries, which are few.
        (wishes, input) = AsyncStream.makeStream(of: Wish.self, bufferingPolicy: .bufferingNewest(1024))
    }

    /// Serves a registry; returns once it listens.
    func begin(_ name: String) async throws -> LiveRegistry {
        try await withCheckedThrowingContinuation { input.yield(.begin(name, $0)) }
    }

    func end(_ name: String) { input.yield(.end(name)) }

    func work(_ body: @escaping @Sendable () async -> Void) { input.yield(.work(body)) }

    func finish() { input.finish() }
}

/// Who may do what at a registry.
struct RegistryRights: Sendable {
    let world: World
    /// The registry's name.
    let name: String

    enum User: Sendable, Equatable {
        case admin
        case principal(String)
        case token(String)
        case nobody

        /// As tokens of the registry have it.
        var text: String {
            switch self {
            case .admin: "admin:"
            case .principal(let id): "principal:\(id)"
            case .token(let name): "token:\(name)"
            case .nobody: "nobody:"
            }
        }

        init?(_ text: String) {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { return nil }
            switch parts[0] {
            case "admin": self = .admin
            case "principal": self = .principal(parts[1])
            case "token": self = .token(parts[1])
            case "nobody": self = .nobody
            default: return nil
            }
        }
    }

    /// The user name of those who show a refresh token.
    static let refreshUser = "00000000-0000-0000-0000-000000000000"
    static let all: Set<String> = ["pull", "push", "delete", "metadata_read", "metadata_write", "catalog"]

    var resource: Resource? {
        world.resources(ofType: ContainerRegistries.type).first { $0.name.lowercased() == name.lowercased() }
    }

    /// Who it is that knows a password; `nil` where it is wrong.
    func user(_ user: String, _ password: String, host: String) -> User? {
        guard let resource else { return nil }
        if user == RegistryRights.refreshUser { return refreshed(password, host: host) }
        if user.lowercased() == name.lowercased() {
            let passwords = resource.body[path: "secrets", "passwords"]?.texts ?? []
            let isOn = resource.body[path: "properties", "adminUserEnabled"]?.bool ?? false
            return isOn && passwords.contains(password) ? .admin : nil
        }
        if let application = world.options.applications.first(where: { $0.id.lowercased() == user.lowercased() }) {
            return application.secrets.contains(password) ? .principal(application.objectID) : nil
        }
        guard let token = world.resource("\(resource.id)/tokens/\(user)"),
            token.body[path: "properties", "status"]?.string?.lowercased() != "disabled",
            (token.body[path: "secrets", "passwords"]?.object ?? [:]).values.contains(.string(password))
        else { return nil }
        return .token(token.name)
    }

    /// Who it is that a refresh token was made for.
    func refreshed(_ text: String, host: String) -> User? {
        guard let claims = world.keys.claims(text), claims["grant_type"]?.string == "refresh_token",
            claims["aud"]?.string == host, Moment.now < claims["exp"]?.int ?? 0
        else { return nil }
        return claims["sub"]?.string.flatMap { User($0) }
    }

    /// What somebody may do to a repository; to the registry as a whole where that is `nil`.
    func actions(of user: User, _ repository: String?) -> Set<String> {
        guard let resource else { return [] }
        switch user {
        case .admin: return RegistryRights.all
        case .principal(let id): return Roles(world: world).contentActions(id, registry: resource)
        case .nobody:
            let isOpen = resource.body[path: "properties", "anonymousPullEnabled"]?.bool ?? false
            return isOpen ? ["pull", "metadata_read"] : []
        case .token(let name):
            guard let repository, let token = world.resource("\(resource.id)/tokens/\(name)") else { return [] }
            let map = token.body[path: "properties", "scopeMapId"]?.string.flatMap { world.resource($0) }
            let words = [
                "content/read": "pull", "content/write": "push", "content/delete": "delete",
                "metadata/read": "metadata_read", "metadata/write": "metadata_write",
            ]
            let granted = (map?.body[path: "properties", "actions"]?.texts ?? [])
                .compactMap { text -> String? in
                    let parts = text.split(separator: "/").map(String.init)
                    guard parts.count >= 4, parts[0] == "repositories" else { return nil }
                    let place = parts[1..<(parts.count - 2)].joined(separator: "/")
                    guard Roles.matches(repository, place) else { return nil }
                    return words[parts.suffix(2).joined(separator: "/")]
                }
            return Set(granted)
        }
    }
}
