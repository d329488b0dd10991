// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// A store with the shell's image in it, and containers that end with it.
final class ContainerPlace {
    private let folder: TemporaryFolder
    let root: URL
    let store: URL

    init() throws {
        folder = try TemporaryFolder()
        (root, store) = (folder.url, folder.url.appending(path: "store"))
    }

    deinit { _ = try? run("stop", ["--all", "-t", "0", "--rm"]) }

    /// The image, as every test names it.
    static var image: String { "oci-layout://\(ShellBase.layout.path)" }

    @discardableResult
    func write(_ path: String, _ text: String) throws -> URL { try folder.write(path, text) }

    /// Runs a verb on the store.
    func run(
        _ verb: String,
        _ arguments: [String],
        input: String = "",
        environment: [String: String] = [:]
    ) throws -> Program {
        try Program.run([verb, "--store", store.path] + arguments, input: input, in: root, environment: environment)
    }

    /// Runs the image.
    func container(
        _ flags: [String],
        _ command: [String],
        input: String = "",
        environment: [String: String] = [:]
    ) throws -> Program {
        try run("run", flags + [Self.image] + command, input: input, environment: environment)
    }

    /// Builds an image from the shell's.
    func build(_ dockerfile: String, as name: String) throws {
        let file = try write("context/Dockerfile", "FROM busybox\n" + dockerfile)
        let result = try run(
            "build",
            ShellBase.flags + ["-q", "-t", name, file.deletingLastPathComponent().path]
        )
        try #require(result.status == 0, "\(result.errors)")
    }

    /// Starts a verb, and does not wait for it; its output goes where it is told.
    func start(_ verb: String, _ arguments: [String], output: Child.Stream) throws -> Child {
        try Child([verb, "--store", store.path] + arguments, in: root, output: output)
    }

    /// The status of a container, as `ps` has it for programs.
    func status(_ name: String) throws -> JSON {
        let all = try JSON(parsing: try run("ps", ["-a", "--format", "json"]).output)["containers"].array
        return try #require(all.first { $0["name"].string == name })
    }

    /// The process that keeps a container: the parent of the container's own.
    func keeper(_ name: String) throws -> Int32 {
        let process = try #require(try status(name)["process"].int)
        let text = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let parent = text.firstMatch(of: /PPid:\s+(\d+)/).flatMap { Int32($0.1) }
        return try #require(parent)
    }
}

@Suite("coracle run", .enabled(if: ShellBase.program != nil, "no busybox"), .enabled(if: Rights.isRoot, "not root"))
struct RunVerbTests {
    @Test("Output, errors and exit code are those of the program")
    func streams() throws {
        let place = try ContainerPlace()

        let result = try place.container([], ["sh", "-c", "echo out; echo err >&2; printf end; exit 3"])

        #expect(result.status == 3)
        #expect(result.output == "out\nend")
        #expect(result.errors == "err\n")
        #expect(try place.container([], ["--", "echo", "--help"]).output == "--help\n")
        #expect(try place.run("ps", ["-a", "-q"]).output == "", "nothing is kept of it")
    }

    @Test("What keeps a program from running has the exit codes of Docker")
    func failures() throws {
        let place = try ContainerPlace()

        let missing = try place.container([], ["nosuch"])
        let refused = try place.container([], ["/etc/passwd"])

        #expect(missing.status == 127)
        #expect(missing.errors.contains("running \"nosuch\": no such file in any folder of the PATH"))
        #expect(refused.status == 126)
        #expect(refused.errors.contains("chmod +x"))
        #expect(try place.run("run", ["nosuch:1"]).status == 125)
        #expect(try place.run("run", ["--nosuch", Self.image]).status == 125)
        #expect(try place.container(["--memory", "much"], ["true"]).status == 125)
        #expect(try place.container(["-d"], ["nosuch"]).status == 127)
        let help = try place.run("run", ["--help"])
        #expect(help.status == 0)
        #expect(help.output.contains("--entrypoint"))
        #expect(try place.run("ps", ["-a", "-q"]).output == "")
    }

