// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import TestSupport
import Testing

/// Archives that try to get out of the place they are unpacked to, or to fill the disk.
@Suite struct HostileArchiveTests {
    private func place(_ entries: [TarEntry]) throws -> BuildPlace {
        let place = try BuildPlace("FROM scratch\nCOPY Dockerfile /etc/passwd\nADD a.tar /in/\n")
        try place.archive("a.tar", entries, content: Array("x".utf8))
        return place
    }

    /// An archive that is refused, and what is said of it.
    struct Refused: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let entries: [TarEntry]
        let message: String

        init(_ name: String, _ entries: [TarEntry], _ message: String) {
            (testDescription, self.entries, self.message) = (name, entries, message)
        }

        static let all = [
            Refused("dots", [.made("../x", size: 1)], "has \"..\" in its path"),
            Refused("dots within", [.made("a/../../x", size: 1)], "has \"..\" in its path"),
            Refused(
                "through an absolute link",
                [.made("l", .symlink, to: "/etc"), .made("l/passwd", size: 1)],
                "would leave /in through a link"
            ),
            Refused(
                "through a link upwards",
                [.made("l", .symlink, to: ".."), .made("l/etc", .symlink, to: "x")],
                "would leave /in through a link"
            ),
            Refused("hard link with dots", [.made("h", .hardLink, to: "../etc/passwd")], "has \"..\" in its path"),
            Refused(
                "hard link through a link",
                [.made("l", .symlink, to: "/etc"), .made("h", .hardLink, to: "l/passwd")],
                "would leave /in through a link"
            ),
            Refused("hard link to nothing", [.made("h", .hardLink, to: "etc/passwd")], "not there"),
            Refused(
                "hard link to a folder",
                [.made("d", .directory), .made("d/h", .hardLink, to: "d")],
                "not there"
            ),
            Refused(
                "very deep",
                [.made((0..<20_000).map { _ in "d" }.joined(separator: "/") + "/f", size: 1)],
                "longer than 4096 bytes"
            ),
            Refused(
                "deep through links",
                (0..<4)
                    .flatMap { round -> [TarEntry] in
                        let path = (0..<1500).map { _ in "d" }.joined(separator: "/")
                        let start = round == 0 ? "" : "l\(round - 1)/"
                        return [
                            .made(start + path, .directory), .made("l\(round)", .symlink, to: start + path),
                        ]
                    },
                "longer than 4096 bytes"
            ),
        ]
    }

    @Test("Archives that lead elsewhere are refused by name", arguments: Refused.all)
    func refused(_ refused: Refused) throws {
        let result = try place(refused.entries).build()

        #expect(result.status == 1)
        #expect(result.errors.contains(refused.message), "\(result.errors)")
        #expect(result.errors.contains("Dockerfile:3:"), "\(result.errors)")
    }

    @Test("Names in messages do not command the terminal")
    func escapes() throws {
        let result = try place([.made("../\u{1B}[2J\r", size: 1)]).build()

        #expect(result.status == 1)
        #expect(!result.errors.contains("\u{1B}") && !result.errors.contains("\r"))
        #expect(result.errors.contains("../\\u{1B}[2J\\r"), "\(result.errors)")
    }

    @Test("Links in a circle are named")
    func circle() throws {
        let place = try place([.made("a", .symlink, to: "b"), .made("b", .symlink, to: "a")])
        try place.write("Dockerfile", "FROM scratch\nADD a.tar /in/\nCOPY a.tar /in/a/b/c\n")

        let result = try place.build()

        #expect(result.status == 1)
        #expect(result.errors.contains("symbolic links lead in a circle at /in/"), "\(result.errors)")
    }

    @Test("Absolute names are names below the place, and devices are entries and nothing else")
    func contained() throws {
        var device = TarEntry.made("dev/zero", .characterDevice)
        (device.major, device.minor) = (1, 5)
        let place = try place([
            .made("/abs/x", size: 1), device, .made("pipe", .fifo), .made("l", .symlink, to: "/etc/passwd"),
            .made("l", size: 1), .made("h", .hardLink, to: "/abs/x"),
        ])

        let files = try place.files()

        #expect(
            files.map(\.name).map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 } == [
                "etc", "etc/passwd", "in", "in/abs", "in/abs/x", "in/dev", "in/dev/zero", "in/h", "in/l", "in/pipe",
            ]
        )
        #expect(files.first { $0.name == "in/l" }?.kind == .file, "a file takes the place of a link")
        #expect(files.first { $0.name == "etc/passwd" }?.size != 1)
        #expect(try place.build(["-o", place.root.appending(path: "out").path]).status == 0)
        #expect(try BuildPlace.faults(place.layout()) == nil)
    }

    @Test("An archive that unpacks to more than the limit is refused, and leaves nothing behind")
    func bomb() throws {
        let place = try BuildPlace("FROM scratch\nADD a.tar.gz /in/\n")
        try place.archive("a.tar", (0..<30).map { .made("zeros-\($0)", size: 1 << 20) })
        let gzip = try #require(Program.named("gzip"))
        #expect(try Program.run(["-9", place.context.appending(path: "a.tar").path], of: gzip).status == 0)

        let refused = try place.build(["--unpack-limit", "20MB"])
        let accepted = try place.build(["--unpack-limit", "40MiB"])
        let wrong = try place.build(["--unpack-limit", "many"])

        #expect(refused.status == 1)
        #expect(refused.errors.contains("unpack to more than 20000000 bytes"), "\(refused.errors)")
        #expect(refused.errors.contains("--unpack-limit"), "\(refused.errors)")
        #expect(accepted.status == 0, "\(accepted.errors)")
        #expect(wrong.status == 2 && wrong.errors.contains("20GB"), "\(wrong.errors)")
        let left = try FileManager.default.contentsOfDirectory(atPath: place.store.appending(path: "tmp").path)
        #expect(left == [])
    }

    @Test("A base image whose layer links folders in a circle is refused")
    func circularBase() throws {
        let place = try BuildPlace("FROM base\nCOPY Dockerfile /d/d/d/x\n")
        try place.archive("layer.tar", [.made("d", .directory), .made("d/d", .hardLink, to: "d")])
        let layout = try place.layoutAround(place.context.appending(path: "layer.tar"))

        let result = try place.build(["--build-context", "base=oci-layout://\(layout.path)", "-o", "type=tar,dest=-"])

        #expect(result.status == 1, "\(result.errors)")
        #expect(result.errors.contains("hard link"), "\(result.errors)")
    }

    @Test(
        "A base image whose layer leads out of the image is refused",
        arguments: [
            "../x", "a/../../x", (0..<20_000).map { _ in "d" }.joined(separator: "/"),
        ]
    )
    func escapingBase(name: String) throws {
        let place = try BuildPlace("FROM base\nCOPY Dockerfile /x\n")
        try place.archive("layer.tar", [.made(name, size: 1)], content: [1])
        let layout = try place.layoutAround(place.context.appending(path: "layer.tar"))

        let result = try place.build(["--build-context", "base=oci-layout://\(layout.path)", "-o", "type=tar,dest=-"])

        #expect(result.status == 1, "\(result.errors.prefix(1000))")
        #expect(result.errors.contains("Dockerfile:"), "\(result.errors.prefix(1000))")
    }
}

extension BuildPlace {
    /// A layout of an image with one layer, which is taken as it is.
    func layoutAround(_ layer: URL) throws -> URL {
        let target = root.appending(path: "made-up")
        let script = """
            import hashlib, json, os, sys
            def put(data, kind):
                digest = hashlib.sha256(data).hexdigest()
                open(f"{sys.argv[1]}/blobs/sha256/{digest}", "wb").write(data)
                return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data)}
            os.makedirs(sys.argv[1] + "/blobs/sha256")
            oci = "application/vnd.oci.image."
            layer = put(open(sys.argv[2], "rb").read(), oci + "layer.v1.tar")
            config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode(), oci + "config.v1+json")
            manifest = put(json.dumps({"schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
                "config": config, "layers": [layer]}).encode(), oci + "manifest.v1+json")
            index = {"schemaVersion": 2, "mediaType": oci + "index.v1+json", "manifests": [manifest]}
            open(sys.argv[1] + "/index.json", "w").write(json.dumps(index))
            open(sys.argv[1] + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
            """
        let python = try #require(Program.named("python3"))
        let result = try Program.run(["-c", script, target.path, layer.path], of: python)
        try #require(result.status == 0, "\(result.errors)")
        return target
    }
}
