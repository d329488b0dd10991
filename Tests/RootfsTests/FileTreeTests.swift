// SPDX-License-Identifier: Apache-2.0
import Archive
import OCI
import Rootfs
import Testing

/// Layers on layers, and paths through them.
@Suite struct FileTreeTests {
    private func fault(_ layers: [String]...) throws -> String {
        try #require(throws: TreeError.self) {
            let tree = FileTree()
            for layer in layers { try tree.add(layer.map(entry), of: SHA256.digest([])) }
        }
        .message
    }

    @Test func aLayerIsATree() throws {
        let tree = try tree(["d a/", "f a/b", "f ./c/d", "f /e", "l s -> a"])
        #expect(try tree.paths() == ["a", "a/b", "c", "c/d", "e", "s"])
        #expect(try tree.node("c")?.mode == 0o755, "a folder that no entry made")
        #expect(try tree.node("a/b/c") == nil)
    }

    @Test func laterEntriesReplaceEarlierOnes() throws {
        #expect(try tree(["d a", "f a/b"], ["f a"]).paths() == ["a"])
        #expect(try tree(["f a"], ["d a", "f a/b"]).paths() == ["a", "a/b"])
        #expect(try tree(["d a", "f a/b"], ["d a", "f a/c"]).paths() == ["a", "a/b", "a/c"])
        #expect(
            try tree(["l a -> x"], ["f a/b"]).paths() == ["a", "x", "x/b"],
            "a link below is followed, as BuildKit follows it"
        )
    }

    @Test func aFolderIsDescribedByItsLastEntry() throws {
        let tree = try tree(["d a", "f a/b"])
        var again = entry("d a")
        (again.mode, again.uid) = (0o700, 5)
        try tree.add([again], of: SHA256.digest([]))
        #expect(try tree.node("a")?.mode == 0o700)
        #expect(try tree.node("a")?.uid == 5)
        #expect(try tree.paths() == ["a", "a/b"])
    }

    @Test func whiteoutsHide() throws {
        #expect(try tree(["f a", "f b"], ["f .wh.a"]).paths() == ["b"])
        #expect(try tree(["f d/a", "f d/b/c"], ["f d/.wh.b"]).paths() == ["d", "d/a"])
        #expect(try tree(["f a"], ["f .wh.absent"]).paths() == ["a"])
        #expect(try tree(["f a"], ["f new/.wh.x"]).paths() == ["a", "new"])
        #expect(try tree(["f a"], ["f .wh.a"], ["f a"]).paths() == ["a"])
    }

    /// Image-spec, `layer.md`: whiteouts hide what is in lower layers, never what is in their own.
    @Test func whiteoutsDoNotHideTheirOwnLayer() throws {
        #expect(try tree(["f a", "f a2"], ["f a", "f .wh.a"]).paths() == ["a", "a2"])
        #expect(try tree(["f d/old"], ["d d", "f d/new", "f d/.wh..wh..opq"]).paths() == ["d", "d/new"])
    }

    @Test func opaqueFoldersHideAllBelow() throws {
        #expect(
            try tree(["f d/a", "f d/b/c", "f e"], ["d d", "f d/.wh..wh..opq", "f d/n"]).paths() == ["d", "d/n", "e"]
        )
        #expect(try tree(["f a"], ["f .wh..wh..opq", "f b"]).paths() == ["b"])
    }

    @Test func hardLinksAreOneNode() throws {
        let tree = try tree(["f a", "d d", "h d/b -> a", "h c -> ./d/b"])
        let first = try #require(try tree.node("a"))
        #expect(try tree.node("d/b") === first && tree.node("c") === first)
        #expect(first.isShared)
    }

    @Test func aHardLinkNeedsAFile() throws {
        #expect(try fault(["h a -> b"]) == "the hard link \"a\" names \"b\", which is not there")
        #expect(try fault(["d a", "h a/b -> a"]) == "the hard link \"a/b\" names \"a\", a folder")
        #expect(try fault(["h a -> "]).contains("a folder"))
    }

    @Test(arguments: ["f ../a", "f a/../../b", "f a/..", "f /../a", "h a -> ../b", "f ../.wh.a"])
    func nothingLeavesTheRoot(line: String) throws {
        #expect(try fault(["f a", line]).contains("would leave the image: its path has \"..\""))
    }

    @Test func pathsHaveALimit() throws {
        let deep = String(repeating: "a/", count: 500_000) + "b"
        #expect(try fault(["f \(deep)"]).contains("an entry's path has 1000001 bytes, more than 4096"))
        #expect(try fault(["f a", "h b -> \(deep)"]).contains("more than 4096"))
        #expect(try tree(["f " + String(repeating: "a/", count: 2047) + "b"]).paths().count == 2048)
    }

    @Test(arguments: [
        ("a/b", "a/b"), ("a/./b//", "a/b"), ("s/b", "a/b"), ("abs/b", "a/b"), ("a/up/e", "e"), ("deep/b", "a/b"),
        ("out/e", "e"), ("outer/x", "x"), ("a/../e", "e"), ("../../e", "e"), ("new/../e", "e"), ("new/x", "new/x"),
        ("dangling/x", "nowhere/x"), ("s", "a"), ("s/../e", "e"), ("e/x", "e/x"), ("rootlink/a/b", "a/b"), ("", ""),
        ("abs/../../../../e", "e"),
    ])
    func pathsAreResolvedWithinTheRoot(path: String, end: String) throws {
        let tree = try tree([
            "d a", "f a/b", "f e", "l s -> a", "l abs -> /a", "l a/up -> ..", "l deep -> s/../abs", "l rootlink -> /",
            "l out -> ../../..", "l outer -> /../../..", "l dangling -> nowhere",
        ])
        #expect(try tree.resolve(path) == end)
    }

    @Test(arguments: [
        ["l a -> a"], ["l a -> b", "l b -> a"], ["l a -> /a/x"], ["d d", "l d/e -> ../d/e/f", "l a -> d/e"],
    ])
    func circlesOfLinksEnd(lines: [String]) throws {
        let tree = try tree(lines)
        let error = try #require(throws: TreeError.self) { _ = try tree.resolve("a/x") }
        #expect(error.message.hasPrefix("symbolic links lead in a circle at /"))
    }

    @Test func linksThatMultiplyEnd() throws {
        // Each link names the next one twice: followed to the end, 2^60 names.
        let links = (0..<60).map { "l l\($0) -> l\($0 + 1)/../l\($0 + 1)" }
        let tree = try tree(links)
        _ = try? tree.resolve("l0")
    }

    @Test func touchedNodesAndTheFoldersAboveThem() throws {
        let tree = try tree(["f a/b/c", "f a/d", "f e"])
        try tree.forgetTouched()
        try #require(try tree.node("a/b/c")).isTouched = true
        try tree.markDirty(FileTree.names("a/b/c".utf8))

        var touched: [String] = []
        try tree.forEachTouched { path, _ in touched.append(String(decoding: path, as: UTF8.self)) }
        #expect(touched == ["a", "a/b", "a/b/c"])

        try tree.forgetTouched()
        try tree.forEachTouched { path, _ in Issue.record("\(path) is still touched") }
    }

    @Test func aFileKnowsItsLayerAndPlace() throws {
        let tree = try tree(["d a", "f a/b"], ["f .wh.x", "f c"])
        guard case .layer(let layer, let place) = try #require(try tree.node("c")).content else {
            Issue.record("c is in no layer")
            return
        }
        #expect(layer == SHA256.digest([1]))
        #expect(place == 1)
    }
}
