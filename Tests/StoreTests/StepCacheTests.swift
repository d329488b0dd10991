// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import Store
import TestSupport
import Testing

@Suite struct StepCacheTests {
    let folder: TemporaryFolder
    let store: ImageStore
    let cache: StepCache

    init() throws {
        folder = try TemporaryFolder()
        store = try ImageStore(folder.url.path)
        cache = StepCache(store)
    }

    private let key = SHA256.digest([1])
    private let definition = SHA256.digest([2])

    @Test func whatWasKeptIsFound() throws {
        let layer = try store.put([1, 2, 3], .layerGzip)
        let record = StepCache.Record(layer: layer, diffID: SHA256.digest([4]), size: 5)
        #expect(!cache.mayHave(definition: definition))

        try cache.keep(record, key, definition: definition, text: "COPY . .")

        #expect(cache.find(key) == record)
        #expect(cache.find(definition) == nil)
        #expect(cache.mayHave(definition: definition))
    }

    @Test func aRecordWithoutItsLayerIsNoRecord() throws {
        let layer = try store.put([1, 2, 3], .layerGzip)
        let record = StepCache.Record(layer: layer, diffID: SHA256.digest([4]), size: 5)
        try cache.keep(record, key, definition: definition, text: "COPY . .")
        DiskFile.remove(store.path(of: layer.digest))
        #expect(cache.find(key) == nil)
    }

    @Test(arguments: ["", "{", "[]", "{\"layer\":{}}", "{\"layer\":{\"mediaType\":\"a\",\"size\":1,\"digest\":\"x\"}}"])
    func aDamagedRecordIsNoRecord(text: String) throws {
        try DiskFile.write(Array(text.utf8), to: "\(store.root)/steps/\(key.hex)", isSynced: false)
        #expect(cache.find(key) == nil)
    }

    @Test func findingARecordIsUsingIt() throws {
        let record = StepCache.Record(layer: try store.put([1], .layerGzip), diffID: SHA256.digest([4]), size: 0)
        try cache.keep(record, key, definition: definition, text: "RUN true")
        let path = "\(store.root)/steps/\(key.hex)"
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 5)], ofItemAtPath: path)

        _ = cache.find(key)

        let date = try #require(FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date)
        #expect(date.timeIntervalSince1970 > 1_000_000_000)
    }
}
