// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// RUN where something is unusual: mounts that get in each other's way, odd output, faults of the person who builds.
@Suite(
    "RUN against the odds",
    .enabled(if: ShellBase.program != nil, "no busybox"),
    .enabled(if: Rights.isRoot, "not root")
)
struct RunRobustnessTests {
    /// Builds with the base; a build that hangs is ended after two minutes.
    private func build(_ dockerfile: String, _ arguments: [String] = []) throws -> Program {
        try build(BuildPlace(dockerfile), arguments)
    }

    private func build(_ place: BuildPlace, _ arguments: [String] = []) throws -> Program {
        try place.build(
            ShellBase.flags + ["--progress", "plain"] + arguments,
            through: ["timeout", "-s", "KILL", "120"]
        )
    }

    @Test("A cache that a command mounts twice is locked once, and is the same in both places")
    func cacheTwice() throws {
        let mount = "--mount=type=cache,id=a,sharing=locked,target="

        let result = try build("FROM busybox\nRUN \(mount)/a \(mount)/b echo there > /a/x && cat /b/x\n")

        #expect(result.status == 0 && result.errors.contains(" there\n"), "\(result.errors)")
    }

    @Test("Commands that lock the same caches in different order do not wait for each other for ever")
    func cachesCrossed() throws {
        let mount = { (id: String) in "--mount=type=cache,id=\(id),sharing=locked,target=/\(id)" }
        let stages = (0..<6)
            .map { number in
                let names = number % 2 == 0 ? ["a", "b"] : ["b", "a"]
                let mounts = names.map(mount).joined(separator: " ")
                return "FROM busybox AS s\(number)\nRUN \(mounts) echo \(number) >> /a/x && cp /a/x /out\(number)\n"
            }
        let copies = (0..<6).map { "COPY --from=s\($0) /out\($0) /\n" }

        let result = try build(stages.joined() + "FROM busybox\n" + copies.joined())

        #expect(result.status == 0, "\(result.errors)")
    }

    @Test("Steps at once make their mount points in one cache")
    func pointsInCache() throws {
        let inner = (0..<16).map { "--mount=type=cache,id=inner,target=/m/\($0)" }.joined(separator: " ")
        let secret = "--mount=type=secret,id=s,target=/m/secret"
        let stages = (0..<4)
            .map { stage in
                let steps = (0..<4)
                    .map { step in
                        let mounts = "--mount=type=cache,id=outer\(step),target=/m \(inner) \(secret)"
                        return "RUN \(mounts) cat /m/secret > /out\(stage)\n"
                    }
                return "FROM busybox AS s\(stage)\n" + steps.joined()
            }
        let copies = (0..<4).map { "COPY --from=s\($0) /out\($0) /\n" }
        let place = try BuildPlace(stages.joined() + "FROM busybox\n" + copies.joined())
        let secretFile = place.root.appending(path: "secret")
        try "s".write(to: secretFile, atomically: true, encoding: .utf8)

        let result = try build(place, ["--secret", "id=s,src=\(secretFile.path)"])

        #expect(result.status == 0, "\(result.errors)")
    }

    @Test("A build that waits for another's cache ends by a signal")
    func signalWhileWaiting() throws {
        let mark = String(Int.random(in: 100_000...999_999))
        let place = try BuildPlace("FROM busybox\nRUN --mount=type=cache,target=/c,sharing=locked sleep \(mark)\n")
        let other = place.root.appending(path: "other")
        try "FROM busybox\nRUN --mount=type=cache,target=/c,sharing=locked true\n"
            .write(to: other, atomically: true, encoding: .utf8)
        func build(_ file: URL) throws -> Child {
            let flags = ["--store", place.store.path, "--progress", "plain", "-f", file.path] + ShellBase.flags
            return try Child(["build"] + flags + [place.context.path])
        }
        let first = try build(place.context.appending(path: "Dockerfile"))
        defer { first.send(SIGKILL) }
        let pgrep = try #require(Program.named("pgrep"))
        try Waiting.blocking(until: "the first build's command") {
            try Program.run(["-f", "^sleep \(mark)"], of: pgrep).status == 0
        }
        let second = try build(other)
        defer { second.send(SIGKILL) }
        // Its own folder in tmp says that it is at work.
        let mine = "-\(second.processIdentifier)-"
        try Waiting.blocking(until: "the second build's folder") {
            try FileManager.default.contentsOfDirectory(atPath: place.store.path + "/tmp")
                .contains { $0.contains(mine) }
        }

        second.send(SIGINT)

        try Waiting.blocking(until: "the second build's end") { !second.isRunning }
        #expect(first.isRunning)
    }

