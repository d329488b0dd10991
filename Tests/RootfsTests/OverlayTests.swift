// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import OCI
import Rootfs
import Store
import TestSupport
import Testing

/// Layers as overlayfs shows them, and what it writes as layers again.
@Suite(.enabled(if: Overlay.isAvailable)) struct OverlayTests {
    let layers: Layers
    let snapshots: Snapshots

    init() throws {
        layers = try Layers()
        snapshots = try layers.snapshots()
    }

    /// A small system with everything that files can be.
    private func base() throws -> Snapshots.Layer {
        var owned = entry("f usr/bin/su")
        (owned.mode, owned.uid, owned.gid, owned.mtime) = (0o4755, 1, 2, 1_000_000_000)
        var capable = entry("f usr/bin/ping")
        let capability: [UInt8] = [1, 0, 0, 2, 0, 0x20] + [UInt8](repeating: 0, count: 14)
        capable.attributes = [
            TarEntry.Attribute(name: Array("security.capability".utf8), value: capability),
            TarEntry.Attribute(name: Array("user.note".utf8), value: [0, 255]),
        ]
        var closed = entry("d root")
        (closed.mode, closed.uid, closed.gid, closed.mtime) = (0o1700, 3, 4, 1_234_567_890)
        var strange = entry("f ")
        strange.path = Array("usr/".utf8) + [0xFF, 0x0A, 0x20]
        var device = entry("f dev/null")
        device = TarEntry(path: device.path, kind: .characterDevice)
        (device.mode, device.major, device.minor) = (0o666, 1, 3)
        let long = "usr/" + String(repeating: "n", count: 255)
        return try layers.add(
            [
                (entry("d usr"), []), (entry("d usr/bin"), []), (owned, Array("su".utf8)), (capable, [1, 2, 3]),
                (closed, []), (entry("d dev"), []), (device, []), (entry("p dev/pipe"), []),
                (entry("l bin -> usr/bin"), []), (entry("h usr/bin/login -> usr/bin/su"), []),
                (strange, Array("strange".utf8)), (entry("f \(long)"), []), (entry("d etc"), []),
                (entry("f etc/passwd"), Array("root:x:0:0::/root:/bin/sh\n".utf8)),
                (entry("f etc/group"), Array("root:x:0:\n".utf8)), (entry("d var"), []), (entry("d var/a"), []),
                (entry("f var/a/1"), []), (entry("f var/a/2"), []), (entry("d var/b"), []), (entry("f var/b/1"), []),
            ]
        )
    }

    /// Runs a script on layers; the layer that it makes, and what its mount showed.
    private func step(_ script: String, on below: [Snapshots.Layer]) throws -> (layer: Snapshots.Layer, shown: [String])
    {
        let lower = try snapshots.directories(of: below, cores: 2)
        let snapshot = try snapshots.begin(over: lower)
        try Overlay.run(script, lower: lower, snapshot, layers.folder)
        let shown = try show(lower + [snapshot.upper])
        let layer = try layers.add(Changes(upper: snapshot.upper, lower: lower, marks: snapshots.marks))
        return (layer, shown)
    }

    /// What a mount of folders shows.
    private func show(_ directories: [String]) throws -> [String] {
        let copy = layers.folder.url.path + "/copy-\(UUID().uuidString)"
        var lower = directories
        // Names are relative to one folder.
        let parent = URL(filePath: lower[0]).deletingLastPathComponent().path
        if let last = lower.last, !last.hasPrefix(parent) {
            let link = parent + "/" + UUID().uuidString.prefix(8)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: last)
            lower[lower.count - 1] = link
        }
        if lower.count == 1 {
            let empty = parent + "/empty"
            try? FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: false)
            lower.insert(empty, at: 0)
        }
        try Overlay.run("cp -a --reflink=auto . '\(copy)'", lower: lower, nil, layers.folder)
        return try listing(copy)
    }

    private func entries(of layer: Snapshots.Layer) throws -> [String] {
        try LayerIndex.entries(of: layer.descriptor, in: layers.store).map { $0.name.trimmingCharacters(in: ["/"]) }
    }

    @Test func everythingThatFilesCanBeIsUnpacked() throws {
        let lower = try snapshots.directories(of: [base()], cores: 1)

        let shown = try show(lower)

        func line(_ path: String) -> String? { shown.first { $0.hasPrefix("b'\(path)' ") } }
        #expect(line("usr/bin/su")?.hasPrefix("b'usr/bin/su' -rwsr-xr-x 1 2 1000000000 2 ") == true)
        #expect(
            line("usr/bin/su")?.hasSuffix("same as b'usr/bin/login'") == true
                || line("usr/bin/login")?.hasSuffix("same as b'usr/bin/su'") == true
        )
        #expect(line("usr/bin/ping")?.contains("'security.capability', b'\\x01\\x00\\x00\\x02\\x00 ") == true)
        #expect(line("usr/bin/ping")?.contains("('user.note', b'\\x00\\xff')") == true)
        #expect(line("root") == "b'root' drwx-----T 3 4 1234567890")
        #expect(line("dev/null") == "b'dev/null' crw-rw-rw- 0 0 0 259")
        #expect(line("dev/pipe") == "b'dev/pipe' prwxr-xr-x 0 0 0")
        #expect(line("bin") == "b'bin' lrwxrwxrwx 0 0 0 b'usr/bin'")
        #expect(line("usr/\\xff\\n ") != nil)
        #expect(line("usr") == "b'usr' drwxr-xr-x 0 0 0", "folders keep their times")
    }

    static let changes: [(String, [String])] = [
        ("true", []),
        ("rm etc/passwd", ["etc", "etc/.wh.passwd"]),
        ("rm -r var/a", ["var", "var/.wh.a"]),
        ("rm -r var/a; mkdir var/a; touch var/a/2 var/a/3", ["var", "var/a", "var/a/.wh.1", "var/a/2", "var/a/3"]),
        ("rm -r var/a; echo > var/a", ["var", "var/a"]),
        ("rm -r etc/passwd; mkdir -p etc/passwd/x", ["etc", "etc/passwd", "etc/passwd/x"]),
        ("touch new; rm new", []),
        (": >> etc/passwd", []),
        ("chmod 755 etc", []),
        ("chmod 700 etc", ["etc"]),
        ("chown 7 var/a/1", ["var", "var/a", "var/a/1"]),
        ("mv var/a/1 var/a/0", ["var", "var/a", "var/a/.wh.1", "var/a/0"]),
        ("cp -p etc/group x; cat x > etc/group; touch -r x etc/group; rm x", []),
        ("cp -p etc/group x; tr r R < x > etc/group; touch -r x etc/group; rm x", ["etc", "etc/group"]),
        ("echo a > n1; ln n1 n2; mkdir d; ln n1 d/n3", ["d", "d/n3", "n1", "n2"]),
        ("ln etc/passwd etc/second", ["etc", "etc/second", "etc/passwd"]),
        ("setfattr -n user.x -v y etc; setfattr -n user.z -v y etc/group", ["etc", "etc/group"]),
        (
            "mkfifo f; ln -s f l; mknod n c 1 5; python3 -c 'import socket; socket.socket(1).bind(\"s\")'",
            ["f", "l", "n"]
        ),
        ("printf x > \"$(printf 'a\\377b')\"", ["a\u{FFFD}b"]),
        ("mkdir -p a/b; chmod 000 a/b", ["a", "a/b"]),
        ("rm -r var; mkdir -p var/a; touch var/a/1", ["var", "var/a", "var/a/.wh.2", "var/a/1", "var/.wh.b"]),
        ("rm bin; mkdir bin; touch bin/x", ["bin", "bin/x"]),
        ("setcap cap_net_raw+ep etc/group", ["etc", "etc/group"]),
    ]

    @Test(arguments: changes)
    func changesBecomeLayers(script: String, expected: [String]) throws {
        let base = try base()

        let (layer, shown) = try step(script, on: [base])

        #expect(try entries(of: layer).sorted() == expected.sorted())
        let again = try show(snapshots.directories(of: [base, layer], cores: 2))
        // Times of folders in which nothing is left of what was done belong to no layer.
        if expected.isEmpty { return }
        let left = shown.filter { !$0.contains(" srwx") }
        #expect(again.filter { !$0.hasPrefix("b'.'") } == left.filter { !$0.hasPrefix("b'.'") })
    }

    @Test func stepsOnStepsAreTheSameFromTheirFoldersAndFromTheirLayers() throws {
        let base = try base()
        var (below, shown) = ([base], [String]())
        let scripts = [
            "rm -r var/a; mkdir var/a; echo 1 > var/a/x; ln var/a/x var/a/y; chmod 1777 var",
            "rm var/a/x; touch var/b/2; rm -r var/b; mkdir -p var/b/c",
            "ln var/a/y etc/y; chown 5:6 bin; mv etc/group etc/groups",
        ]
        for script in scripts {
            let lower = try snapshots.directories(of: below, cores: 2)
            let snapshot = try snapshots.begin(over: lower)
            try Overlay.run(script, lower: lower, snapshot, layers.folder)
            let layer = try layers.add(Changes(upper: snapshot.upper, lower: lower, marks: snapshots.marks))
            try snapshots.adopt(snapshot, as: layer.diffID, over: below.map(\.diffID))
            #expect(access(snapshot.upper, F_OK) != 0, "the folders of the step are gone")
            below.append(layer)
            shown = try show(try snapshots.directories(of: below, cores: 1))
        }

        // Another store has the layers only.
        try FileManager.default.removeItem(atPath: snapshots.folder)
        let again = try show(try layers.snapshots().directories(of: below, cores: 2))

        #expect(again == shown)
    }

    @Test func stepsThatChangeNothingAreOneFolderHoweverManyTheyAre() throws {
        var below = [try base()]
        let shown = try show(try snapshots.directories(of: below, cores: 1))
        for script in ["true", "touch etc/x; rm etc/x", "true"] {
            let lower = try snapshots.directories(of: below, cores: 1)
            let snapshot = try snapshots.begin(over: lower)
            try Overlay.run(script, lower: lower, snapshot, layers.folder)
            let layer = try layers.add(Changes(upper: snapshot.upper, lower: lower, marks: snapshots.marks))
            try snapshots.adopt(snapshot, as: layer.diffID, over: below.map(\.diffID))
            #expect(access(snapshot.upper, F_OK) != 0, "the folders of the step are gone")
            below.append(layer)
        }

        let folders = try snapshots.directories(of: below, cores: 1)

        #expect(folders.count == 2)
        #expect(try show(folders).dropFirst() == shown.dropFirst())
        let names = try FileManager.default.contentsOfDirectory(atPath: try #require(folders.last))
        #expect(names.isEmpty, "what overlayfs copied up for a while is not kept")
    }

    /// Runs a script in a copy.
    private func run(_ script: String, in copy: TreeCopy) throws {
        let shell = URL(filePath: "/bin/sh")
        let program = try Program.run(["-ec", "cd \"$1\"; eval \"$2\"", "sh", copy.root, script], of: shell)
        #expect(program.status == 0, "\(program.errors)")
    }

    @Test(arguments: changes)
    func changesOfCopiesBecomeTheSameLayers(script: String, expected: [String]) throws {
        let base = try base()
        let lower = try snapshots.directories(of: [base], cores: 2)
        let copy = try snapshots.copy(of: lower)
        #expect(try listing(copy.root).dropFirst() == show(lower).dropFirst(), "the copy is what overlayfs shows")

        try run(script, in: copy)
        let layer = try layers.add(Changes(copy: copy, lower: lower, marks: snapshots.marks))

        #expect(try entries(of: layer).sorted() == expected.sorted())
    }

    @Test func severalStepsChangeOneCopy() throws {
        let base = try base()
        var below = [base]
        var lower = try snapshots.directories(of: below, cores: 2)
        let copy = try snapshots.copy(of: lower)
        for (script, expected) in [
            ("echo 1 > new; rm etc/group; ln new second", ["etc", "etc/.wh.group", "new", "second"]), ("true", []),
            ("echo 2 >> etc/passwd", ["etc", "etc/passwd"]),
        ] {
            try run(script, in: copy)
            let layer = try layers.add(Changes(copy: copy, lower: lower, marks: snapshots.marks))
            try copy.settle()
            #expect(try entries(of: layer) == expected)
            below.append(layer)
            lower = try snapshots.directories(of: below, cores: 2)
        }
        let (shown, merged) = (try listing(copy.root), try show(lower))
        #expect(shown.filter { !$0.hasPrefix("b'.'") } == merged.filter { !$0.hasPrefix("b'.'") })
        copy.close()
        #expect(access(copy.root, F_OK) != 0)
    }

    @Test func whatMountsWerePutOnIsRemoved() throws {
        let base = try base()
        let lower = try snapshots.directories(of: [base], cores: 2)
        let snapshot = try snapshots.begin(over: lower)
        let script = "mkdir -p proc run/secrets/x etc/kept; touch etc/hosts run/secrets/x/y etc/full; echo x > etc/full"
        try Overlay.run(script, lower: lower, snapshot, layers.folder)

        let stubs = ["proc", "run", "run/secrets", "run/secrets/x", "run/secrets/x/y", "etc", "etc/hosts", "etc/full"]
        try snapshots.removeStubs(stubs.map { Array($0.utf8) }, from: snapshot.upper, over: lower)
        let layer = try layers.add(Changes(upper: snapshot.upper, lower: lower, marks: snapshots.marks))

        #expect(try entries(of: layer) == ["etc", "etc/full", "etc/kept"])
    }
}
