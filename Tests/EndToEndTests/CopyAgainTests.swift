// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Faults that were found once by people who meant no good.
@Suite struct CopyAgainTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func build(_ arguments: [String], _ context: String) throws -> Program {
        let store = folder.url.appending(path: "store").path
        return try Program.run(["build", "--store", store] + arguments + [folder.url.appending(path: context).path])
    }

    private func paths(_ layout: String) throws -> [String] {
        let tar = try #require(Program.named("tar"))
        let list = try Program.run(["tvf", folder.url.appending(path: layout).path], of: tar)
        #expect(list.status == 0, "\(list.errors)")
        return list.output.split(separator: "\n").map(String.init)
    }

    @Test func aFileOfAStageThatIsCopiedTwiceIsWholeInBothPlaces() throws {
        try folder.write("c/a/b/f", "content\n")
        try folder.write("c/Dockerfile", "FROM scratch AS s\nCOPY a /a\nFROM scratch\nCOPY --from=s /a/ /a/b/ /d/\n")
        let output = folder.url.appending(path: "out.tar").path
        for _ in 0..<2 {
            let result = try build(["-o", "type=tar,dest=\(output)"], "c")
            #expect(result.status == 0, "\(result.errors)")
            let sizes = try paths("out.tar").filter { $0.hasSuffix("/f") }.map { $0.split(separator: " ")[2] }
            #expect(sizes == ["8", "8"])
        }
    }

    @Test func aFolderGivenByNameIsCopiedFromThroughItsOwnIgnoreFile() throws {
        try folder.write("named/kept", "1")
        try folder.write("named/hidden", "2")
        try folder.write("named/.dockerignore", "hidden\n")
        try folder.write("c/Dockerfile", "FROM scratch\nCOPY --from=nc . /n/\n")
        let output = folder.url.appending(path: "out.tar").path
        let named = "nc=" + folder.url.appending(path: "named").path
        let result = try build(["--build-context", named, "-o", "type=tar,dest=\(output)"], "c")
        #expect(result.status == 0, "\(result.errors)")
        let names = try paths("out.tar").compactMap { $0.split(separator: " ").last }
        #expect(names.contains("n/kept") && !names.contains("n/hidden"))
        try folder.write("c/Dockerfile", "FROM nc\n")
        let refused = try build(["--build-context", named], "c")
        #expect(refused.status == 1 && refused.errors.contains("COPY --from=nc . /"))
    }

    @Test func timesFarInTheFutureAreNoFault() throws {
        let file = try folder.write("c/f", "x")
        try folder.write("c/Dockerfile", "FROM scratch\nCOPY f /\n")
        let touch = try #require(Program.named("touch"))
        #expect(try Program.run(["-d", "2400-01-01", file.path], of: touch).status == 0)
        #expect(try build([], "c").status == 0)
        #expect(try build([], "c").status == 0)
    }

    @Test func aLayerThatIsNotWhatItsConfigurationSaysIsRefused() throws {
        try folder.write("c/f", "x")
        try folder.write("c/Dockerfile", "FROM scratch\nCOPY f /\n")
        let layout = folder.url.appending(path: "base").path
        #expect(try build(["-o", "type=oci,dest=\(layout),tar=false"], "c").status == 0)
        try Self.lie(in: folder.url.appending(path: "base"))
        // What a command runs on is verified by unpacking it, all else before the first step.
        for (instruction, reason) in [("RUN [\"/f\"]", "unpacks to"), ("LABEL a=b", "says that its layer")] {
            try folder.write("d/Dockerfile", "FROM base\n\(instruction)\n")
            let result = try build(["--build-context", "base=oci-layout://\(layout)"], "d")
            #expect(result.status == 1)
            #expect(result.errors.contains(reason), "\(result.errors)")
        }
    }

    /// Rewrites configuration, manifest and index so that only the diff ID is wrong.
    private static func lie(in layout: URL) throws {
        let script = """
            import hashlib, json, sys
            root = sys.argv[1]
            blob = lambda d: f"{root}/blobs/sha256/{d[7:]}"
            index = json.load(open(f"{root}/index.json"))
            def put(value):
                data = json.dumps(value).encode()
                digest = "sha256:" + hashlib.sha256(data).hexdigest()
                open(blob(digest), "wb").write(data)
                return digest, len(data)
            manifest = json.load(open(blob(index["manifests"][0]["digest"])))
            config = json.load(open(blob(manifest["config"]["digest"])))
            config["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
            manifest["config"]["digest"], manifest["config"]["size"] = put(config)
            index["manifests"][0]["digest"], index["manifests"][0]["size"] = put(manifest)
            json.dump(index, open(f"{root}/index.json", "w"))
            """
        let python = try #require(Program.named("python3"))
        let result = try Program.run(["-c", script, layout.path], of: python)
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test func attributesOfFoldersAreCopiedAndNoticed() throws {
        try folder.write("c/d/f", "x")
        try folder.write("c/Dockerfile", "FROM scratch\nCOPY d /d\n")
        guard let setfattr = Program.named("setfattr") else {
            print("SKIPPED: no setfattr: attributes of folders are not tested")
            return
        }
        let place = folder.url.appending(path: "c/d/sub")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        let before = try build(["-q"], "c").output
        #expect(try Program.run(["-n", "user.a", "-v", "1", place.path], of: setfattr).status == 0)
        #expect(try build(["-q"], "c").output != before)
    }
}
