// SPDX-License-Identifier: Apache-2.0
import Archive
import Dispatch
import Foundation
import OCI
import Store
import TestSupport
import Testing

/// The store as several processes use it, and as a crash leaves it.
@Suite struct ImageStoreTests {
    let folder: TemporaryFolder
    var root: String { folder.url.appending(path: "store").path }

    init() throws {
        folder = try TemporaryFolder()
    }

    private func files(_ part: String) -> [String] { DiskFile.names(in: root + "/" + part) }

    private func fault(_ body: () throws -> Void) throws -> String {
        try #require(throws: StoreError.self, performing: body).message
    }

    @Test func aStoreIsAnImageLayout() throws {
        _ = try ImageStore(root)

        let layout = try JSON(contentsOf: URL(filePath: root + "/oci-layout"))
        #expect(layout["imageLayoutVersion"].string == "1.0.0")
        let index = try JSON(contentsOf: URL(filePath: root + "/index.json"))
        #expect(index["schemaVersion"].int == 2 && index["manifests"].array.isEmpty)
    }

    @Test func openingAgainChangesNothing() throws {
        let store = try ImageStore(root)
        let image = try store.put(Manifest(config: try store.put([], .config), layers: []).document, .manifest)
        try store.tag(image, as: try ImageReference("app"))

        let again = try ImageStore(root)

        #expect(try again.image(named: try ImageReference("app:latest"))?.digest == image.digest)
        #expect(try again.image(named: try ImageReference("app:other")) == nil)
        #expect(again.has(image))
        #expect(files("tmp").isEmpty)
    }

