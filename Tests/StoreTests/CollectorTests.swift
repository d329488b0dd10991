// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import Store
import TestSupport
import Testing

@Suite struct CollectorTests {
    let folder: TemporaryFolder
    let store: ImageStore
    var root: String { store.root }

    init() throws {
        folder = try TemporaryFolder()
        store = try ImageStore(folder.url.path)
    }

    /// A blob of random bytes, the same for the same number.
    private func blob(_ number: UInt8, size: Int = 100_000) throws -> Descriptor {
        try store.put([UInt8](repeating: number, count: size), .layerGzip)
    }

    private func image(_ name: String?, layers: [Descriptor], config: UInt8 = 0) throws -> Descriptor {
        let config = try store.put([config], .config)
        let manifest = try store.put(Manifest(config: config, layers: layers).document, .manifest)
        if let name { try store.tag(manifest, as: try ImageReference(name)) }
        return manifest
    }

    /// A step that was of use last so many seconds ago.
    @discardableResult
    private func step(_ number: UInt8, layer: Descriptor, age: Double = 0, definition: UInt8 = 200) throws -> Digest {
        let key = SHA256.digest([number, 1])
        let record = StepCache.Record(layer: layer, diffID: layer.digest, size: 1)
        let definition = SHA256.digest([definition])
        try StepCache(store).keep(record, key, definition: definition, text: "COPY a b")
        try makeOld(by: age, "steps/\(key.hex)")
        return key
    }

