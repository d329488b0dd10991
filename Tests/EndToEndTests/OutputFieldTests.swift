// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import TestSupport
import Testing

/// The fields of `--output` that buildx has, and what several platforms write.
@Suite("Fields of --output")
struct OutputFieldTests {
    private let place: BuildPlace

    init() throws {
        place = try BuildPlace("FROM scratch\nARG TARGETARCH\nCOPY a /$TARGETARCH/a\nCOPY l /l\n")
        try place.write("a", "a")
        symlink("a", try place.write("b", "").deletingLastPathComponent().path + "/l")
    }

    private func inspect(_ name: String) throws -> JSON {
        let seen = try Program.run(["inspect", name, "--format", "json", "--store", place.store.path])
        try #require(seen.status == 0, "\(seen.errors)")
        return try JSON(parsing: seen.output)["images"].array[0]
    }

    @Test("The files of several platforms are in a folder each, in a folder and in an archive")
    func platforms() throws {
        let folder = place.root.appending(path: "out")
        let tar = place.root.appending(path: "out.tar")

        let run = try place.build(
            ["--platform", "linux/amd64,linux/arm/v7", "-o", folder.path, "-o", "type=tar,dest=\(tar.path)"]
        )

        #expect(run.status == 0, "\(run.errors)")
        let names = ["linux_amd64/amd64/a", "linux_amd64/l", "linux_arm_v7/arm/a", "linux_arm_v7/l"]
        for name in names {
            var status = stat()
            #expect(lstat(folder.appending(path: name).path, &status) == 0, "\(name)")
        }
        let entries = try BuildPlace.entries(tar)
        #expect(entries.filter { $0.kind != .directory }.map(\.name) == names)
        #expect(entries.first?.name == "linux_amd64/" && entries.first?.kind == .directory)
    }

    @Test("platform-split makes a folder for one platform, and cannot be left out for several")
    func split() throws {
        let folder = place.root.appending(path: "out")
        let one = try place.build(
            ["--platform", "linux/amd64", "-o", "type=local,dest=\(folder.path),platform-split=true"]
        )
        let two = try place.build(
            ["--platform", "linux/amd64,linux/arm64", "-o", "type=tar,dest=\(folder.path).tar,platform-split=false"]
        )

        #expect(one.status == 0, "\(one.errors)")
        #expect(FileManager.default.fileExists(atPath: folder.path + "/linux_amd64/amd64/a"))
        #expect(two.status == 2 && two.errors.contains("platform-split=false, and the image is for several"))
        #expect(!FileManager.default.fileExists(atPath: folder.path + ".tar"))
    }

