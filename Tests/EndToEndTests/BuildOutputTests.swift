// SPDX-License-Identifier: Apache-2.0
import Archive
import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// Where images go, and what a build tells other programs.
@Suite struct BuildOutputTests {
    private func place() throws -> BuildPlace {
        let place = try BuildPlace("FROM scratch\nCOPY a b /d/\nLABEL from=file\n")
        try place.write("a", "1")
        try place.write("b", String(repeating: "two ", count: 400_000))
        return place
    }

    @Test("Layouts in folders and archives are valid", arguments: ["oci", "docker"], ["true", "false"])
    func layouts(type: String, tar: String) throws {
        let place = try place()
        let target = place.root.appending(path: "out")

        let result = try place.build(["-t", "a/b:c", "-o", "type=\(type),dest=\(target.path),tar=\(tar)"])

        #expect(result.status == 0, "\(result.errors)")
        #expect(try BuildPlace.faults(target, allowsWarnings: type == "docker") == nil)
    }

    @Test("oci-mediatypes=false writes Docker's words")
    func dockerTypes() throws {
        let place = try place()
        let target = place.root.appending(path: "out")

        let result = try place.build(["-o", "type=oci,dest=\(target.path),tar=false,oci-mediatypes=false"])

        #expect(result.status == 0, "\(result.errors)")
        #expect(try BuildPlace.faults(target, allowsWarnings: true) == nil)
        let index = try JSON(contentsOf: target.appending(path: "index.json"))
        let type = index["manifests"].array.first?["mediaType"].string
        #expect(type == "application/vnd.docker.distribution.manifest.v2+json")
    }

    @Test("An archive goes to standard output, and nothing else does", arguments: ["oci", "docker", "tar"])
    func standardOutput(type: String) throws {
        let place = try place()
        let target = place.root.appending(path: "out.tar")
        let command = "\"$0\" build --store \"$1\" -o type=\(type),dest=- \"$2\" > \"$3\""

        let shell = try #require(Program.named("bash"))
        let result = try Program.run(
            ["-c", command, Program.coracle.path, place.store.path, place.context.path, target.path],
            of: shell
        )

        #expect(result.status == 0, "\(result.errors)")
        #expect(try BuildPlace.entries(target).count >= 3)
        if type != "tar" { #expect(try BuildPlace.faults(target, allowsWarnings: type == "docker") == nil) }
    }

    @Test("The files of the image go to a folder, and may go there again")
    func local() throws {
        let place = try BuildTests.everything()
        let target = place.root.appending(path: "out")

        for _ in 1...2 {
            let result = try place.build(["-o", target.path])
            #expect(result.status == 0, "\(result.errors)")
        }

        let file = target.appending(path: "unpacked/d/l")
        #expect(try String(contentsOf: file, encoding: .utf8) == "0123456789")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: file.path) == "f")
    }

    @Test("A device or pipe is written into and stays what it is; a folder is refused")
    func specialFiles() throws {
        let place = try place()
        // Links, so that a fault costs no machine its devices.
        let (link, fullLink) = (place.root.appending(path: "link").path, place.root.appending(path: "full").path)
        symlink("/dev/null", link)
        symlink("/dev/full", fullLink)

        let null = try place.build(["-o", "type=oci,dest=\(link)"])
        let full = try place.build(["-o", "type=tar,dest=\(fullLink)"])
        let folder = try place.build(["-o", "type=tar,dest=\(place.context.path)"])

        #expect(null.status == 0, "\(null.errors)")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "/dev/null")
        #expect(full.status == 1 && full.errors.contains("No space left on device"), "\(full.errors)")
        #expect(folder.status == 2 && folder.errors.contains("is a folder"), "\(folder.errors)")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: place.root.path).allSatisfy { !$0.hasSuffix(".part") }
        )
    }

