// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import HTTPTypes
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import OCI
internal import RegistryServer
internal import Sandbox
internal import Store
internal import Synchronization

/// An Azure that runs on this machine while a function does: the directory (Entra ID), the resource manager, container
/// registries, and container groups whose containers really run.
///
/// Nothing of it reaches the network. Several may run beside each other, in one process or in many, each with a folder
/// of its own.
///
/// Specification: Azure's published OpenAPI documents; docs/azure-emulator.md says what is there and what is not.
public struct EmulatedAzure: Sendable {
    /// Where the resource manager, the directory and the metadata service are: `https://127.0.0.1:4443`.
    public let url: String
    /// The certificate of the authority to trust, a PEM file; `nil` where TLS is not spoken.
    public let authority: String?
    /// What it was made with.
    public let options: EmulatorOptions
    /// What goes wrong on purpose.
    public let faults: AzureFaults
    private let world: World

    /// Makes ready what must be done while a program has one thread: an ordinary user becomes root of a namespace of
    /// their own, so that containers can run.
    ///
    /// - Returns: What does not work now, and what to do about it, in one sentence; `nil` where everything does.
    public static func prepare() -> String? { UserNamespace.enter().note }

    /// Where references name a registry: `127.0.0.1:5000`.
    ///
    /// - Parameter name: The registry's name.
    /// - Returns: Its login server; `nil` where there is no such registry.
    public func loginServer(of name: String) -> String? {
        world.state.withLock { $0.registries[name.lowercased()]?.host }
    }

    /// What the admin user of a registry may sign in with.
    ///
    /// - Parameter name: The registry's name.
    /// - Returns: User and password; `nil` where there is no such registry, or it has no admin user.
    public func adminUser(of name: String) -> (user: String, password: String)? {
        guard let registry = RegistryRights(world: world, name: name).resource,
            registry.body[path: "properties", "adminUserEnabled"]?.bool == true,
            let password = registry.body[path: "secrets", "passwords"]?.texts?.first
        else { return nil }
        return (registry.name, password)
    }

    /// A file that tells kubectl of a cluster: certificates and token are in it.
    ///
    /// - Parameter name: The cluster's name.
    /// - Returns: Its path; `nil` where there is no such cluster.
    public func kubeconfig(of name: String) -> String? {
        let clusters = world.state.withLock { Array($0.clusters.values) }
        return clusters.first { $0.cluster.name == name }.map { "\($0.cluster.folder)/kubeconfig" }
    }

    /// Runs while a function does; containers end with it.
    ///
    /// - Parameters:
    ///   - options: What there is, and how it is reached.
    ///   - faults: What goes wrong on purpose.
    ///   - body: Runs once requests are taken.
    /// - Returns: What the function returned.
    /// - Throws: ``EmulatorError`` where it cannot run, and what the function throws.
    public static func run<Value: Sendable>(
        _ options: EmulatorOptions,
        faults: AzureFaults = AzureFaults(),
        _ body: @Sendable (EmulatedAzure) async throws -> Value
    ) async throws -> Value {
        // Who closes a connection in the middle of an answer ends that, and not this process.
        signal(SIGPIPE, SIG_IGN)
        // And whoever started us may ignore the ends of its children, of which we want to hear.
        signal(SIGCHLD, SIG_DFL)
        try DiskFile.makeFolder(options.folder)
        try PublicImages.fill(options)
        let certificate =
            options.isEncrypted ? try EmulatorCertificate(in: options.folder, names: options.hostNames) : nil
        let bridge = TerminalBridge(certificate)
        let world = try World(options, faults, bridge)
        if options.specifications == nil {
            options.note("requests are checked without Azure's published schemas: no folder of them was given")
        }
        return try await bridge.run(options.host) {
            try await run(world, certificate, body)
        }
    }

    private static func run<Value: Sendable>(
        _ world: World,
        _ certificate: EmulatorCertificate?,
        _ body: @Sendable (EmulatedAzure) async throws -> Value
    ) async throws -> Value {
        var listen = RegistryOptions()
        (listen.host, listen.port) = (world.options.host, world.options.port)
        listen.certificate = certificate.map { ($0.chain, $0.key) }
        let door = FrontDoor(world: world)
        let logger = Logger(label: "coracle.azure-emulator") { _ in SwiftLogNoOpLogHandler() }
        let options = world.options
        return try await Listener.run(listen, logger, door.respond) { port in
            let scheme = certificate == nil ? "http" : "https"
            let azure = EmulatedAzure(
                url: "\(scheme)://\(options.host):\(port)",
                authority: certificate?.authority,
                options: options,
                faults: world.faults,
                world: world
            )
            return try await RegistryServing(world: world, certificate: certificate)
                .run {
                    try await fill(world)
                    let result = await result { try await body(azure) }
                    await clear(world)
                    return try result.get()
                }
        }
    }

