// SPDX-License-Identifier: Apache-2.0
import Foundation
import Sandbox
import TestSupport
import Testing

@Suite("What is mounted for a process", .enabled(if: Machine.canRun))
struct MountTests {
    let place: Place

    init() throws { place = try Place() }

    @Test("A bind mount is read-only or not, a file or a folder", arguments: SandboxTests.walls)
    func binds(isolation: Isolation) throws {
        let file = try place.folder.write("source/a/file", "text\n")
        let folder = file.deletingLastPathComponent()
        let script = "cat /x/file /y; echo more > /x/new; echo more > /z/new; mknod /z/null c 1 3; cat /z/null"

        let ran = try place.run(script, isolation) { spec in
            spec.mounts = [
                MountSpec(.bind(folder.path, isReadOnly: true), at: "/x"),
                MountSpec(.bind(file.path, isReadOnly: true), at: "/y"),
                MountSpec(.bind(folder.path, isReadOnly: false), at: "z"),
            ]
        }

        #expect(ran.output == "text\ntext\n")
        #expect(ran.errors.contains("can't create /x/new: Read-only file system"))
        #expect(try String(contentsOf: folder.appending(path: "new"), encoding: .utf8) == "more\n")
        #expect(ran.errors.contains("/z/null': Permission denied") || ran.errors.contains("mknod: /z/null"))
    }

    @Test("A tmpfs has the size and mode given", arguments: SandboxTests.walls)
    func tmpfs(isolation: Isolation) throws {
        let ran = try place.run("busybox stat -c %a /t; head -c 2000000 /dev/zero > /t/big; wc -c < /t/big", isolation)
        {
            $0.mounts = [MountSpec(.tmpfs(size: 1 << 20, mode: 0o1750), at: "/t")]
        }

        #expect(ran.output == "1750\n1048576\n", "\(ran.errors)")
    }

    @Test("Changes to a mounted overlay go to its own upper directory", arguments: SandboxTests.walls)
    func overlays(isolation: Isolation) throws {
        let lower = try place.folder.write("lower/file", "old\n").deletingLastPathComponent()
        let upper = try place.folder.write("up/upper/other", "").deletingLastPathComponent()
        let work = try place.folder.write("up/work/x", "").deletingLastPathComponent()
        try FileManager.default.removeItem(at: work.appending(path: "x"))

        let ran = try place.run("echo new > /m/file; cat /m/file; ls /m", isolation) { spec in
            spec.mounts = [MountSpec(.overlay(lower: [lower.path], upper: upper.path, work: work.path), at: "/m")]
        }

        #expect(ran.output == "new\nfile\nother\n")
        #expect(try String(contentsOf: lower.appending(path: "file"), encoding: .utf8) == "old\n")
    }

    @Test("A secret lies in memory, for its owner alone, and leaves nothing behind", arguments: SandboxTests.walls)
    func secrets(isolation: Isolation) throws {
        let secret = Array("hunter2".utf8)
        var (spec, upper) = try place.spec(
            "cat /run/secrets/key; busybox stat -c ' %a %u:%g' /run/secrets/key; busybox stat -f -c %T /run/secrets/key",
            isolation
        )
        spec.mounts = [
            MountSpec(.file(secret, mode: 0o400, user: .init(uid: 5, gid: 6)), at: "/run/secrets/key")
        ]

        let ran = try place.run(spec, isolation)
        Stub.remove(ran.stubs.filter { !$0.isSystemFolder }, from: upper)

        #expect(ran.output == "hunter2 400 5:6\ntmpfs\n")
        #expect(!FileManager.default.fileExists(atPath: upper + "/run"))
        #expect(try Program.run(["-r", "hunter2", place.folder.url.path], of: URL(filePath: "/bin/grep")).status == 1)
    }

