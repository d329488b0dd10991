// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle run`.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Start an image on this machine, to try what was built.",
        usage: "coracle run [<options>] <image> [--] [<argument> ...]",
        discussion: """
            The image's program runs isolated as RUN steps are, with the network of this machine. What it changes is \
            thrown away when it ends; only folders that -v names keep anything. Options stand before the image; what \
            follows it goes to the program.

            The exit code is that of the program, 128 and its number for a signal; 127 where there is no such program, \
            126 where it cannot be executed, 125 where Coracle itself could not do it. SIGTERM reaches the program as \
            the image's STOPSIGNAL; other signals as they are; the third SIGINT or SIGTERM kills it.
            """
    )

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp(
            "The image and its arguments: a name, sha256: and a digest, or oci-layout://FOLDER[:TAG].",
            valueName: "image"
        )
    )
    var words: [String] = []

    @OptionGroup var flags: ContainerFlags

    @OptionGroup(title: "Limits and isolation") var limits: LimitFlags

    @OptionGroup var storeFlags: StoreFlags

    @Option(help: .hidden)
    var kept: String?

    mutating func run() async throws {
        do {
            if let kept {
                let command = try RunCommand.parse(try RunImage.keptArguments())
                return try await command.request(try command.image()).keep(kept, environment: Environment.all)
            }
            let arguments = Array(CommandLine.arguments.dropFirst(2))
            let outcome = try await request(try image())
                .run(environment: Environment.all, arguments: arguments) { Output.note("coracle: note: \($0)") }
            switch outcome {
            case .ended(let code): throw ExitCode(code)
            case .detached(let name): try Output.result(name + "\n")
            }
        } catch let failure as RunFailure {
            Output.note(failure.reason)
            throw ExitCode(failure.status)
        } catch let reason as ExitReason {
            Output.note(reason)
            throw ExitCode(RunCommand.failure)
        }
    }

    /// The exit code where the program was not run, as in Docker.
    static let failure: Int32 = 125

    private func image() throws -> String {
        guard let image = words.first else {
            throw ExitReason(.usage, "there is no image to run", hint: "coracle run IMAGE")
        }
        // What takes everything behind the image takes this too.
        if image == "--help" || image == "-h" { throw CleanExit.helpRequest(self) }
        guard !image.hasPrefix("-") else {
            throw ExitReason(.usage, "the option \"\(image)\" is not known", hint: "coracle run --help")
        }
        return image
    }

    private func request(_ image: String) throws -> RunImage {
        var run = RunImage(image, in: try storeFlags.workspace)
        let rest = words.dropFirst()
        run.arguments = Array(rest.first == "--" ? rest.dropFirst() : rest)
        flags.apply(to: &run)
        limits.apply(to: &run)
        return run
    }
}

/// What a container is given.
struct ContainerFlags: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Let the program read standard input.")
    var interactive = false

    @Flag(name: .customShort("t"), help: "Give the program a terminal; -it for a shell.")
    var tty = false

    @Flag(name: .shortAndLong, help: "Start it, print its name and go: coracle ps, logs and stop find it.")
    var detach = false

    @Flag(name: .customLong("rm"), help: "Keep nothing of a detached container once it has ended, not even its log.")
    var remove = false

    @Option(help: "What it is called; two words are chosen otherwise.")
    var name: String?

    @Option(help: "The program in place of the image's; \"\" for none.")
    var entrypoint: String?

    @Option(
        name: [.customShort("e", allowingJoined: true), .customLong("env")],
        help: ArgumentHelp("A variable, NAME=value; NAME alone takes it from the environment.", valueName: "variable")
    )
    var environment: [String] = []

    @Option(
        name: .customLong("env-file"),
        help: ArgumentHelp("A file with a variable in each line.", valueName: "file")
    )
    var environmentFiles: [String] = []

    @Option(
        name: [.customShort("v", allowingJoined: true), .long],
        help: ArgumentHelp("A file or folder of this machine, SOURCE:TARGET[:ro].", valueName: "mount")
    )
    var volume: [String] = []

    @Option(help: ArgumentHelp("A folder in memory, TARGET[:size=64m,mode=1777].", valueName: "target"))
    var tmpfs: [String] = []

    @Option(
        name: [.customShort("p", allowingJoined: true), .long],
        help: ArgumentHelp(
            "A port that the program listens on, PORT:PORT; it is the same inside and outside.",
            valueName: "port"
        )
    )
    var publish: [String] = []

    @Option(name: [.customShort("w", allowingJoined: true), .long], help: "The folder that the program starts in.")
    var workdir: String?

    @Option(name: [.customShort("u", allowingJoined: true), .long], help: "Who runs the program, USER[:GROUP].")
    var user: String?

    @Option(help: "The machine's name inside.")
    var hostname: String?

    @Option(
        name: .customLong("add-host"),
        help: ArgumentHelp("A further name in /etc/hosts: NAME:ADDRESS.", valueName: "host")
    )
    var hosts: [String] = []

    @Option(help: "host, the network of this machine, or none.")
    var network = "host"

    @Flag(name: .customLong("read-only"), help: "Let the program change nothing of the image; VOLUMEs can be changed.")
    var readOnly = false

    @Option(help: "Which image of several, for example linux/arm64.")
    var platform: String?

    func apply(to run: inout RunImage) {
        (run.isInteractive, run.hasTerminal, run.isDetached, run.isRemoved) = (interactive, tty, detach, remove)
        (run.name, run.entrypoint, run.environment, run.environmentFiles) = (
            name, entrypoint, environment, environmentFiles
        )
        (run.volumes, run.memoryFolders, run.ports) = (volume, tmpfs, publish)
        (run.workingDirectory, run.user, run.hostname, run.platform) = (workdir, user, hostname, platform)
        run.isReadOnly = readOnly
        (run.options.hosts, run.options.network) = (hosts, network)
    }
}

/// What a container may use, and how it is kept apart.
struct LimitFlags: ParsableArguments {
    @Option(name: .shortAndLong, help: "The most memory, for example 2GiB; needs a cgroup of ours.")
    var memory: String?

    @Option(help: "The most processors, for example 1.5; needs a cgroup of ours.")
    var cpus: String?

    @Option(help: "A limit of processes, NAME=SOFT[:HARD], for example nofile=1024:4096.")
    var ulimit: [String] = []

    @Option(name: .customLong("shm-size"), help: "The size of /dev/shm, for example 128MiB.")
    var sharedMemory: String?

    @Option(help: "How it is kept apart: auto, namespaces, chroot, oci, oci=runc or oci=crun.")
    var isolation = "auto"

    @Option(help: "sandbox, or insecure for every right that you have.")
    var security = "sandbox"

    func apply(to run: inout RunImage) {
        (run.options.memory, run.options.processors, run.options.limits) = (memory, cpus, ulimit)
        (run.options.sharedMemory, run.options.isolation, run.security) = (sharedMemory, isolation, security)
    }
}