    private static func result<Value>(_ body: () async throws -> Value) async -> Result<Value, any Error> {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    /// Makes what the options name.
    private static func fill(_ world: World) async throws {
        let options = world.options
        let subscriptions = Subscriptions(world: world)
        for name in options.resourceGroups { _ = subscriptions.make(name, options.location) }
        let roles = Roles(world: world)
        let top = "/subscriptions/\(options.subscription)"
        for application in options.applications {
            for (name, scope) in application.roles {
                guard let role = Roles.role(name) else {
                    throw EmulatorError(
                        message: "there is no role \"\(name)\": " + Roles.all.map(\.name).joined(separator: ", ")
                    )
                }
                _ = roles.assign(role, to: application.objectID, at: scope.isEmpty ? top : scope)
            }
        }
        if let owner = Roles.role("Owner") { _ = roles.assign(owner, to: World.machine.objectID, at: top) }
        for name in options.registries {
            let group = options.resourceGroups.first ?? "coracle"
            if world.group(group) == nil { _ = subscriptions.make(group, options.location) }
            let id = "\(top)/resourceGroups/\(group)/providers/\(ContainerRegistries.type)/\(name)"
            let body: JSONValue = [
                "location": .string(options.location), "sku": ["name": "Standard"],
                "properties": ["adminUserEnabled": true],
            ]
            _ = try await ContainerRegistries(world: world).make(name, id: id, body, nil)
        }
        for text in options.clusters {
            let parts = text.split(separator: ",").map(String.init)
            guard let name = parts.first, parts.count == 1 || parts[1...] == ["entra"] else {
                throw EmulatorError(message: "the cluster \"\(text)\": expected NAME or NAME,entra")
            }
            let group = options.resourceGroups.first ?? "coracle"
            if world.group(group) == nil { _ = subscriptions.make(group, options.location) }
            var properties: JSONValue = [:]
            if parts.count > 1 { properties = ["aadProfile": ["managed": true, "enableAzureRBAC": true]] }
            let id = "\(top)/resourceGroups/\(group)/providers/\(ManagedClusters.type)/\(name)"
            let body: JSONValue = ["location": .string(options.location), "properties": properties]
            try await ManagedClusters(world: world).make(name, id: id, body)
        }
    }

    /// Ends all containers and clusters.
    private static func clear(_ world: World) async {
        let clusters = world.state.withLock { state in
            defer { state.clusters = [:] }
            return Array(state.clusters.values)
        }
        for live in clusters { live.door.close() }
        let groups = world.state.withLock { state in
            defer { state.containers = [:] }
            return Array(state.containers.values)
        }
        world.bridge.end()
        await withCheckedContinuation { continuation in
            Thread.start {
                DispatchQueue.concurrentPerform(iterations: groups.count) { groups[$0].remove() }
                for live in clusters { live.cluster.end() }
                continuation.resume()
            }
        }
    }
}

/// Serves the registries of an emulated Azure, each at a port of its own.
struct RegistryServing: Sendable {
    let world: World
    let certificate: EmulatorCertificate?

    /// Takes requests for registries while a function runs.
    func run<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await takeWishes() }
            let result: Result<Value, any Error>
            do {
                result = .success(try await body())
            } catch {
                result = .failure(error)
            }
            world.registryRequests.finish()
            try await group.waitForAll()
            return try result.get()
        }
    }

    /// Serves what is wished for, until there are no more wishes.
    private func takeWishes() async {
        await withTaskGroup(of: Void.self) { group in
            var stops: [String: AsyncStream<Void>.Continuation] = [:]
            for await wish in world.registryRequests.wishes {
                switch wish {
                case .work(let body): group.addTask { await body() }
                case .end(let name):
                    stops.removeValue(forKey: name.lowercased())?.finish()
                    world.state.withLock { _ = $0.registries.removeValue(forKey: name.lowercased()) }
                case .begin(let name, let ready):
                    let (waiting, stop) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
                    stops[name.lowercased()] = stop
                    group.addTask { await serve(name, ready, until: waiting) }
                }
            }
            for stop in stops.values { stop.finish() }
        }
    }

    private func serve(
        _ name: String,
        _ ready: CheckedContinuation<LiveRegistry, any Error>,
        until stop: AsyncStream<Void>
    ) async {
        let key = name.lowercased()
        let world = world
        let door = RegistryDoor(world: world, name: name)
        var isReady = false
        do {
            let store = try ImageStore("\(world.options.folder)/registries/\(key)")
            var options = RegistryOptions()
            options.host = world.options.host
            options.certificate = certificate.map { ($0.chain, $0.key) }
            options.servesListedImages = false
            options.access = .delegated(
                door.authority { world.state.withLock { $0.registries[key]?.host } ?? "" }
            )
            let onRequest = world.options.onRequest
            options.onRequest = { record in
                onRequest?(
                    AzureRequestRecord(service: name, method: record.method, path: record.path, status: record.status)
                )
            }
            try await EmbeddedRegistry.run(store, options) { registry in
                let live = LiveRegistry(name: name, host: registry.host, store: store)
                world.state.withLock { $0.registries[key] = live }
                ready.resume(returning: live)
                for await _ in stop {}
            }
            isReady = true
        } catch {
            if !isReady, world.state.withLock({ $0.registries[key] == nil }) { ready.resume(throwing: error) }
        }
    }
}
