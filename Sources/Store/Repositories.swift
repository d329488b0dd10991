// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import OCI

/// What a registry over a store knows beside the blobs: which repository has which blobs, manifests and tags.
///
/// Each fact is one small file below `registry/NAME` in the store, so that processes share it and a crash loses at most
/// what was in flight: `_blobs/ALGORITHM/HEX`, `_manifests/ALGORITHM/HEX`, `_tags/TAG`, `_referrers/SUBJECT/HEX` and
/// `_uploads/ID`. No component of a name begins with `_`. docs/formats.md has what is in them.
public struct Repositories: Sendable {
    /// The store that the blobs are in.
    public let store: ImageStore
    let root: String

    /// The repositories of a store.
    ///
    /// - Parameter store: The store.
    public init(_ store: ImageStore) {
        self.store = store
        root = store.root + "/registry"
    }

    // MARK: Names

    /// Every repository that something was pushed to.
    ///
    /// - Returns: The names, sorted.
    public func names() -> [RepositoryName] {
        var found: [RepositoryName] = []
        walk("", &found)
        return found.sorted()
    }

    private func walk(_ prefix: String, _ found: inout [RepositoryName]) {
        for name in DiskFile.names(in: root + "/" + prefix) where !name.hasPrefix("_") {
            let below = prefix.isEmpty ? name : prefix + "/" + name
            if let repository = try? RepositoryName(below), exists(repository) { found.append(repository) }
            walk(below, &found)
        }
    }

    /// Whether anything was pushed to a repository.
    ///
    /// - Parameter name: The repository.
    /// - Returns: Whether it is there.
    public func exists(_ name: RepositoryName) -> Bool {
        access(folder(name) + "/_blobs", F_OK) == 0 || access(folder(name) + "/_manifests", F_OK) == 0
    }

    func folder(_ name: RepositoryName) -> String { "\(root)/\(name)" }

    // MARK: Blobs

    /// The blob that a repository has under a name.
    ///
    /// - Parameters:
    ///   - name: The digest, as a client gave it.
    ///   - repository: The repository.
    /// - Returns: The blob's name in the store, which need not have it; `nil` where the repository has none.
    /// - Throws: ``StoreError`` where the disk fails.
    public func blob(_ name: BlobName, in repository: RepositoryName) throws(StoreError) -> Digest? {
        try Repositories.target(of: name, at: path(name, "_blobs", repository))
    }

    /// Says that a repository has a blob.
    ///
    /// - Parameters:
    ///   - digest: The blob, which is in the store.
    ///   - name: The digest by which clients ask for it.
    ///   - repository: The repository.
    /// - Throws: ``StoreError`` where the disk fails.
    public func link(_ digest: Digest, as name: BlobName, in repository: RepositoryName) throws(StoreError) {
        let path = path(name, "_blobs", repository)
        let text = name.algorithm == .sha256 ? "" : digest.description
        // Its age says whether a push may still be coming to what needs it.
        if access(path, F_OK) == 0, utimensat(AT_FDCWD, path, nil, 0) == 0 { return }
        try write(Array(text.utf8), to: path)
    }

    /// Says that a push may be coming to what needs a blob.
    ///
    /// - Parameters:
    ///   - name: The digest.
    ///   - repository: The repository.
    public func expect(_ name: BlobName, in repository: RepositoryName) {
        _ = utimensat(AT_FDCWD, path(name, "_blobs", repository), nil, 0)
    }

    /// Takes a blob from a repository; the store keeps it until it is collected.
    ///
    /// - Parameters:
    ///   - name: The digest.
    ///   - repository: The repository.
    /// - Returns: Whether it had one.
    public func unlink(_ name: BlobName, in repository: RepositoryName) -> Bool {
        Glibc.unlink(path(name, "_blobs", repository)) == 0
    }

    private func path(_ name: BlobName, _ kind: String, _ repository: RepositoryName) -> String {
        "\(folder(repository))/\(kind)/\(name.algorithm.rawValue)/\(name.hex)"
    }

    /// What a link leads to: a link by SHA-256 is what it says.
    private static func target(of name: BlobName, at path: String) throws(StoreError) -> Digest? {
        if let digest = name.sha256 { return access(path, F_OK) == 0 ? digest : nil }
        guard let bytes = try DiskFile.read(path, limit: 1024) else { return nil }
        return try? Digest(String(decoding: bytes, as: UTF8.self))
    }

