// SPDX-License-Identifier: Apache-2.0
public import Azure
internal import HTTP
internal import OCI

/// Azure Container Instances: one container group.
public struct ACITarget: Target {
    /// How long things may take.
    public struct Pace: Sendable {
        /// How long between two looks.
        public var interval: Duration = .seconds(3)
        /// How long all containers must have run without a restart until they are said to work.
        public var settling: Duration = .seconds(6)
        /// How long they may take until they run.
        public var patience: Duration = .seconds(600)
        /// How long one that starts again and again is waited for until it says something.
        public var lastWords: Duration = .seconds(15)

        /// As Azure's service is.
        public init() {}
    }

    /// Gives secrets that ARM keeps to itself: those that it can, by what they are.
    public typealias Secrets = @Sendable ([SecretPlace]) async throws -> [SecretPlace.Kind: SecureText]

    let service: ContainerInstances
    /// The group's name.
    public let name: String
    let wish: GroupWish
    let images: [ImageFacts]
    let secrets: Secrets
    /// Whether the group may be deleted and made anew where Azure cannot change it.
    public var mayRecreate = false
    /// Whether a group that does not work is left as it is, to be looked at.
    public var keepsFailed = false
    /// Whether a password that the group has for a registry is given anew.
    public var renewsPasswords = false
    /// How long things may take.
    public var pace = Pace()

    /// A group to deploy.
    ///
    /// - Parameters:
    ///   - service: Where.
    ///   - name: What it is called.
    ///   - wish: What is asked for; images by their digests.
    ///   - images: What is known of the images, as seen with the credentials that will pull them.
    ///   - secrets: Asked for what ARM does not give back.
    public init(
        _ service: ContainerInstances,
        name: String,
        wish: GroupWish,
        images: [ImageFacts] = [],
        secrets: @escaping Secrets = { _ in [:] }
    ) {
        (self.service, self.name, self.wish, self.images, self.secrets) = (service, name, wish, images, secrets)
    }

    /// Says what would be done.
    ///
    /// - Returns: The plan.
    /// - Throws: ``DeployError`` where a secret is missing, or the group could not be; `ARMError`.
    public func plan() async throws -> GroupPlan {
        try await plan(over: try await service.find(name))
    }

    /// What should be, without the secrets that nobody gave: for a template.
    ///
    /// - Returns: The group.
    /// - Throws: `ARMError`.
    public func merged() async throws -> ContainerGroup {
        var group = ContainerGroup.merging(wish, into: try await service.find(name), name: name)
        if group.location == nil { group.location = try await service.location() }
        return group
    }

    func plan(over existing: ContainerGroup?) async throws -> GroupPlan {
        var group = ContainerGroup.merging(wish, into: existing, name: name)
        if group.location == nil { group.location = try await service.location() }
        let missing = group.missingSecrets
        if !missing.isEmpty {
            let known = try await secrets(missing)
            for place in missing {
                if case .file(let volume, nil) = place.kind {
                    let files = known.filter { if case .file(volume, .some) = $0.key { true } else { false } }
                    group.setFiles(files.values.isEmpty ? [:] : ACITarget.names(files), of: volume)
                } else if let secret = known[place.kind] {
                    group.fill(place, secret)
                }
            }
            let lacking = group.missingSecrets
            if !lacking.isEmpty { throw DeployError.missing(lacking) }
        }
        let faults = GroupRules.faults(of: group, name: name)
        if !faults.isEmpty { throw DeployError("the group \(name): \(faults.joined(separator: "; "))") }
        return GroupPlan(group, over: existing, name: name, renewingPasswords: renewsPasswords)
    }

    private static func names(_ files: [SecretPlace.Kind: SecureText]) -> [String: SecureText] {
        var result: [String: SecureText] = [:]
        for (kind, secret) in files { if case .file(_, let name?) = kind { result[name] = secret } }
        return result
    }
}

/// A deployment cannot begin: something that only the user can give is missing, or wrong.
public struct DeployError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One line, no full stop, no secrets.
    public let message: String
    /// What to type or to change; `nil` where nothing is known.
    public let hint: String?

    /// The message.
    public var description: String { message }

    /// An error.
    ///
    /// - Parameters:
    ///   - message: One line, no full stop, no secrets.
    ///   - hint: What to type or to change.
    public init(_ message: String, hint: String? = nil) { (self.message, self.hint) = (message, hint) }

    static func missing(_ places: [SecretPlace]) -> DeployError {
        let list = places.map(\.text).joined(separator: "; ")
        let flags = Set(places.map { flag($0.kind) }).sorted().joined(separator: ", ")
        return DeployError("Azure keeps secrets to itself, so that these must be given again: \(list)", hint: flags)
    }

    private static func flag(_ kind: SecretPlace.Kind) -> String {
        switch kind {
        case .variable(_, let name): "--secure-env \(name) (from the environment), or --env \(name)=… if it is none"
        case .registryPassword: "--pull-with admin, service-principal, identity=ID or user=NAME"
        case .storageKey(let volume, _): "--secret-source \(volume)=env:VARIABLE"
        case .file(let volume, _): "--volume type=secret,name=\(volume),target=…,FILE=file:PATH"
        case .workspaceKey: "--secret-source log-analytics=env:VARIABLE"
        }
    }
}
