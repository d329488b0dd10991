// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// What becomes of the places that results are written to, and what flags about them are refused.
@Suite struct OutputPlaceTests {
    private func place() throws -> BuildPlace {
        let place = try BuildPlace("FROM scratch AS Build\nCOPY a /\n")
        try place.write("a", "1")
        return place
    }

    /// The images that the store has names for.
    private func named(_ place: BuildPlace) throws -> [JSON] {
        try JSON(contentsOf: place.store.appending(path: "index.json"))["manifests"].array
    }

    @Test("Links stay links, and what they lead to is written", arguments: ["--iidfile", "--metadata-file", "-o"])
    func links(flag: String) throws {
        let place = try place()
        let (link, target) = (place.root.appending(path: "link").path, place.root.appending(path: "target"))
        try Data("old".utf8).write(to: target)
        symlink("target", link)

        let result = try place.build([flag, flag == "-o" ? "type=oci,dest=\(link)" : link])

        #expect(result.status == 0, "\(result.errors)")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "target")
        #expect(try Data(contentsOf: target).count > 3)
    }

    @Test("A pipe is written into")
    func pipe() throws {
        let place = try place()
        let pipe = place.root.appending(path: "pipe").path
        mkfifo(pipe, 0o600)
        let reader = open(pipe, O_RDWR | O_NONBLOCK)
        defer { close(reader) }

        let result = try place.build(["--iidfile", pipe])

        #expect(result.status == 0, "\(result.errors)")
        var bytes = [UInt8](repeating: 0, count: 100)
        #expect(read(reader, &bytes, 100) == 71)
    }

    @Test("An image whose output fails gets no name")
    func failingOutput() throws {
        let place = try place()

        let result = try place.build(["-t", "a:1", "-o", "type=tar,dest=\(place.root.path)/none/x.tar"])

        #expect(result.status == 2)
        #expect(try named(place).isEmpty)
    }

    @Test("A layout in a folder keeps the images that it has; one of the same name is replaced")
    func layoutIsAddedTo() throws {
        let place = try place()
        let target = place.root.appending(path: "out")
        let output = "type=oci,dest=\(target.path),tar=false"

        for (tag, label) in [("a:1", "1"), ("b:1", "2"), ("a:1", "3")] {
            let result = try place.build(["-t", tag, "--label", "n=\(label)", "-o", output])
            #expect(result.status == 0, "\(result.errors)")
        }

        let images = try JSON(contentsOf: target.appending(path: "index.json"))["manifests"].array
        let names = images.map { $0["annotations"]["io.containerd.image.name"].string }
        #expect(names == ["docker.io/library/b:1", "docker.io/library/a:1"])
        #expect(Set(images.map { $0["digest"].string }).count == 2)
    }

    @Test("A layout that cannot be written leaves no parts")
    func noParts() throws {
        let place = try place()
        try place.write("a", String(repeating: "x", count: 3_000_000))
        let target = place.root.appending(path: "out")
        _ = try place.build()

        let command = "trap '' XFSZ; ulimit -f 1; \"$0\" build --store \"$1\" -o \"type=oci,tar=false,dest=$3\" \"$2\""
        let result = try Program.run(
            ["-c", command, Program.coracle.path, place.store.path, place.context.path, target.path],
            of: try #require(Program.named("bash"))
        )

        #expect(result.status == 1, "\(result.errors)")
        let files = FileManager.default.enumerator(atPath: target.path)?.compactMap { $0 as? String } ?? []
        #expect(files.allSatisfy { !$0.hasSuffix(".part") }, "\(files)")
    }

    @Test("tar= takes Go's booleans", arguments: ["0", "f", "F", "false", "FALSE", "False"])
    func booleans(value: String) throws {
        let place = try place()
        let target = place.root.appending(path: "out")

        let result = try place.build(["-o", "type=oci,tar=\(value),dest=\(target.path)"])

        #expect(result.status == 0, "\(result.errors)")
        #expect(FileManager.default.fileExists(atPath: target.appending(path: "index.json").path))
    }

    @Test(
        "Flags that say nothing are refused",
        arguments: [
            (["-o", "type=oci,dest=x,tar=no"], "neither true nor false"),
            (["-o", "type=oci,dest=x,oci-mediatypes="], "neither true nor false"),
            (["-o", "type=oci,\"dest=x"], "not closed"),
            (["-t", "a@sha256:\(String(repeating: "0", count: 64))"], "has a digest"),
            (["--annotation", "index:k=v"], "has no index"),
            (["--annotation", "index-descriptor:k=v"], "expected [manifest|"),
            (["--annotation", "index[linux/amd64]:k=v"], "expected [manifest|"),
            (["--annotation", "manifest[linux/s390x]:k=v"], "not built for this platform"),
        ]
    )
    func refusals(flags: [String], message: String) throws {
        let result = try place().build(flags)

        #expect(result.status == 2)
        #expect(result.errors.contains(message), "\(result.errors)")
    }

    @Test("A quoted field may hold a comma, and a name may begin with -")
    func quotedFields() throws {
        let place = try place()

        let quoted = try place.build(["-o", "type=tar,\"dest=\(place.root.path)/dest=-a,b.tar\""])

        #expect(quoted.status == 0, "\(quoted.errors)")
        #expect(quoted.output.hasPrefix("sha256:"))
        #expect(FileManager.default.fileExists(atPath: place.root.appending(path: "dest=-a,b.tar").path))
    }

    @Test("Annotations go to one platform's manifest, and to its entry in the index")
    func annotations() throws {
        let place = try place()
        defer { withExtendedLifetime(place) {} }
        let layout = try place.layout([
            "--platform", "linux/amd64,linux/arm64", "--annotation", "manifest[linux/arm64]:k=v",
            "--annotation", "manifest-descriptor:d=e",
        ])

        let blob = { (entry: JSON) in
            try JSON(contentsOf: layout.appending(path: "blobs/sha256/\(entry["digest"].string?.dropFirst(7) ?? "")"))
        }
        let list = try JSON(contentsOf: layout.appending(path: "index.json"))["manifests"].array
        let entries = try blob(try #require(list.first))["manifests"].array
        #expect(entries.map { $0["annotations"]["d"].string } == ["e", "e"])
        #expect(try entries.map { try blob($0)["annotations"]["k"].string } == [nil, "v"])
    }

    @Test("A full standard output is told", arguments: ["build", "images", "inspect", "du", "plan", "check"])
    func fullOutput(verb: String) throws {
        let place = try place()
        #expect(try place.build(["-t", "a:1"]).status == 0)
        let rest = ["build": "--store \"$1\" \"$2\"", "inspect": "--store \"$1\" a:1", "plan": "\"$2\""]
        let flags = verb == "check" ? "--format json \"$2\"" : rest[verb] ?? "--store \"$1\""

        let result = try Program.run(
            ["-c", "\"$0\" \(verb) \(flags) > /dev/full", Program.coracle.path, place.store.path, place.context.path],
            of: try #require(Program.named("bash"))
        )

        #expect(result.status == 1)
        #expect(result.errors.contains("No space left on device"), "\(result.errors)")
    }

    @Test("--no-cache-filter takes a stage's name in any case", arguments: ["build", "Build", "BUILD"])
    func stageNames(name: String) throws {
        let place = try place()
        _ = try place.build()

        let result = try place.build(["--no-cache-filter", name, "--progress", "json"])

        #expect(result.status == 0 && !result.errors.contains("\"cached\""), "\(result.errors)")
    }
}
