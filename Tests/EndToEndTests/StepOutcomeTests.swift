// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// How steps end that did not fail themselves, what is told of them, and what they share.
@Suite(
    "Steps of one build",
    .enabled(if: ShellBase.program != nil, "no busybox"),
    .enabled(if: Rights.isRoot, "not root")
)
struct StepOutcomeTests {
    private func build(_ place: BuildPlace, _ arguments: [String] = [], style: String = "plain") throws -> Program {
        try place.build(
            ShellBase.flags + ["--progress", style] + arguments,
            through: ["timeout", "-s", "KILL", "120"]
        )
    }

    /// One step sleeps, and another fails once that one runs.
    private static let failing = """
        FROM busybox AS a
        RUN --mount=type=cache,id=meet,target=/m touch /m/a; sleep 600
        FROM busybox AS b
        RUN --mount=type=cache,id=meet,target=/m while ! test -e /m/a; do sleep 0.1; done; exit 3
        FROM scratch
        COPY --from=a /bin/busybox /a
        COPY --from=b /bin/busybox /b

        """

    @Test("A step that another's failure ended is canceled and not failed", arguments: ["plain", "tty", "json"])
    func canceled(style: String) throws {
        let result = try build(BuildPlace(Self.failing), style: style)

        #expect(result.status == 1 && result.errors.contains("exit code 3"), "\(result.errors)")
        let lines = result.errors.split(separator: "\n").map(String.init)
        switch style {
        case "plain":
            #expect(lines.count { $0.hasSuffix(" CANCELED") } == 1, "\(result.errors)")
            #expect(lines.count { $0.contains(" ERROR: ") } == 1, "\(result.errors)")
        case "tty":
            #expect(
                lines.count { $0.contains(" ⊘ [a 1/1] RUN ") && $0.hasSuffix(" canceled") } == 1,
                "\(result.errors)"
            )
            #expect(lines.count { $0.contains(" ✗ [b 1/1] RUN ") } == 1, "\(result.errors)")
        default:
            let events = lines.compactMap { try? JSON(parsing: $0)["event"].string }
            #expect(events.count { $0 == "canceled" } == 1 && events.count { $0 == "failed" } == 1, "\(events)")
        }
    }

    @Test("A build that is ended by a signal says so, and blames no step")
    func signal() throws {
        let place = try BuildPlace("FROM busybox\nRUN echo begun; sleep 600\n")
        let errors = place.root.appending(path: "errors")
        let flags = ["--store", place.store.path, "--progress", "plain"] + ShellBase.flags
        let process = try Child(["build"] + flags + [place.context.path], errors: .file(errors))
        let said = { try String(contentsOf: errors, encoding: .utf8) }
        try Waiting.blocking(until: "the command") { try said().contains(" begun\n") || !process.isRunning }

        process.send(SIGINT)
        try process.wait()

        let text = try said()
        #expect(text.hasSuffix("#1 CANCELED\nerror: the build was ended\n"), "\(text)")
        #expect(!text.contains("ERROR") && !text.contains("Dockerfile:"))
    }

    @Test("A program that was started where ends of children are ignored hears of those of its own")
    func ignoredEnds() throws {
        let place = try BuildPlace("FROM busybox\nRUN exit 3\n")
        let words = ["build", "--store", place.store.path, "--progress", "plain"] + ShellBase.flags

        let result = try Program.run(
            ["--ignore-signal=CHLD", Program.coracle.path] + words + [place.context.path],
            of: URL(filePath: "/usr/bin/env")
        )

        #expect(result.status == 1)
        #expect(result.errors.contains("exit code 3"), "\(result.errors)")
    }

    @Test("What chroot cannot keep apart is said once in a build")
    func chroot() throws {
        let place = try BuildPlace(
            "FROM busybox\nRUN true\nRUN echo\nFROM busybox\nRUN true; true\nCOPY --from=0 /etc /e\n"
        )

        let result = try build(place, ["--isolation", "chroot"])

        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.components(separatedBy: "chroot only: ").count == 2, "\(result.errors)")
    }

    @Test("A command with every right is refused though its result is known")
    func insecure() throws {
        let place = try BuildPlace("FROM busybox\nRUN true\nRUN --security=insecure true\n")
        try #require(build(place, ["--allow", "security.insecure"]).status == 0)

        let result = try build(place)

        #expect(result.status == 1)
        #expect(result.errors.contains("Dockerfile:3:1: error: RUN --security=insecure gives"), "\(result.errors)")
        #expect(result.errors.contains("--allow security.insecure"))
        #expect(!result.errors.contains("#1 "), "no step is begun: \(result.errors)")
        #expect(try build(place, ["--allow", "security.insecure"]).errors.contains("CACHED"))
    }

    @Test("Files of the context are copied once for all commands that mount them")
    func context() throws {
        let place = try BuildPlace(
            """
            FROM busybox
            RUN --mount=type=bind,target=/m stat -c 'is %i' /m/sub/file
            RUN --mount=type=bind,source=sub,target=/m stat -c 'is %i' /m/file
            RUN --mount=type=bind,source=sub/file,target=/m stat -c 'is %i' /m
            RUN --mount=type=bind,target=/m,rw echo more >> /m/sub/file && wc -l < /m/sub/file
            RUN --mount=type=bind,source=sub,target=/m,rw wc -l < /m/file && rm /m/file
            RUN --mount=type=bind,source=sub/file,target=/m,rw echo more >> /m && wc -l < /m
            RUN --mount=type=bind,target=/m wc -l < /m/sub/file; ls -A /m
            """
        )
        try place.write("sub/file", "context\n")
        try place.write("hidden", "")
        try place.write(".dockerignore", "hidden\n")

        let result = try build(place)

        #expect(result.status == 0, "\(result.errors)")
        let said = result.errors.matches(of: /#\d+ \d+\.\d+ (.*)/).map { String($0.1) }
        let inodes = said.filter { $0.hasPrefix("is ") }
        #expect(inodes.count == 3 && Set(inodes).count == 1, "\(said)")
        #expect(said.filter { Int($0) != nil } == ["2", "1", "2", "1"], "\(said)")
        #expect(!said.contains("hidden") && said.contains("sub"))
        let left = try FileManager.default.contentsOfDirectory(atPath: place.store.path + "/tmp")
        #expect(left.filter { $0.hasPrefix("step-") } == [])
    }

    @Test("A file of more than 256 MiB can be mounted to be written to", arguments: ["auto", "chroot"])
    func largeFile(isolation: String) throws {
        let place = try BuildPlace(
            """
            FROM busybox AS made
            RUN dd if=/dev/zero of=/large bs=1 count=1 seek=268435456 2>/dev/null && chown 5:6 /large && chmod 640 /large
            FROM busybox
            RUN --mount=type=bind,from=made,source=/large,target=/l,rw echo x >> /l && stat -c '%s %u:%g %a' /l
            """
        )

        let result = try build(place, ["--isolation", isolation])

        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains(" 268435459 5:6 640\n"), "\(result.errors)")
    }
}
