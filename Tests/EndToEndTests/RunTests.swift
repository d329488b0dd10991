// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import TestSupport
import Testing

/// A base image with a shell, from this machine's own busybox.
enum ShellBase {
    /// A statically linked busybox; `nil` where there is none, which is said aloud.
    static let program: URL? = {
        let found = Program.named("busybox")
        if found == nil { print("SKIPPED: tests of RUN: no busybox here (apt-get install busybox-static)") }
        return found
    }()

    /// The layout, made once for this test run.
    static let layout: URL = {
        do {
            return try make()
        } catch {
            fatalError("making the base of tests: \(error)")
        }
    }()

    private static let folder = try? TemporaryFolder()

    private static func make() throws -> URL {
        guard let folder, let program else { throw CocoaError(.fileNoSuchFile) }
        let result = try Program.run(
            [ConformanceData.projectRoot.appending(path: "scripts/bases").path, Program.coracle.path]
                + [folder.url.appending(path: "bases").path, "busybox"],
            of: URL(filePath: "/bin/bash")
        )
        guard result.status == 0 else {
            throw CocoaError(.executableLoad, userInfo: ["why": result.errors, "program": program])
        }
        return folder.url.appending(path: "bases/busybox")
    }

    /// The flags that give a build its base.
    static var flags: [String] { ["--build-context", "busybox=oci-layout://\(layout.path)"] }
}

/// Whether this process may make what steps are kept apart with.
enum Rights {
    static let isRoot = geteuid() == 0
}

@Suite("RUN", .enabled(if: ShellBase.program != nil, "no busybox"), .enabled(if: Rights.isRoot, "not root"))
struct RunTests {
    /// Builds with the base, and gives all that was said.
    private func build(_ place: BuildPlace, _ arguments: [String] = [], environment: [String: String] = [:]) throws
        -> Program
    {
        try place.build(ShellBase.flags + ["--progress", "plain"] + arguments, environment: environment)
    }

    private func paths(_ place: BuildPlace) throws -> [String: TarEntry] {
        var entries: [String: TarEntry] = [:]
        for entry in try place.files(ShellBase.flags) { entries[entry.name] = entry }
        return entries
    }

    @Test("A command writes, changes and removes files, and the layer says just that")
    func changes() throws {
        let place = try BuildPlace(
            """
            FROM busybox
            RUN mkdir /a && echo one > /a/one && echo two > /a/two && chown 5:6 /a/two && chmod 4755 /a/two
            RUN rm /a/one && ln -s two /a/link && ln /a/two /a/hard
            RUN true
            """
        )

        let layout = try place.layout(ShellBase.flags)

        #expect(try BuildPlace.faults(layout, allowsWarnings: true) == nil)
        let layers = try BuildPlace.layers(layout).map { try BuildPlace.entries($0).map(\.name) }
        #expect(layers.count == 4)
        #expect(layers[1] == ["a/", "a/one", "a/two"])
        #expect(layers[2] == ["a/", "a/hard", "a/link", "a/.wh.one", "a/two"])
        #expect(layers[3] == [])
        let two = try #require(paths(place)["a/two"])
        #expect((two.uid, two.gid, two.mode) == (5, 6, 0o4755))
    }

    @Test("A failing command is shown with its line, its output and where the rest is")
    func failure() throws {
        let place = try BuildPlace("FROM busybox\nRUN echo before && echo then && exit 7\nRUN echo never\n")

        let result = try build(place)

        #expect(result.status == 1)
        #expect(result.errors.contains("Dockerfile:2:1"), "\(result.errors)")
        #expect(result.errors.contains("exit code 7"), "\(result.errors)")
        #expect(result.errors.contains("\n       before\n       then\n"), "\(result.errors)")
        #expect(result.errors.contains("/bin/sh -c 'echo before && echo then && exit 7'"), "\(result.errors)")
        let log = try #require(result.errors.firstMatch(of: /everything it wrote is in (\S+)/)).1
        #expect(try String(contentsOfFile: String(log), encoding: .utf8) == "before\nthen\n")
        #expect(!result.errors.contains("never\n"))
    }

