// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// Files that are large, and files that change while they are read.
@Suite struct ChangingFilesTests {
    /// Images are compared, and what one build made is found by the next, only where this is the same.
    private static let epoch = ["SOURCE_DATE_EPOCH": "0"]

    /// A context whose first file takes long to read.
    private func place(size: Int64) throws -> BuildPlace {
        let place = try BuildPlace("FROM scratch\nCOPY d /d/\n")
        let file = try place.write("d/a", "")
        try #require(truncate(file.path, Int(size)) == 0)
        try place.write("d/b", "small")
        return place
    }

    /// Builds, and does something once the first file is being read.
    private func build(
        _ place: BuildPlace,
        meanwhile body: () throws -> Void
    ) throws -> (ending: Child.Ending, errors: String, wasRunning: Bool) {
        let errors = place.root.appending(path: "errors")
        let process = try Child(
            ["build", "--store", place.store.path, place.context.path],
            environment: Self.epoch,
            errors: .file(errors)
        )
        let tmp = place.store.appending(path: "tmp").path
        while process.isRunning {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: tmp)) ?? []
            let sizes = names.compactMap {
                try? FileManager.default.attributesOfItem(atPath: "\(tmp)/\($0)")[.size] as? Int
            }
            if sizes.contains(where: { $0 > 0 }) { break }
            usleep(1000)
        }
        try body()
        let wasRunning = process.isRunning
        let ending = try process.wait()
        return (ending, try String(contentsOf: errors, encoding: .utf8), wasRunning)
    }

    private func check(_ place: BuildPlace) throws {
        #expect(try BuildPlace.faults(place.store, allowsWarnings: true) == nil)
        let left = try FileManager.default.contentsOfDirectory(atPath: place.store.appending(path: "tmp").path)
        #expect(left == [])
        try FileManager.default.removeItem(at: place.context.appending(path: "d"))
        try place.write("d/c", "1")
        #expect(try place.build().status == 0)
    }

    @Test("A file that shrinks while it is read is named")
    func shrinks() throws {
        let place = try place(size: 512 << 20)

        let result = try build(place) { truncate(place.context.appending(path: "d/a").path, 1000) }

        #expect(result.ending == .exited(1))
        #expect(result.errors.contains("d/a became shorter while it was read"), "\(result.errors)")
        try check(place)
    }

    @Test("A file that vanishes before it is read is named")
    func vanishes() throws {
        let place = try place(size: 512 << 20)

        let result = try build(place) { unlink(place.context.appending(path: "d/b").path) }

        #expect(result.ending == .exited(1))
        #expect(result.errors.contains("d/b vanished before it was read"), "\(result.errors)")
        try check(place)
    }

    @Test("A file that is something else before it is read is named", arguments: ["fifo", "link", "folder"])
    func changesKind(kind: String) throws {
        let place = try place(size: 512 << 20)
        let path = place.context.appending(path: "d/b").path

        let result = try build(place) {
            unlink(path)
            switch kind {
            case "fifo": mkfifo(path, 0o600)
            case "link": symlink("/etc/hostname", path)
            default: mkdir(path, 0o700)
            }
        }

        #expect(result.ending == .exited(1))
        #expect(result.errors.contains("d/b is no file any more"), "\(result.errors)")
        try check(place)
    }

    @Test("A file that grows has what was read of it, and the next build notices")
    func grows() throws {
        let place = try place(size: 512 << 20)

        let first = try build(place) { try place.write("d/b", "small and more") }
        let warm = try place.build(["--quiet"], environment: Self.epoch)
        let rebuilt = try place.build(["--quiet", "--no-cache"], environment: Self.epoch)

        #expect(first.ending == .exited(0), "\(first.errors)")
        #expect(warm.output == rebuilt.output)
    }

    /// Builds twice, the second time with another file, while something changes; puts that back, and builds again: with
    /// and without the cache must be the same.
    private func restores(
        _ place: BuildPlace,
        other: String,
        change: () throws -> Void,
        back: () throws -> Void
    ) throws {
        // What changed just now is not remembered.
        usleep(100_000)
        let known = try place.build(environment: Self.epoch)
        try place.write(other, "other")

        let torn = try build(place, meanwhile: change)
        try back()
        let restored = try place.build(["--quiet"], environment: Self.epoch)
        let rebuilt = try place.build(["--quiet", "--no-cache"], environment: Self.epoch)

        #expect(known.status == 0 && torn.ending == .exited(0), "\(known.errors)\(torn.errors)")
        #expect(torn.wasRunning)
        #expect(restored.output == rebuilt.output)
    }

    /// Writes a byte into a file without making it longer.
    private func set(_ byte: UInt8, at place: UInt64, of path: URL) throws {
        let file = try FileHandle(forUpdating: path)
        try file.seek(toOffset: place)
        try file.write(contentsOf: [byte])
        try file.close()
    }

    @Test("A known file that changes while it is read, and is then as it was, is not taken from the cache")
    func changesAndIsRestored() throws {
        let place = try place(size: 512 << 20)
        let file = place.context.appending(path: "d/a")
        let end: UInt64 = (512 << 20) - 1

        try restores(place, other: "d/b") {
            try set(1, at: end, of: file)
        } back: {
            try set(0, at: end, of: file)
        }
    }

    @Test("A known file that was written anew before it was read, and is then as it was, is not taken from the cache")
    func growsAndIsRestored() throws {
        let place = try place(size: 512 << 20)

        try restores(place, other: "d/c") {
            try place.write("d/b", "small and more")
        } back: {
            try place.write("d/b", "small")
        }
    }

    @Test("An archive that changes while ADD unpacks it, and is then as it was, is not taken from the cache")
    func archiveChanges() throws {
        let place = try BuildPlace("FROM scratch\nADD d/a.tar d/b /d/\n")
        let large = place.root.appending(path: "large")
        try Data().write(to: large)
        try #require(truncate(large.path, 512 << 20) == 0)
        try place.write("d/b", "1")
        let archive = place.context.appending(path: "d/a.tar")
        let command = ["-cf", archive.path, "-C", place.root.path, "large"]
        let made = try Program.run(command, of: #require(Program.named("tar")))
        try #require(made.status == 0, "\(made.errors)")

        // The file's last bytes: a header of 512 bytes is before it.
        try restores(place, other: "d/b") {
            try set(1, at: 512 << 20, of: archive)
        } back: {
            try set(0, at: 512 << 20, of: archive)
        }
    }

    @Test(
        "A sparse file of 8 GiB is built in less than 72 MiB of memory",
        .enabled(if: ProcessInfo.processInfo.environment["CI"] == nil, "slow")
    )
    func sparse() throws {
        let place = try place(size: 8 << 30)
        let script = """
            import resource, subprocess, sys
            status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
            print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
            """
        let command = [Program.coracle.path, "build", "--store", place.store.path, place.context.path]

        let result = try Program.run(["-c", script] + command, of: #require(Program.named("python3")))

        let numbers = result.output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        try #require(numbers.count == 2)
        #expect(numbers[0] == 0, "\(result.errors)")
        #expect(numbers[1] < 72 << 10)
        print("A sparse file of 8 GiB: \(numbers[1]) KiB of memory at most")
    }
}
