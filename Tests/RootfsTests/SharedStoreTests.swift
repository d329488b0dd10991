// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import OCI
import Rootfs
import Store
import TestSupport
import Testing

/// Several processes, some killed, some of other users; each is this test run again, with a part to play.
@Suite struct SharedStoreTests {
    /// The part of a further process: the store, then the layers.
    static let part = ProcessInfo.processInfo.environment["CORACLE_TEST_UNPACK"]?.split(separator: " ").map(String.init)

    private let outputs: TemporaryFolder

    init() throws { outputs = try TemporaryFolder() }

    @Test(.enabled(if: part != nil)) func partOfAFurtherProcess() throws {
        let part = try #require(Self.part)
        let store = try ImageStore(part[0])
        let layers = try part.dropFirst()
            .map { text in
                let parts = text.split(separator: ",")
                let descriptor = Descriptor(
                    mediaType: .layerGzip,
                    digest: try Digest(parts[0]),
                    size: Int64(parts[1]) ?? 0
                )
                return Snapshots.Layer(descriptor, diffID: try Digest(parts[2]))
            }
        let snapshots = try Snapshots(store, limit: 1 << 40)
        let directories = try snapshots.directories(of: layers, cores: 2)
        let snapshot = try snapshots.begin(over: directories)
        print("UNPACKED \(directories.joined(separator: " "))")
        if geteuid() == 0, snapshots.marks == .user { try stepInNamespace(snapshots, directories, snapshot) }
    }

    /// What root of a user namespace does: mounts overlayfs with attributes of users.
    private func stepInNamespace(_ snapshots: Snapshots, _ directories: [String], _ snapshot: Snapshot) throws {
        let merged = snapshot.work + "/../merged"
        try FileManager.default.createDirectory(atPath: merged, withIntermediateDirectories: false)
        let options =
            "lowerdir=\(directories.reversed().joined(separator: ":")),upperdir=\(snapshot.upper),workdir=\(snapshot.work),userxattr"
        let script = """
            mount -i -t overlay overlay -o "$1" "$2" && cd "$2" && ls -A . o && rm -r gone o && mkdir o && echo x > o/new
            cd / && umount "$2"
            """
        let program = try Program.run(["-c", script, "sh", options, merged], of: URL(filePath: "/bin/sh"))
        #expect(program.status == 0, "\(program.errors)")
        print("SHOWN \(program.output.split(separator: "\n").joined(separator: " "))")
        var names: [String] = []
        try Changes(upper: snapshot.upper, lower: directories, marks: snapshots.marks)
            .forEach { entry, _ in names.append(entry.name) }
        print("CHANGED \(names.joined(separator: " "))")
    }

