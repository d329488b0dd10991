// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import TestSupport
import Testing

/// A build context and a store of its own, removed with the last reference.
final class BuildPlace {
    private let folder: TemporaryFolder
    let root: URL
    let context: URL
    let store: URL

    init() throws {
        folder = try TemporaryFolder()
        root = folder.url
        (context, store) = (root.appending(path: "context"), root.appending(path: "store"))
        try FileManager.default.createDirectory(at: context, withIntermediateDirectories: true)
    }

    /// A place with a Dockerfile.
    convenience init(_ dockerfile: String) throws {
        try self.init()
        try write("Dockerfile", dockerfile)
    }

    /// Writes a file of the context.
    @discardableResult
    func write(_ path: String, _ text: String) throws -> URL { try folder.write("context/\(path)", text) }

    /// Writes an archive into the context.
    func archive(_ path: String, _ entries: [TarEntry], content: [UInt8] = []) throws {
        let file = open(try write(path, "").path, O_WRONLY | O_TRUNC)
        defer { close(file) }
        let writer = TarWriter(FileSink(descriptor: file, name: path))
        for entry in entries {
            try writer.write(entry) { (sink) throws(ArchiveError) in
                var left = Int(entry.size)
                while left > 0 {
                    let piece = content.isEmpty ? [UInt8](repeating: 0, count: min(left, 1 << 20)) : content
                    try sink.write(piece)
                    left -= piece.count
                }
            }
        }
        try writer.finish()
    }

    /// Runs `coracle build` on the context.
    func build(
        _ arguments: [String] = [],
        environment: [String: String] = [:],
        through wrapper: [String] = []
    ) throws -> Program {
        let command = ["build", "--store", store.path] + arguments + [context.path]
        guard let first = wrapper.first else { return try Program.run(command, environment: environment) }
        let program = try #require(Program.named(first), "\(first) is not installed")
        return try Program.run(
            wrapper.dropFirst() + [Program.coracle.path] + command,
            of: program,
            environment: environment
        )
    }

    /// Builds, expects success, and gives the image's files, sorted by path.
    func files(_ arguments: [String] = []) throws -> [TarEntry] {
        let tar = root.appending(path: "files.tar")
        let result = try build(arguments + ["--output", "type=tar,dest=\(tar.path)"])
        try #require(result.status == 0, "\(result.errors)")
        return try BuildPlace.entries(tar)
    }

    /// Builds, expects success, and gives the image as a layout in a folder.
    func layout(_ arguments: [String] = []) throws -> URL {
        let target = root.appending(path: "layout-\(UUID().uuidString)")
        let result = try build(arguments + ["--output", "type=oci,dest=\(target.path),tar=false"])
        try #require(result.status == 0, "\(result.errors)")
        return target
    }

    /// The samples that have a Dockerfile, by name.
    static func samples() throws -> [String] {
        let root = ConformanceData.projectRoot.appending(path: "samples")
        return try FileManager.default.contentsOfDirectory(atPath: root.path).sorted()
            .filter { FileManager.default.fileExists(atPath: root.appending(path: "\($0)/Dockerfile").path) }
    }

    /// The entries of an archive.
    static func entries(_ file: URL) throws -> [TarEntry] {
        let descriptor = open(file.path, O_RDONLY)
        defer { close(descriptor) }
        let reader = try ArchiveReader(descriptor: descriptor, name: file.lastPathComponent, tarOnly: true)
        var entries: [TarEntry] = []
        while let entry = try reader.next() { entries.append(entry) }
        return entries
    }

    /// The layers of a layout that holds one image, the lowest first.
    static func layers(_ layout: URL) throws -> [URL] {
        let blob = { (descriptor: JSON) in
            layout.appending(path: "blobs/sha256/\(descriptor["digest"].string?.dropFirst(7) ?? "")")
        }
        let index = try JSON(contentsOf: layout.appending(path: "index.json"))
        let manifest = try JSON(contentsOf: blob(try #require(index["manifests"].array.first)))
        return manifest["layers"].array.map(blob)
    }

    /// What the image specification finds wrong with a layout; warnings are about files and words besides its own.
    static func faults(_ layout: URL, allowsWarnings: Bool = false) throws -> String? {
        guard let python = Program.named("python3"), let checker = ConformanceData.tool("ocicheck.py") else {
            print(
                "SKIPPED: no ocicheck.py beside the project, or no python3: \(layout.lastPathComponent) is not checked"
            )
            return nil
        }
        let result = try Program.run([checker.path, layout.path] + (allowsWarnings ? [] : ["--strict"]), of: python)
        return result.status == 0 ? nil : result.output + result.errors
    }
}

extension TarEntry {
    /// A file or folder for a made-up archive.
    static func made(_ path: String, _ kind: Kind = .file, to target: String = "", size: Int64 = 0) -> TarEntry {
        var entry = TarEntry(path: Array(path.utf8), kind: kind)
        (entry.target, entry.size, entry.mode) = (Array(target.utf8), size, kind == .directory ? 0o755 : 0o644)
        return entry
    }
}