    /// Writes a file as a whole, and the folders it is in.
    private func write(_ bytes: [UInt8], to path: String) throws(StoreError) {
        let file = try store.ingest()
        let count = bytes.withUnsafeBytes { Glibc.write(file.descriptor, $0.baseAddress, $0.count) }
        guard count == bytes.count, bytes.isEmpty || fsync(file.descriptor) == 0 else {
            throw StoreError("writing \(path)", errno: errno)
        }
        if rename(file.path, path) == 0 { return file.leave() }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/") else {
            throw StoreError("writing \(path)", errno: errno)
        }
        try DiskFile.makeFolder(String(path[..<slash]))
        try file.move(to: path)
    }

    // MARK: Manifests

    /// The manifest that a repository has under a digest.
    ///
    /// - Parameters:
    ///   - name: The digest, as a client gave it.
    ///   - repository: The repository.
    /// - Returns: What is known of it; `nil` where there is none.
    /// - Throws: ``StoreError`` where the disk fails, or the record is damaged.
    public func manifest(_ name: BlobName, in repository: RepositoryName) throws(StoreError) -> ManifestRecord? {
        var path = path(name, "_manifests", repository)
        if name.sha256 == nil {
            guard let digest = try Repositories.target(of: name, at: path) else { return nil }
            path = self.path(BlobName(digest), "_manifests", repository)
        }
        guard let bytes = try DiskFile.read(path, limit: 8 << 20) else { return nil }
        do {
            return try ManifestRecord(json: try JSONValue(parsing: bytes))
        } catch {
            throw StoreError("\(path): \(error.message); push the manifest again")
        }
    }

    /// All manifests of a repository.
    ///
    /// - Parameter repository: The repository.
    /// - Returns: What is known of each, in the order of their digests.
    /// - Throws: ``StoreError`` where the disk fails, or a record is damaged.
    public func manifests(in repository: RepositoryName) throws(StoreError) -> [ManifestRecord] {
        var records: [ManifestRecord] = []
        for hex in DiskFile.names(in: folder(repository) + "/_manifests/sha256") {
            guard let name = try? BlobName("sha256:" + hex) else { continue }
            if let record = try manifest(name, in: repository) { records.append(record) }
        }
        return records
    }

    /// Adds a manifest to a repository, with tags; its bytes and all that it needs are in the store.
    ///
    /// - Parameters:
    ///   - record: What is known of it.
    ///   - name: The digest by which clients ask for it.
    ///   - tags: Tags that are its from now on; may be none.
    ///   - repository: The repository.
    /// - Throws: ``StoreError`` where the disk fails; then some of the tags may be set.
    public func add(
        _ record: ManifestRecord,
        as name: BlobName,
        tags: [TagName],
        in repository: RepositoryName
    ) throws(StoreError) {
        let digest = record.descriptor.digest
        let lock = try FileLock(store.root + "/locks/registry", isShared: true)
        defer { withExtendedLifetime(lock) {} }
        if let subject = record.subject {
            try write([], to: "\(referrers(of: subject, repository))/\(digest.hex)")
        }
        try write(Array(record.json.canonical.utf8), to: path(BlobName(digest), "_manifests", repository))
        if name.sha256 == nil {
            try write(Array(digest.description.utf8), to: path(name, "_manifests", repository))
        }
        for tag in tags {
            try write(Array(name.description.utf8), to: "\(folder(repository))/_tags/\(tag)")
        }
    }

    /// Removes a manifest and its tags from a repository.
    ///
    /// - Parameters:
    ///   - record: The manifest.
    ///   - repository: The repository.
    /// - Throws: ``StoreError`` where the disk fails.
    public func remove(_ record: ManifestRecord, in repository: RepositoryName) throws(StoreError) {
        let digest = record.descriptor.digest
        let lock = try FileLock(store.root + "/locks/registry")
        defer { withExtendedLifetime(lock) {} }
        Glibc.unlink(path(BlobName(digest), "_manifests", repository))
        for tag in tagNames(in: repository) where try target(of: tag, in: repository) == digest {
            _ = removeTag(tag, in: repository)
        }
        if let subject = record.subject { Glibc.unlink("\(referrers(of: subject, repository))/\(digest.hex)") }
    }

    private func referrers(of subject: BlobName, _ repository: RepositoryName) -> String {
        "\(folder(repository))/_referrers/\(subject.algorithm.rawValue)-\(subject.hex)"
    }

    /// The manifests whose subject is another.
    ///
    /// - Parameters:
    ///   - subject: The digest of the other, which need not be there.
    ///   - repository: The repository of both.
    /// - Returns: What is known of each, in the order of their digests; may be empty.
    /// - Throws: ``StoreError`` where the disk fails, or a record is damaged.
    public func referrers(to subject: BlobName, in repository: RepositoryName) throws(StoreError) -> [ManifestRecord] {
        var records: [ManifestRecord] = []
        for hex in DiskFile.names(in: referrers(of: subject, repository)) {
            guard let name = try? BlobName("sha256:" + hex) else { continue }
            if let record = try manifest(name, in: repository), record.subject == subject { records.append(record) }
        }
        return records
    }

    // MARK: Tags

    /// The manifest of a tag.
    ///
    /// - Parameters:
    ///   - tag: The tag.
    ///   - repository: The repository.
    /// - Returns: What is known of it; `nil` where there is none.
    /// - Throws: ``StoreError`` where the disk fails, or the record is damaged.
    public func manifest(tagged tag: TagName, in repository: RepositoryName) throws(StoreError) -> ManifestRecord? {
        guard let digest = try target(of: tag, in: repository) else { return nil }
        return try manifest(BlobName(digest), in: repository)
    }

    /// The tags of a repository.
    ///
    /// - Parameter repository: The repository.
    /// - Returns: The tags, in no particular order.
    public func tags(in repository: RepositoryName) -> [TagName] {
        tagNames(in: repository)
            .filter { tag in
                guard let digest = try? target(of: tag, in: repository) else { return false }
                return access(path(BlobName(digest), "_manifests", repository), F_OK) == 0
            }
    }

    private func tagNames(in repository: RepositoryName) -> [TagName] {
        DiskFile.names(in: folder(repository) + "/_tags").compactMap { try? TagName($0) }
    }

    /// The digest of a tag's manifest, by the algorithm that it was pushed with.
    ///
    /// - Parameters:
    ///   - tag: The tag.
    ///   - repository: The repository.
    /// - Returns: The digest; `nil` where there is no such tag.
    /// - Throws: ``StoreError`` where the disk fails.
    public func name(of tag: TagName, in repository: RepositoryName) throws(StoreError) -> BlobName? {
        guard let bytes = try DiskFile.read("\(folder(repository))/_tags/\(tag)", limit: 1024) else { return nil }
        return try? BlobName(String(decoding: bytes, as: UTF8.self))
    }

    private func target(of tag: TagName, in repository: RepositoryName) throws(StoreError) -> Digest? {
        guard let name = try name(of: tag, in: repository) else { return nil }
        if let digest = name.sha256 { return digest }
        return try Repositories.target(of: name, at: path(name, "_manifests", repository))
    }

    /// Takes a tag away; the manifest stays.
    ///
    /// - Parameters:
    ///   - tag: The tag.
    ///   - repository: The repository.
    /// - Returns: Whether there was one.
    public func removeTag(_ tag: TagName, in repository: RepositoryName) -> Bool {
        Glibc.unlink("\(folder(repository))/_tags/\(tag)") == 0
    }

    // MARK: Uploads

    /// Starts an upload.
    ///
    /// - Parameters:
    ///   - id: Its name: letters, digits and dashes.
    ///   - repository: Where the blob will be.
    /// - Returns: The upload, without bytes.
    /// - Throws: ``StoreError`` where the disk fails.
    public func startUpload(_ id: String, in repository: RepositoryName) throws(StoreError) -> BlobUpload {
        try DiskFile.makeFolder(folder(repository) + "/_uploads")
        return try BlobUpload("\(folder(repository))/_uploads/\(id)", in: store, isNew: true)
    }

    /// Opens an upload that another process may have begun.
    ///
    /// - Parameters:
    ///   - id: Its name: letters, digits and dashes.
    ///   - repository: Where the blob will be.
    /// - Returns: The upload, with the bytes so far; `nil` where there is none.
    /// - Throws: ``StoreError`` where the disk fails.
    public func upload(_ id: String, in repository: RepositoryName) throws(StoreError) -> BlobUpload? {
        let path = "\(folder(repository))/_uploads/\(id)"
        guard access(path, F_OK) == 0 else { return nil }
        return try BlobUpload(path, in: store, isNew: false)
    }
}
