// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle registry serve`.
struct RegistryServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve the store as a registry."
    )

    @OptionGroup var flags: StoreFlags

    @Option(help: ArgumentHelp("The address and port to listen on.", valueName: "address:port"))
    var listen = "127.0.0.1:5000"

    mutating func run() async throws {
        var serve = ServeRegistry(try flags.workspace)
        serve.listen = listen
        try await serve.run(
            announce: { try Output.result($0 + "\n") },
            until: { await StopSignals.first() }
        )
    }
}
