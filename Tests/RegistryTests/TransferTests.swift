// SPDX-License-Identifier: Apache-2.0
import OCI
import Registry
import Synchronization
import TestSupport
import Testing

/// The order in which an image moves, and what is tried again.
@Suite(.inTurns) struct TransferTests {
    /// A place that writes down what comes; the lock holds that.
    private final class Place: ImageTarget, BlobSource {
        struct State {
            var taken: [Digest] = []
            var documents: [Digest] = []
            var running = 0
            var most = 0
            var refusals = 0
            var failures = 0
        }

        let state: Mutex<State>
        let known: Set<Digest>

        init(known: Set<Digest> = [], refusals: Int = 0, failures: Int = 0) {
            self.known = known
            state = Mutex(State(refusals: refusals, failures: failures))
        }

        func open(_ blob: Descriptor, from offset: Int64) async throws -> BlobChunks { BlobChunks { nil } }

        func holds(_ blob: Descriptor) async throws -> Bool {
            known.contains(blob.digest) || state.withLock { $0.taken.contains(blob.digest) }
        }

        func take(
            _ blob: Descriptor,
            from source: any BlobSource,
            events: @escaping @Sendable (TransferEvent) -> Void
        ) async throws {
            let fails = state.withLock { state in
                state.running += 1
                state.most = max(state.most, state.running)
                state.failures -= 1
                return state.failures >= 0
            }
            for _ in 0..<20 { await Task.yield() }
            state.withLock { $0.running -= 1 }
            if fails { throw RegistryError(.server, "the first ones fail") }
            state.withLock { $0.taken.append(blob.digest) }
        }

        func put(
            _ document: ManifestDocument,
            isRoot: Bool,
            events: @escaping @Sendable (TransferEvent) -> Void
        ) async throws {
            try state.withLock { state in
                state.refusals -= 1
                if state.refusals >= 0 {
                    throw RegistryError(.invalid, "put", codes: ["MANIFEST_BLOB_UNKNOWN"])
                }
                state.documents.append(document.descriptor.digest)
            }
        }
    }

    private static func digest(_ number: Int) throws -> Digest {
        let text = String(number)
        return try Digest("sha256:" + String(repeating: "0", count: 64 - text.utf8.count) + text)
    }

    private static func blob(_ number: Int) throws -> Descriptor {
        Descriptor(mediaType: .layerGzip, digest: try digest(number), size: 1)
    }

    /// An index of two images that have a layer in common.
    private static func graph() async throws -> ImageGraph {
        var documents: [Digest: [UInt8]] = [:]
        var parts: [Descriptor] = []
        for number in 0..<2 {
            let config = Descriptor(mediaType: .config, digest: try digest(10 + number), size: 1)
            let layers = try [1, 2 + number, 4 + number].map { try blob($0) }
            let bytes = Manifest(config: config, layers: layers).document
            let name = try digest(100 + number)
            documents[name] = bytes
            var part = Descriptor(mediaType: .manifest, digest: name, size: Int64(bytes.count))
            part.platform = try Platform(number == 0 ? "linux/amd64" : "linux/arm64")
            parts.append(part)
        }
        let root = Descriptor(mediaType: .index, digest: try digest(200), size: 1)
        documents[root.digest] = ImageIndex(manifests: parts).document
        let all = documents
        return try await ImageGraph(root, .everything, name: "test") { all[$0.digest] ?? [] }
    }

    @Test(arguments: [1, 2, 6])
    func blobsMoveOnceAndManifestsFollow(width: Int) async throws {
        let graph = try await Self.graph()
        let place = Place(known: [try Self.digest(2)])
        var transfer = Transfer(from: place, to: place) { _ in }
        transfer.width = width

        try await transfer.run(graph)

        #expect(graph.blobs.count == 7)
        let state = place.state.withLock { $0 }
        #expect(state.taken.count == 6 && Set(state.taken).count == 6)
        #expect(state.documents.count == 3 && state.documents.last == graph.root.digest, "the index comes last")
        #expect(state.most <= width)
    }

    @Test func aPlatformIsOneManifest() async throws {
        let graph = try await Self.graph()
        let documents = Dictionary(uniqueKeysWithValues: graph.documents.map { ($0.descriptor.digest, $0.bytes) })
        let read: @Sendable (Descriptor) async throws -> [UInt8] = { documents[$0.digest] ?? [] }
        let arm = try await ImageGraph(graph.root, .platform(Platform("linux/arm64")), name: "test", read: read)
        #expect(arm.root.digest == (try Self.digest(101)) && arm.blobs.count == 4 && arm.documents.count == 1)
        let error = await #expect(throws: RegistryError.self) {
            try await ImageGraph(graph.root, .platform(Platform("linux/s390x")), name: "test", read: read)
        }
        #expect(error?.kind == .wrongPlatform)
        #expect(error?.message == "the image test is not made for linux/s390x; it is for linux/amd64, linux/arm64")
    }

    @Test func aRegistryThatDoesNotKnowItsBlobsYetIsAskedAgain() async throws {
        let graph = try await Self.graph()
        let place = Place(refusals: 2)
        let retries = Mutex(0)
        try await Transfer(from: place, to: place) { event in
            if case .retrying = event { retries.withLock { $0 += 1 } }
        }
        .run(graph)
        #expect(retries.withLock { $0 } == 2)
        #expect(place.state.withLock { $0.documents.last } == graph.root.digest)
    }

    @Test func blobsMoveWhileTheirImageIsMade() async throws {
        let graph = try await Self.graph()
        // The first blob fails while the image is made, and moves with it.
        let place = Place(failures: 1)
        let early = graph.blobs.prefix(3)

        let result = try await Transfer(from: place, to: place) { _ in }
            .run(
                making: { session in
                    for blob in early + early { session.add(blob) }
                    // Some are there before the image is.
                    while place.state.withLock({ $0.taken.isEmpty }) { await Task.yield() }
                    #expect(place.state.withLock { $0.documents.isEmpty })
                    return "made"
                },
                graph: { _ in graph }
            )

        #expect(result == "made")
        let taken = place.state.withLock { $0.taken }
        #expect(taken.count == 7 && Set(taken).count == 7)
        #expect(place.state.withLock { $0.documents.count } == 3)
    }

    @Test func whatCannotBeMadeLeavesNoManifest() async throws {
        let graph = try await Self.graph()
        let place = Place()
        await #expect(throws: RegistryError.self) {
            try await Transfer(from: place, to: place) { _ in }
                .run(
                    making: { session -> Int in
                        for blob in graph.blobs { session.add(blob) }
                        throw RegistryError(.invalid, "the build failed")
                    },
                    graph: { _ in graph }
                )
        }
        #expect(place.state.withLock { $0.documents.isEmpty })
    }
}
