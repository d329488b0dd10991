// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import OCI
import Rootfs
import Store
import TestSupport
import Testing

@Suite struct SnapshotsTests {
    let layers: Layers
    let snapshots: Snapshots

    init() throws {
        layers = try Layers()
        snapshots = try layers.snapshots()
    }

    private func unpack(_ below: Snapshots.Layer...) throws -> [String] {
        try snapshots.directories(of: below, cores: 2)
    }

    /// What is left in the store of unpacking.
    private var left: [String] { DiskFile.names(in: snapshots.folder) }

    private func read(_ path: String, _ directories: [String]) throws -> String? {
        try snapshots.read(Array(path.utf8), in: directories, limit: 100).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func aLayerIsUnpackedOnceAndSharedByImages() throws {
        let (shared, other) = (try layers.add("d a", "f a/b = x"), try layers.add("d a", "f a/c = y"))

        let first = try unpack(shared)
        let inode = try FileManager.default.attributesOfItem(atPath: first[0] + "/a/b")[.systemFileNumber] as? Int
        let second = try unpack(other, shared)

        #expect(second[1] == first[0])
        let again = try FileManager.default.attributesOfItem(atPath: first[0] + "/a/b")[.systemFileNumber] as? Int
        #expect(inode == again)
        #expect(left.filter { !$0.hasSuffix(".diff") }.count == 2)
        #expect(LayerIndex.isKnown(shared.descriptor.digest, in: layers.store), "it was read once, for both")
        #expect(try LayerIndex.entries(of: shared.descriptor, in: layers.store).count == 2)
        #expect(try LayerIndex.diffID(of: shared.descriptor, in: layers.store) == shared.diffID)
    }

    @Test(arguments: [
        (["f ../x = y"], "would leave the image"), (["f a/../../x"], "would leave the image"),
        (["h a -> ../../etc/passwd"], "would leave the image"), (["h a -> b"], "which is not there"),
        (["d a", "h b -> a"], "a folder"), (["l a -> b", "l b -> a", "f a/x"], "circle"),
        (["f .wh..", "f x"], "no name"),
        (["d a", "h b -> a/c"], "which is not there"),
    ])
    func hostileLayersAreRefusedAndNothingIsLeft(lines: [String], reason: String) throws {
        let layer = try layers.add(lines)

        let error = #expect(throws: (any Error).self) { try unpack(layer) }

        #expect("\(error as Any)".contains(reason), "\(error as Any)")
        #expect(left.isEmpty)
    }

    @Test(arguments: [
        ["l a -> /", "f a/coracle-escaped = x"], ["l a -> ../../../../../../..", "f a/coracle-escaped = x"],
        ["d d", "l d/a -> /tmp/../..", "f d/a/coracle-escaped = x"],
        ["l a -> /b", "l b -> /", "f a/coracle-escaped"],
        ["l coracle-escaped -> /coracle-escaped2", "f coracle-escaped = x"],
    ])
    func linksLeadNowhereOutOfTheLayer(lines: [String]) throws {
        let directories = try unpack(layers.add(lines))

        #expect(access("/coracle-escaped", F_OK) != 0 && access("/coracle-escaped2", F_OK) != 0)
        var status = stat()
        #expect(lstat(directories[0] + "/coracle-escaped", &status) == 0)
    }

    @Test func modesOfFoldersThatBecameLinksAreNotSetElsewhere() throws {
        let victim = layers.folder.url.path + "/victim"
        mkdir(victim, 0o700)
        var open = entry("d a")
        open.mode = 0o777
        var link = entry("l a")
        link.target = Array(victim.utf8)

        _ = try unpack(try layers.add([(open, []), (link, [])]))

        var status = stat()
        #expect(stat(victim, &status) == 0 && status.st_mode & 0o777 == 0o700)
    }

    @Test func attributesOfOverlayfsAreNotTakenFromLayers() throws {
        var folder = entry("d a")
        folder.attributes = ["trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque"]
            .map { TarEntry.Attribute(name: Array($0.utf8), value: Array("y".utf8)) }
        let directories = try unpack(
            try layers.add([(folder, [])]),
            try layers.add([(folder, []), (entry("f a/x"), [])])
        )

        #expect(try listingOfAttributes(directories[0] + "/a").isEmpty)
    }

    private func listingOfAttributes(_ path: String) throws -> String {
        let code = "import os,sys; print(*os.listxattr(sys.argv[1]))"
        let program = try Program.run(["-c", code, path], of: URL(filePath: "/usr/bin/python3"))
        #expect(program.status == 0)
        return program.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test func aWrongDiffIDLeavesNothing() throws {
        let layer = try layers.add("f a = x")
        let wrong = SHA256.digest([1])

        let error = #expect(throws: StoreError.self) {
            try unpack(Snapshots.Layer(layer.descriptor, diffID: wrong))
        }

        #expect(error?.message.contains("unpacks to \(layer.diffID), and its image says \(wrong)") == true)
        #expect(left.isEmpty)
    }

    @Test func aDamagedLayerLeavesNothingAndSaysWhatIt_is() throws {
        let layer = try layers.add([(entry("f a"), [UInt8](repeating: 7, count: 100_000))])
        let path = layers.store.path(of: layer.descriptor.digest)
        var bytes = try #require(try DiskFile.read(path))
        for index in 40..<60 { bytes[index] ^= 0x55 }
        try DiskFile.write(bytes, to: path, isSynced: false)

        let error = #expect(throws: (any Error).self) { try unpack(layer) }

        #expect("\(error as Any)".contains(layer.descriptor.digest.short))
        #expect(left.isEmpty)
        unlink(path)
        let missing = #expect(throws: StoreError.self) { try unpack(layer) }
        #expect(missing?.message.contains("No such file") == true)
    }

    @Test func moreThanTheLimitIsNotUnpacked() throws {
        let content = [UInt8](repeating: 0, count: 2 << 20)
        let below = [try layers.add([(entry("f a"), content)]), try layers.add([(entry("f b"), content)])]

        let error = #expect(throws: StoreError.self) {
            try layers.snapshots(limit: 3 << 20).directories(of: below, cores: 1)
        }

        #expect(error?.message == "the image unpacks to more than \(3 << 20) bytes, the limit")
        #expect(left.filter { $0.hasPrefix("p") }.isEmpty)
        #expect(try layers.snapshots(limit: 5 << 20).directories(of: below, cores: 1).count == 2)
    }