    @Test(
        "type=registry, and push=true with a name, push",
        arguments: [["-t", "NAME", "-o", "type=registry"], ["-o", "type=image,\"name=NAME,NAME2\",push=true"]]
    )
    func pushes(arguments: [String]) async throws {
        let registry = try await TestRegistry()
        let name = "\(registry.host)/team/app:1"
        let words = arguments.map { $0.replacing("NAME2", with: name + "2").replacing("NAME", with: name) }

        let run = try place.build(words)

        #expect(run.status == 0, "\(run.errors)")
        let seen = try Program.run(["registry", "manifest", name])
        #expect(seen.status == 0, "\(seen.errors)")
        #expect(try inspect(name)["digest"].string == run.output.trimmingCharacters(in: .newlines))
        if words.count == 2 { #expect(try Program.run(["registry", "manifest", name + "2"]).status == 0) }
    }

    @Test("push-by-digest sets no tag, there and here")
    func pushByDigest() async throws {
        let registry = try await TestRegistry()
        let name = "\(registry.host)/team/app"

        let run = try place.build(["-o", "type=image,name=\(name),push-by-digest=true,name-canonical=true,push=true"])

        #expect(run.status == 0, "\(run.errors)")
        let digest = run.output.trimmingCharacters(in: .newlines)
        #expect(try Program.run(["registry", "manifest", "\(name)@\(digest)"]).status == 0)
        #expect(try Program.run(["registry", "manifest", name]).status == 4)
        #expect(!(try Program.run(["images", "--store", place.store.path]).output.contains("team/app")))
    }

    @Test("type=cacheonly builds, and gives no name")
    func cacheOnly() throws {
        let run = try place.build(["-t", "app", "-o", "type=cacheonly"])
        let list = try Program.run(["images", "-q", "--store", place.store.path])

        #expect(run.status == 0 && run.output.hasPrefix("sha256:"), "\(run.errors)")
        #expect(list.output == "" && !run.errors.contains("built app"))
        #expect(try place.build(["-t", "app"]).errors.contains("CACHED"))
    }

    @Test("Annotations and compression of an output are the image's, and it is the same in all outputs")
    func image() throws {
        let layout = place.root.appending(path: "layout")
        let fields = "annotation.a.B=1,annotation-manifest[linux/amd64].c:d=2,compression=zstd,compression-level=5"

        let run = try place.build([
            "-t", "app", "--platform", "linux/amd64", "--annotation", "a.B=flag", "-o",
            "type=oci,dest=\(layout.path),tar=false,rewrite-timestamp=true,force-compression=false,\(fields)",
        ])

        #expect(run.status == 0, "\(run.errors)")
        let index = try JSON(contentsOf: layout.appending(path: "index.json"))
        let entry = try #require(index["manifests"].array.first)
        #expect(entry["digest"].string == run.output.trimmingCharacters(in: .newlines))
        let blob = layout.appending(path: "blobs/sha256/\(entry["digest"].string?.dropFirst(7) ?? "")")
        let manifest = try JSON(contentsOf: blob)
        #expect(manifest["annotations"]["a.B"].string == "flag" && manifest["annotations"]["c:d"].string == "2")
        #expect(manifest["layers"].array.allSatisfy { $0["mediaType"].string?.hasSuffix("zstd") ?? false })
    }

    @Test(
        "What cannot be is refused before anything is done",
        arguments: [
            ("type=registry", "--push needs a name to push to"),
            ("type=oci,dest=x,compression=estargz", "compression=estargz: layers are gzip or zstd"),
            ("type=oci,dest=x,compression=gzip,compression-level=99", "gzip:99"),
            ("type=image,push=true,name=127.0.0.1:9/a,compression=zstd,compression-level=30", "\"zstd:30\" is no"),
            ("type=oci,dest=x,push=true", "\"push\" is not known; expected type="),
            ("type=image,name=a,push-by-digest=true", "push-by-digest is there, and push=true is not"),
            ("type=image,push=maybe,name=a", "push=maybe is neither true nor false"),
            ("type=image,name=a,registry.insecure=true,push=true", "registry.insecure=true: which hosts"),
            ("type=local,dest=x,annotation.a=b", "files have no annotations"),
            ("type=local,dest=x,mode=delete", "mode=delete: files are copied"),
            ("type=image,annotation-nosuch.a=b", "\"nosuch\" is not known"),
        ]
    )
    func refused(output: String, message: String) throws {
        let run = try place.build(["-o", output])

        #expect(run.status == 2, "\(run.errors)")
        #expect(run.errors.contains(message), "\(run.errors)")
        #expect(!run.errors.contains("COPY a"), "nothing was built: \(run.errors)")
    }

    @Test("force-compression compresses the layers of the base again, once, and no other")
    func recompression() async throws {
        let registry = try await TestRegistry()
        let base = "\(registry.host)/base:1"
        try #require(try place.build(["-t", base, "--push"]).status == 0)
        try place.write("Dockerfile", "FROM \(base)\nCOPY b /b\n")
        let flags = ["--pull", "-t", "\(registry.host)/app:1", "--platform", "linux/amd64", "-o"]
        let output = "type=image,push=true,compression=zstd,force-compression=true"
        let layers = { (digest: String) in
            let seen = try Program.run(["registry", "manifest", "\(registry.host)/app@\(digest)"])
            return try JSON(parsing: seen.output)["layers"].array.compactMap { $0["mediaType"].string }
        }

        let first = try place.build(flags + [output])
        let again = try place.build(flags + [output])
        let plain = try place.build(flags + [output.replacing("=true", with: "=false")])

        #expect(first.status == 0 && again.status == 0 && plain.status == 0, "\(first.errors)\(plain.errors)")
        let digest = first.output.trimmingCharacters(in: .newlines)
        #expect(try layers(digest) == Array(repeating: "application/vnd.oci.image.layer.v1.tar+zstd", count: 3))
        #expect(again.output == first.output && plain.output != first.output)
        let layout = place.root.appending(path: "layout")
        let image = "type=oci,dest=\(layout.path),tar=false,compression=zstd,force-compression=true"
        #expect(try place.build(flags + [image]).output == first.output)
        #expect(try BuildPlace.faults(layout) == nil)
        let files = try place.files(flags.dropLast() + ["-o", "type=image,compression=zstd,force-compression=true"])
        #expect(files.contains { $0.name == "b" } && files.contains { $0.name == "l" })
    }

    @Test("Two outputs cannot want two compressions of one image")
    func compressions() throws {
        let run = try place.build(["--compression", "gzip", "-o", "type=image,compression=zstd"])

        #expect(run.status == 2 && run.errors.contains("these are given: gzip, zstd"), "\(run.errors)")
    }

    @Test("oci-mediatypes=false holds for the image of the store")
    func dockerTypes() throws {
        let run = try place.build(["-t", "app", "-o", "type=image,oci-mediatypes=false"])

        #expect(run.status == 0, "\(run.errors)")
        let list = try Program.run(["images", "--format", "json", "--store", place.store.path])
        #expect(list.output.contains("application/vnd.docker.distribution.manifest.v2+json"), "\(list.output)")
    }
}
