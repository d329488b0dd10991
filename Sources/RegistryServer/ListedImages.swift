// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Store
internal import Synchronization

/// The images of the store's own list as repositories, which can be read and not changed.
///
/// `docker.io/library/app:1` is `app:1` and `library/app:1`, and `HOST/team/app:1` is `team/app:1`; of two with one name
/// that of docker.io comes first, and then by host. A lock guards what was read of the list.
final class ListedImages: Sendable {
    private struct Image {
        let descriptor: Descriptor
        let domain: String
    }

    /// The list as it was in one version of the file.
    private struct Snapshot {
        var version: [Int64] = []
        var tags: [RepositoryName: [TagName: Image]] = [:]
        /// What the images of a repository need, once somebody asked.
        var marks: [RepositoryName: ImageMarks] = [:]
    }

    private let store: ImageStore
    private let isOn: Bool
    private let snapshot = Mutex(Snapshot())

    init(_ store: ImageStore, isOn: Bool) {
        (self.store, self.isOn) = (store, isOn)
    }

    func names() throws(StoreError) -> [RepositoryName] { try current().tags.keys.filter { !isAlias($0) } }

    /// `library/app` can be asked for, and is listed as `app`.
    private func isAlias(_ name: RepositoryName) -> Bool { name.description.hasPrefix("library/") }

    func has(_ repository: RepositoryName) -> Bool { (try? current().tags[repository]) != nil }

    func tags(of repository: RepositoryName) throws(StoreError) -> [String] {
        try current().tags[repository]?.keys.map(\.description) ?? []
    }

    func manifest(tagged tag: TagName, in repository: RepositoryName) throws(StoreError) -> ManifestRecord? {
        guard let image = try current().tags[repository]?[tag] else { return nil }
        return ListedImages.record(image.descriptor)
    }

    /// A manifest that an image of the repository is, or that its index names.
    func manifest(_ name: BlobName, in repository: RepositoryName) throws(StoreError) -> ManifestRecord? {
        guard let digest = name.sha256, try has(digest, in: repository) else { return nil }
        var open = try current().tags[repository]?.values.map(\.descriptor) ?? []
        var seen: Set<Digest> = []
        while let image = open.popLast() {
            guard seen.insert(image.digest).inserted else { continue }
            if image.digest == digest { return ListedImages.record(image) }
            guard image.mediaType.isIndex, store.holds(image.digest) else { continue }
            open += (try? ImageIndex(parsing: try store.read(image.digest)).manifests) ?? []
        }
        return nil
    }

    private static func record(_ image: Descriptor) -> ManifestRecord {
        ManifestRecord(Descriptor(mediaType: image.mediaType, digest: image.digest, size: image.size))
    }

    /// Whether an image of the repository needs a blob.
    func has(_ digest: Digest, in repository: RepositoryName) throws(StoreError) -> Bool {
        let now = try current()
        guard let images = now.tags[repository] else { return false }
        if let marks = now.marks[repository] { return marks.contains(digest) }
        let marks = try ImageMarks(images.values.map(\.descriptor), in: store)
        snapshot.withLock { if $0.version == now.version { $0.marks[repository] = marks } }
        return marks.contains(digest)
    }

    /// The list as it is now.
    private func current() throws(StoreError) -> Snapshot {
        guard isOn else { return Snapshot() }
        let version = fileVersion()
        let known = snapshot.withLock { $0 }
        if known.version == version { return known }
        var fresh = Snapshot()
        fresh.version = version
        for image in try store.images() {
            guard let text = image.annotations[ImageStore.nameAnnotation], let name = try? ImageReference(text),
                let tag = name.tag.flatMap({ try? TagName($0) })
            else { continue }
            var paths = [name.repository]
            if name.domain == "docker.io", name.repository.hasPrefix("library/") {
                paths.append(String(name.repository.dropFirst(8)))
            }
            for path in paths {
                guard let repository = try? RepositoryName(path) else { continue }
                let other = fresh.tags[repository]?[tag]
                guard other.map({ ListedImages.comes(name.domain, before: $0.domain) }) ?? true else { continue }
                fresh.tags[repository, default: [:]][tag] = Image(descriptor: image, domain: name.domain)
            }
        }
        snapshot.withLock { $0 = fresh }
        return fresh
    }

    private static func comes(_ domain: String, before other: String) -> Bool {
        domain == "docker.io" || (other != "docker.io" && domain < other)
    }

    /// The list is renamed into place, so another number is another list.
    private func fileVersion() -> [Int64] {
        var status = stat()
        guard stat(store.root + "/index.json", &status) == 0 else { return [] }
        return [
            Int64(status.st_ino), Int64(status.st_size), Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec),
        ]
    }
}
