// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import OCI
internal import Synchronization

/// Reads a blob for an upload in chunks, as far as that goes in one pass over its source.
///
/// A source that is a registry is so asked once, and verifies what it gives. After a failure nobody knows where the pass
/// is, so another is begun. The lock protects the pass that the next chunk may go on with.
final class SourcePass: Sendable {
    private let source: any BlobSource
    private let blob: Descriptor
    private let kept = Mutex<SourceCursor?>(nil)

    init(_ source: any BlobSource, _ blob: Descriptor) {
        (self.source, self.blob) = (source, blob)
    }

    /// The pass, at an offset.
    func cursor(at offset: Int64) async throws -> SourceCursor {
        let found = kept.withLock { kept in
            defer { kept = nil }
            return kept
        }
        if let found, found.offset == offset { return found }
        return SourceCursor(try await source.open(blob, from: offset), blob, offset)
    }

    /// Refuses a source whose bytes are not those of the blob; reads all of them.
    func verify() async throws {
        var hash = SHA256()
        let chunks = try await source.open(blob, from: 0)
        while let chunk = try await chunks.next() { hash.update(chunk) }
        let found = Digest(sha256: hash.finish())
        guard found != blob.digest else { return }
        throw RegistryError(
            .damagedSource,
            "blob \(blob.digest) is damaged where it is read from: its bytes have the digest \(found)",
            hint: "build or pull the image again"
        )
    }

    /// Keeps a pass for the next chunk.
    func keep(_ cursor: SourceCursor) {
        kept.withLock { $0 = cursor }
    }
}

/// A place in a blob.
final class SourceCursor: @unchecked Sendable {
    // SAFETY: one request's body reads it at a time; SourcePass gives it away before it is used, and only afterwards again.
    /// What is on its way is copied once or twice more before the socket has it: large pieces cost memory and no time.
    private static let piece: Int64 = 256 << 10

    private let chunks: BlobChunks
    private let blob: Descriptor
    private var rest: ArraySlice<UInt8> = []
    /// The next byte.
    private(set) var offset: Int64

    init(_ chunks: BlobChunks, _ blob: Descriptor, _ offset: Int64) {
        (self.chunks, self.blob, self.offset) = (chunks, blob, offset)
    }

    /// The next bytes that lie before an end; `nil` there.
    func next(before end: Int64) async throws -> [UInt8]? {
        guard offset < end else { return nil }
        if rest.isEmpty {
            guard let chunk = try await chunks.next() else {
                throw RegistryError(
                    .damagedSource,
                    "blob \(blob.digest): its source ends after \(offset) of \(blob.size) bytes"
                )
            }
            rest = chunk[...]
        }
        let count = Int(clamping: min(end - offset, SourceCursor.piece))
        // A small chunk goes on as it is; of nothing is more held than what is on its way.
        let chunk = Array(rest.prefix(count))
        rest = rest.count > count ? rest.dropFirst(count) : []
        offset += Int64(chunk.count)
        return chunk
    }
}
