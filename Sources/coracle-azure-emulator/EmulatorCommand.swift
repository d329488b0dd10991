// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import AzureEmulator
internal import Dispatch
internal import Glibc
internal import Synchronization

/// `coracle-azure-emulator`.
struct EmulatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coracle-azure-emulator",
        abstract: "An Azure on this machine: sign in, push to a registry, run container groups, with no account.",
        discussion: """
            Prints its address once it takes requests, and then, as lines of NAME=VALUE, what clients need; ends on \
            SIGTERM or Ctrl-C, and containers with it. Everything listens on loopback.

            Faults are planned by POST /_emulator/faults with {"fault": NAME}: throttled, transitioning, \
            inaccessibleImage, quota, noCapacity, registryTrouble, denied, expiredAssertion, expiredToken, \
            unregisteredProvider, failedOperation, lackingActions, status; and "times", "skipped", "method", "path".

            docs/azure-emulator.md says how azure-cli and Azure's SDKs are pointed here.
            """
    )

    @Option(help: ArgumentHelp("Where everything is kept.", valueName: "folder"))
    var folder: String

    @Option(
        help: ArgumentHelp(
            "The port of the resource manager and of Entra ID; 0 for any that is free.",
            valueName: "number"
        )
    )
    var port = 0

    @Flag(help: "Speak plain HTTP; azure-cli and Azure's SDKs want TLS.")
    var plainHttp = false

    @Option(help: ArgumentHelp("A registry that is there, with its admin user.", valueName: "name"))
    var registry: [String] = []

    @Option(
        help: ArgumentHelp(
            "A Kubernetes cluster that is there: NAME, or NAME,entra for one whose users sign in at Entra ID.",
            valueName: "name"
        )
    )
    var cluster: [String] = []

    @Option(help: ArgumentHelp("A resource group that is there.", valueName: "name"))
    var resourceGroup = ["coracle"]

    @Option(
        help: ArgumentHelp(
            "An image of a public registry, from an OCI layout: mcr.microsoft.com/app:1=FOLDER[:TAG].",
            valueName: "name=layout"
        )
    )
    var image: [String] = []

    @Option(help: ArgumentHelp("A folder with Azure's published schemas, to check requests by.", valueName: "folder"))
    var specs: String?

    @Option(help: ArgumentHelp("A certificate of the service principal, PEM.", valueName: "file"))
    var certificate: [String] = []

    @Option(
        help: ArgumentHelp(
            "Whose tokens the service principal trusts: ISSUER,SUBJECT[,AUDIENCE].",
            valueName: "fields"
        )
    )
    var federation: [String] = []

    @Option(
        help: ArgumentHelp("A role of the service principal at the subscription, in place of Owner.", valueName: "name")
    )
    var role: [String] = []

    @Option(help: ArgumentHelp("Seconds that tokens of Entra ID count.", valueName: "number"))
    var tokenLifetime: Int64 = 3599

    @Flag(help: "Let containers share this machine's network, in place of one for each group.")
    var shareNetwork = false

    @Option(
        help: ArgumentHelp(
            "Write what the resource manager is sent to a file, secrets and all: a line for each request.",
            valueName: "file"
        )
    )
    var record: String?

    @Flag(help: "Say nothing of requests.")
    var quiet = false

    /// What must be done while the process has one thread.
    static func prepare() {
        if let note = EmulatedAzure.prepare() { say(note) }
    }

    /// Runs the command, and gives its exit code.
    static func start() async -> Int32 {
        do {
            var command = try parse()
            try await command.run()
            return 0
        } catch let error as EmulatorError {
            say(error.message)
            return 2
        } catch {
            let code = exitCode(for: error)
            let text = fullMessage(for: error)
            if code == .success { print(text) } else { say(text) }
            return code == .validationFailure ? 2 : code.rawValue
        }
    }

    /// A line for people.
    static func say(_ text: String, to descriptor: Int32 = 2) {
        var line = text + "\n"
        line.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
    }

    mutating func run() async throws {
        let options = try options()
        try await EmulatedAzure.run(options) { azure in
            var lines = [
                azure.url, "AZURE_TENANT_ID=\(options.tenant)", "AZURE_SUBSCRIPTION_ID=\(options.subscription)",
                "AZURE_CLIENT_ID=\(options.applications[0].id)",
                "AZURE_CLIENT_SECRET=\(options.applications[0].secrets[0])", "AZURE_AUTHORITY_HOST=\(azure.url)",
            ]
            if let authority = azure.authority { lines.append("CA_CERTIFICATE=\(authority)") }
            for text in options.clusters {
                let name = String(text.prefix { $0 != "," })
                lines.append("KUBECONFIG_\(name)=\(azure.kubeconfig(of: name) ?? "")")
            }
            for name in options.registries { lines.append("REGISTRY_\(name)=\(azure.loginServer(of: name) ?? "")") }
            EmulatorCommand.say(lines.joined(separator: "\n"), to: 1)
            await StopSignals.first()
        }
    }

    private func options() throws(EmulatorError) -> EmulatorOptions {
        var options = EmulatorOptions(folder: folder)
        (options.port, options.isEncrypted, options.sharesNetwork) = (port, !plainHttp, shareNetwork)
        (options.registries, options.resourceGroups, options.specifications) = (registry, resourceGroup, specs)
        (options.tokenLifetime, options.clusters) = (tokenLifetime, cluster)
        for text in image {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw EmulatorError("--image \(text): NAME=FOLDER[:TAG]") }
            options.images.append((parts[0], parts[1]))
        }
        var application = options.applications[0]
        application.certificates = certificate
        if !role.isEmpty { application.roles = role.map { ($0, "") } }
        for text in federation {
            let parts = text.split(separator: ",").map(String.init)
            guard (2...3).contains(parts.count) else {
                throw EmulatorError("--federation \(text): ISSUER,SUBJECT[,AUDIENCE]")
            }
            let audience = parts.count > 2 ? parts[2] : "api://AzureADTokenExchange"
            application.federations.append(.init(issuer: parts[0], subject: parts[1], audience: audience))
        }
        options.applications = [application]
        options.note = { EmulatorCommand.say($0) }
        let isQuiet = quiet
        let file = record.map { open($0, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600) }
        if let file, file < 0 { throw EmulatorError("--record \(record ?? ""): \(String(cString: strerror(errno)))") }
        options.onRequest = { record in
            let code = record.code.map { " \($0)" } ?? ""
            let line = "\(record.method) \(record.path) \(record.status)\(code)"
            if !isQuiet { EmulatorCommand.say("\(record.service): \(line)") }
            guard let file, record.service == "arm" else { return }
            let body = String(decoding: record.body, as: UTF8.self).split(whereSeparator: \.isNewline)
                .joined(separator: " ")
            EmulatorCommand.say("\(record.method) \(record.path) \(body)", to: file)
        }
        return options
    }
}

/// SIGTERM and SIGINT, for what runs until it is told to stop.
enum StopSignals {
    /// Waits for the first; the second ends the process as it would without us.
    static func first() async {
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let numbers = [SIGTERM, SIGINT]
        let sources = numbers.map { number in
            Glibc.signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { signal.yield() }
            source.resume()
            return source
        }
        for await _ in signals { break }
        for number in numbers { Glibc.signal(number, SIG_DFL) }
        for source in sources { source.cancel() }
    }
}