    @Test func aStoreOfALaterVersionIsLeftAlone() throws {
        _ = try ImageStore(root)
        try Data("2\nmore\n".utf8).write(to: URL(filePath: root + "/coracle-store"))
        let before = try FileManager.default.subpathsOfDirectory(atPath: root).sorted()
        let index = try Data(contentsOf: URL(filePath: root + "/index.json"))

        let message = try fault { _ = try ImageStore(root) }

        #expect(
            message == "the store \(root) has version 2, and this coracle knows version 1: "
                + "use a newer coracle, or another folder with --store"
        )
        #expect(try FileManager.default.subpathsOfDirectory(atPath: root).sorted() == before)
        #expect(try Data(contentsOf: URL(filePath: root + "/index.json")) == index)
        #expect(try String(contentsOfFile: root + "/coracle-store", encoding: .utf8) == "2\nmore\n")
    }

    @Test func aStoreCannotBeWhereAFileIs() throws {
        try folder.write("store", "x")
        #expect(try fault { _ = try ImageStore(root) }.contains(root))
    }

    @Test func manyOpenAStoreAtOnce() throws {
        let root = root
        let failed = Shared(0)
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            if (try? ImageStore(root)) == nil { failed.change { $0 += 1 } }
        }
        #expect(failed.value == 0)
        #expect(try ImageStore(root).images().isEmpty)
    }

    @Test func blobsAreFoundAndVerified() throws {
        let store = try ImageStore(root)
        let blob = try store.put(Array("hello".utf8), .config)

        #expect(blob.digest.hex == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        #expect(try store.read(blob.digest) == Array("hello".utf8))
        #expect(try store.put(Array("hello".utf8), .config) == blob)
        #expect(files("blobs/sha256") == [blob.digest.hex])
        let absent = try Digest("sha256:" + String(repeating: "0", count: 64))
        #expect(try fault { _ = try store.read(absent) } == "the store \(root) lacks the blob \(absent)")
        #expect(!store.has(Descriptor(mediaType: .config, digest: absent, size: 0)))
    }

    @Test func aDamagedBlobIsDetected() throws {
        let store = try ImageStore(root)
        let blob = try store.put(Array("hello".utf8), .config)
        try Data("hellO".utf8).write(to: URL(filePath: store.path(of: blob.digest)))

        let message = try fault { _ = try store.read(blob.digest) }

        #expect(message.contains("is damaged: build or pull again, which writes it anew"))
        try Data("hell".utf8).write(to: URL(filePath: store.path(of: blob.digest)))
        #expect(!store.has(blob), "its size is wrong")
    }

    @Test func whatWasNotCommittedLeavesNothing() throws {
        let store = try ImageStore(root)
        do {
            let ingest = try store.ingest()
            try FileSink(descriptor: ingest.descriptor, name: "blob").write([1, 2, 3])
            #expect(files("tmp").count == 1)
        }
        #expect(files("tmp").isEmpty)
        #expect(files("blobs/sha256").isEmpty)
    }

    @Test func whatWasCommittedIsABlob() throws {
        let store = try ImageStore(root)
        let digest = SHA256.digest([1, 2, 3])
        for _ in 0..<2 {
            let ingest = try store.ingest()
            try FileSink(descriptor: ingest.descriptor, name: "blob").write([1, 2, 3])
            try ingest.commit(digest)
        }
        #expect(try store.read(digest) == [1, 2, 3])
        #expect(files("tmp").isEmpty)
    }

    @Test func noNameIsLostWhenManyTagAtOnce() throws {
        let root = root
        let store = try ImageStore(root)
        let image = try store.put([1], .manifest)
        let failed = Shared(0)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            do {
                let store = try ImageStore(root)
                for round in 0..<10 { try store.tag(image, as: try ImageReference("app\(thread):v\(round)")) }
            } catch {
                failed.change { $0 += 1 }
            }
        }
        #expect(failed.value == 0)
        let names = try store.images().compactMap { $0.annotations[ImageStore.nameAnnotation] }
        #expect(Set(names).count == 80 && names.count == 80)
    }

    @Test func aNameMovesToAnotherImage() throws {
        let store = try ImageStore(root)
        let (first, second) = (try store.put([1], .manifest), try store.put([2], .manifest))
        let name = try ImageReference("app")

        try store.tag(first, as: name)
        try store.tag(second, as: name)

        #expect(try store.images().count == 1)
        #expect(try store.image(named: name)?.digest == second.digest)
    }

    @Test func whatOthersSayOfTheListStays() throws {
        let store = try ImageStore(root)
        var index = ImageIndex()
        index.annotations = ["by": "another"]
        try DiskFile.write(index.document, to: root + "/index.json", isSynced: false)

        try store.tag(try store.put([1], .manifest), as: try ImageReference("app"))

        let bytes = try #require(try DiskFile.read(root + "/index.json"))
        #expect(try ImageIndex(parsing: bytes).annotations == ["by": "another"])
    }

    @Test func aListThatIsNoneIsNamed() throws {
        let store = try ImageStore(root)
        try DiskFile.write([0x7B], to: root + "/index.json", isSynced: false)
        #expect(try fault { _ = try store.images() }.hasPrefix("\(root)/index.json: malformed JSON"))
        try DiskFile.write(Array("{}".utf8), to: root + "/index.json", isSynced: false)
        #expect(try fault { _ = try store.images() }.contains("not an image index"))
        DiskFile.remove(root + "/index.json")
        #expect(try fault { _ = try store.images() } == "\(root) is no image layout: it has no index.json")
    }

    @Test func aLeaseHoldsOffOthersAlone() throws {
        let store = try ImageStore(root)
        let leases = [try store.lease(), try store.lease()]

        #expect(try FileLock.ifFree(root + "/locks/use") == nil)
        withExtendedLifetime(leases) {}
    }

    @Test func aLockIsFreeAfterItsLastUse() throws {
        let store = try ImageStore(root)
        do { withExtendedLifetime(try store.lease()) {} }
        #expect(try FileLock.ifFree(root + "/locks/use") != nil)
    }
}

/// A value that threads share.
final class Shared<Value>: @unchecked Sendable {
    // SAFETY: the value is touched under the lock only.
    private let lock = NSLock()
    private var stored: Value

    init(_ value: Value) {
        stored = value
    }

    var value: Value { lock.withLock { stored } }

    func change(_ body: (inout Value) -> Void) {
        lock.withLock { body(&stored) }
    }
}