    private func makeOld(by seconds: Double, _ place: String) throws {
        let date = Date(timeIntervalSinceNow: -seconds)
        try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: root + "/" + place)
    }

    private func names(_ place: String) -> [String] { DiskFile.names(in: root + "/" + place) }

    private func policy(_ change: (inout Collector.Policy) -> Void = { _ in }) -> Collector.Policy {
        var policy = Collector.Policy()
        change(&policy)
        return policy
    }

    private func measured() throws -> Int64 {
        let du = try Program.run(["-s", "--block-size=1", root], of: try #require(Program.named("du")))
        return try #require(Int64(du.output.prefix { $0 != "\t" }))
    }

    @Test func anEmptyStoreHasNothingToRemove() throws {
        let outcome = try Collector(store).prune(policy())
        #expect(outcome.freed == 0 && outcome.blobs == 0 && outcome.steps == 0 && outcome.left > 0)
    }

    @Test func whatNothingRefersToGoes() throws {
        let (first, second, loose) = (try blob(1), try blob(2), try blob(3))
        let image = try image("app", layers: [first])
        try step(1, layer: second)
        try LayerNames.keep(loose, in: store)
        try LayerNames.keep(first, in: store)

        let outcome = try Collector(store).prune(policy())

        #expect(outcome.blobs == 1 && outcome.indexes == 1 && outcome.steps == 0)
        #expect(outcome.freed >= 100_000 && outcome.freed < 130_000)
        for blob in [first, second, image] { #expect(store.has(blob)) }
        #expect(!store.has(loose))
        #expect(names("layers") == [first.digest.hex])
    }

    @Test func imagesOfIndexesAndWithoutNamesStay() throws {
        let layers = [try blob(1), try blob(2), try blob(3)]
        var index = ImageIndex()
        for (number, layer) in layers.prefix(2).enumerated() {
            index.manifests.append(try image(nil, layers: [layer], config: UInt8(number)))
        }
        let outer = try store.put(ImageIndex(manifests: [try store.put(index.document, .index)]).document, .dockerIndex)
        try store.tag(outer, as: try ImageReference("many"))
        let unnamed = try image(nil, layers: [layers[2]], config: 9)
        try store.update { $0.append(unnamed) }
        let before = names("blobs/sha256")

        var everything = Collector.Policy()
        (everything.records, everything.maxSize, everything.olderThan) = (.all, 0, 0)
        let outcome = try Collector(store).prune(everything)

        #expect(outcome.freed == 0)
        #expect(names("blobs/sha256") == before)
    }

    @Test func theLeastRecentlyUsedGoFirst() throws {
        for number in 1...6 { try step(UInt8(number), layer: try blob(UInt8(number)), age: Double(number * 1000)) }
        let usage = try Collector(store).usage()

        // Three layers of 100,000 bytes are more than 250,000.
        let outcome = try Collector(store).prune(policy { $0.maxSize = usage.total - 250_000 })

        #expect(outcome.steps == 3 && outcome.blobs == 3)
        #expect(outcome.left <= usage.total - 250_000)
        for number in 1...6 {
            let layer = Descriptor(
                mediaType: .layerGzip,
                digest: SHA256.digest([UInt8](repeating: UInt8(number), count: 100_000)),
                size: 100_000
            )
            #expect(store.has(layer) == (number <= 3), "step \(number)")
        }
        let again = try Collector(store).prune(policy { $0.maxSize = usage.total - 250_000 })
        #expect(again.freed == 0)
    }

    @Test func aLayerThatAnImageOrAnotherStepNeedsStays() throws {
        let (shared, used) = (try blob(1), try blob(2))
        _ = try image("app", layers: [used])
        try step(1, layer: shared, age: 5000)
        try step(2, layer: shared, age: 10)
        try step(3, layer: used, age: 5000)

        let outcome = try Collector(store).prune(policy { $0.olderThan = 100 })

        #expect(outcome.steps == 2 && outcome.blobs == 0)
        #expect(store.has(shared) && store.has(used))
        let last = try Collector(store).prune(policy { $0.records = .all })
        #expect(last.steps == 1 && last.blobs == 1)
        #expect(!store.has(shared) && store.has(used))
    }

    @Test func definitionsWithoutRecordsAreForgotten() throws {
        let layer = try store.put([7], .layerGzip)
        try step(1, layer: layer, age: 5000, definition: 1)
        try step(2, layer: layer, age: 10, definition: 2)
        _ = try Collector(store).prune(policy { $0.olderThan = 100 })
        #expect(!StepCache(store).mayHave(definition: SHA256.digest([1])))
        #expect(StepCache(store).mayHave(definition: SHA256.digest([2])))
    }

    @Test func noneIsRemovedUnderABuild() throws {
        let loose = try blob(1)
        let lease = try store.lease()
        let error = try #require(throws: StoreError.self) { _ = try Collector(store).prune(policy()) }
        #expect(error.message == "a build is using the store \(root); try again when it is done")
        #expect(store.has(loose))
        #expect(try Collector(store).preview(policy()).blobs == 1)
        #expect(store.has(loose), "a preview removes nothing")
        withExtendedLifetime(lease) {}
    }

    @Test func whatKilledProcessesLeftGoesAndOthersStay() throws {
        let dead = try #require(Program.named("true"))
        let process = try Child([], of: dead)
        try process.wait()
        let (gone, mine) = (process.processIdentifier, getpid())
        let hex = String(repeating: "a", count: 64)
        for pid in [gone, mine] {
            for place in [
                "tmp/blob-\(pid)-1", "tmp/\(pid)-2/sub/file", "blobs/sha256/\(hex).\(pid).3", "steps/\(hex).\(pid).4",
                "index.json.\(pid).5",
            ] { try folder.write(place, "x") }
        }
        let badName = Array("\(root)/tmp/\(gone)-2/".utf8) + [0xFF, 0]
        close(open(badName.map { CChar(bitPattern: $0) }, O_CREAT | O_WRONLY, 0o644))

        let outcome = try Collector(store).prune(policy())

        #expect(outcome.leftovers == 5)
        #expect(names("tmp") == ["\(mine)-2", "blob-\(mine)-1"])
        #expect(names("steps") == ["\(hex).\(mine).4"])
        #expect(names("").contains("index.json.\(mine).5") && names("").contains("index.json"))
        try makeOld(by: 2 * 86400, "tmp/blob-\(mine)-1")
        #expect(try Collector(store).prune(policy()).leftovers == 1, "too old to be of this process")
    }

    @Test func whatPeoplePutIntoTheFolderStays() throws {
        let places = ["backup.2024.10/notes", "notes.1.2", "blobs/sha256/notes", "steps/notes", "layers/notes"]
        for place in places {
            try folder.write(place, "x")
            try makeOld(by: 100 * 86400, place)
        }
        try makeOld(by: 100 * 86400, "backup.2024.10")
        let outcome = try Collector(store).prune(policy { $0.records = .all })
        #expect(outcome.freed == 0)
        for place in places { #expect(FileManager.default.fileExists(atPath: root + "/" + place)) }
    }

    @Test func buildContextsAreForgottenAfterAMonth() throws {
        for name in ["old", "new"] { try folder.write("files/\(name)", "x") }
        try makeOld(by: 31 * 86400, "files/old")
        try makeOld(by: 29 * 86400, "files/new")
        #expect(try Collector(store).prune(policy()).indexes == 1)
        #expect(names("files") == ["new"])
    }

    @Test func aDamagedManifestStopsEverything() throws {
        let (layer, loose) = (try blob(1), try blob(2))
        let image = try image("app", layers: [layer])
        try Data(repeating: 0x20, count: Int(image.size)).write(to: URL(filePath: store.path(of: image.digest)))
        let error = try #require(throws: StoreError.self) { _ = try Collector(store).prune(policy()) }
        #expect(error.message.contains("is damaged"))
        #expect(store.has(layer) && store.has(loose))
    }

    @Test func anImageWithMissingBlobsIsNoTrouble() throws {
        let layer = try blob(1)
        let image = try image("app", layers: [layer])
        DiskFile.remove(store.path(of: layer.digest))
        _ = try Collector(store).prune(policy())
        #expect(store.has(image))
        DiskFile.remove(store.path(of: image.digest))
        _ = try Collector(store).prune(policy())
        #expect(try store.images().count == 1)
    }

    @Test func damagedRecordsGoWithTheOthers() throws {
        let hex = String(repeating: "b", count: 64)
        try folder.write("steps/\(hex)", "{")
        try makeOld(by: 5000, "steps/\(hex)")
        #expect(try Collector(store).prune(policy { $0.olderThan = 100 }).steps == 1)
    }

    @Test(.enabled(if: Program.named("du") != nil))
    func usageIsWhatDuSays() throws {
        let layer = try blob(1, size: 300_000)
        _ = try image("app", layers: [layer])
        try step(1, layer: try blob(2))
        _ = try blob(3)
        link(store.path(of: layer.digest), root + "/tmp/1-link")

        let usage = try Collector(store).usage()

        #expect(try usage.total == measured())
        #expect(
            usage.registry.bytes == 0
                && usage.total == usage.images.bytes + usage.layers.bytes + usage.cache.bytes + usage.other.bytes
        )
        #expect(usage.images.count == 1 && usage.layers.count == 1 && usage.cache.count == 1)
        #expect((300_000..<310_000).contains(usage.layers.bytes))
        #expect((100_000..<130_000).contains(usage.cache.bytes))
        let outcome = try Collector(store).prune(policy { $0.records = .all })
        #expect(outcome.freed == usage.reclaimable)
        #expect(try outcome.left == measured())
        #expect(try Collector(store).usage().total == outcome.left)
    }

    /// What `RUN --mount=type=cache` keeps, of use last so many seconds ago.
    private func cacheFolder(_ name: String, age: Double) throws {
        try folder.write("caches/\(name)/0/file", String(repeating: "x", count: 100_000))
        try makeOld(by: age, "caches/\(name)")
    }

    @Test func cachesOfCommandsGoByTheirLastUseAndOnlyWhenAsked() throws {
        for (name, age) in [("a", 10.0), ("b", 900), ("c", 5000)] { try cacheFolder(name, age: age) }
        let record = try step(1, layer: try blob(1))

        #expect(try Collector(store).usage().folders.count == 3)
        #expect(try Collector(store).usage().folders.bytes >= 300_000)
        #expect(try Collector(store).prune(policy()).folders == 0)
        #expect(try Collector(store).prune(policy { $0.olderThan = 1000 }).folders == 1)
        #expect(names("caches") == ["a", "b"])
        let left = try Collector(store).preview(policy()).left
        // Records can be made again, so they go first.
        #expect(try Collector(store).prune(policy { $0.maxSize = left - 150_000 }).folders == 1)
        #expect(names("caches") == ["a"] && !names("steps").contains(record.hex))
        let reclaimable = try Collector(store).usage().reclaimable
        #expect(try Collector(store).prune(policy { $0.records = .all }).freed == reclaimable)
        #expect(names("caches") == [])
    }

    @Test func logsGoAfterAWeekAndLocksOfStepsAtOnce() throws {
        for (name, days) in [("new", 6.0), ("old", 8)] {
            try folder.write("logs/\(name)/step-1.log", "said")
            try makeOld(by: days * 86400, "logs/\(name)")
        }
        for name in ["step-0ab", "unpack-12"] { try folder.write("locks/\(name)", "") }

        #expect(try Collector(store).prune(policy()).logs == 1)

        #expect(names("logs") == ["new"])
        #expect(names("locks").allSatisfy { ["index", "use", "registry"].contains($0) })
    }

    @Test func aBlobWithASecondNameElsewhereIsNotFreed() throws {
        let loose = try blob(1)
        link(store.path(of: loose.digest), root + "/other-name")
        let outcome = try Collector(store).prune(policy())
        #expect(outcome.blobs == 1 && outcome.freed == 0)
    }

    /// Half of a sweep is a store that works, and the next sweep does the rest.
    @Test func aSweepCanEndAnywhere() throws {
        let kept = try blob(1)
        _ = try image("app", layers: [kept])
        let key = try step(2, layer: try blob(2))
        // The record is gone and its layer is not; the layer is gone and its index is not.
        DiskFile.remove("\(root)/steps/\(key.hex)")
        let gone = try blob(3)
        try LayerNames.keep(gone, in: store)
        DiskFile.remove(store.path(of: gone.digest))

        _ = try Collector(store).prune(policy())

        #expect(names("blobs/sha256").count == 3)
        #expect(names("steps").isEmpty && names("layers").isEmpty)
        #expect(store.has(kept))
    }
}

/// What is known of a layer, as far as a collector goes.
private enum LayerNames {
    static func keep(_ layer: Descriptor, in store: ImageStore) throws {
        try DiskFile.write([1], to: "\(store.root)/layers/\(layer.digest.hex)", isSynced: false)
    }
}
