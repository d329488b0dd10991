// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import Rootfs
import Store
import TestSupport
import Testing

@Suite struct LayerIndexTests {
    let folder: TemporaryFolder
    let store: ImageStore

    init() throws {
        folder = try TemporaryFolder()
        store = try ImageStore(folder.url.path)
    }

    static var entries: [TarEntry] {
        var file = TarEntry(path: [0x61, 0xFF, 0x2F], kind: .file)
        (file.mode, file.uid, file.gid, file.mtime) = (0o7777, .max, .max - 1, -5)
        file.attributes = [TarEntry.Attribute(name: Array("user.a".utf8), value: [0, 255])]
        var device = TarEntry(path: Array("dev/null".utf8), kind: .characterDevice)
        (device.major, device.minor) = (1, 3)
        var link = TarEntry(path: Array("link".utf8), kind: .symlink)
        link.target = Array("../x".utf8)
        let others: [TarEntry.Kind] = [.directory, .hardLink, .blockDevice, .fifo]
        return [file, device, link] + others.map { TarEntry(path: Array("o\($0)".utf8), kind: $0) }
    }

    /// A layer of entries in the store.
    private func layer(_ entries: [TarEntry]) throws -> Descriptor {
        let ingest = try store.ingest()
        let writer = LayerWriter(descriptor: ingest.descriptor, name: "layer", compression: .standard, cores: 2)
        let tar = TarWriter(writer)
        for entry in entries { try tar.write(entry) }
        try tar.finish()
        let layer = try writer.finish().descriptor
        try ingest.commit(layer.digest)
        return layer
    }

    private func path(_ layer: Descriptor) -> String { "\(store.root)/layers/\(layer.digest.hex)" }

    @Test func whatIsKeptIsReadAgain() throws {
        let digest = SHA256.digest([9])
        for entries in [Self.entries, []] {
            let encoder = try LayerIndex.Encoder(store)
            for entry in entries { try encoder.add(entry) }
            try LayerIndex.keep(encoder, of: digest, in: store)
            let blob = Descriptor(mediaType: .layerGzip, digest: digest, size: 1)
            #expect(try LayerIndex.entries(of: blob, in: store) == entries, "the layer is not there: it is not read")
        }
    }

    @Test func aLayerIsReadOnce() throws {
        let entries = ["d a", "f a/b", "l c -> a"].map(entry)
        let layer = try layer(entries)

        let first = try LayerIndex.entries(of: layer, in: store)
        DiskFile.remove(store.path(of: layer.digest))

        #expect(first.map(\.name) == ["a/", "a/b", "c"])
        #expect(try LayerIndex.entries(of: layer, in: store) == first)
    }

    @Test func aDamagedIndexIsMadeAgain() throws {
        let layer = try layer(Self.entries.map { $0 })
        let entries = try LayerIndex.entries(of: layer, in: store)
        let good = try #require(try DiskFile.read(path(layer)))
        for length in stride(from: 0, to: good.count, by: 7) {
            try DiskFile.write(Array(good.prefix(length)), to: path(layer), isSynced: false)
            #expect(try LayerIndex.entries(of: layer, in: store) == entries, "cut to \(length) bytes")
        }
        try DiskFile.write(good + [0], to: path(layer), isSynced: false)
        #expect(try LayerIndex.entries(of: layer, in: store) == entries)
        #expect(try DiskFile.read(path(layer)) == good)
    }

    @Test func anyByteMayBeWrong() throws {
        let layer = try layer(Self.entries)
        _ = try LayerIndex.entries(of: layer, in: store)
        let good = try #require(try DiskFile.read(path(layer)))
        for place in good.indices {
            for value in [0xFF, 0x80, 0x7F] as [UInt8] {
                var bytes = good
                bytes[place] = value
                try DiskFile.write(bytes, to: path(layer), isSynced: false)
                _ = try LayerIndex.entries(of: layer, in: store)
            }
        }
    }

    @Test func aMissingLayerIsNamed() throws {
        let absent = Descriptor(mediaType: .layerGzip, digest: SHA256.digest([8]), size: 1)
        let error = try #require(throws: StoreError.self) { _ = try LayerIndex.entries(of: absent, in: store) }
        #expect(error.message.contains("opening the layer \(store.path(of: absent.digest)): No such file"))
    }

    @Test func aLayerThatIsNoArchiveIsNamed() throws {
        let blob = try store.put(Array("no archive, whatever it says".utf8), .layerGzip)
        let error = try #require(throws: ArchiveError.self) { _ = try LayerIndex.entries(of: blob, in: store) }
        #expect(error.message.contains("layer \(blob.digest.short)"))
        #expect(try DiskFile.read(path(blob)) == nil)
    }
}
