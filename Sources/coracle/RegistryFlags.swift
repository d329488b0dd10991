// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// How registries are reached, and who we are there.
///
/// Groups of flags are not in one another: ArgumentParser takes time that grows with the power of the depth.
struct RegistryFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Speak plain HTTP with this host, or do not verify its certificate; may be given several times.",
            valueName: "host"
        )
    )
    var insecure: [String] = []

    @Option(
        help: ArgumentHelp("Trust the certificates in this file too; may be given several times.", valueName: "file")
    )
    var ca: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Who we are at the registry that is named, or pushed to; else what coracle login or docker login kept.",
            discussion:
                "No other registry is shown it: mirrors, caches and base images elsewhere are asked as coracle login has it."
        )
    )
    var username: String?

    @Flag(name: .customLong("password-stdin"), help: "Read the password from standard input.")
    var passwordStdin = false

    func access(_ azure: AzureFlags) throws -> RegistryAccess {
        var access = RegistryAccess()
        access.azure = try azure.access
        (access.insecureHosts, access.authorityFiles, access.user) = (insecure, ca, username)
        try access.check()
        if passwordStdin { access.password = try Prompt.password() }
        return access
    }
}

/// How a transfer is shown.
struct TransferFlags: ParsableArguments {
    @Option(help: "How to show progress: auto, plain, tty or json.")
    var progress = ProgressStyle.auto

    @Flag(name: .shortAndLong, help: "Print the result and nothing else.")
    var quiet = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    /// Does something that is watched, and prints its result.
    func show(_ body: (@escaping @Sendable (TransferProgress) -> Void) async throws -> CopyImage.Report) async throws {
        let view = progress.view(isQuiet: quiet)
        let report: CopyImage.Report
        do {
            report = try await body { view.show($0) }
        } catch {
            view.finish()
            throw error
        }
        view.finish()
        try Output.result((json ? report.json : report.reference) + "\n")
    }
}
