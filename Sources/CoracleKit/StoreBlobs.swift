// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Dispatch
internal import Glibc
internal import OCI
internal import Registry
internal import Rootfs
internal import Store

/// The blobs of an image layout on disk, our store or another's.
struct LayoutBlobs: BlobSource {
    let layout: ImageLayout

    func open(_ blob: Descriptor, from offset: Int64) async throws -> BlobChunks {
        let path = layout.path(of: blob.digest)
        let file = try OpenFile(path, offset: offset)
        return BlobChunks { try file.next() }
    }

    /// A manifest or index, verified.
    @Sendable func document(_ descriptor: Descriptor) async throws -> [UInt8] { try layout.read(descriptor.digest) }
}

/// A file that is read from one end to the other; it is closed with the last reference to it.
private final class OpenFile: Sendable {
    /// How much is read at once: every blob on its way holds a few of these.
    private static let piece = 256 << 10

    private let descriptor: Int32
    private let path: String

    init(_ path: String, offset: Int64) throws {
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        self.path = path
        guard descriptor >= 0 else { throw StoreError("opening \(path)", errno: errno) }
        guard offset == 0 || lseek(descriptor, Int(offset), SEEK_SET) == Int(offset) else {
            throw StoreError("reading \(path)", errno: errno)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func next() throws -> [UInt8]? {
        var count = 0
        let chunk = [UInt8](unsafeUninitializedCapacity: OpenFile.piece) { buffer, initialized in
            repeat { count = read(descriptor, buffer.baseAddress, buffer.count) } while count < 0 && errno == EINTR
            initialized = max(0, count)
        }
        guard count >= 0 else { throw StoreError("reading \(path)", errno: errno) }
        return count == 0 ? nil : chunk
    }
}

/// A store that images are brought into; the caller gives them their names.
struct StoreTarget: ImageTarget {
    let store: ImageStore
    /// Remembers where a blob is to be had; `nil` to remember nothing.
    var origin: Repository?
    /// Is told of blobs that are here and damaged, which are then taken anew; `nil` to look at sizes only.
    var onDamaged: (@Sendable (Descriptor) -> Void)?

    func holds(_ blob: Descriptor) async throws -> Bool {
        guard store.has(blob) else { return false }
        if let onDamaged, await !StoreTarget.isWhole(blob, in: store) {
            onDamaged(blob)
            return false
        }
        if let origin { BlobOrigins(store).note(blob.digest, origin) }
        return true
    }

    func take(
        _ blob: Descriptor,
        from source: any BlobSource,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws {
        // A killed pull is gone on with; so is one that the network ended.
        if blob.size >= StoreTarget.leastToKeep, let rest = try store.ingest(continuing: blob) {
            if rest.start > 0 {
                events(.note("\(blob.digest.short) goes on after \(ByteCount.text(rest.start)) that are here"))
            }
            do {
                return try await fill(rest, blob, from: source, events)
            } catch is WrongBytes where rest.start > 0 {
                events(
                    .retrying("\(blob.digest.short) has another digest than what is here: it is fetched from its begin")
                )
            } catch let error as WrongBytes {
                throw error.reason
            } catch let error as StoreError {
                // A disk that is full should not stay so.
                rest.discard()
                throw error
            }
        }
        do {
            try await fill(store.ingest(), blob, from: source, events)
        } catch let error as WrongBytes {
            throw error.reason
        }
    }

    /// Smaller blobs come faster than what is here of them could be looked at.
    private static let leastToKeep: Int64 = 1 << 20

    /// What came is another blob.
    private struct WrongBytes: Error {
        let reason: ExitReason
    }

    private func fill(
        _ ingest: Ingest,
        _ blob: Descriptor,
        from source: any BlobSource,
        _ events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws {
        let count = MovedBytes(blob, from: ingest.start, events)
        let hash = RunningHash()
        try await StoreTarget.add(ingest, to: hash)
        var size = ingest.start
        let chunks = try await source.open(blob, from: ingest.start)
        for try await chunk in chunks {
            size += Int64(chunk.count)
            guard size <= blob.size else { break }
            if !chunks.isVerified { hash.add(chunk) }
            try StoreTarget.write(chunk, to: ingest)
            count.reach(size)
        }
        let digest = chunks.isVerified ? blob.digest : hash.finish()
        guard size == blob.size, digest == blob.digest else {
            ingest.discard()
            throw WrongBytes(
                reason: ExitReason(
                    .registry,
                    "the blob \(blob.digest) came as "
                        + (size == blob.size ? "\(digest)" : "\(size) of \(blob.size) bytes"),
                    hint: "it is damaged where it comes from: push it again from where it was made"
                )
            )
        }
        let isMended = store.holds(blob.digest)
        try await StoreTarget.commit(ingest, digest)
        // What was learnt of other bytes is not true of these.
        if isMended { LayerIndex.forget(blob.digest, in: store) }
        if let origin { BlobOrigins(store).note(blob.digest, origin) }
        events(.finished(blob))
    }

    func put(
        _ document: ManifestDocument,
        isRoot: Bool,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws {
        _ = try store.put(document.bytes, document.descriptor.mediaType)
    }

    private static func write(_ chunk: [UInt8], to ingest: Ingest) throws {
        var rest = chunk[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(ingest.descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw StoreError("writing \(ingest.path)", errno: errno) }
            rest = rest.dropFirst(count)
        }
    }

    /// Hashes what is there already.
    private static func add(_ ingest: Ingest, to hash: RunningHash) async throws {
        guard ingest.start > 0 else { return }
        let (descriptor, path, end) = (ingest.descriptor, ingest.path, ingest.start)
        nonisolated(unsafe) let hash = hash
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            reading.async { continuation.resume(with: Result { try hash.add(descriptor, path, upTo: end) }) }
        }
    }

    /// Reads a blob where nobody else waits for the thread.
    private static func isWhole(_ blob: Descriptor, in store: ImageStore) async -> Bool {
        await withCheckedContinuation { continuation in
            reading.async { continuation.resume(returning: store.isWhole(blob)) }
        }
    }

    /// One blob after the other: disks like that best, and hashing is faster than most.
    private static let reading = DispatchQueue(label: "coracle.store.verify")

    /// Waits for the disk where nobody else waits for the thread.
    private static func commit(_ ingest: Ingest, _ digest: Digest) async throws {
        nonisolated(unsafe) let ingest = ingest
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            DispatchQueue.global().async { continuation.resume(with: Result { try ingest.commit(digest) }) }
        }
    }
}

/// A digest in the making of what a blob has so far; one thread at a time.
private final class RunningHash {
    private var hash = SHA256()

    func add(_ chunk: [UInt8]) { hash.update(chunk) }

    func finish() -> Digest { Digest(sha256: hash.finish()) }

    /// Adds the beginning of an open file.
    func add(_ descriptor: Int32, _ path: String, upTo end: Int64) throws {
        var (buffer, offset) = ([UInt8](repeating: 0, count: 1 << 20), Int64(0))
        while offset < end {
            let count = buffer.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress, Int(min(Int64($0.count), end - offset)), off_t(offset))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw StoreError("reading \(path)", errno: errno) }
            buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += Int64(count)
        }
    }
}

/// Remembers which repositories a blob is in, so that a push can have the registry mount it.
///
/// It stands beside what is known of layers, and goes when the blob goes.
struct BlobOrigins {
    private let store: ImageStore
    /// No blob is in more places that anyone wants to ask for.
    private static let most = 8

