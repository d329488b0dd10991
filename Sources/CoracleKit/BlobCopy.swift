// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import OCI
internal import Store

/// A blob of a store on its way to a file of somebody else, hashed as it goes.
///
/// Nothing leaves the store under a digest that it does not have.
final class BlobCopy {
    private let blob: Descriptor
    private let store: ImageStore
    private let descriptor: Int32
    private var digest = SHA256.digest([])

    /// Opens a blob; one whose size is another is damaged.
    init(_ blob: Descriptor, from store: ImageStore) throws {
        (self.blob, self.store) = (blob, store)
        let path = store.path(of: blob.digest)
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError("opening \(path)", errno: errno) }
        guard store.has(blob) else { throw ExitReason.damaged(blob, in: store) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Writes the bytes; whether they were right is known afterwards.
    func write(to sink: any ByteSink) throws(ArchiveError) {
        let verified = VerifyingSink(sink)
        try verified.copy(descriptor: descriptor, size: blob.size, name: store.path(of: blob.digest))
        digest = verified.digest()
    }

    /// Refuses what was written where its digest is another.
    func check() throws(ExitReason) {
        guard digest == blob.digest else { throw ExitReason.damaged(blob, in: store) }
    }
}

extension ExitReason {
    /// Why a blob of a store is of no use.
    static func damaged(_ blob: Descriptor, in store: ImageStore) -> ExitReason {
        let isDocument = blob.mediaType.isIndex || blob.mediaType.isManifest
        let noun = isDocument ? "manifest" : blob.mediaType.description.contains("config") ? "blob" : "layer"
        return ExitReason(
            .step,
            "the \(noun) \(blob.digest) is damaged in the store \(store.root): its bytes have another digest",
            hint: "coracle build --no-cache writes a layer of a build anew, coracle pull IMAGE fetches one of a pulled "
                + "image again"
        )
    }

    /// Does something with blobs of a store; where that fails because one is damaged, says so.
    ///
    /// They are read for it only after a failure.
    static func blaming<Result>(
        _ blobs: @autoclosure () -> [Descriptor],
        in store: ImageStore,
        _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch {
            if let blob = firstDamaged(blobs(), in: store) { throw damaged(blob, in: store) }
            throw error
        }
    }

    /// The first blob that is here and is not what its digest says.
    static func firstDamaged(_ blobs: [Descriptor], in store: ImageStore) -> Descriptor? {
        blobs.first { store.holds($0.digest) && !store.isWhole($0) }
    }

    /// The blobs that are here and are not what their digests say.
    static func damaged(among blobs: [Descriptor], in store: ImageStore) -> [Descriptor] {
        blobs.filter { store.holds($0.digest) && !store.isWhole($0) }
    }
}
