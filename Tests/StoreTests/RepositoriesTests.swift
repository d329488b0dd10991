// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import Store
import TestSupport
import Testing

/// What a registry's repositories keep, and what a collection takes from them.
@Suite struct RepositoriesTests {
    let folder: TemporaryFolder
    let store: ImageStore
    let repositories: Repositories
    let name: RepositoryName

    init() throws {
        folder = try TemporaryFolder()
        store = try ImageStore(folder.url.path + "/store")
        repositories = Repositories(store)
        name = try RepositoryName("team/app")
    }

    private func upload(_ bytes: [UInt8], as wrong: Digest? = nil) throws -> Digest? {
        let upload = try repositories.startUpload("00000000-0000-4000-8000-00000000000\(bytes.count)", in: name)
        try bytes.withUnsafeBytes { try upload.append($0) }
        guard let digest = try upload.commit(BlobName(wrong ?? SHA256.digest(bytes))) else { return nil }
        try repositories.link(digest, as: BlobName(digest), in: name)
        return digest
    }

    private func push(_ tag: String) throws -> (record: ManifestRecord, layer: Digest) {
        let config = Descriptor(mediaType: .config, digest: try #require(try upload([1])), size: 1)
        let layer = Descriptor(mediaType: .layerGzip, digest: try #require(try upload([1, 2])), size: 2)
        let bytes = Manifest(config: config, layers: [layer]).document
        let record = ManifestRecord(try store.put(bytes, .manifest))
        try repositories.add(record, as: BlobName(record.descriptor.digest), tags: [try TagName(tag)], in: name)
        return (record, layer.digest)
    }

    /// Makes every link as old as two days.
    private func age() throws {
        let root = store.root + "/registry"
        for path in try FileManager.default.subpathsOfDirectory(atPath: root) {
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -2 * 86400)],
                ofItemAtPath: root + "/" + path
            )
        }
    }

    @Test func anUploadUnderAWrongDigestLeavesNoBlob() throws {
        #expect(try upload([1, 2, 3], as: SHA256.digest([9])) == nil)
        #expect(DiskFile.names(in: store.root + "/blobs/sha256") == [])
        #expect(try upload([4]) == SHA256.digest([4]))
        #expect(try store.read(SHA256.digest([4])) == [4])
    }

    @Test func whatAManifestNeedsStaysHoweverOld() throws {
        let (record, layer) = try push("v1")
        try age()

        _ = try Collector(store).prune(Collector.Policy())

        #expect(store.holds(record.descriptor.digest) && store.holds(layer))
        #expect(try repositories.manifest(tagged: try TagName("v1"), in: name) == record)
        #expect(try repositories.blob(BlobName(layer), in: name) == layer)
        #expect(try Collector(store).usage().registry.count == 3)
    }

    @Test func whatADeletedManifestNeededGoesAfterADay() throws {
        let (record, layer) = try push("v1")
        try repositories.remove(record, in: name)

        _ = try Collector(store).prune(Collector.Policy())
        #expect(!store.holds(record.descriptor.digest) && store.holds(layer), "a push may still be coming")
        try age()
        let outcome = try Collector(store).prune(Collector.Policy())

        #expect(outcome.blobs == 2 && !store.holds(layer))
        #expect(try repositories.blob(BlobName(layer), in: name) == nil)
        #expect(repositories.tags(in: name).isEmpty)
    }

    @Test func uploadsThatNobodyGoesOnWithGoAfterADay() throws {
        _ = try repositories.startUpload("00000000-0000-4000-8000-000000000000", in: name)
        _ = try push("v1.123.456")

        _ = try Collector(store).prune(Collector.Policy())
        #expect(DiskFile.names(in: store.root + "/registry/team/app/_uploads").count == 1)
        try age()
        let outcome = try Collector(store).prune(Collector.Policy())

        #expect(outcome.leftovers == 1)
        #expect(DiskFile.names(in: store.root + "/registry/team/app/_uploads") == [])
        #expect(repositories.tags(in: name).map(\.description) == ["v1.123.456"])
    }

    @Test func anUploadThatAnotherBeganGoesOn() throws {
        let id = "00000000-0000-4000-8000-000000000000"
        let first = try repositories.startUpload(id, in: name)
        try [UInt8]([1, 2]).withUnsafeBytes { try first.append($0) }

        let second = try #require(try repositories.upload(id, in: name))
        #expect(second.size == first.size && first.isCurrent)
        try [UInt8](repeating: 7, count: 3).withUnsafeBytes { try second.append($0) }

        #expect(!first.isCurrent)
        second.cancel()
        #expect(try repositories.upload(id, in: name) == nil)
    }

    @Test func namesAreFoundHoweverDeep() throws {
        for text in ["a", "a/b", "a/b/c-d", "z"] {
            try repositories.link(SHA256.digest([]), as: BlobName(SHA256.digest([])), in: try RepositoryName(text))
        }
        #expect(repositories.names().map(\.description) == ["a", "a/b", "a/b/c-d", "z"])
    }

    @Test(arguments: [
        "", "/", "a/", "/a", "..", "a/../b", "_a", "A", "a___b", "a/_tags/b", String(repeating: "a", count: 256),
    ])
    func badNamesAreNone(text: String) {
        #expect(throws: ContentError.self) { try RepositoryName(text) }
    }
}