    init(_ store: ImageStore) {
        self.store = store
    }

    private func path(_ digest: Digest) -> String { "\(store.root)/layers/\(digest.hex).origin" }

    private func lines(_ digest: Digest) -> [String] {
        let bytes = (try? DiskFile.read(path(digest), limit: 64 << 10)) ?? nil
        return String(decoding: bytes ?? [], as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// Remembers a place; one that cannot be remembered costs some bytes later, and is no error.
    func note(_ digest: Digest, _ repository: Repository) {
        var lines = lines(digest)
        guard lines.first != repository.description else { return }
        lines.removeAll { $0 == repository.description }
        lines.insert(repository.description, at: 0)
        let text = lines.prefix(BlobOrigins.most).joined(separator: "\n") + "\n"
        try? DiskFile.write(Array(text.utf8), to: path(digest), isSynced: false)
    }

    /// The repositories that have a blob, the latest first.
    func all(_ digest: Digest) -> [Repository] {
        lines(digest).compactMap { try? ImageReference($0) }.map { Repository($0) }
    }

    /// Up to three repositories that a repository may mount a blob from: those given, then the latest.
    func mounts(_ digest: Digest, into place: Repository, from first: [Repository]) -> [Repository] {
        let known = repositories(of: digest, at: place.registry)
        let others = first + known.filter { !first.contains($0) }
        return Array(others.filter { $0 != place && $0.registry == place.registry }.prefix(3))
    }

    /// The repositories of a registry that may have a blob, the latest first.
    func repositories(of digest: Digest, at registry: String) -> [Repository] {
        all(digest).filter { $0.registry == registry }
    }
}

extension TransferEvent {
    /// A blob of the store is damaged, and comes again.
    static func damaged(_ blob: Descriptor) -> TransferEvent {
        .warning("\(blob.digest.short) is damaged in the store: its bytes have another digest; it is fetched again")
    }
}
