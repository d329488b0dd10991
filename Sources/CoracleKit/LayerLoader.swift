// SPDX-License-Identifier: Apache-2.0
internal import Builder
internal import Dispatch
internal import OCI
internal import Registry
internal import Rootfs
internal import Store
internal import Synchronization

/// Brings layers from registries while a build runs, only those that a step looks into.
///
/// The builder blocks on a thread of its own and waits for an answer; a task beside it fetches. The locks hold what is
/// known of layers that are not here, and what was fetched.
final class LayerLoader: Sendable {
    /// What the builder waits for.
    private final class Request: Sendable {
        let layers: [Descriptor]
        /// Whether they are here, and damaged.
        let isForDamage: Bool
        let done = DispatchSemaphore(value: 0)
        let fault = Mutex<(any Error)?>(nil)

        init(_ layers: [Descriptor], isForDamage: Bool = false) {
            (self.layers, self.isForDamage) = (layers, isForDamage)
        }
    }

    private let store: ImageStore
    private let requests: AsyncStream<Request>.Continuation
    /// Layers that were not looked at yet, and what they must hold before compression.
    private let told = Mutex<[Digest: (layer: Descriptor, diffID: Digest)]>([:])
    /// Why layers could not be brought; a step that wanted them says it in its own words.
    private let failed = Mutex<(any Error)?>(nil)

    private init(_ store: ImageStore, _ requests: AsyncStream<Request>.Continuation) {
        (self.store, self.requests) = (store, requests)
    }

    /// Does something that layers may be wanted for.
    static func run<Result: Sendable>(
        _ store: ImageStore,
        _ remote: RemoteImages,
        events: @escaping @Sendable (TransferEvent) -> Void,
        _ body: (LayerLoader) async throws -> Result
    ) async throws -> Result {
        // One request after the other: what two steps want is fetched once.
        let (stream, requests) = AsyncStream.makeStream(of: Request.self)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await request in stream {
                    do {
                        if request.isForDamage {
                            try await remote.mend(request.layers, events: events)
                        } else {
                            try await remote.fetch(request.layers, events: events)
                        }
                    } catch {
                        request.fault.withLock { $0 = error }
                    }
                    request.done.signal()
                }
            }
            defer { requests.finish() }
            return try await body(LayerLoader(store, requests))
        }
    }

    /// Says that a layer is here or can be had, and what it must hold before compression.
    func know(_ layer: Descriptor, _ diffID: Digest) { told.withLock { $0[layer.digest] = (layer, diffID) } }

    /// Whether a layer can be had.
    @Sendable func isElsewhere(_ layer: Descriptor) -> Bool { told.withLock { $0[layer.digest] != nil } }

    /// Has a build ask here for layers; lazily, a cached layer is not brought before a step looks into it.
    func serve(_ sources: inout BuildSources, isLazy: Bool, _ early: EarlyLayers?) {
        sources.bring = bring
        sources.mend = mend
        sources.isElsewhere = { [self] layer in
            guard isElsewhere(layer) else { return false }
            // A cached layer that cannot be had is no reason to fail: its step is done again.
            return isLazy || (try? bring(layer)) != nil
        }
        sources.fetch = { [self] layers in
            try fetch(layers)
            early?.fetched(layers)
        }
    }

    /// Why a layer could not be brought, where that was so.
    var failure: (any Error)? { failed.withLock { $0 } }

    /// Brings layers here that are known to be elsewhere, and waits until they are here.
    @Sendable func fetch(_ layers: [Descriptor]) throws {
        let missing = layers.filter { isElsewhere($0) && !store.has($0) }
        guard !missing.isEmpty else { return }
        try ask(Request(missing))
    }

    /// Waits for an answer.
    private func ask(_ request: Request) throws {
        requests.yield(request)
        request.done.wait()
        guard let fault = request.fault.withLock({ $0 }) else { return }
        let reason = ExitReason.of(fault)
        failed.withLock { $0 = reason }
        throw reason
    }

    /// Brings layers again whose bytes are not those of their digests; whether there were any.
    @Sendable func mend(_ layers: [Descriptor]) throws -> Bool {
        let damaged = ExitReason.damaged(among: layers, in: store)
        guard !damaged.isEmpty else { return false }
        try ask(Request(damaged, isForDamage: true))
        return true
    }

    /// Brings a layer here and verifies what it holds; waits until it is here.
    @Sendable func bring(_ layer: Descriptor) throws {
        guard let diffID = told.withLock({ $0[layer.digest]?.diffID }) else { return }
        try fetch([layer])
        let found = try LayerIndex.diffID(of: layer, in: store)
        guard found == diffID else {
            throw ExitReason(
                .registry,
                "the layer \(layer.digest.short) should hold \(diffID.short), and it holds \(found.short)",
                hint: "the image or cache it comes from is damaged or was tampered with"
            )
        }
        told.withLock { $0[layer.digest] = nil }
    }

    /// Verifies the layers that are here and that no step looked into.
    func verifyRest() throws {
        for (layer, _) in told.withLock({ Array($0.values) }) where store.has(layer) {
            do {
                try bring(layer)
            } catch {
                guard try mend([layer]) else { throw error }
                try bring(layer)
            }
        }
    }
}
