// SPDX-License-Identifier: Apache-2.0
import AzureEmulator
import Foundation
import Synchronization
import TestSupport
import Testing

/// Azure's registries through the program, against an emulated Azure.
@Suite("Azure's registries, through the program", .inTurns)
struct AzureRegistryTests {
    private static let secrets = ["emulated-secret", "wr0ng-s3cret"]

    /// An emulated Azure, and what coracle printed.
    private final class Place: Sendable {
        let azure: EmulatedAzure
        let folder: TemporaryFolder
        private let printed = Mutex("")

        init(_ azure: EmulatedAzure, _ folder: TemporaryFolder) throws {
            (self.azure, self.folder) = (azure, folder)
            try folder.write("context/Dockerfile", "FROM scratch\nCOPY f /f\n")
            try folder.write("context/f", "hello\n")
        }

        var registry: String { azure.loginServer(of: "testacr") ?? "" }
        var name: String { "\(registry)/team/app:1" }
        var home: URL { folder.url.appending(path: "home") }
        var application: EmulatorOptions.Application { azure.options.applications[0] }
        var principal: [String: String] {
            [
                "AZURE_CLIENT_ID": application.id, "AZURE_TENANT_ID": azure.options.tenant,
                "AZURE_CLIENT_SECRET": "emulated-secret",
            ]
        }

        /// Runs coracle with nothing in its environment that would be somebody.
        func coracle(_ words: [String], _ more: [String: String] = [:], input: String = "") async throws -> Program {
            try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
            var environment = [
                "HOME": home.path, "CORACLE_STORE": folder.url.appending(path: "store").path, "DOCKER_CONFIG": "",
                "REGISTRY_AUTH_FILE": "", "XDG_RUNTIME_DIR": home.path, "CORACLE_AZURE_CLOUD": azure.url,
                // A metadata service that is not there: nothing listens on port 9.
                "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin",
            ]
            for name in ["CLIENT_ID", "TENANT_ID", "CLIENT_SECRET", "SUBSCRIPTION_ID", "FEDERATED_TOKEN_FILE"] {
                environment["AZURE_" + name] = ""
            }
            environment.merge(more) { $1 }
            let flags = words[0] == "logout" ? [] : azure.authority.map { ["--ca", $0] } ?? []
            let complete = environment
            let program = try await offPool { try Program.run(words + flags, input: input, environment: complete) }
            printed.withLock { $0 += program.output + program.errors }
            return program
        }

        func push(_ more: [String: String] = [:], _ flags: [String] = []) async throws -> Program {
            let context = folder.url.appending(path: "context").path
            return try await coracle(["build", "--push", "-t", name, context] + flags, more)
        }

        func check() {
            let text = printed.withLock { $0 }
            for secret in AzureRegistryTests.secrets { #expect(!text.contains(secret), "a secret was printed") }
            #expect(!text.contains("eyJ"), "a token was printed")
        }
    }

    private static func run(
        faults: AzureFaults = AzureFaults(),
        _ change: (inout EmulatorOptions) -> Void = { _ in },
        _ body: @escaping @Sendable (Place) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        var options = EmulatorOptions(folder: folder.url.appending(path: "azure").path)
        options.registries = ["testacr"]
        change(&options)
        try await EmulatedAzure.run(options, faults: faults) { azure in
            let place = try Place(azure, folder)
            try await body(place)
            place.check()
        }
    }

    @Test("A service principal of the environment pushes and pulls, and nobody has logged in")
    func principal() async throws {
        try await Self.run { place in
            let pushed = try await place.push(place.principal)
            try #require(pushed.status == 0, "\(pushed.errors)")
            let pulled = try await place.coracle(["pull", place.name], place.principal)

            #expect(pulled.status == 0, "\(pulled.errors)")
            #expect(pulled.output.contains(pushed.output.trimmingCharacters(in: .newlines)))
            #expect(!FileManager.default.fileExists(atPath: place.home.appending(path: ".docker").path))
        }
    }

    @Test("A certificate that we sign with is accepted")
    func certificate() async throws {
        let files = try TemporaryFolder()
        let pem = files.url.appending(path: "app.pem").path
        let openssl = try #require(Program.named("openssl"))
        let made = try Program.run(
            [
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=app", "-keyout",
                pem + ".key", "-out", pem + ".crt",
            ],
            of: openssl
        )
        try #require(made.status == 0)
        let both =
            try String(contentsOfFile: pem + ".crt", encoding: .utf8)
            + String(contentsOfFile: pem + ".key", encoding: .utf8)
        try files.write("app.pem", both)

        try await Self.run {
            $0.applications[0].certificates = [pem + ".crt"]
        } _: { place in
            var environment = place.principal
            environment["AZURE_CLIENT_SECRET"] = ""
            let pushed = try await place.push(
                environment,
                ["--azure", "service-principal", "--azure-certificate", pem]
            )

            #expect(pushed.status == 0, "\(pushed.errors)")
        }
    }

