// SPDX-License-Identifier: Apache-2.0
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
        let layer: Descriptor
        let done = DispatchSemaphore(value: 0)
        let fault = Mutex<(any Error)?>(nil)

        init(_ layer: Descriptor) {
            self.layer = layer
        }
    }

    private let store: ImageStore
    private let requests: AsyncStream<Request>.Continuation
    /// Layers that were not looked at yet, and what they must hold before compression.
    private let told = Mutex<[Digest: (layer: Descriptor, diffID: Digest)]>([:])

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
        // The builder asks for one layer at a time, so that nothing piles up.
        let (stream, requests) = AsyncStream.makeStream(of: Request.self)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await request in stream {
                    do {
                        try await remote.fetch([request.layer], events: events)
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

    /// Brings a layer here and verifies what it holds; waits until it is here.
    @Sendable func bring(_ layer: Descriptor) throws {
        guard let diffID = told.withLock({ $0[layer.digest]?.diffID }) else { return }
        if !store.has(layer) {
            let request = Request(layer)
            requests.yield(request)
            request.done.wait()
            if let fault = request.fault.withLock({ $0 }) { throw ExitReason.of(fault) }
        }
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
        for (layer, _) in told.withLock({ Array($0.values) }) where store.has(layer) { try bring(layer) }
    }
}