    private static let image = ContainerPlace.image

    @Test("A program sees what flags and files give it")
    func surroundings() throws {
        let place = try ContainerPlace()
        try place.write("variables", "# none\nFILE=from file\nBOTH=file\nGIVEN\nABSENT\n")
        let script =
            "echo $FILE,$BOTH,$GIVEN,${ABSENT-none}; pwd; id -u; id -g; echo $HOME; hostname; grep db /etc/hosts"

        let result = try place.container(
            [
                "--env-file", "variables", "-e", "BOTH=flag", "-w", "/new/folder", "-u", "www-data:7", "--hostname",
                "box",
                "--add-host", "db:10.0.0.5", "--network", "none",
            ],
            ["sh", "-c", script],
            environment: ["GIVEN": "by caller"]
        )

        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output == "from file,flag,by caller,none\n/new/folder\n33\n7\n/var/www\nbox\n10.0.0.5\tdb\n")
    }

    @Test("Program and arguments are put together as Docker does")
    func commands() throws {
        let place = try ContainerPlace()
        try place.build("ENTRYPOINT [\"echo\", \"own\"]\nCMD [\"argument\"]\n", as: "made")

        #expect(try place.run("run", ["made"]).output == "own argument\n")
        #expect(try place.run("run", ["made", "other", "-n"]).output == "own other -n\n")
        #expect(try place.run("run", ["--entrypoint", "printf", "made", "%s", "x"]).output == "x")
        let nothing = try place.run("run", ["--entrypoint", "", "made"])
        #expect(nothing.status == 125)
        #expect(nothing.errors.contains("does not say what to run"), "\(nothing.errors)")
    }

    @Test("Standard input reaches a program that asks for it, and only that one")
    func input() throws {
        let place = try ContainerPlace()
        let text = String(repeating: "0123456789", count: 50_000)

        #expect(try place.container(["-i"], ["wc", "-c"], input: text).output == "500000\n")
        #expect(try place.container([], ["wc", "-c"], input: text).output == "0\n")
    }

    @Test("Folders of the machine are changed or only looked at; everything else is thrown away")
    func files() throws {
        let place = try ContainerPlace()
        try place.write("data/in", "here\n")
        let mounts = ["-v", "./data:/rw", "-v", "\(place.root.path)/data:/ro:ro", "--tmpfs", "/memory:size=1m"]

        let result = try place.container(
            mounts,
            [
                "sh", "-c",
                "cat /ro/in; touch /ro/no; echo new > /rw/out; df /memory | tail -n 1 | cut -d ' ' -f 1; touch /x",
            ]
        )

        #expect(result.output == "here\ntmpfs\n", "\(result.errors)")
        #expect(result.errors.contains("Read-only file system"))
        #expect(try String(contentsOf: place.root.appending(path: "data/out"), encoding: .utf8) == "new\n")
        #expect(try place.container([], ["ls", "/x"]).status == 1)
        #expect(try place.container(["-v", "name:/x"], ["true"]).errors.contains("volumes with a name are not kept"))
        #expect(try place.container(["-v", "/nosuch:/x"], ["true"]).errors.contains("mkdir -p /nosuch"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.store.appending(path: "tmp").path) == [])
    }

    @Test("A read-only root can be changed where the image has volumes")
    func readOnly() throws {
        let place = try ContainerPlace()
        try place.build("RUN mkdir -p /v && echo seed > /v/seed && chown 7:8 /v\nVOLUME /v\n", as: "made")

        let result = try place.run(
            "run",
            [
                "--read-only", "made", "sh", "-c",
                "touch /no; cat /v/seed; echo more > /v/more && ls /v; stat -c %u:%g /v",
            ]
        )

        #expect(result.output == "seed\nmore\nseed\n7:8\n", "\(result.errors)")
        #expect(result.errors.contains("/no: Read-only file system"))
    }

    @Test("Ports are those of the machine, and others are refused with a reason")
    func ports() throws {
        let place = try ContainerPlace()

        let other = try place.container(["-p", "80:8080"], ["true"])
        let address = try place.container(["-p", "127.0.0.1:8080:8080"], ["true"])
        let unreachable = try place.container(["-p", "8080", "--network", "none"], ["true"])

        #expect(other.status == 125)
        #expect(other.errors.contains("no bridge to carry port 80 to port 8080"))
        #expect(address.errors.contains("up to the program"))
        #expect(unreachable.errors.contains("nobody reaches the program"))
    }

    @Test("Limits and isolation are had, or the reason is said", arguments: ["namespaces", "chroot"])
    func isolation(name: String) throws {
        let place = try ContainerPlace()

        let result = try place.container(
            ["--isolation", name, "--ulimit", "nofile=77:99"],
            ["sh", "-c", "ulimit -n; echo $$; exit 4"]
        )

        #expect(result.status == 4, "\(result.errors)")
        #expect(result.output.hasPrefix("77\n"))
        #expect((result.output == "77\n1\n") == (name == "namespaces"))
        #expect(result.errors.contains("chroot") == (name == "chroot"))
    }

    // MARK: Signals and terminals

    @Test(
        "A signal ends the program as it says, or as it would outside",
        arguments: zip([SIGINT, SIGTERM, SIGHUP], [130, 9, 5] as [Int32])
    )
    func signals(number: Int32, code: Int32) throws {
        let place = try ContainerPlace()
        try place.build("STOPSIGNAL SIGUSR1\n", as: "made")
        let output = place.root.appending(path: "output")
        let script = "trap 'exit 9' USR1; trap 'exit 5' HUP; echo ready; while :; do sleep 0.05; done"

        let process = try place.start("run", ["made", "sh", "-c", script], output: .file(output))
        try Waiting.blocking(until: "the command") { try String(contentsOf: output, encoding: .utf8) == "ready\n" }
        process.send(number)

        #expect(try process.wait() == .exited(code))
        #expect(try place.run("ps", ["-a", "-q"]).output == "")
    }

    @Test("A reader that goes away ends the program")
    func closedPipe() throws {
        let place = try ContainerPlace()
        let command = "\"$0\" run --store \"$1\" \"$2\" yes | head -n 1; echo ${PIPESTATUS[0]}"

        let result = try Program.run(
            ["-c", command, Program.coracle.path, place.store.path, Self.image],
            of: URL(filePath: "/bin/bash")
        )

        #expect(result.output == "y\n141\n", "\(result.errors)")
    }

    @Test("A reader that is gone before the program writes anything ends it, too", arguments: 0..<4)
    func brokenPipe(attempt: Int) throws {
        let place = try ContainerPlace()
        let pipe = Pipe()
        try pipe.fileHandleForReading.close()

        let process = try withExtendedLifetime(pipe) {
            let output = Child.Stream.descriptor(pipe.fileHandleForWriting.fileDescriptor)
            return try place.start("run", [ContainerPlace.image, "yes"], output: output)
        }

        #expect(try process.wait() == .exited(128 + SIGPIPE))
    }

    @Test("With a terminal, keys, their signals and the size go through", .enabled(if: Program.named("python3") != nil))
    func terminal() throws {
        let place = try ContainerPlace()
        let driver = """
            import fcntl, os, pty, struct, sys, termios
            pid, fd = pty.fork()
            if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 77, 0, 0))
            said = b''
            def wait(text):
                global said
                while text not in said:
                    said += os.read(fd, 4096)
                said = said[said.index(text) + len(text):]
            def say(text): os.write(fd, text)
            wait(b'# '); say(b'tty; echo a$((1+1))\\r'); wait(b'/dev/pts/0'); wait(b'a2')
            say(b'while [ "$(stty size)" != "33 77" ]; do sleep 0.1; done; echo si""ze\\r'); wait(b'size\\r')
            say(b'trap "echo inter""rupted; exit 7" INT; echo rea""dy; while :; do sleep 0.05; done\\r')
            wait(b'ready\\r'); say(b'\\x03'); wait(b'interrupted')
            try:
                while os.read(fd, 4096): pass
            except OSError: pass
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            """

        let result = try Program.run(
            ["-c", driver, Program.coracle.path, "run", "--store", place.store.path, "-it", Self.image, "sh"],
            of: try #require(Program.named("python3"))
        )

        #expect(result.output == "7\n", "\(result.errors)")
        let refused = try place.container(["-it"], ["true"])
        #expect(refused.status == 125)
        #expect(refused.errors.contains("needs a terminal"))
    }
}