    @Test("Mount points are gone afterwards, and folders have the times they had")
    func stubs() throws {
        let root = place.root
        try FileManager.default.createDirectory(atPath: root + "/opt", withIntermediateDirectories: true)
        symlink("../run/resolve/stub.conf", root + "/etc/resolv.conf")
        for path in ["/etc", "/opt", ""] {
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 1e9)],
                ofItemAtPath: root + path
            )
        }
        var (spec, upper) = try place.spec("cat /etc/resolv.conf > /dev/null && echo kept > /opt/made")
        spec.mounts = [
            MountSpec(.tmpfs(size: nil), at: "/cache/a/b"), MountSpec(.tmpfs(size: nil), at: "/opt/c"),
            MountSpec(.tmpfs(size: nil), at: "/cache/a/b/inner"),
        ]

        let ran = try place.run(spec)
        Stub.remove(ran.stubs, from: upper)

        #expect(ran.status == .exited(0), "\(ran.errors)")
        let left = try FileManager.default.subpathsOfDirectory(atPath: upper).sorted()
        #expect(left == ["etc", "opt", "opt/made"])
        let changed = { (path: String) in
            try FileManager.default.attributesOfItem(atPath: upper + path)[.modificationDate] as? Date
        }
        #expect(try changed("/etc") == Date(timeIntervalSince1970: 1e9))
        #expect(try changed("/opt") != Date(timeIntervalSince1970: 1e9), "the process changed it")
    }

    @Test("What a process made of a mount point's folder stays")
    func keptStubs() throws {
        var (spec, upper) = try place.spec("echo x > /new/file")
        spec.mounts = [MountSpec(.tmpfs(size: nil), at: "/new/mount")]

        let ran = try place.run(spec)
        Stub.remove(ran.stubs, from: upper)

        #expect(try FileManager.default.subpathsOfDirectory(atPath: upper).sorted() == ["etc", "new", "new/file"])
    }

    @Test("A link in the image leads nowhere outside")
    func hostileLinks() throws {
        let outside = try place.folder.write("outside/file", "host\n").deletingLastPathComponent()
        symlink(outside.path, place.root + "/link")
        symlink("../../../../../../../../../tmp/made-by-test", place.root + "/up")

        let ran = try place.run("ls /link /tmp/made-by-test") { spec in
            spec.mounts = [MountSpec(.tmpfs(size: nil), at: "/link/x"), MountSpec(.tmpfs(size: nil), at: "/up")]
        }

        #expect(ran.output.contains("/link:\nx\n"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside.path) == ["file"])
        #expect(!FileManager.default.fileExists(atPath: "/tmp/made-by-test"))
    }

    @Test("A root of a hundred and fifty layers is seen whole", arguments: SandboxTests.walls)
    func manyLayers(isolation: Isolation) throws {
        let (plain, upper) = try place.spec("ls /layers | wc -l; cat /layers/top", isolation)
        var spec = plain
        var lower = [place.root]
        for number in 0..<150 {
            // Long names: neither a page of options nor a string of 255 bytes would hold them.
            let name = "\(String(repeating: "l", count: 200))-\(number)/\(String(repeating: "m", count: 100))"
            try place.folder.write(name + "/layers/file\(number)", "")
            try place.folder.write(name + "/layers/top", "\(number)\n")
            lower.append(place.folder.url.appending(path: name).path)
        }
        spec.root = .overlay(lower: lower, upper: upper, work: upper.replacing("/upper", with: "/work"))

        let ran = try place.run(spec, isolation)

        #expect(ran.output == "151\n149\n")
    }

    @Test("A read-only root takes no change, but its mounts do", arguments: SandboxTests.walls)
    func readOnlyRoot(isolation: Isolation) throws {
        let ran = try place.run("echo x > /file; echo x > /t/file && echo mounted", isolation) { spec in
            spec.isRootReadOnly = true
            spec.mounts = [MountSpec(.tmpfs(size: nil), at: "/t")]
        }

        #expect(ran.errors.contains("can't create /file: Read-only file system"))
        #expect(ran.output == "mounted\n")
    }
}
