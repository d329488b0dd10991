// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Dispatch
internal import Glibc
internal import OCI
internal import Registry
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
        let chunk = [UInt8](unsafeUninitializedCapacity: BlobChunks.largest) { buffer, initialized in
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

    func holds(_ blob: Descriptor) async throws -> Bool {
        guard store.has(blob) else { return false }
        if let origin { BlobOrigins(store).note(blob.digest, origin) }
        return true
    }

    func take(
        _ blob: Descriptor,
        from source: any BlobSource,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws {
        let ingest = try store.ingest()
        let count = MovedBytes(blob, events)
        var hash = SHA256()
        var size: Int64 = 0
        let chunks = try await source.open(blob, from: 0)
        for try await chunk in chunks {
            size += Int64(chunk.count)
            guard size <= blob.size else { break }
            if !chunks.isVerified { hash.update(chunk) }
            try StoreTarget.write(chunk, to: ingest)
            count.reach(size)
        }
        let digest = chunks.isVerified ? blob.digest : Digest(sha256: hash.finish())
        guard size == blob.size, digest == blob.digest else {
            throw ExitReason(
                .registry,
                "the blob \(blob.digest) came as \(size == blob.size ? "\(digest)" : "\(size) of \(blob.size) bytes")",
                hint: "it is damaged where it comes from: push it again from where it was made"
            )
        }
        try await StoreTarget.commit(ingest, digest)
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

    /// Waits for the disk where nobody else waits for the thread.
    private static func commit(_ ingest: Ingest, _ digest: Digest) async throws {
        nonisolated(unsafe) let ingest = ingest
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            DispatchQueue.global().async { continuation.resume(with: Result { try ingest.commit(digest) }) }
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

    /// The repositories of a registry that may have a blob, the latest first.
    func repositories(of digest: Digest, at registry: String) -> [Repository] {
        all(digest).filter { $0.registry == registry }
    }
}