@Suite(
    "Detached containers",
    .enabled(if: ShellBase.program != nil, "no busybox"),
    .enabled(if: Rights.isRoot, "not root")
)
struct DetachedTests {
    @Test("A detached container has the caller's time zone")
    func variables() throws {
        let place = try ContainerPlace()
        let flags = ["-d", "--name", "one", "-e", "TZ"]
        #expect(try place.container(flags, ["sh", "-c", "echo $TZ"], environment: ["TZ": "EST5"]).status == 0)
        try Waiting.blocking(until: "its word") { try place.run("logs", ["one"]).output == "EST5\n" }
    }

    @Test("A detached container is listed, read, followed and stopped")
    func life() throws {
        let place = try ContainerPlace()
        let script = "trap 'echo bye; exit 5' TERM; echo out; echo err >&2; printf half; while :; do sleep 0.05; done"

        let started = try place.container(["-d", "--name", "one"], ["sh", "-c", script])
        #expect(started.output == "one\n", "\(started.errors)")
        #expect(try place.status("one")["status"].string == "running")
        try Waiting.blocking(until: "both lines") { try place.run("logs", ["one"]).output == "out\nhalf" }
        #expect(try place.run("logs", ["one"]).errors == "err\n")
        let followed = place.root.appending(path: "followed")
        let follower = try place.start("logs", ["-f", "one"], output: .file(followed))
        let again = try place.container(["-d", "--name", "one"], ["true"])
        #expect(again.status == 125)
        #expect(again.errors.contains("belongs to a container that is running"))

        let stopped = try place.run("stop", ["one"])

        #expect(stopped.output == "one\n", "\(stopped.errors)")
        try follower.wait()
        #expect(try String(contentsOf: followed, encoding: .utf8) == "out\nhalfbye\n")
        let status = try place.status("one")
        #expect(status["status"].string == "exited")
        #expect(status["code"].int == 5)
        #expect(try place.run("ps", ["-q"]).output == "")
        #expect(try place.run("stop", ["--rm", "one"]).output == "one\n")
        #expect(try place.run("ps", ["-a", "-q"]).output == "")
        #expect(try place.run("logs", ["one"]).errors.contains("no container is called \"one\""))
    }

