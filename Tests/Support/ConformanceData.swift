// SPDX-License-Identifier: Apache-2.0
public import Foundation
public import Testing

/// Where the recorded cases of other builders lie, if they are here.
///
/// `CORACLE_CONFORMANCE` names a folder that holds them unpacked; else `../shared/conformance` beside the project
/// is unpacked once into the git-ignored folder `.conformance`; else the tests that need them are skipped.
public enum ConformanceData {
    /// The unpacked folder, with `given/`, `refs/` and `bases/` in it; `nil` where there is none.
    public static let folder: URL? = {
        let folder = locate()
        if folder == nil { print("CONFORMANCE SKIPPED: \(skipReason)") }
        return folder
    }()

    /// Whether there is anything to compare with.
    public static var isAvailable: Bool { folder != nil }

    /// Why tests are skipped, for people.
    public static let skipReason: Comment =
        "no conformance cases: CORACLE_CONFORMANCE is unset, and ../shared/conformance is absent or does not unpack"

    /// The project's root folder.
    public static let projectRoot = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// A program that checks or compares images, by its name; `nil` where `../shared/conformance/tools` is absent.
    ///
    /// - Parameter name: The script, for example `ocicheck.py`.
    /// - Returns: Its file.
    public static func tool(_ name: String) -> URL? {
        let file = projectRoot.deletingLastPathComponent().appending(path: "shared/conformance/tools/\(name)")
        return FileManager.default.fileExists(atPath: file.path) ? file : nil
    }

    /// The cases of a file.
    ///
    /// - Parameter path: Relative to `given/`.
    /// - Returns: The members of its array `cases`, or `rules`.
    /// - Throws: Where the file cannot be read.
    public static func cases(_ path: String) throws -> [JSON] {
        let file = try #require(folder).appending(path: "given").appending(path: path)
        let json = try JSON(contentsOf: file)
        return json["cases"].isNull ? json["rules"].array : json["cases"].array
    }

    /// The real Dockerfiles that BuildKit's answer is known for.
    ///
    /// - Returns: Name, bytes and BuildKit's answer of each, sorted by name.
    /// - Throws: Where a file cannot be read.
    public static func realWorld() throws -> [(name: String, bytes: [UInt8], expected: JSON)] {
        let root = try #require(folder).appending(path: "given/3-realworld")
        let names = try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "dockerfiles").path)
        return try names.sorted()
            .map { name in
                let bytes = [UInt8](try Data(contentsOf: root.appending(path: "dockerfiles").appending(path: name)))
                let answer = root.appending(path: "expected").appending(path: name + ".json")
                return (name, bytes, try JSON(contentsOf: answer))
            }
    }

    private static func locate() -> URL? {
        if let path = ProcessInfo.processInfo.environment["CORACLE_CONFORMANCE"], !path.isEmpty {
            return URL(filePath: path)
        }
        let source = projectRoot.deletingLastPathComponent().appending(path: "shared/conformance")
        let archive = source.appending(path: "cases.tar.zst")
        guard let facts = try? FileManager.default.attributesOfItem(atPath: archive.path),
            let size = facts[.size] as? Int
        else { return nil }
        let target = projectRoot.appending(path: ".conformance")
        let stamp = target.appending(path: ".complete-\(size)")
        if FileManager.default.fileExists(atPath: stamp.path) { return target }
        return unpack(source.appending(path: "unpack"), to: target, stamp: stamp) ? target : nil
    }

    /// Unpacks into a folder of its own and renames it, so that a test run killed half-way leaves nothing half.
    private static func unpack(_ script: URL, to target: URL, stamp: URL) -> Bool {
        let partial = target.appendingPathExtension("\(ProcessInfo.processInfo.processIdentifier)")
        defer { try? FileManager.default.removeItem(at: partial) }
        let unpacked = try? Child([script.path, partial.path], of: URL(filePath: "/bin/bash")).wait()
        guard unpacked == .exited(0) else { return false }
        _ = FileManager.default.createFile(atPath: partial.appending(path: stamp.lastPathComponent).path, contents: nil)
        try? FileManager.default.removeItem(at: target)
        return rename(partial.path, target.path) == 0 || FileManager.default.fileExists(atPath: stamp.path)
    }
}