    @Test func filesOfLowerLayersGetSecondNames() throws {
        let directories = try unpack(
            layers.add("d a", "f a/b = content", "l c -> a"),
            layers.add("h x -> a/b", "h y -> c/b")
        )

        let upper = directories[1]
        let inodes = try ["a/b", "x", "y"]
            .map { name in
                try FileManager.default.attributesOfItem(atPath: "\(upper)/\(name)")[.systemFileNumber] as? Int
            }
        #expect(Set(inodes).count == 1, "overlayfs shows the three names as one file")
        #expect(try read("/y", directories) == "content")
        #expect(upper.contains("/c"), "it stands on these layers only")
    }

    @Test func foldersThatNoEntryNamesAreAsTheyAreBelow() throws {
        var folder = entry("d a")
        folder.mode = 0o751
        folder.mtime = 1_000_000
        let one = try layers.add([(folder, []), (entry("l lib -> a/lib"), []), (entry("d a/lib"), [])])
        let two = try layers.add("f a/b", "f lib/c", "f new/d")

        let directories = try unpack(one, two)

        var status = stat()
        #expect(stat(directories[1] + "/a", &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o751 && status.st_mtim.tv_sec == 1_000_000)
        #expect(access(directories[1] + "/a/lib/c", F_OK) == 0, "links below are followed, as Docker does")
        #expect(lstat(directories[1] + "/lib", &status) != 0)
        let alone = try unpack(two)
        #expect(stat(alone[0] + "/a", &status) == 0 && status.st_mode & 0o7777 == 0o755)
    }