    @Test("A command runs over an image without layers, with a shell from a mount")
    func scratch() throws {
        let result = try build(
            """
            FROM scratch
            RUN --mount=type=bind,from=busybox,source=/bin,target=/bin echo made > /file && ls -l /file
            FROM scratch
            RUN echo
            """,
            ["--target", "0"]
        )
        let empty = try build("FROM scratch\nRUN echo\n")

        #expect(result.status == 0 && result.errors.contains(" /file\n"), "\(result.errors)")
        #expect(empty.errors.contains("running \"/bin/sh\": no such file in the image"), "\(empty.errors)")
    }

    @Test("A mount whose source is missing is said with its place and what hides it")
    func missingSources() throws {
        let place = try BuildPlace("FROM busybox\nRUN --mount=type=bind,source=hidden,target=/x true\n")
        try place.write("hidden", "")
        try place.write(".dockerignore", "hidden\n")

        let hidden = try build(place)
        let image = try build("FROM busybox\nRUN --mount=type=bind,from=busybox,source=/no,target=/x true\n")

        #expect(
            hidden.errors.contains("\"hidden\", to be mounted at /x, is not in the build context"),
            "\(hidden.errors)"
        )
        #expect(hidden.errors.contains(".dockerignore:1"), "\(hidden.errors)")
        #expect(
            image.errors.contains("\"/no\", to be mounted at /x, is not in the build context \"busybox\""),
            "\(image.errors)"
        )
    }

    @Test("A secret whose file is missing stops the build before it begins")
    func missingSecret() throws {
        let result = try build("FROM busybox\nRUN echo begun\n", ["--secret", "id=x,src=/no/such/file"])

        #expect(result.status == 2)
        #expect(result.errors.contains("reading the secret \"x\" from /no/such/file: No such file"), "\(result.errors)")
        #expect(!result.errors.contains("begun"))
    }

    @Test("A line of 10 MB comes out whole")
    func longLine() throws {
        let result = try build("FROM busybox\nRUN head -c 10000000 /dev/zero | tr '\\0' x; echo; echo end\n")

        #expect(result.status == 0)
        #expect(result.errors.contains(String(repeating: "x", count: 10_000_000) + "\n"))
        #expect(result.errors.contains(" end\n"))
    }

    @Test("A character that comes in two pieces is shown as one")
    func splitCharacters() throws {
        let result = try build(
            "FROM busybox\nRUN printf 'h\\303'; sleep 0.3; printf '\\251llo\\n'; printf 'a\\rb\\r\\nend\\303'\n",
            ["--progress", "json"]
        )
        let said = result.errors.split(whereSeparator: \.isNewline)
            .compactMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
            .filter { $0["event"] as? String == "output" }.compactMap { $0["message"] as? String }

        #expect(said.joined() == "héllo\na\rb\r\nend\u{FFFD}", "\(result.errors)")
    }

    @Test(
        "An agent that holds keys ends with the build, failed or not",
        .enabled(if: Program.named("ssh-agent") != nil)
    )
    func agentEnds() throws {
        let place = try BuildPlace("FROM busybox\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK && exit 3\n")
        let key = place.root.appending(path: "key").path
        let made = try Program.run(
            ["-q", "-t", "ed25519", "-N", "", "-f", key],
            of: #require(Program.named("ssh-keygen"))
        )
        try #require(made.status == 0, "\(made.errors)")

        let result = try build(place, ["--ssh", "default=\(key)"])

        #expect(result.errors.contains("exit code 3"), "\(result.errors)")
        // It is told to end, and is the system's until it does.
        let (find, name) = (try #require(Program.named("pgrep")), place.root.lastPathComponent)
        try Waiting.blocking(until: "the agent's end") {
            try Program.run(["-f", "ssh-agent.*\(name)"], of: find).output == ""
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.store.path + "/tmp") == [])
    }

    @Test("A secret from a pipe has its content in every step")
    func secretFromPipe() throws {
        let mount = "--mount=type=secret,id=p"
        let place = try BuildPlace(
            "FROM busybox\nRUN \(mount) wc -c /run/secrets/p\nRUN \(mount) grep -c . /run/secrets/p\n"
        )
        let command = [Program.coracle.path, "build", "--store", place.store.path, "--progress", "plain"]
        let flags = ShellBase.flags + ["--secret", "id=p,src=/dev/stdin", place.context.path]

        let result = try Program.run(
            ["-c", "printf 'six by\n' | \"$@\"", "-"] + command + flags,
            of: URL(filePath: "/bin/sh")
        )

        #expect(result.errors.contains(" 7 /run/secrets/p\n") && result.errors.contains(" 1\n"), "\(result.errors)")
    }
}
