// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle registry serve`.
struct RegistryServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve the store as a registry.",
        discussion: """
            Prints its address once it listens, and ends on SIGTERM or Ctrl-C. Docker, skopeo, containerd and others \
            push and pull: the whole of the distribution specification 1.1.1, deleting and referrers included.

            The images of the store's own list can be pulled too, by their names without the host: \
            HOST/team/app:1 is team/app:1, and app:1 of Docker Hub is app:1 and library/app:1. They cannot be pushed \
            to or deleted here; coracle rm does that. What is pushed here is not on the list, and coracle prune keeps it.
            """
    )

    @OptionGroup var flags: StoreFlags

    @Option(
        help: ArgumentHelp(
            "Where to listen; port 0 is any that is free. Other addresses than this machine's own loopback need users, "
                + "or --anonymous.",
            valueName: "address:port"
        )
    )
    var listen = "127.0.0.1:5000"

    @Option(help: ArgumentHelp("Users and bcrypt hashes, as htpasswd -B writes them.", valueName: "file"))
    var htpasswd: String?

    @Option(
        help: ArgumentHelp(
            "Take tokens: service=NAME[,lifetime=SECONDS][,key=FILE] makes them here for the users of --htpasswd, "
                + "signed with a key that the store keeps, or with one of 32 bytes or more in a file; "
                + "realm=URL,service=NAME,issuer=NAME,certificate=FILE takes those that the owner of a key signs.",
            valueName: "fields"
        )
    )
    var tokenAuth: String?

    @Option(help: ArgumentHelp("The server's certificate chain, PEM.", valueName: "file"))
    var tlsCert: String?

    @Option(help: ArgumentHelp("The key of --tls-cert, PEM.", valueName: "file"))
    var tlsKey: String?

    @Flag(help: "Let everybody pull without a password; without --htpasswd and --token-auth also push.")
    var anonymous = false

    @Flag(help: "Refuse every change.")
    var readOnly = false

    @Option(
        help: ArgumentHelp(
            "What clients should tell people, for example that this registry is to go; may be given several times.",
            valueName: "text"
        )
    )
    var warning: [String] = []

    @Option(
        help: "How requests are reported on standard error: plain, json or none.",
        transform: { try ServeRegistry.Log(named: $0) }
    )
    var log = ServeRegistry.Log.plain

    mutating func run() async throws {
        var serve = ServeRegistry(try flags.workspace)
        (serve.listen, serve.passwords, serve.tokens) = (listen, htpasswd, tokenAuth)
        (serve.certificate, serve.key) = (tlsCert, tlsKey)
        (serve.anonymous, serve.readOnly, serve.log, serve.warnings) = (anonymous, readOnly, log, warning)
        try await serve.run(
            announce: { try Output.result($0 + "\n") },
            note: { Output.note($0) },
            until: { await StopSignals.first() }
        )
    }
}
