// SPDX-License-Identifier: Apache-2.0
public import OCI

/// Moves an image from one place to another: whatever is there already stays where it is.
///
/// All blobs are asked for at once; those that are missing are moved in parallel, each once. A manifest follows when
/// everything that it names is there, an index after its manifests, names last.
public struct Transfer: Sendable {
    /// How many blobs are moved at the same time; asking for them is not counted.
    public var width = 6
    private let source: any BlobSource
    private let target: any ImageTarget
    private let events: @Sendable (TransferEvent) -> Void

    /// Prepares a transfer.
    ///
    /// - Parameters:
    ///   - source: Where the blobs are.
    ///   - target: Where the image goes.
    ///   - events: Is told what happens, from any thread.
    public init(
        from source: any BlobSource,
        to target: any ImageTarget,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) {
        (self.source, self.target, self.events) = (source, target, events)
    }

    /// Moves an image.
    ///
    /// - Parameter graph: The image.
    /// - Throws: The error of either place; then the image has no new name.
    public func run(_ graph: ImageGraph) async throws {
        events(.planned(blobs: graph.blobs.count, bytes: graph.size))
        try await run(graph, missing: graph.blobs)
    }

    /// Moves an image of which some blobs are known to be there.
    private func run(_ graph: ImageGraph, missing: [Descriptor]) async throws {
        try await move(missing)
        var tries = 0
        while true {
            do {
                return try await put(graph)
            } catch let error as RegistryError where error.saysThatPartsAreMissing && tries < 6 {
                // A registry in several regions may not know yet everywhere what it was sent (Azure/acr#588).
                events(.retrying("\(error.message): the registry does not know its own blobs yet"))
                try await Task.sleep(for: .milliseconds(500 << tries))
                tries += 1
                if tries > 2 { try await move(graph.blobs) }
            }
        }
    }

    private func put(_ graph: ImageGraph) async throws {
        for document in graph.documents {
            let isRoot = document.descriptor.digest == graph.root.digest
            try await target.put(document, isRoot: isRoot, events: events)
            events(.document(document.descriptor))
        }
    }

    /// Moves blobs that are missing.
    ///
    /// - Parameter blobs: The blobs, each once.
    /// - Throws: The first error of either place; the others are cancelled.
    public func move(_ blobs: [Descriptor]) async throws {
        let gate = Gate(width)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for blob in blobs {
                group.addTask { try await move(blob, gate) }
            }
            try await group.waitForAll()
        }
    }

    /// Moves a blob if it is missing.
    private func move(_ blob: Descriptor, _ gate: Gate) async throws {
        if try await target.holds(blob) { return events(.present(blob)) }
        try await gate.pass { try await target.take(blob, from: source, events: events) }
    }

    // MARK: Blobs before their image

    /// Moves blobs while the image that will name them is still being made, and then the image.
    ///
    /// An early blob that cannot be moved is no error yet: it is tried again with the image.
    ///
    /// - Parameters:
    ///   - make: Makes the image; it tells the session of every blob as soon as its source has it.
    ///   - graph: Reads the image that was made; `nil` where there is nothing to move.
    /// - Returns: What `make` returned.
    /// - Throws: What `make` throws; the error of either place.
    public func run<Result: Sendable>(
        making make: (PushSession) async throws -> Result,
        graph: (Result) async throws -> ImageGraph?
    ) async throws -> Result {
        let (early, session) = AsyncStream.makeStream(of: Descriptor.self)
        let gate = Gate(width)
        return try await withThrowingTaskGroup(of: [Digest].self) { group in
            group.addTask {
                await withTaskGroup(of: Digest?.self) { moves in
                    var seen: Set<Digest> = []
                    for await blob in early where seen.insert(blob.digest).inserted {
                        moves.addTask { (try? await move(blob, gate)).map { blob.digest } }
                    }
                    return await moves.reduce(into: []) { done, digest in if let digest { done.append(digest) } }
                }
            }
            let result: Result
            do {
                result = try await make(PushSession(blobs: session))
            } catch {
                session.finish()
                group.cancelAll()
                throw error
            }
            session.finish()
            guard let graph = try await graph(result) else {
                group.cancelAll()
                return result
            }
            events(.planned(blobs: graph.blobs.count, bytes: graph.size))
            let done = Set(try await group.next() ?? [])
            try await run(graph, missing: graph.blobs.filter { !done.contains($0.digest) })
            return result
        }
    }
}

extension RegistryError {
    /// Whether a manifest was refused as the registry does not have what it names.
    fileprivate var saysThatPartsAreMissing: Bool {
        codes.contains("MANIFEST_BLOB_UNKNOWN") || codes.contains("BLOB_UNKNOWN")
    }
}

/// Is told of blobs that an image will have, while it is still being made.
public struct PushSession: Sendable {
    /// What waits are names of blobs, of which an image has few.
    fileprivate let blobs: AsyncStream<Descriptor>.Continuation

    /// Starts moving a blob, unless that was done.
    ///
    /// - Parameter blob: The blob; the source has it.
    public func add(_ blob: Descriptor) { blobs.yield(blob) }
}

/// Lets so many tasks through at a time, in the order they come.
///
/// Protects the number of tasks inside, and those that wait. Who is cancelled while waiting ends when its turn comes,
/// which is soon, as those inside are cancelled with it.
actor Gate {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ width: Int) {
        free = max(1, width)
    }

    /// Does something when there is room.
    nonisolated func pass<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        await enter()
        do {
            try Task.checkCancellation()
            let result = try await body()
            await leave()
            return result
        } catch {
            await leave()
            throw error
        }
    }

    private func enter() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    private func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
