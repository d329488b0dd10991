// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI

/// The blobs that the repositories of a store need.
///
/// A repository needs its manifests, what they name, and for a day also blobs that no manifest names: a push sends
/// blobs first.
struct RegistryMarks {
    /// Manifests, and what they name.
    private(set) var blobs: Set<Digest> = []
    /// Links that no manifest needs and that are old, relative to the store.
    private(set) var stale: Set<String> = []

    /// How long a link to a blob is kept for a manifest to come, in seconds.
    private static let patience: Int64 = 86400

    private let repositories: Repositories
    private let now: Int64

    init(_ store: ImageStore, now: Int64) throws(StoreError) {
        (repositories, self.now) = (Repositories(store), now)
        for name in repositories.names() { try add(name) }
    }

    private mutating func add(_ name: RepositoryName) throws(StoreError) {
        var needed: Set<BlobName> = []
        for record in try repositories.manifests(in: name) {
            let digest = record.descriptor.digest
            blobs.insert(digest)
            guard repositories.store.holds(digest) else { continue }
            let bytes = try repositories.store.read(digest)
            guard let json = try? JSONValue(parsing: bytes) else {
                throw StoreError("the manifest \(digest) of \(name) is not JSON: delete it from the registry")
            }
            for descriptor in [json["config"]].compactMap({ $0 }) + (json["layers"]?.array ?? []) {
                if let text = descriptor["digest"]?.string, let blob = try? BlobName(text) { needed.insert(blob) }
            }
        }
        for algorithm in ["sha256", "sha512"] {
            let place = "registry/\(name)/_blobs/\(algorithm)"
            for hex in DiskFile.names(in: repositories.store.root + "/" + place) {
                guard let blob = try? BlobName("\(algorithm):\(hex)") else { continue }
                if !needed.contains(blob), isOld("\(place)/\(hex)") {
                    stale.insert("\(place)/\(hex)")
                } else if let digest = try repositories.blob(blob, in: name) {
                    blobs.insert(digest)
                }
            }
        }
    }

    private func isOld(_ place: String) -> Bool {
        var status = stat()
        guard stat("\(repositories.store.root)/\(place)", &status) == 0 else { return false }
        return now - Int64(status.st_mtim.tv_sec) > RegistryMarks.patience
    }
}