    /// Starts this test run again.
    private func start(
        _ layers: [Snapshots.Layer],
        in store: ImageStore,
        with wrapper: [String] = []
    ) throws -> (process: Child, output: URL) {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let command = wrapper + [own, "--testing-library", "swift-testing", "--filter", "partOfAFurtherProcess"]
        let program = try #require(
            command[0].hasPrefix("/") ? URL(filePath: command[0]) : Program.named(command[0])
        )
        let texts = layers.map { "\($0.descriptor.digest),\($0.descriptor.size),\($0.diffID)" }
        let output = outputs.url.appending(path: UUID().uuidString)
        let process = try Child(
            Array(command.dropFirst()),
            of: program,
            environment: ["CORACLE_TEST_UNPACK": ([store.root] + texts).joined(separator: " ")],
            output: .file(output)
        )
        return (process, output)
    }

    private func output(_ started: (process: Child, output: URL)) throws -> String {
        try started.process.wait()
        return try String(contentsOf: started.output, encoding: .utf8)
    }

    private func line(_ mark: String, _ output: String) -> String? {
        output.split(separator: "\n").first { $0.hasPrefix(mark + " ") }.map(String.init)
    }

    private func large(_ layers: Layers, _ number: Int) throws -> Snapshots.Layer {
        let content = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* number &+ $0 >> 3) }
        return try layers.add((0..<3000).map { (entry("f d\($0 % 50)/\($0)"), content) })
    }

    @Test(.enabled(if: part == nil)) func processesAtOnceUnpackOnce() throws {
        let layers = try Layers()
        let below = try (1...3).map { try large(layers, $0) }

        let processes = try (0..<4).map { _ in try start(below, in: layers.store) }
        let lines = try processes.map { line("UNPACKED", try output($0)) }

        #expect(lines[0] != nil && Set(lines).count == 1, "\(lines)")
        let folder = try layers.snapshots().folder
        #expect(DiskFile.names(in: folder).filter { !$0.hasSuffix(".diff") }.count == 3)
        #expect(DiskFile.names(in: layers.store.root + "/tmp").isEmpty)
    }

    @Test(.enabled(if: part == nil)) func killedProcessesLeaveNothingThatLasts() throws {
        let layers = try Layers()
        let below = try (1...2).map { try large(layers, $0) }
        let partial = try layers.snapshots().folder
        for _ in 0..<5 {
            let process = try start(below, in: layers.store).process
            while process.isRunning, !DiskFile.names(in: partial).contains(where: { $0.hasPrefix("p") }) { usleep(500) }
            process.send(SIGKILL)
            try process.wait()
        }

        let directories = try layers.snapshots().directories(of: below, cores: 2)

        for directory in directories {
            let files = try FileManager.default.subpathsOfDirectory(atPath: directory)
            #expect(files.count == 3050)
        }
        #expect(!DiskFile.names(in: partial).contains { $0.hasPrefix("p") })
    }

    private static let isRoot: Bool = {
        if geteuid() == 0, Program.named("unshare") != nil, Program.named("setpriv") != nil { return true }
        print("TESTS SKIPPED: changing to another user needs root, unshare and setpriv")
        return false
    }()

    /// A base, and a layer that hides some of it; with owners, which a user alone cannot give.
    private func forUsers(_ layers: Layers) throws -> [Snapshots.Layer] {
        var owned = entry("f owned = x")
        (owned.path, owned.uid, owned.gid, owned.mode) = (Array("owned".utf8), 7, 8, 0o4755)
        var device = TarEntry(path: Array("null".utf8), kind: .characterDevice)
        (device.major, device.minor) = (1, 3)
        var closed = entry("d closed")
        closed.mode = 0
        let base = try layers.add(
            [
                (owned, [1]), (device, []), (closed, []), (entry("f closed/x"), []), (entry("f gone"), []),
                (entry("d o"), []), (entry("f o/old"), []), (entry("f w"), []),
            ]
        )
        return [base, try layers.add("f .wh.w", "d o", "f o/.wh..wh..opq", "f o/1")]
    }

    @Test(.enabled(if: part == nil && isRoot), arguments: [[], ["unshare", "--map-root-user", "--mount"]])
    func ordinaryUsersUnpackWithoutAndWithANamespace(namespace: [String]) throws {
        let layers = try Layers()
        let below = try forUsers(layers)
        let chown = try Program.run(["-R", "65534:65534", layers.folder.url.path], of: URL(filePath: "/bin/chown"))
        #expect(chown.status == 0)

        let user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        let output = try output(start(below, in: layers.store, with: user + namespace))

        let directories = try #require(line("UNPACKED", output), "\(output)").split(separator: " ").dropFirst()
        #expect(directories.count == 2)
        var status = stat()
        #expect(stat(directories[1] + "/owned", &status) == 0 && status.st_uid == 65534)
        #expect(status.st_mode & 0o7777 == 0o4755)
        #expect(stat(directories[1] + "/closed", &status) == 0 && status.st_mode & 0o7777 == 0)
        #expect(lstat(directories[2] + "/w", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
        if !namespace.isEmpty {
            #expect(line("SHOWN", output) == "SHOWN .: closed gone o owned o: 1")
            #expect(line("CHANGED", output) == "CHANGED .wh.gone o o/.wh.1 o/new")
        }
        #expect(DiskFile.names(in: layers.store.root + "/tmp").isEmpty)
    }
}