    @Test("Files in a folder have attributes, modes and times of the image")
    func localFacts() throws {
        let place = try BuildPlace("FROM scratch\nCOPY --chmod=4750 a /a\n")
        let file = try place.write("a", "1").path
        setxattr(file, "user.note", "x", 1, 0)
        let target = place.root.appending(path: "out/a").path

        let result = try place.build(["-o", place.root.appending(path: "out").path])

        #expect(result.status == 0, "\(result.errors)")
        var (here, there) = (stat(), stat())
        try #require(stat(file, &here) == 0 && stat(target, &there) == 0)
        #expect(there.st_mode & 0o7777 == 0o4750)
        #expect(there.st_mtim.tv_sec == here.st_mtim.tv_sec)
        var value: UInt8 = 0
        if getxattr(file, "user.note", &value, 1) == 1 { #expect(getxattr(target, "user.note", &value, 1) == 1) }
    }

    @Test("A time that no configuration can say is refused", arguments: ["253402300800", "99999999999999999"])
    func lateEpoch(epoch: String) throws {
        let result = try place().build(environment: ["SOURCE_DATE_EPOCH": epoch])

        #expect(result.status == 2)
        #expect(result.errors.contains("not between the years 1000 and 9999"), "\(result.errors)")
    }

    @Test("A link that an earlier build left in the folder is not written through")
    func localLinks() throws {
        let place = try place()
        let target = place.root.appending(path: "out")
        let outside = place.root.appending(path: "outside")
        try FileManager.default.createDirectory(at: outside, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        let link = target.appending(path: "d")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: outside)

        let result = try place.build(["-o", target.path])

        #expect(result.status == 0, "\(result.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside.path) == [])
        #expect(try String(contentsOf: link.appending(path: "a"), encoding: .utf8) == "1")
    }

    @Test("Several platforms become an index")
    func platforms() throws {
        let place = try place()

        let layout = try place.layout(["--platform", "linux/amd64,linux/arm64", "--annotation", "index:k=v"])

        #expect(try BuildPlace.faults(layout) == nil)
        let entry = try #require(try JSON(contentsOf: layout.appending(path: "index.json"))["manifests"].array.first)
        let digest = entry["digest"].string ?? ""
        let index = try JSON(contentsOf: layout.appending(path: "blobs/sha256/\(digest.dropFirst(7))"))
        let architectures = index["manifests"].array.map { $0["platform"]["architecture"].string }
        #expect(architectures == ["amd64", "arm64"])
        #expect(index["annotations"]["k"].string == "v")
    }

    @Test("Layers of zstd are valid, and Docker's words have none for them")
    func zstd() throws {
        let place = try place()

        #expect(try BuildPlace.faults(place.layout(["--compression", "zstd:7"])) == nil)
        let result = try place.build([
            "--compression", "zstd", "-o", "type=oci,oci-mediatypes=false,dest=\(place.root.path)/x",
        ])

        #expect(result.status == 2)
        #expect(result.errors.contains("use --compression gzip"))
    }

    @Test("Labels, annotations and the files about the image say what was built")
    func reports() throws {
        let place = try place()
        let (iid, metadata) = (place.root.appending(path: "iid"), place.root.appending(path: "metadata"))

        let layout = try place.layout([
            "--label", "from=flag", "--label", "more=x=y", "--annotation", "note=n", "-t", "one:1", "-t", "two",
            "--iidfile", iid.path, "--metadata-file", metadata.path, "--quiet",
        ])

        let digest = try String(contentsOf: iid, encoding: .utf8)
        let report = try JSON(contentsOf: metadata)
        #expect(report["containerimage.digest"].string == digest)
        #expect(report["image.name"].string == "one:1,two:latest" || report["image.name"].string == "one:1,two")
        let blob = { (digest: String) in layout.appending(path: "blobs/sha256/\(digest.dropFirst(7))") }
        let manifest = try JSON(contentsOf: blob(digest))
        #expect(manifest["annotations"]["note"].string == "n")
        let config = try JSON(contentsOf: blob(manifest["config"]["digest"].string ?? ""))
        #expect(config["config"]["Labels"]["from"].string == "flag")
        #expect(config["config"]["Labels"]["more"].string == "x=y")
        let names = try JSON(contentsOf: place.store.appending(path: "index.json"))["manifests"].array
        #expect(names.count == 2)
        #expect(try BuildPlace.faults(layout) == nil)
    }

    @Test("--quiet prints the digest and nothing else")
    func quiet() throws {
        let result = try place().build(["--quiet"])

        #expect(result.errors == "")
        #expect(result.output.hasPrefix("sha256:") && result.output.utf8.count == 72)
    }

    @Test("Every line of --progress json is an object with an event")
    func progress() throws {
        let lines = try BuildTests.everything().build(["--progress", "json"]).errors.split(separator: "\n")

        #expect(lines.count > 5)
        for line in lines {
            #expect(try JSON(parsing: String(line))["event"].string != nil, "\(line)")
        }
        #expect(try JSON(parsing: String(#require(lines.last)))["event"].string == "built")
    }

    @Test(
        "What ends a build is the last event of --progress json, with its exit code",
        arguments: [
            ("FRM x\n", [], 2, "Dockerfile:1:1: error: unknown instruction"),
            ("FROM scratch\nCOPY nosuch /\n", [], 1, "Dockerfile:2:1: error: "),
            ("FROM 127.0.0.1:9/none\n", [], 4, "127.0.0.1 port 9"),
            ("FROM scratch\nCOPY Dockerfile /\n", ["--output", "type=oci"], 2, "--output"),
            ("FROM scratch\nCOPY Dockerfile /\n", ["-t", "127.0.0.1:9/x", "--push"], 4, "127.0.0.1 port 9"),
        ]
    )
    func lastEvent(dockerfile: String, flags: [String], status: Int32, message: String) throws {
        let result = try BuildPlace(dockerfile).build(["--progress", "json"] + flags)

        #expect(result.status == status, "\(result.errors)")
        #expect(result.output == "")
        let events = try result.errors.split(separator: "\n").map { try JSON(parsing: String($0)) }
        let last = try #require(events.last)
        #expect(last["event"].string == "error")
        #expect(last["exitCode"].int == Int(status))
        #expect(last["message"].string?.contains(message) ?? false, "\(result.errors)")
        #expect(!events.dropLast().contains { $0["event"].string == "error" })
    }

    @Test(
        "A bad --output says what forms there are",
        arguments: ["type=ocl,dest=x", "type=oci", "type=oci,dest=x,foo=1", "dest=x", "type=tar,dest"]
    )
    func badOutput(value: String) throws {
        let result = try place().build(["--output", value])

        #expect(result.status == 2)
        #expect(result.errors.contains("expected type=oci|docker|tar|local|image"), "\(result.errors)")
    }
}