    @Test("A command sees variables, user, folder and its own machine")
    func surroundings() throws {
        let place = try BuildPlace(
            """
            FROM busybox
            ARG VERSION=3
            ENV NAME=value
            WORKDIR /work/here
            USER www-data
            RUN echo "$VERSION $NAME $PWD $HOME $(id -u):$(id -g) $$" > /tmp/seen
            USER 7
            RUN echo "$(id -u):$(id -g)" > /tmp/number
            USER root
            RUN <<EOF
            #!/bin/sh
            cat /tmp/seen /tmp/number
            ls -A /etc | tr '\\n' ' '
            echo
            cat /etc/hosts | grep -c localhost
            test -s /etc/resolv.conf && echo resolv
            ls /proc/self/fd > /dev/null && echo proc
            EOF
            """
        )

        let result = try build(place)

        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains(" 3 value /work/here /var/www 33:33 1"), "\(result.errors)")
        #expect(result.errors.contains(" 7:0"), "\(result.errors)")
        #expect(result.errors.contains(" proc"), "\(result.errors)")
        let found = try paths(place)
        #expect(found["etc/resolv.conf"] == nil)
        #expect(found["etc/hosts"] == nil)
        #expect(found["proc/self"] == nil)
    }

    @Test("An unchanged step is found again, and a changed one is not")
    func cache() throws {
        let place = try BuildPlace("FROM busybox\nCOPY in /in\nRUN head -c 9 /dev/urandom > /out && cat /in >> /out\n")
        try place.write("in", "one")

        let first = try build(place)
        let second = try build(place)
        try place.write("in", "two")
        let third = try build(place)
        try place.write("in", "one")
        let fourth = try build(place)

        #expect(first.output == second.output && first.output == fourth.output)
        #expect(second.errors.contains("CACHED"))
        #expect(third.output != first.output)
        #expect(try build(place, ["--no-cache"]).output != first.output)
    }

    @Test("Mounts give files of the context, of stages and of caches, and leave nothing behind")
    func mounts() throws {
        let place = try BuildPlace(
            """
            FROM busybox AS made
            RUN mkdir -p /d/e && echo stage > /d/e/file
            FROM busybox
            RUN --mount=type=bind,source=sub,target=/mnt/context \\
                --mount=type=bind,from=made,source=/d,target=/mnt/stage \\
                --mount=type=cache,target=/mnt/cache \\
                --mount=type=tmpfs,target=/mnt/memory \\
                cat /mnt/context/file /mnt/stage/e/file > /seen; \\
                echo x >> /mnt/cache/count; wc -l < /mnt/cache/count >> /seen; \\
                touch /mnt/memory/x; ! touch /mnt/context/new 2>/dev/null && echo ro >> /seen; \\
                ls /mnt/context >> /seen; cat /seen
            RUN --mount=type=bind,source=sub,target=/rw,rw echo changed > /rw/file && cat /rw/file
            RUN cat /seen && ls / | tr '\\n' ' '
            """
        )
        try place.write("sub/file", "context\n")
        try place.write("sub/hidden", "secret\n")
        try place.write(".dockerignore", "sub/hidden\n")

        let first = try build(place)
        let second = try build(place, ["--no-cache"])

        #expect(first.status == 0, "\(first.errors)")
        for line in ["context", "stage", "1", "ro", "file"] {
            #expect(first.errors.contains(" \(line)\n"), "\(line): \(first.errors)")
        }
        #expect(second.errors.contains(" 2\n"), "\(second.errors)")
        #expect(!first.errors.contains("hidden"))
        #expect(!first.errors.contains(" mnt"), "\(first.errors)")
        #expect(try String(contentsOf: place.context.appending(path: "sub/file"), encoding: .utf8) == "context\n")
    }

    @Test("A secret is where the step wants it, and nowhere afterwards")
    func secret() throws {
        let value = "s3cr3t-\(UUID().uuidString)"
        let place = try BuildPlace(
            """
            FROM busybox
            RUN --mount=type=secret,id=token --mount=type=secret,id=token,env=TOKEN \\
                test "$(cat /run/secrets/token)" = "$TOKEN" && wc -c < /run/secrets/token > /size && \\
                stat -c %a:%u /run/secrets/token && echo "it is $TOKEN"
            """
        )

        let result = try build(place, ["--secret", "id=token,env=GIVEN", "-t", "x"], environment: ["GIVEN": value])

        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains(" 400:0\n"), "\(result.errors)")
        #expect(result.errors.contains("it is ***"), "\(result.errors)")
        #expect(!result.errors.contains(value))
        let found = try Program.run(
            ["-r", "-a", "-l", value, place.root.path],
            of: try #require(Program.named("grep"))
        )
        #expect(found.output == "")
        let missing = try BuildPlace("FROM busybox\nRUN --mount=type=secret,id=other,required=true true\n")
        let refused = try build(missing)
        #expect(refused.status == 1)
        #expect(refused.errors.contains("--secret id=other"), "\(refused.errors)")
    }

    @Test("Stages that do not need each other run at the same time, and a failure ends the rest")
    func parallel() throws {
        let place = try BuildPlace(
            """
            FROM busybox AS a
            RUN --mount=type=cache,id=meet,target=/m touch /m/a; for i in $(seq 100); do test -e /m/b && exit 0; sleep 0.1; done; exit 1
            FROM busybox AS b
            RUN --mount=type=cache,id=meet,target=/m touch /m/b; for i in $(seq 100); do test -e /m/a && exit 0; sleep 0.1; done; exit 1
            FROM scratch
            COPY --from=a /bin/busybox /a
            COPY --from=b /bin/busybox /b
            """
        )
        #expect(try build(place).status == 0)
        let failing = try BuildPlace(
            """
            FROM busybox AS a
            RUN sleep 600
            FROM busybox AS b
            RUN sleep 0.3; exit 3
            FROM scratch
            COPY --from=a /bin/busybox /a
            COPY --from=b /bin/busybox /b
            """
        )
        let result = try build(failing)
        #expect(result.status == 1)
        #expect(result.errors.contains("exit code 3"), "\(result.errors)")
    }

    @Test("100,000 lines come out whole and in order")
    func longLog() throws {
        let place = try BuildPlace("FROM busybox\nRUN seq 100000\n")

        let result = try build(place)

        #expect(result.status == 0)
        let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("#1 ") && !$0.contains("RUN") }
            .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        #expect(lines == Array(1...100_000))
    }
}