    @Test("The last lines of a log are shown, in order and by stream")
    func tail() throws {
        let place = try ContainerPlace()
        let script = "for i in $(seq 1 5000); do echo $i; done; printf part; printf ial; echo; echo last >&2"
        #expect(try place.container(["-d", "--name", "one"], ["sh", "-c", script]).status == 0)
        try Waiting.blocking(until: "the end of the container") { try place.status("one")["status"].string == "exited" }

        let all = try place.run("logs", ["one"])
        let last = try place.run("logs", ["--tail", "3", "one"])

        #expect(all.output == (1...5000).map { "\($0)\n" }.joined() + "partial\n")
        #expect(last.output == "5000\npartial\n")
        #expect(last.errors == "last\n")
        #expect(try place.run("logs", ["--tail", "0", "one"]).output == "")
        let timed = try place.run("logs", ["-t", "--tail", "2", "one"]).output
        #expect(timed.wholeMatch(of: /\d{4}-\d\d-\d\dT[\d:.]+Z partial\n/) != nil, "\(timed)")
    }

    @Test("A program that will not end is killed, and one that can't be asked is ended at once")
    func stubborn() throws {
        let place = try ContainerPlace()
        let ignoring = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]
        #expect(try place.container(["-d", "--name", "deaf"], ignoring).status == 0)
        #expect(try place.container(["-d", "--name", "plain"], ["sleep", "600"]).status == 0)
        try Waiting.blocking(until: "the command") { try place.run("logs", ["deaf"]).output == "ready\n" }