    @Test("An Azure identity reads the base of FROM, and both ends of a copy")
    func baseAndCopy() async throws {
        try await Self.run {
            $0.registries = ["testacr", "otheracr"]
        } _: { place in
            let pushed = try await place.push(place.principal)
            try #require(pushed.status == 0, "\(pushed.errors)")
            try place.folder.write("next/Dockerfile", "FROM \(place.name)\nCOPY Dockerfile /next\n")
            let other = "\(place.azure.loginServer(of: "otheracr") ?? "")/team/app:1"
            let next = [
                "build", "--push", "-t", "\(place.registry)/team/next:1", place.folder.url.appending(path: "next").path,
            ]

            let built = try await place.coracle(next, place.principal)
            let copied = try await place.coracle(["copy", place.name, other], place.principal)
            let pulled = try await place.coracle(["registry", "tags", String(other.dropLast(2))], place.principal)
            let nobody = try await place.coracle(["copy", place.name, other])

            #expect(built.status == 0, "\(built.errors)")
            #expect(copied.status == 0, "\(copied.errors)")
            #expect(pulled.status == 0, "\(pulled.errors)")
            #expect(nobody.status == 3, "\(nobody.errors)")
        }
    }

    @Test("The admin user, read from Azure; a name and a password of one's own; each kept by login")
    func login() async throws {
        try await Self.run { place in
            var environment = place.principal
            environment["AZURE_SUBSCRIPTION_ID"] = place.azure.options.subscription
            let admin = try await place.coracle(["login", "--azure", "admin", place.registry], environment)
            try #require(admin.status == 0, "\(admin.errors)")
            #expect(admin.output.contains("as its admin user testacr"))
            #expect(try await place.push().status == 0, "what login kept is enough")

            #expect(try await place.coracle(["logout", place.registry]).status == 0)
            let nobody = try await place.push()
            #expect(nobody.status == 3)

            let typed = try await place.coracle(
                ["login", "-u", place.application.id, "--password-stdin", place.registry],
                input: "emulated-secret"
            )
            #expect(typed.status == 0, "\(typed.errors)")
            #expect(try await place.push().status == 0)
        }
    }

    @Test("login as an identity keeps a token that a later run pushes with")
    func loginWithIdentity() async throws {
        try await Self.run { place in
            let login = try await place.coracle(["login", place.registry], place.principal)
            try #require(login.status == 0, "\(login.errors)")
            #expect(
                login.output.hasPrefix("logged in to \(place.registry) as service principal \(place.application.id)")
            )

            #expect(try await place.push().status == 0)
        }
    }

    @Test("With nobody, what was tried is said")
    func nobody() async throws {
        try await Self.run { place in
            let pushed = try await place.push()

            #expect(pushed.status == 3)
            for words in [
                "there are no credentials for it", "there is no Azure identity here; tried: environment:",
                "federated identity:", "managed identity (instance metadata):", "az is not in PATH",
            ] { #expect(pushed.errors.contains(words), "\(pushed.errors)") }
            let wanted = try await place.push([:], ["--azure", "cli"])
            #expect(wanted.status == 3)
            #expect(wanted.errors.contains("az is not in PATH"))
        }
    }

    @Test("A wrong secret is told with Entra's code, and what to type")
    func wrongSecret() async throws {
        try await Self.run { place in
            let pushed = try await place.push(place.principal.merging(["AZURE_CLIENT_SECRET": "wr0ng-s3cret"]) { $1 })

            #expect(pushed.status == 3)
            #expect(pushed.errors.contains("AADSTS7000215"))
            #expect(pushed.errors.contains("az ad app credential reset --id \(place.application.id)"))
        }
    }

    @Test("A token that lacks a right is told by right and repository, with the role to assign")
    func lacking() async throws {
        try await Self.run {
            $0.applications[0].roles = [("AcrPull", "")]
        } _: { place in
            let pushed = try await place.push(place.principal)

            #expect(pushed.status == 3)
            #expect(pushed.errors.contains("lacks push on team/app"), "\(pushed.errors)")
            #expect(
                pushed.errors.contains(
                    "az role assignment create --assignee-object-id \(place.application.objectID) "
                        + "--assignee-principal-type ServicePrincipal --role \"AcrPush\""
                ),
                "\(pushed.errors)"
            )
        }
    }

    @Test("Tokens that end while a push goes on are renewed")
    func expiry() async throws {
        let change: (inout EmulatorOptions) -> Void = { options in
            (options.tokenLifetime, options.registryTokenLifetime) = (4, 1)
        }
        try await Self.run(change) { place in
            for index in 0..<6 {
                try place.folder.write("context/f\(index)", String(repeating: "\(index)", count: 200_000))
            }
            let copies = (0..<6).map { "COPY f\($0) /f\($0)\n" }.joined()
            try place.folder.write("context/Dockerfile", "FROM scratch\n" + copies)
            let pushed = try await place.push(place.principal)
            try await Task.sleep(for: .seconds(4))
            let again = try await place.coracle(
                ["pull", "--store", place.folder.url.appending(path: "other").path, place.name],
                place.principal
            )

            #expect(pushed.status == 0, "\(pushed.errors)")
            #expect(again.status == 0, "\(again.errors)")
        }
    }

    @Test("An identity is not asked for where it was said to be nobody, and not given to others' registries")
    func none() async throws {
        try await Self.run { place in
            let none = try await place.push(place.principal, ["--azure", "none"])
            #expect(none.status == 3)
            #expect(!none.errors.contains("tried"))

            let foreign = try await place.coracle(["login", "--azure", "cli", "ghcr.io"], place.principal)
            #expect(foreign.status == 2)
            #expect(foreign.errors.contains("ghcr.io is no registry of Azure"))

            let both = try await place.coracle(
                ["pull", "-u", "a", "--password-stdin", "--azure", "cli", place.name],
                input: "x"
            )
            #expect(both.status == 2)
        }
    }
}
