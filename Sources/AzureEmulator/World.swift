// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// Somebody of the directory.
struct Principal: Sendable {
    /// What role assignments name.
    var objectID: String
    /// What tokens name as their application.
    var clientID: String
    /// For messages.
    var name: String
}

/// A resource as it is kept: with the secrets that it was given, which no answer has.
struct Resource: Sendable {
    /// `/subscriptions/…`, in the case of its first writing.
    var id: String
    /// `Microsoft.ContainerRegistry/registries`.
    var type: String
    /// The last part of the identifier.
    var name: String
    /// `location`, `tags`, `identity`, `sku`, `properties` and so on.
    var body: JSONValue
    /// When it was first written.
    var created = Moment.text(fraction: true)
}

/// A long-running operation.
struct AzureOperation: Sendable {
    enum Outcome: Sendable {
        case running
        case succeeded
        case failed(ARMFault)
    }

    let id: String
    /// The resource that it is about.
    let resource: String
    let started = Moment.precise
    var ended: Double?
    var outcome = Outcome.running
    /// What an operation that a `Location` leads to gives at its end; `nil` where it gives nothing.
    var result: JSONValue?

    /// The word that clients poll for.
    var status: String {
        switch outcome {
        case .running: "InProgress"
        case .succeeded: "Succeeded"
        case .failed: "Failed"
        }
    }
}

/// All that an emulated Azure has; a lock guards what changes.
final class World: Sendable {
    struct State {
        /// By identifier in lower case.
        var resources: [String: Resource] = [:]
        /// By name in lower case: name and body.
        var groups: [String: Resource] = [:]
        var operations: [String: AzureOperation] = [:]
        /// Providers of the subscription that were unregistered.
        var unregistered: Set<String> = []
        /// Running container groups by identifier in lower case.
        var containers: [String: RunningGroup] = [:]
        /// Registries that listen, by name in lower case.
        var registries: [String: LiveRegistry] = [:]
        /// Kubernetes clusters that are served, by identifier in lower case.
        var clusters: [String: LiveCluster] = [:]
    }

    let options: EmulatorOptions
    let faults: AzureFaults
    let keys: TokenKeys
    let schemas: RequestSchemas
    let state = Mutex(State())
    /// Where the websockets of `exec` and `attach` are; set once, before the first request.
    let bridge: TerminalBridge
    let addresses = GroupAddresses()
    /// Told of registries that are to be served.
    let registryRequests: RegistryRequests

    init(_ options: EmulatorOptions, _ faults: AzureFaults, _ bridge: TerminalBridge) throws {
        (self.options, self.faults, self.bridge) = (options, faults, bridge)
        keys = try TokenKeys()
        schemas = try RequestSchemas(options.specifications)
        registryRequests = RegistryRequests()
    }

    // MARK: Who is who

    /// Everybody that role assignments may name: service principals and managed identities.
    func principal(objectID: String) -> Principal? {
        if let application = options.applications.first(where: { $0.objectID == objectID }) {
            return Principal(objectID: objectID, clientID: application.id, name: application.name)
        }
        if objectID == World.machine.objectID { return World.machine }
        return resources(ofType: "Microsoft.ManagedIdentity/userAssignedIdentities").map(World.principal)
            .first { $0.objectID == objectID }
    }

    /// The identity of the machine that asks the metadata service.
    static let machine = Principal(
        objectID: "66666666-6666-4666-8666-666666666666",
        clientID: "55555555-5555-4555-8555-555555555555",
        name: "machine"
    )

    /// The principal of a user-assigned identity.
    static func principal(_ identity: Resource) -> Principal {
        Principal(
            objectID: identity.body[path: "properties", "principalId"]?.string ?? "",
            clientID: identity.body[path: "properties", "clientId"]?.string ?? "",
            name: identity.name
        )
    }

    // MARK: Resources

    func resource(_ id: String) -> Resource? { state.withLock { $0.resources[id.lowercased()] } }

    func put(_ resource: Resource) { state.withLock { $0.resources[resource.id.lowercased()] = resource } }

    func remove(_ id: String) { _ = state.withLock { $0.resources.removeValue(forKey: id.lowercased()) } }

    /// Resources of a type, sorted by identifier.
    func resources(ofType type: String, under scope: String = "") -> [Resource] {
        let (type, scope) = (type.lowercased(), scope.lowercased() + "/")
        return state.withLock { $0.resources.values.filter { $0.type.lowercased() == type } }
            .filter { $0.id.lowercased().hasPrefix(scope) }.sorted { $0.id < $1.id }
    }

    func group(_ name: String) -> Resource? { state.withLock { $0.groups[name.lowercased()] } }

    func container(_ id: String) -> RunningGroup? { state.withLock { $0.containers[id.lowercased()] } }

    // MARK: Operations

    /// Begins an operation.
    func begin(on resource: String) -> AzureOperation {
        let operation = AzureOperation(id: Identifier.random(), resource: resource)
        state.withLock { $0.operations[operation.id] = operation }
        return operation
    }

    func operation(_ id: String) -> AzureOperation? { state.withLock { $0.operations[id] } }

    /// Ends an operation.
    func end(_ id: String, _ outcome: AzureOperation.Outcome, result: JSONValue? = nil) {
        state.withLock { state in
            state.operations[id]?.outcome = outcome
            state.operations[id]?.ended = Moment.precise
            if let result { state.operations[id]?.result = result }
        }
    }
}
