// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import TestSupport
import Testing

@Suite struct LayerWriterTests {
    private static let block = Compression.blockSize

    private func write(
        _ bytes: [UInt8],
        _ compression: Compression = .standard,
        cores: Int = 2,
        piece: Int = 300_000
    ) throws -> (result: LayerWriter.Result, layer: [UInt8], file: ScratchFile) {
        let file = try ScratchFile()
        let writer = LayerWriter(descriptor: file.descriptor, name: "layer", compression: compression, cores: cores)
        for start in stride(from: 0, to: bytes.count, by: piece) {
            try writer.write(Array(bytes[start..<min(start + piece, bytes.count)]))
        }
        let result = try writer.finish()
        return (result, try file.bytes, file)
    }

    /// Text that becomes smaller, each block different from the last.
    private static func text(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 40)
        var line = 0
        while bytes.count < count {
            bytes += "line \(line) of a file that says little\n".utf8
            line += 1
        }
        return Array(bytes.prefix(count))
    }

    static let compressions = [Compression.gzip(level: 1), .gzip(level: 6), .zstd(level: 3)]

    @Test(arguments: compressions)
    func anyNumberOfCoresGivesTheSameBytes(compression: Compression) throws {
        let bytes = Self.text(9 * Self.block + 17)

        let one = try write(bytes, compression, cores: 1)

        for cores in [2, 7] {
            let other = try write(bytes, compression, cores: cores, piece: 70_001 * cores)
            #expect(other.layer == one.layer)
            #expect(other.result.descriptor == one.result.descriptor)
        }
        #expect(one.result.descriptor.digest == SHA256.digest(one.layer))
        #expect(one.result.descriptor.size == Int64(one.layer.count))
        #expect(one.result.diffID == SHA256.digest(bytes))
        #expect(one.result.size == Int64(bytes.count))
        #expect(one.layer.count < bytes.count / 3)
    }

    @Test(arguments: [0, 1, block - 1, block, block + 1, 2 * block], compressions)
    func programsUnpackEverySize(size: Int, compression: Compression) throws {
        let bytes = Self.text(size)

        let (result, _, file) = try write(bytes, compression)

        #expect(result.diffID == SHA256.digest(bytes))
        let name = compression.mediaType == .layerZstd ? "zstd" : "gzip"
        #expect(result.descriptor.mediaType == (name == "zstd" ? .layerZstd : .layerGzip))
        guard let program = Program.named(name) else { return }
        let packed = file.url.appendingPathExtension(name == "zstd" ? "zst" : "gz")
        try FileManager.default.moveItem(at: file.url, to: packed)
        let test = try Program.run(["-t", packed.path], of: program)
        #expect(test.status == 0, "\(test.errors)")
        let unpack = try Program.run(["-d", "-k", "-f", packed.path], of: program)
        #expect(unpack.status == 0, "\(unpack.errors)")
        #expect(try file.bytes == bytes)
    }

    @Test func noBytesAreALayerToo() throws {
        let (result, layer, _) = try write([])
        #expect(!layer.isEmpty)
        #expect(result.size == 0)
        #expect(try read(layer).isEmpty)
    }

    @Test(arguments: compressions)
    func randomDataIsStored(compression: Compression) throws {
        let bytes = noise(2 * Self.block + 100_000)
        let layer = try write(bytes, compression).layer
        // A stored deflate block has 5 bytes of its own for 65,535.
        #expect(layer.count < bytes.count + bytes.count / 5000)
    }

    @Test func whatIsRandomInABlockIsStoredAndTheRestSqueezed() throws {
        let random = noise(300_000)
        let layer = try write(Self.text(400_000) + random + Self.text(Self.block - 700_000)).layer
        // Two stored parts may have text at their edges.
        #expect(layer.count < random.count + 131_072 + 350_000)
        // The edges of deflate's stored blocks are 65,535 bytes apart: one of two neighbours is whole.
        let pieces = [random[150_000..<150_100], random[150_100..<150_200]]
        #expect(pieces.contains { Data(layer).range(of: Data($0)) != nil })
    }

    @Test func whatOnlyLooksRandomIsSqueezed() throws {
        let counters = (0..<Self.block).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try write(counters).layer.count < 50_000)
    }

    @Test func randomDataAmongTextDoesNotStopSqueezing() throws {
        let bytes = noise(100_000) + Self.text(Self.block - 100_000)
        #expect(try write(bytes).layer.count < 500_000)
    }

    @Test(arguments: compressions)
    func aFullDiskIsAnError(compression: Compression) throws {
        let full = open("/dev/full", O_WRONLY)
        defer { close(full) }
        let writer = LayerWriter(descriptor: full, name: "the layer", compression: compression, cores: 2)
        let error = try #require(throws: ArchiveError.self) {
            for _ in 0..<40 { try writer.write([UInt8](repeating: 1, count: Self.block)) }
            _ = try writer.finish()
        }
        #expect(error.message.hasPrefix("writing the layer: No space left on device"))
    }

    @Test(arguments: [0, 1, 3 * block, 3 * block + 5])
    func aLayerCanBeGivenUp(size: Int) throws {
        let file = try ScratchFile()
        for _ in 0..<20 {
            let writer = LayerWriter(descriptor: file.descriptor, name: "layer", compression: .standard, cores: 2)
            try writer.write([UInt8](repeating: 7, count: size))
        }
    }

    @Test func aLayerThatWasGivenUpWritesToNoOtherFile() throws {
        var others: [(file: Int32, folder: TemporaryFolder)] = []
        defer { for other in others { close(other.file) } }
        for _ in 0..<20 {
            let folder = try TemporaryFolder()
            let first = open(folder.url.appending(path: "first").path, O_RDWR | O_CREAT, 0o644)
            var writer: LayerWriter? = LayerWriter(
                descriptor: first,
                name: "layer",
                compression: .gzip(level: 9),
                cores: 2
            )
            try writer?.write(Self.text(4 * Self.block))
            writer = nil
            close(first)
            // Most likely of the same number.
            others.append((open(folder.url.appending(path: "second").path, O_RDWR | O_CREAT, 0o644), folder))
        }
        for other in others {
            var status = stat()
            fstat(other.file, &status)
            #expect(status.st_size == 0)
        }
    }

    @Test func levelsAreRead() throws {
        #expect(try Compression("gzip") == .standard)
        #expect(try Compression("zstd:19") == .zstd(level: 19))
        #expect(try Compression("gzip:12") == .gzip(level: 12))
        for text in ["", "gzip:0", "gzip:13", "zstd:20", "gzip:", "gzip:1:2", "xz", "GZIP"] {
            let error = try #require(throws: ContentError.self) { _ = try Compression(text) }
            #expect(error.message.contains("expected gzip, gzip:1 to gzip:12, zstd, or zstd:1 to zstd:19"))
        }
    }

    @Test func aFileThatBecameShorterIsAnError() throws {
        let file = try ScratchFile([1, 2, 3])
        let memory = Memory()
        let error = try #require(throws: ArchiveError.self) {
            try memory.copy(descriptor: file.descriptor, size: 5, name: "a")
        }
        #expect(error.message == "a became shorter while it was read: 2 of 5 bytes are missing")
    }
}
