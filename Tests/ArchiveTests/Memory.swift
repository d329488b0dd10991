// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import TestSupport

/// A sink that keeps what it is given.
final class Memory: ByteSink {
    private(set) var bytes: [UInt8] = []

    func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        self.bytes.append(contentsOf: bytes)
    }
}

/// An open file of a folder that goes away with it.
final class ScratchFile {
    private let folder: TemporaryFolder
    let url: URL
    let descriptor: Int32

    init(_ bytes: [UInt8] = []) throws {
        folder = try TemporaryFolder()
        url = folder.url.appending(path: "file")
        try Data(bytes).write(to: url)
        descriptor = open(url.path, O_RDWR)
    }

    deinit {
        close(descriptor)
    }

    var bytes: [UInt8] {
        get throws { [UInt8](try Data(contentsOf: url)) }
    }
}

/// The entries of an archive, and the content of each file.
func read(_ bytes: [UInt8], tarOnly: Bool = true, limit: Int64 = 1 << 40) throws -> [(TarEntry, [UInt8])] {
    let file = try ScratchFile(bytes)
    let reader = try ArchiveReader(descriptor: file.descriptor, name: "test.tar", tarOnly: tarOnly)
    var found: [(TarEntry, [UInt8])] = []
    while let entry = try reader.next() {
        let content = Memory()
        try reader.copyContent(to: content, limit: limit)
        found.append((entry, content.bytes))
    }
    return found
}

/// An archive of entries; files hold as many bytes as they say, each of them the entry's number.
func archive(_ entries: [TarEntry]) throws -> [UInt8] {
    let memory = Memory()
    let writer = TarWriter(memory)
    for (number, entry) in entries.enumerated() {
        try writer.write(entry) { (sink) throws(ArchiveError) in
            try sink.write([UInt8](repeating: UInt8(number), count: Int(entry.size)))
        }
    }
    try writer.finish()
    return memory.bytes
}

/// Bytes that no compressor makes smaller, the same in every run.
func noise(_ count: Int) -> [UInt8] {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        withUnsafeBytes(of: state) { bytes.append(contentsOf: $0) }
    }
    return Array(bytes.prefix(count))
}
