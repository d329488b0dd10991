// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Rootfs
import Store
import TestSupport
import Testing

@Suite struct DiskTreeTests {
    let folder: TemporaryFolder
    var root: String { folder.url.path }

    init() throws {
        folder = try TemporaryFolder()
        for path in ["a/b", "a/c/d", "e", "hidden/x", "partial/in", "partial/out", "partial/sub/out", "none/out"] {
            try folder.write(path, path)
        }
    }

    /// What a build sees of the folder.
    private static func see(_ path: [UInt8]) -> DiskTree.Visibility {
        let text = String(decoding: path, as: UTF8.self)
        if text == "hidden" || text.hasSuffix("out") { return .hidden }
        return ["partial", "partial/sub", "none"].contains(text) ? .partial : .visible
    }

    @Test func everythingIsSeen() throws {
        #expect(
            try DiskTree(root).tree().paths() == [
                "a", "a/b", "a/c", "a/c/d", "e", "hidden", "hidden/x", "none", "none/out", "partial", "partial/in",
                "partial/out", "partial/sub", "partial/sub/out",
            ]
        )
    }

    @Test func whatIsHiddenIsNotThere() throws {
        let tree = try DiskTree(root, visibility: Self.see).tree()
        #expect(try tree.paths() == ["a", "a/b", "a/c", "a/c/d", "e", "partial", "partial/in"])
    }

    @Test func nothingBelowWhatIsHiddenIsLookedAt() throws {
        let seen = Names()
        _ = try DiskTree(root) { path in
            seen.add(path)
            return Self.see(path)
        }
        .tree().paths()
        #expect(!seen.all.contains("hidden/x") && !seen.all.contains("partial/sub/out/x"))
    }

    @Test func aFolderIsReadWhenItIsNeeded() throws {
        let tree = try DiskTree(root).tree()
        #expect(try tree.node("e") != nil)
        try folder.write("a/late", "x")
        #expect(try tree.node("a/late") != nil)
    }

    /// A tree whose folders' names are in an index of a store, and the index.
    private func indexed(_ store: ImageStore) throws -> (FileTree, FolderIndex) {
        let index = FolderIndex(store, folder: "a")
        return (try DiskTree(root, visibility: Self.see).indexed(by: index).tree(), index)
    }

    @Test("A folder that did not change is not listed again, and says the same")
    func indexed() throws {
        let place = try TemporaryFolder()
        let store = try ImageStore(place.url.path)
        symlink("b", root + "/a/link")
        link(root + "/a/b", root + "/a/again")
        // What changed just before is listed each time.
        usleep(100_000)
        let (first, index) = try indexed(store)
        let paths = try first.paths()
        try index.save()
        let (second, _) = try indexed(store)
        #expect(try second.paths() == paths)
        #expect(try second.node("a/link")?.target == Array("b".utf8))
        #expect(try second.node("a/again")?.isShared == true)

        // What the index says is believed: one name of two.
        var status = stat()
        lstat(root + "/partial", &status)
        let doctored = FolderIndex(store, folder: "a")
        doctored.remember(Array("sub".utf8) + [0], count: 1, of: FileIndex.Stamp(status))
        try doctored.save()
        #expect(try indexed(store).0.node("partial/in") == nil)
        // But not where a name is none.
        doctored.remember(Array("sub".utf8) + [0] + Array("gone".utf8) + [0], count: 2, of: FileIndex.Stamp(status))
        try doctored.save()
        #expect(try indexed(store).0.node("partial/in") != nil)
    }

    @Test("What happens to a folder before it is read is seen")
    func indexedAndChangedLate() throws {
        let place = try TemporaryFolder()
        let store = try ImageStore(place.url.path)
        mkdir(root + "/empty", 0o755)
        usleep(100_000)
        let (first, index) = try indexed(store)
        _ = try first.paths()
        try index.save()
        let (tree, _) = try indexed(store)
        // What is in the folder above is known now, and what is in these two is not.
        #expect(try tree.node("a") != nil)
        usleep(10_000)

        try folder.write("empty/late", "x")
        rename(root + "/a", root + "/old")
        try folder.write("a/new", "x")

        #expect(try tree.node("empty/late") != nil)
        #expect(try tree.node("a/new") != nil)
        #expect(try tree.node("a/b") == nil)
    }

    @Test("Every change in a folder is seen")
    func indexedAndChanged() throws {
        let other = try TemporaryFolder()
        let store = try ImageStore(other.url.path)
        let check = { (what: String) in
            let (tree, index) = try indexed(store)
            #expect(try tree.paths() == DiskTree(root, visibility: Self.see).tree().paths(), "\(what)")
            try index.save()
        }
        let place = { (name: String) in root + "/" + name }
        let changes: [(String, () throws -> Void)] = [
            ("nothing", {}),
            ("a new file", { try folder.write("a/c/new", "x") }),
            ("a file less", { unlink(place("a/c/d")) }),
            ("another name", { rename(place("a/b"), place("a/z")) }),
            (
                "a file in place of a folder",
                {
                    rename(place("a/c"), place("c")); try folder.write("a/c", "x")
                }
            ),
            (
                "a folder in place of a file",
                {
                    unlink(place("e")); try folder.write("e/f", "x")
                }
            ),
            ("a folder that was moved", { rename(place("c"), place("e/c")) }),
            ("a link", { symlink("f", place("e/l")) }),
            (
                "a file in place of a link",
                {
                    unlink(place("e/l")); try folder.write("e/l", "x")
                }
            ),
        ]
        for (what, change) in changes {
            usleep(100_000)
            try check("before \(what)")
            try change()
            try check(what)
            try check("again, \(what)")
        }
    }

    @Test func filesAreDescribed() throws {
        let path = root + "/a/b"
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o640, .modificationDate: Date(timeIntervalSince1970: 1234)],
            ofItemAtPath: path
        )
        link(path, root + "/linked")
        let file = try #require(try DiskTree(root).tree().node("a/b"))

        #expect(file.kind == .file && file.mode == 0o640 && file.size == 3 && file.mtime == 1234 && file.isShared)
        #expect(file.uid == 0 && file.gid == 0)
        guard case .disk(let place, let name, let stamp) = file.content else {
            Issue.record("not on disk")
            return
        }
        #expect(place.appending(name) == Array(path.utf8))
        #expect(stamp.size == 3 && stamp.mtime == 1234 * 1_000_000_000)
        #expect(try DiskTree(root, keepsOwners: true).tree().node("a/b")?.uid == getuid())
    }

    @Test func linksAndPipesAreThemselvesAndSocketsAreLeftOut() throws {
        symlink("../../etc", root + "/up")
        symlink("loop", root + "/loop")
        mkfifo(root + "/pipe", 0o600)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = root + "/s"
        try #require(path.utf8.count < 100)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)

        let tree = try DiskTree(root).tree()

        #expect(try tree.node("up")?.target == Array("../../etc".utf8))
        #expect(try tree.node("pipe")?.kind == .fifo)
        #expect(try tree.node("s") == nil)
        #expect(try tree.resolve("up/passwd") == "etc/passwd")
        #expect(throws: TreeError.self) { _ = try tree.resolve("loop") }
    }

    @Test func namesAreBytes() throws {
        let name: [UInt8] = [0x66, 0xFF]
        let path = (Array(root.utf8) + [0x2F] + name).map { CChar(bitPattern: $0) } + [0]
        let descriptor = open(path, O_CREAT | O_WRONLY, 0o644)
        try #require(descriptor >= 0)
        close(descriptor)
        #expect(try DiskTree(root).tree().node(at: [name]) != nil)
    }

    @Test(arguments: ["/", "//", ""])
    func slashesAtTheEndDoNotMatter(end: String) throws {
        #expect(try DiskTree(root + end).tree().node("a/b") != nil)
    }

    @Test func aMissingFolderIsNamed() throws {
        let missing = try #require(throws: StoreError.self) { _ = try DiskTree(root + "/absent").tree() }
        #expect(missing.message == "looking at \(root)/absent: No such file or directory")
        let file = try #require(throws: StoreError.self) { _ = try DiskTree(root + "/e").tree() }
        #expect(file.message == "\(root)/e is not a folder")
    }

    @Test(.enabled(if: Program.named("setfattr") != nil))
    func attributesThatBelongIntoImages() throws {
        let path = root + "/e"
        let set = try Program.run(
            ["-n", "user.note", "-v", "0x00ff", path],
            of: try #require(Program.named("setfattr"))
        )
        // Not every file system has them.
        guard set.status == 0 else { return }
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        #expect(
            DiskTree.attributes(of: descriptor) == [TarEntry.Attribute(name: Array("user.note".utf8), value: [0, 255])]
        )
    }
}

/// Names that threads add to.
private final class Names: @unchecked Sendable {
    // SAFETY: the names are touched under the lock only.
    private let lock = NSLock()
    private var names: Set<String> = []

    func add(_ name: [UInt8]) {
        lock.withLock { _ = names.insert(String(decoding: name, as: UTF8.self)) }
    }

    var all: Set<String> { lock.withLock { names } }
}
