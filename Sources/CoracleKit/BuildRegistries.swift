// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import OCI
internal import Registry
internal import Store
internal import Synchronization

/// What a build has to do with registries.
public struct BuildRegistries: Sendable {
    /// Flags about registries.
    public var access = RegistryAccess()
    /// `--push`: the image goes to the registries of its names.
    public var pushes = false
    /// `push-by-digest` of an output: the image is pushed, and gets no tag.
    var setsNoTags = false
    /// `--pull`: registries are asked for base images that are in the store.
    public var pulls = false
    /// `--cache`: images that the step cache is read from and written to, with the layers of all steps.
    public var caches: [String] = []
    /// `--cache-from`: images that the step cache is read from.
    public var cachesFrom: [String] = []
    /// `--cache-to`: images that the step cache is written to.
    public var cachesTo: [String] = []
    /// `--offline`: no registry is asked for base images.
    public var isOffline = false
    /// Is told what is moved to and from registries, from any thread.
    public var progress: @Sendable (TransferProgress) -> Void = { _ in }

    /// As the environment says; nothing is pushed.
    public init() {}

    /// Base images of registries; `names` are where a build pushes to.
    func images(
        _ workspace: Workspace,
        _ names: [ImageReference] = [],
        environment: [String: String]
    ) throws -> RemoteImages {
        if pulls, isOffline { throw ExitReason(.usage, "--pull and --offline are given both") }
        let teller = TransferTeller("pulled", progress)
        // A push without a name is refused in words of its own.
        let access = pushes && names.isEmpty ? access.anonymous : try access.bound(toPush: pushes ? names : nil)
        let registries = try Registries(
            access,
            environment: environment,
            store: workspace.path,
            note: { teller.take($0) }
        )
        return try RemoteImages(workspace, registries, pulls ? .always : isOffline ? .never : .missing)
    }

    /// Is told of base layers that are fetched.
    var fetched: @Sendable (TransferEvent) -> Void {
        let teller = TransferTeller("pulled", progress)
        return { teller.take($0) }
    }
}

/// The push at the end of a build, which begins while the build still runs.
struct BuildPush: Sendable {
    /// The names of one repository.
    private struct Place: Sendable {
        let repository: Repository
        let tags: [String]
    }

    private let places: [Place]
    private let registries: Registries
    private let store: ImageStore
    private let events: @Sendable (TransferEvent) -> Void

    /// Prepares a push to the registries of some names; `nil` where nothing is pushed.
    init?(
        _ settings: BuildRegistries,
        _ names: [ImageReference],
        _ store: ImageStore,
        _ registries: Registries
    ) throws {
        guard settings.pushes else { return nil }
        guard !names.isEmpty else {
            throw ExitReason(.usage, "--push needs a name to push to", hint: "-t HOST/PATH:TAG")
        }
        var places: [Place] = []
        for name in names {
            let repository = Repository(name)
            guard !places.contains(where: { $0.repository == repository }) else { continue }
            let tags = names.filter { Repository($0) == repository }.compactMap(\.tag)
            places.append(Place(repository: repository, tags: settings.setsNoTags ? [] : tags))
        }
        let teller = TransferTeller("pushed", settings.progress)
        self.places = places
        self.store = store
        events = { teller.take($0) }
        self.registries = registries
    }

    /// Builds, and where a push is wanted, sends layers meanwhile.
    static func run(
        _ push: BuildPush?,
        _ build: (PushSession?) async throws -> BuildMade
    ) async throws -> BuildMade {
        if let push { try await push.run { try await build($0) } } else { try await build(nil) }
    }

    /// Builds, sends layers to the first repository meanwhile, then the image to all.
    private func run(_ build: (PushSession) async throws -> BuildMade) async throws -> BuildMade {
        // Who may not push should hear it before the first step, and not after the last.
        for place in places {
            _ = try await registries.client.resolve(
                .tag(place.tags.first ?? "latest"),
                in: place.repository,
                for: .push
            )
        }
        let made = try await transfer(places[0])
            .run(making: build) { made in
                guard case .image(let image, _) = made else { return nil }
                return try await graph(image)
            }
        guard case .image(let image, _) = made else { return made }
        for place in places.dropFirst() { try await transfer(place).run(graph(image)) }
        return made
    }

    private func graph(_ image: Descriptor) async throws -> ImageGraph {
        var root = image
        root.annotations = [:]
        let local = LayoutBlobs(layout: store.layout)
        return try await ImageGraph(root, .everything, name: places[0].repository.description, read: local.document)
    }

    private func transfer(_ place: Place) -> Transfer {
        let first = places[0].repository
        let target = RegistryTarget(registries.client, place.repository, tags: place.tags) { [store] blob in
            BlobOrigins(store).mounts(blob.digest, into: place.repository, from: [first])
        } onHeld: { [store] blob in
            BlobOrigins(store).note(blob.digest, place.repository)
        }
        let source = StoreOrRegistry(local: LayoutBlobs(layout: store.layout), client: registries.client, store: store)
        return Transfer(from: source, to: target, events: events)
    }
}

/// What came of building, before it has a name.
enum BuildMade: Sendable {
    /// Manifest or index, in the store; the configuration where it is for one platform.
    case image(Descriptor, config: Descriptor?)
    /// Why there is none.
    case failed(Build.Outcome)
}

/// Tells a push of layers as soon as they are made, those of the image only.
///
/// The locks hold which steps these are, and what is waited for.
final class EarlyLayers: Sendable {
    private let session: PushSession
    private let steps = Mutex<Set<Int>>([])
    /// Layers of the base that are sent when they are here, or at the end.
    private let waiting = Mutex<[Digest: Descriptor]>([:])

    init(_ session: PushSession) {
        self.session = session
    }

    /// Starts with the layers that the image has of its base.
    func begin(_ plan: Plan, _ bases: [BaseAction: BaseLayers], waitsFor: (Descriptor) -> Bool) {
        var (chain, next): (Set<Int>, Int?) = ([], plan.stages[plan.target].result)
        while let index = next, chain.insert(index).inserted {
            if case .base(let base) = plan.steps[index].action {
                for layer in bases[base]?.layers ?? [] {
                    if waitsFor(layer) {
                        waiting.withLock { $0[layer.digest] = layer }
                    } else {
                        session.add(layer)
                    }
                }
            }
            next = plan.steps[index].inputs.first
        }
        steps.withLock { $0 = chain }
    }

    /// Layers came that may have been waited for.
    func fetched(_ layers: [Descriptor]) {
        for layer in layers {
            if let waited = waiting.withLock({ $0.removeValue(forKey: layer.digest) }) { session.add(waited) }
        }
    }

    func take(_ event: BuildEvent) {
        switch event {
        case .cached(let step, let layer), .finished(let step, let layer, _):
            if steps.withLock({ $0.contains(step.index) }) { session.add(layer) }
        default: break
        }
    }
}