    @Test func filesAreReadAsTheImageHasThem() throws {
        let base = try layers.add(
            "d etc",
            "f etc/passwd = old",
            "l etc/group -> ../../usr/group",
            "d usr",
            "f usr/group = g",
            "d o",
            "f o/x = x",
            "d w",
            "f w/y = y",
            "l loop -> loop",
            "l etc/abs -> /usr/group",
            "f etc/shadow = s"
        )
        let top = try layers.add(
            "d etc",
            "f etc/passwd = new",
            "d o",
            "f o/.wh..wh..opq",
            "f .wh.w",
            "f etc/.wh.shadow"
        )
        let directories = try unpack(base, top)

        #expect(try read("/etc/passwd", directories) == "new")
        #expect(try read("etc/group", directories) == "g")
        #expect(try read("/etc/abs", directories) == "g")
        #expect(try read("/../etc/./abs", directories) == "g")
        for path in ["/o/x", "/w/y", "/etc/shadow", "/etc", "/nothing/there", "/etc/passwd/x"] {
            #expect(try read(path, directories) == nil, "\(path)")
        }
        #expect(throws: TreeError.self) { try read("/loop", directories) }
        #expect(throws: StoreError.self) {
            try snapshots.read(Array("etc/passwd".utf8), in: directories, limit: 2)
        }
    }

    @Test func aRootThatHidesEverythingIsTheLowest() throws {
        let directories = try unpack(layers.add("f a"), layers.add("f .wh..wh..opq", "f b"), layers.add("f c"))

        #expect(directories.count == 2)
        #expect(try read("a", directories) == nil)
    }

    @Test func manyLayersHaveShortNames() throws {
        var below: [Snapshots.Layer] = []
        for number in 0..<150 { below.append(try layers.add("d d", "f d/\(number) = \(number)", "f same = \(number)")) }

        let directories = try snapshots.directories(of: below, cores: 2)

        #expect(Set(directories).count == 150)
        #expect(try read("same", directories) == "149")
        #expect(try read("d/3", directories) == "3")
        let lengths = directories.prefix(127).map { path in path.split(separator: "/").last?.count ?? 0 }
        #expect(lengths.reduce(127, +) < 3900)
        if Overlay.isAvailable {
            #expect(
                try Overlay.run("ls d | wc -l", lower: Array(directories.suffix(120)), nil, layers.folder) == "120\n"
            )
        }
    }

    @Test func holesAndLongNamesAreKept() throws {
        let long = String(repeating: "d/", count: 150) + String(repeating: "f", count: 200)
        let tar = layers.folder.url.path + "/sparse.tar"
        let script =
            "truncate -s 300M s; printf x | dd of=s bs=1 seek=200M conv=notrunc 2>/dev/null; mkdir -p $(dirname $1); echo l > $1; tar -cSf $2 s d"
        let made = try Program.run(
            ["-c", script, "sh", long, tar],
            of: URL(filePath: "/bin/sh"),
            in: layers.folder.url
        )
        #expect(made.status == 0, "\(made.errors)")
        let bytes = try #require(try DiskFile.read(tar))
        let descriptor = try layers.store.put(bytes, .layerGzip)

        let directories = try layers.snapshots(limit: 10 << 20)
            .directories(of: [Snapshots.Layer(descriptor, diffID: SHA256.digest(bytes))], cores: 1)

        var status = stat()
        #expect(stat(directories[0] + "/s", &status) == 0)
        #expect(status.st_size == 300 << 20 && status.st_blocks * 512 < 1 << 20)
        #expect(access(directories[0] + "/" + long, F_OK) == 0)
    }

    @Test func stepsHaveFoldersThatGoWithThem() throws {
        var root = entry("d ")
        (root.path, root.mode, root.mtime) = ([], 0o711, 99)
        let directories = try unpack(try layers.add([(root, [])]), layers.add("f a"))
        var snapshot: Snapshot? = try snapshots.begin(over: directories)
        let upper = try #require(snapshot?.upper)

        var status = stat()
        #expect(stat(upper, &status) == 0 && status.st_mode & 0o7777 == 0o711 && status.st_mtim.tv_sec == 99)
        snapshot = nil
        #expect(access(upper, F_OK) != 0)
        #expect(DiskFile.names(in: layers.store.root + "/tmp").isEmpty)
        #expect(!DiskFile.names(in: layers.store.root + "/locks").contains { $0.hasPrefix("step-") })
    }

    @Test func pruneRemovesWhatNobodyNeeds() throws {
        let (kept, gone) = (try layers.add("f a = x"), try layers.add("f b = x"))
        _ = try unpack(kept, gone)
        let config = try layers.store.put(
            Array(#"{"rootfs":{"type":"layers","diff_ids":["\#(kept.diffID)"]}}"#.utf8),
            .config
        )
        let manifest = Manifest(config: config, layers: [kept.descriptor])
        let image = try layers.store.put(manifest.document, .manifest)
        try layers.store.tag(image, as: ImageReference("app"))

        let usage = try Collector(layers.store).usage()
        #expect(usage.snapshots.count == 2 && usage.snapshots.bytes > 8192)
        let outcome = try Collector(layers.store).prune(Collector.Policy())
        #expect(outcome.snapshots == 1)
        #expect(left.count == 2)
        var all = Collector.Policy()
        all.records = .all
        #expect(try Collector(layers.store).prune(all).snapshots == 1)
        #expect(left.isEmpty)
        #expect(try unpack(kept).count == 1, "it is made again")
    }

    @Test func foldersOfAnyModeAndDepthAreRemoved() throws {
        let path = layers.folder.url.path + "/deep"
        let script =
            "mkdir $1; cd $1; i=0; while [ $i -lt 1500 ]; do mkdir d; cd -P d; i=$((i+1)); done; echo x > f; chmod 000 ."
        let made = try Program.run(["-c", script, "sh", path], of: URL(filePath: "/bin/sh"))
        #expect(made.status == 0, "\(made.errors)")

        DiskFile.remove(path)

        #expect(access(path, F_OK) != 0)
        #expect(DiskFile.names(in: layers.folder.url.path) == ["store"])
    }
}

