// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import TestSupport
import Testing

/// `coracle build` as a person or a pipeline runs it: what is built is an image for every tool.
@Suite struct BuildTests {
    /// A context with something of everything that needs no RUN.
    static func everything() throws -> BuildPlace {
        let place = try BuildPlace(
            """
            FROM scratch AS base
            COPY etc /etc/
            WORKDIR /srv/app
            FROM base AS files
            COPY --chown=app --chmod=u=rwX,go=rX public ./
            COPY --parents one/./two/*.txt deep/er/x /p/
            COPY --exclude=*.log logs /logs/
            COPY --link <<EOF /motd
            hello $HOME
            EOF
            FROM files
            ENV A=1
            LABEL b=2
            EXPOSE 80/tcp
            USER app
            VOLUME /data
            COPY --from=base /etc/passwd /copy
            ADD archive.tar /unpacked
            HEALTHCHECK CMD ["true"]
            ENTRYPOINT ["/x"]
            """
        )
        try place.write("etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:7:8::/:/bin/sh\n")
        try place.write("etc/group", "app:x:8:\n")
        for path in ["public/index.html", "public/a/b", "one/two/x.txt", "one/two/y.md", "deep/er/x", "logs/a.log"] {
            try place.write(path, "content of \(path)\n")
        }
        try place.write("logs/a.txt", String(repeating: "line\n", count: 500_000))
        try place.archive(
            "archive.tar",
            [
                .made("d", .directory), .made("d/f", size: 10), .made("d/l", .symlink, to: "f"),
                .made("d/h", .hardLink, to: "d/f"),
            ],
            content: Array("0123456789".utf8)
        )
        return place
    }

    @Test("Every sample without RUN becomes a valid image")
    func samples() throws {
        let samples = ConformanceData.projectRoot.appending(path: "samples")
        let names = try BuildPlace.samples()
        var built = 0
        for name in names {
            let dockerfile = try String(contentsOf: samples.appending(path: "\(name)/Dockerfile"), encoding: .utf8)
            if dockerfile.contains("\nRUN ") { continue }
            let place = try BuildPlace("FROM scratch\nCOPY Dockerfile /bin/\n")
            #expect(try place.build(["-t", "busybox:1.37"]).status == 0)
            let target = place.root.appending(path: "out")

            let result = try Program.run([
                "build", "--store", place.store.path, "-o", "type=oci,tar=false,dest=\(target.path)",
                samples.appending(path: name).path,
            ])

            #expect(result.status == 0, "\(name): \(result.errors)")
            #expect(try BuildPlace.faults(target) == nil)
            #expect(try BuildPlace.faults(place.store, allowsWarnings: true) == nil)
            built += 1
        }
        #expect(built >= 2)
    }

    @Test("COPY, ADD, WORKDIR and configuration of several stages make the files that were asked for")
    func files() throws {
        let place = try BuildTests.everything()

        let files = try place.files()

        let names = files.map(\.name)
        #expect(
            names.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 } == [
                "copy", "etc", "etc/group", "etc/passwd", "logs", "logs/a.txt", "motd", "p", "p/deep", "p/deep/er",
                "p/deep/er/x", "p/two", "p/two/x.txt", "srv", "srv/app", "srv/app/a", "srv/app/a/b",
                "srv/app/index.html", "unpacked", "unpacked/d", "unpacked/d/f", "unpacked/d/h", "unpacked/d/l",
            ]
        )
        let index = try #require(files.first { $0.name == "srv/app/index.html" })
        #expect((index.uid, index.gid, index.mode) == (7, 8, 0o644))
        #expect(files.first { $0.name == "unpacked/d/h" }?.kind == .hardLink)
        #expect(try BuildPlace.faults(place.layout()) == nil)
        #expect(try BuildPlace.faults(place.store, allowsWarnings: true) == nil)
    }

    @Test("skopeo reads the image and turns it into Docker's archive", .enabled(if: Tools.has("skopeo")))
    func skopeo() throws {
        let skopeo = try #require(Program.named("skopeo"))
        let place = try BuildTests.everything()
        let layout = try place.layout(["-t", "team/app:1"])

        let inspected = try Program.run(["inspect", "oci:\(layout.path):1"], of: skopeo)
        let archive = place.root.appending(path: "docker.tar").path
        let policy = ["--insecure-policy"]
        let copied = try Program.run(
            policy + ["copy", "oci:\(layout.path):1", "docker-archive:\(archive)"],
            of: skopeo
        )

        #expect(inspected.status == 0, "\(inspected.errors)")
        #expect(try JSON(parsing: inspected.output)["Labels"]["b"].string == "2")
        #expect(copied.status == 0, "\(copied.errors)")
        for type in ["docker", "oci"] {
            let ours = place.root.appending(path: "\(type).tar").path
            #expect(try place.build(["-t", "team/app:1", "-o", "type=\(type),dest=\(ours)"]).status == 0)
            let source = type == "docker" ? "docker-archive:\(ours)" : "oci-archive:\(ours)"
            let again = try Program.run(["inspect", "--config", source], of: skopeo)
            #expect(try JSON(parsing: again.output)["config"]["User"].string == "app", "\(again.errors)")
        }
    }

    @Test("umoci unpacks the image without privileges", .enabled(if: Tools.has("umoci")))
    func umoci() throws {
        let place = try BuildTests.everything()
        let layout = try place.layout(["-t", "app:1"])
        let bundle = place.root.appending(path: "bundle")

        let result = try Program.run(
            ["unpack", "--rootless", "--image", "\(layout.path):1", bundle.path],
            of: try #require(Program.named("umoci"))
        )

        #expect(result.status == 0, "\(result.errors)")
        let file = bundle.appending(path: "rootfs/unpacked/d/h")
        #expect(try String(contentsOf: file, encoding: .utf8) == "0123456789")
    }
}

/// Programs that tests use where they are installed.
enum Tools {
    /// Whether a program is installed; it is said aloud when not.
    static func has(_ name: String) -> Bool {
        if Program.named(name) != nil { return true }
        print("SKIPPED: \(name) is not installed")
        return false
    }
}
