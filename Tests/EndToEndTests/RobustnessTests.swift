// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// Stores that many builds share, that lose builds half-way, and whose disk is full.
@Suite(.serialized) struct RobustnessTests {
    /// A context with several layers, large enough that a build takes a while.
    private func place() throws -> BuildPlace {
        let place = try BuildPlace(
            """
            FROM scratch AS a
            COPY tree /tree/
            FROM scratch
            WORKDIR /srv
            COPY --from=a /tree/1 /one/
            ADD a.tar /unpacked/
            COPY noise /noise
            """
        )
        for number in 0..<300 {
            try place.write("tree/\(number % 5)/f\(number)", String(repeating: "\(number) ", count: 2000))
        }
        try place.archive("a.tar", (0..<20).map { .made("d/f\($0)", size: 100_000) })
        var generator = SystemRandomNumberGenerator()
        let noise = (0..<(1 << 19)).map { _ in generator.next() as UInt64 }
        try noise.withUnsafeBytes { try Data($0).write(to: place.context.appending(path: "noise")) }
        return place
    }

    /// Starts a build that says nothing.
    private func start(_ place: BuildPlace, _ arguments: [String]) throws -> Child {
        try Child(["build", "--store", place.store.path] + arguments + [place.context.path])
    }

    @Test("Twenty builds at once share a new store, and give one digest")
    func concurrent() throws {
        let place = try place()

        let builds = try (0..<20)
            .map { number in
                try start(
                    place,
                    ["-t", "app:\(number)", "--iidfile", place.root.appending(path: "iid-\(number)").path]
                )
            }
        for build in builds {
            #expect(try build.wait() == .exited(0))
        }

        let digests = try (0..<20)
            .map { number in
                try String(contentsOf: place.root.appending(path: "iid-\(number)"), encoding: .utf8)
            }
        #expect(Set(digests).count == 1)
        let images = try JSON(contentsOf: place.store.appending(path: "index.json"))["manifests"].array
        #expect(images.count == 20, "no name is lost")
        #expect(try BuildPlace.faults(place.store, allowsWarnings: true) == nil)
    }

    @Test("Builds at once may write to one folder or archive", arguments: ["true", "false"])
    func concurrentOutput(tar: String) throws {
        let place = try place()
        try #require(try place.build().status == 0)
        let target = place.root.appending(path: "out")

        let builds = try (0..<8).map { _ in try start(place, ["-o", "type=oci,dest=\(target.path),tar=\(tar)"]) }
        for build in builds {
            #expect(try build.wait() == .exited(0))
        }

        #expect(try BuildPlace.faults(target) == nil)
    }

    @Test("Builds that are killed at fifty moments leave a store in which the next build succeeds")
    func killed() throws {
        let place = try place()
        let start = ContinuousClock.now
        let whole = try place.build(["--no-cache", "-t", "whole"])
        let microseconds = (ContinuousClock.now - start) / .microseconds(1)
        #expect(whole.status == 0, "\(whole.errors)")

        for moment in 0..<50 {
            // Ten builds that were killed soon enough made none.
            if moment % 10 == 0, FileManager.default.fileExists(atPath: place.store.path) {
                try FileManager.default.removeItem(at: place.store)
            }
            let build = try self.start(place, (moment % 2 == 0 ? ["--no-cache"] : []) + ["-t", "killed:\(moment)"])
            usleep(UInt32.random(in: 0...UInt32(microseconds)))
            build.send(SIGKILL)
            try build.wait()
            // A store whose mark was not written is none yet: the next build makes it whole.
            let mark = place.store.appending(path: "coracle-store").path
            if moment % 10 == 9, FileManager.default.fileExists(atPath: mark) {
                let faults = try BuildPlace.faults(place.store, allowsWarnings: true)
                #expect(faults == nil, "after \(moment + 1) builds: \(faults ?? "")")
            }
        }

        let last = try place.build(["--quiet"], environment: ["SOURCE_DATE_EPOCH": "0"])
        let rebuilt = try place.build(["--quiet", "--no-cache"], environment: ["SOURCE_DATE_EPOCH": "0"])
        #expect(last.status == 0, "\(last.errors)")
        #expect(last.output == rebuilt.output)
        #expect(try BuildPlace.faults(place.store, allowsWarnings: true) == nil)
        #expect(try Program.run(["prune", "--store", place.store.path]).status == 0)
        let blobs = try FileManager.default.contentsOfDirectory(atPath: place.store.path + "/blobs/sha256")
        #expect(blobs.allSatisfy { $0.utf8.count == 64 }, "\(blobs)")
        let left = try FileManager.default.contentsOfDirectory(atPath: place.store.path + "/tmp")
        #expect(left == [], "pruning removes what killed builds left")
    }

    @Test(
        "A full disk ends a build with a sentence, and leaves the store whole",
        arguments: [6, 40, 200, 800, 3000, 5500]
    )
    func fullDisk(free: Int) throws {
        let place = try place()
        try FileManager.default.createDirectory(at: place.store, withIntermediateDirectories: true)
        guard let mount = Program.named("mount"), let umount = Program.named("umount"), geteuid() == 0,
            try Program.run(["-t", "tmpfs", "-o", "size=16m", "tmpfs", place.store.path], of: mount).status == 0
        else { return print("SKIPPED: a full disk needs root, to mount a small one") }
        defer { _ = try? Program.run(["-l", place.store.path], of: umount) }
        try #require(try place.build(["-t", "before", "--target", "a"]).status == 0)
        let room = place.store.appending(path: "filler").path
        try fill(room, leaving: free << 10, of: place.store.path)

        let result = try place.build(["-t", "after"])

        #expect(result.status == 1)
        #expect(result.errors.contains("No space left on device; free some space"), "\(result.errors)")
        unlink(room)
        #expect(try BuildPlace.faults(place.store, allowsWarnings: true) == nil)
        let again = try place.build(["-t", "after"])
        #expect(again.status == 0, "\(again.errors)")
        #expect(try BuildPlace.faults(place.store, allowsWarnings: true) == nil)
        let left = try FileManager.default.contentsOfDirectory(atPath: place.store.path + "/tmp")
        #expect(left == [])
    }

    /// Writes a file until a disk has so many bytes left.
    private func fill(_ path: String, leaving free: Int, of folder: String) throws {
        var status = statvfs()
        try #require(statvfs(folder, &status) == 0)
        let size = Int(status.f_bavail) * Int(status.f_frsize) - free
        let file = open(path, O_WRONLY | O_CREAT, 0o644)
        defer { close(file) }
        try #require(posix_fallocate(file, 0, size) == 0)
    }
}