/// Layers that other programs compressed, in part as we do.
@Suite struct ForeignLayerTests {
    @Test(arguments: ["gzip -c", "cat", "zstd -c", "xz -c", "bzip2 -c"])
    func everyCompressionIsUnpackedToTheSame(compressor: String) throws {
        let layers = try Layers()
        let folder = layers.folder.url
        let numbers = (0..<400_000).map { "\($0 &* 7919 % 10007)" }.joined(separator: " ")
        try layers.folder.write("files/a/numbers", numbers)
        try layers.folder.write("files/b", "small")
        let tool = String(compressor.prefix { $0 != " " })
        guard Program.named(tool) != nil else { return print("SKIPPED: no \(tool)") }
        // The first bytes are members as we make them, the rest is one that is larger than a block.
        let script = "tar -C files -cf t . && (head -c 1000 t | \(compressor); tail -c +1001 t | \(compressor)) > t.z"
        let made = try Program.run(["-c", script], of: URL(filePath: "/bin/sh"), in: folder)
        #expect(made.status == 0)
        let (tar, packed) = (try DiskFile.read(folder.path + "/t"), try DiskFile.read(folder.path + "/t.z"))
        let descriptor = try layers.store.put(try #require(packed), .layerGzip)
        let layer = Snapshots.Layer(descriptor, diffID: SHA256.digest(try #require(tar)))

        let snapshots = try layers.snapshots()
        let directories = try snapshots.directories(of: [layer], cores: 1)

        let read = try snapshots.read(Array("a/numbers".utf8), in: directories, limit: 1 << 30)
        #expect(read == Array(numbers.utf8))
    }
}
