// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit
internal import Dispatch
internal import Glibc

/// The program: what must be done while the process has one thread, and then the command.
@main
enum Program {
    static func main() {
        // Whoever started us may ignore the ends of its children; we would inherit that, and never learn how ours ended.
        signal(SIGCHLD, SIG_DFL)
        UserRights.prepare(CommandLine.arguments)
        Environment.unifyTime()
        Task { Glibc.exit(await Coracle.run()) }
        dispatchMain()
    }

    /// Arguments with `--dry-run=VALUE` of deployments, and `--push=true` and the like of builds, as flags: a flag that
    /// may have a value would take the word after it.
    static func arguments(_ words: [String]) throws(ExitReason) -> [String] {
        if let first = words.first { try CommandName.check(first) }
        if words.first == "build" { return try BooleanFlags.plain(words) }
        guard let first = words.first, ["up", "deploy", "diff"].contains(first) else { return words }
        let end = words.firstIndex(of: "--") ?? words.endIndex
        var result: [String] = []
        for word in words[..<end] {
            guard word.hasPrefix("--dry-run=") else {
                result.append(word)
                continue
            }
            switch word.dropFirst("--dry-run=".count) {
            case "client", "server": result.append(word.replacing("=", with: "-"))
            case "none": continue
            case let value: throw ExitReason(.usage, "--dry-run \"\(value)\" is none of client, server, none")
            }
        }
        return result + words[end...]
    }
}

/// Builds, pushes and launches container images without a Docker daemon.
struct Coracle: CommandGroup {
    static let configuration = CommandConfiguration(
        commandName: "coracle",
        abstract: "Container images without a daemon.",
        discussion: """
            Exit codes: 0 done, 1 a build step failed, 2 wrong usage or a fault in the Dockerfile, 3 credentials, \
            4 network or registry, 5 Azure or the cluster refused, 70 a fault of Coracle itself.
            """,
        version: CoracleVersion.number,
        subcommands: [
            BuildCommand.self, CheckCommand.self, PlanCommand.self, PushCommand.self, PullCommand.self,
            CopyCommand.self, LoginCommand.self, LogoutCommand.self, ImagesCommand.self, TagCommand.self,
            InspectCommand.self, RunCommand.self, UpCommand.self, DiffCommand.self, DeployCommand.self,
            ContainersCommand.self,
            LogsCommand.self, ExecCommand.self, StopCommand.self, StartCommand.self, DownCommand.self,
            RemoveCommand.self, PruneCommand.self, UsageCommand.self, DoctorCommand.self, RegistryCommand.self,
            VersionCommand.self,
        ]
    )

    /// Runs the command that the arguments name, and gives its exit code.
    static func run() async -> Int32 {
        do {
            var command = try parsed(try Program.arguments(Array(CommandLine.arguments.dropFirst())))
            if var waiting = command as? any AsyncParsableCommand {
                try await waiting.run()
            } else {
                try command.run()
            }
            return 0
        } catch {
            let code = Coracle.report(error)
            UserRights.passSignal()
            return code
        }
    }

    /// The command that the arguments name, parsed.
    ///
    /// The way through all commands makes each option of the named one once more, which a small build notices. Only
    /// that way knows how a fault and a request for help are answered; the latter is a command of the parser's own.
    private static func parsed(_ words: [String]) throws -> any ParsableCommand {
        let named = configuration.subcommands.first { $0.configuration.commandName == words.first }
        guard let named, let command = try? named.parseAsRoot(Array(words.dropFirst())),
            ([named] + named.configuration.subcommands).contains(where: { $0 == type(of: command) })
        else { return try parseAsRoot(words) }
        return command
    }

    /// Prints why a command ends, and gives its exit code.
    private static func report(_ error: any Error) -> Int32 {
        if let reason = error as? ExitReason {
            Output.note(reason)
            return reason.code.rawValue
        }
        let code = exitCode(for: error)
        let text = fullMessage(for: error)
        if code == .success {
            do {
                if !text.isEmpty { try Output.result(text + "\n") }
            } catch {
                Output.note(error)
                return error.code.rawValue
            }
        } else if !text.isEmpty {
            Output.note(text)
        }
        guard code == .validationFailure else { return code.rawValue }
        // Any other code may be that of a program that ran.
        return CommandLine.arguments.dropFirst().first == "run" ? RunCommand.failure : ExitReason.Code.usage.rawValue
    }
}

/// The names of commands, and what is nearly one.
enum CommandName {
    /// Refuses a first word that can only be a command and is none.
    static func check(_ word: String) throws(ExitReason) {
        let commands = Coracle.configuration.subcommands
        let names = commands.flatMap { [$0.configuration.commandName ?? ""] + $0.configuration.aliases } + ["help"]
        guard !word.hasPrefix("-"), !names.contains(word) else { return }
        throw ExitReason(
            .usage,
            "there is no command \"\(word)\"\(Near.phrase(for: word, among: names))",
            hint: "coracle --help lists all of them"
        )
    }
}

/// A command that only has others: alone it says which, and that one of them is missing.
protocol CommandGroup: AsyncParsableCommand {}

extension CommandGroup {
    mutating func run() async throws {
        Output.note(Coracle.helpMessage(for: Self.self))
        throw ExitCode(ExitReason.Code.usage.rawValue)
    }
}