        #expect(try place.run("stop", ["-t", "1", "--all"]).status == 0)

        #expect(try place.status("deaf")["code"].int == 137)
        #expect(try place.status("plain")["code"].int == 143)
    }

    @Test("Nothing is left of a container whose keeper is killed, and that is said")
    func killed() throws {
        let place = try ContainerPlace()
        #expect(try place.container(["-d", "--name", "one"], ["sh", "-c", "sleep 600 & sleep 600"]).status == 0)
        let process = try #require(try place.status("one")["process"].int)

        kill(try place.keeper("one"), SIGKILL)

        try Waiting.blocking(until: "the end of the command") { kill(Int32(process), 0) != 0 }
        #expect(try place.status("one")["status"].string == "killed")
        #expect(try place.run("ps", ["-a"]).output.contains("its keeper was killed"))
        #expect(try place.run("ps", ["-q"]).output == "")
        let pruned = try place.run("prune", [])
        #expect(pruned.output.contains("1 ended container"), "\(pruned.output)\(pruned.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.store.appending(path: "tmp").path) == [])
    }

    @Test("Pruning takes nothing from a container that runs")
    func prune() throws {
        let place = try ContainerPlace()
        let script = "while ls /bin/busybox > /dev/null; do touch /changed; echo again; sleep 0.05; done; echo gone"
        #expect(try place.container(["-d", "--name", "one"], ["sh", "-c", script]).status == 0)

        let pruned = try place.run("prune", ["--all"])

        #expect(pruned.status == 0, "\(pruned.errors)")
        let before = try place.run("logs", ["one"]).output.count
        try Waiting.blocking(until: "more lines") { try place.run("logs", ["one"]).output.count > before + 20 }
        #expect(try !place.run("logs", ["one"]).output.contains("gone"))
        #expect(try place.run("stop", ["one"]).status == 0)
        #expect(try place.run("prune", ["--all"]).output.contains("unpacked layer"))
    }

    @Test("A web server answers from the machine's own network")
    func server() throws {
        let place = try ContainerPlace()
        try place.write("site/index.html", "from inside\n")
        let port = try UnusedPort.find()
        let command = ["httpd", "-f", "-p", "127.0.0.1:\(port)", "-h", "/site"]

        let started = try place.container(
            ["-d", "--rm", "--name", "web", "-p", "\(port):\(port)", "-v", "./site:/site:ro"],
            command
        )

        #expect(started.status == 0, "\(started.errors)")
        #expect(started.errors.contains("listens: \(port)/tcp"))
        let fetch = ["wget", "-q", "-O", "-", "http://127.0.0.1:\(port)/"]
        let busybox = try #require(ShellBase.program)
        try Waiting.blocking(until: "the server") { try Program.run(fetch, of: busybox).status == 0 }
        #expect(try Program.run(fetch, of: busybox).output == "from inside\n")
        let taken = try place.container(["-p", "\(port):\(port)"], ["true"])
        #expect(taken.errors.contains("port \(port) is in use on this machine"))
        #expect(try place.run("stop", ["web"]).status == 0)
        #expect(try place.run("ps", ["-a", "-q"]).output == "", "--rm keeps nothing")
    }
}
