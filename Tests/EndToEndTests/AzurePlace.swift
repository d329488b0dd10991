// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// An emulated Azure, in a process of its own, with a resource group and a registry; and a folder that coracle is run in.
final class AzurePlace: Sendable {
    static let tenant = "11111111-1111-4111-8111-111111111111"
    static let subscription = "22222222-2222-4222-8222-222222222222"
    static let client = "33333333-3333-4333-8333-333333333333"

    let home: TemporaryFolder
    private let process: ServerProcess
    let port: Int
    let root: URL
    let registry: String
    /// Everything that coracle printed.
    let printed = Mutex("")

    /// What must never be printed or kept.
    static let secrets = ["emulated-secret", "s3cret-of-the-app", "another-s3cret"]

    /// Starts one; flags go to the emulator.
    init(_ more: [String] = [], isEncrypted: Bool = false) async throws {
        home = try TemporaryFolder()
        root = home.url.appending(path: "work")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let program = Program.coracle.deletingLastPathComponent().appending(path: "coracle-azure-emulator")
        var flags = [
            "--folder", home.url.appending(path: "azure").path, "--resource-group", "demo",
            "--registry", "testacr", "--record", home.url.appending(path: "requests").path,
        ]
        if !isEncrypted { flags.append("--plain-http") }
        if let schemas = JSONSchema.azure { flags += ["--specs", schemas.path] }
        let process = try await ServerProcess([program.path] + flags + more, readyAt: "REGISTRY_testacr=127.0.0.1:")
        self.process = process
        port = try process.port(after: isEncrypted ? "https://" : "http://")
        registry = "127.0.0.1:\(try process.port(after: "REGISTRY_testacr="))"
    }

    /// Runs while a function does; then what was sent and printed is looked at.
    static func run(
        _ flags: [String] = [],
        isEncrypted: Bool = false,
        _ body: (AzurePlace) async throws -> Void
    ) async throws {
        let place = try await AzurePlace(flags, isEncrypted: isEncrypted)
        try await body(place)
        try await place.check()
    }

    /// What the emulator printed: a line for each request.
    var log: String { process.text }

    /// The variables that coracle is run with.
    var environment: [String: String] {
        [
            "HOME": home.url.path, "CORACLE_STORE": home.url.appending(path: "store").path,
            "AZURE_CLIENT_ID": Self.client, "AZURE_CLIENT_SECRET": "emulated-secret", "AZURE_TENANT_ID": Self.tenant,
            "AZURE_SUBSCRIPTION_ID": Self.subscription,
            "CORACLE_AZURE_CLOUD": "http://127.0.0.1:\(port)", "CORACLE_AZURE_POLL_MS": "200",
            "KEY": "s3cret-of-the-app",
        ]
    }

    /// Plans that something goes wrong.
    func fail(_ fault: String) async throws {
        let answer = try await Wire.ask("POST", "/_emulator/faults", port: port, body: Array(fault.utf8))
        try #require(answer.status == 201, "\(answer.text)")
    }

    /// Forgets what should go wrong.
    func heal() async throws { _ = try await Wire.ask("DELETE", "/_emulator/faults", port: port) }

    /// Runs coracle, on a thread of its own as it blocks.
    func coracle(_ words: [String], _ more: [String: String] = [:], input: String = "") async throws -> Program {
        let (root, environment) = (root, environment.merging(more) { $1 })
        let program = try await offPool {
            try Program.run(words, input: input, in: root, environment: environment)
        }
        printed.withLock { $0 += program.output + program.errors }
        return program
    }

    /// Runs coracle at a terminal of its own.
    func terminal(_ words: [String], _ more: [String: String] = [:]) throws -> TerminalProgram {
        try TerminalProgram([Program.coracle.path] + words, in: root, environment: environment.merging(more) { $1 })
    }

    /// Asks the resource manager as a client of the test's own, which requests of coracle's are told from by a parameter.
    func arm(_ method: String, _ path: String, _ body: String? = nil, version: String) async throws -> Wire.Reply {
        let form =
            "grant_type=client_credentials&client_id=\(Self.client)&client_secret=emulated-secret"
            + "&scope=https%3A%2F%2Fmanagement.azure.com%2F.default"
        let token = try await Wire.ask(
            "POST",
            "/\(Self.tenant)/oauth2/v2.0/token",
            port: port,
            headers: [("Content-Type", "application/x-www-form-urlencoded")],
            body: Array(form.utf8)
        )
        let text = try #require(try JSON(parsing: token.text)["access_token"].string)
        let mark = path.contains("?") ? "&" : "?"
        let place =
            path.hasPrefix("/")
            ? path : "/subscriptions/\(Self.subscription)/resourceGroups/demo/providers/\(path)"
        return try await Wire.ask(
            method,
            "\(place)\(mark)api-version=\(version)&by=test",
            port: port,
            headers: [("Authorization", "Bearer \(text)"), ("Content-Type", "application/json")],
            body: body.map { Array($0.utf8) }
        )
    }

    /// Forgets what was printed, where a container printed a secret of its own as it was told to.
    func forget() { printed.withLock { $0 = "" } }

    /// A web site: a page, on a small server.
    func site(_ page: String, command: String = #"["httpd", "-f", "-p", "8080", "-h", "/srv"]"#) throws {
        let text = "FROM busybox\nCOPY index.html /srv/\nEXPOSE 8080\nCMD \(command)\n"
        for (name, content) in [("Dockerfile", text), ("index.html", page)] { try write("site/\(name)", content) }
    }

    /// Writes a file below the folder that coracle is run in.
    func write(_ path: String, _ content: String) throws {
        let file = root.appending(path: path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        try Data(content.utf8).write(to: file)
    }

    /// Pushes an image that needs no base: for what never runs.
    func pushed(_ name: String = "app:1") async throws -> String {
        try write("bare/Dockerfile", "FROM scratch\nCOPY Dockerfile /\nCMD [\"/none\"]\n")
        let image = "\(registry)/\(name)"
        let push = try await coracle(["build", "-q", "--push", "-t", image, "bare"])
        try #require(push.status == 0, "\(push.errors)")
        return image
    }

    /// What a URL answers with; `nil` where nobody does, not even when the program has had a while to listen.
    func page(_ url: String) async -> String? {
        let end = ContinuousClock.now + .seconds(15)
        while ContinuousClock.now < end {
            if let page = await answer(url) { return page }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return nil
    }

    /// What a URL answers with now; `nil` where nobody does.
    func answer(_ url: String) async -> String? {
        let url = url.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let busybox = ShellBase.program, !url.isEmpty else { return nil }
        let answer = try? await offPool { try Program.run(["wget", "-q", "-O", "-", url], of: busybox) }
        return answer.flatMap { $0.status == 0 ? $0.output : nil }
    }

    // MARK: What must hold

    /// A request of coracle's to the resource manager that had a body.
    struct Sent {
        let method: String
        let target: String
        let body: String

        /// Where the schema of the body is; `nil` where none is known.
        func schema(_ folder: URL) throws -> (schema: JSONSchema, pointer: String)? {
            guard target.lowercased().contains("/containergroups/"), let range = target.range(of: "api-version=") else {
                return nil
            }
            let version = target[range.upperBound...].prefix { $0 != "&" }
            let own = folder.appending(path: "containerinstance-2023-05-01.json")
            switch method {
            case "PUT":
                let name = "request-schemas/containerinstance-containerGroups-\(version).json"
                return (try JSONSchema(folder.appending(path: name)), "")
            case "PATCH" where version == "2023-05-01":
                return (try JSONSchema(own, isClosed: true), "/definitions/Resource")
            case "POST" where version == "2023-05-01" && target.contains("/exec?"):
                return (try JSONSchema(own, isClosed: true), "/definitions/ContainerExecRequest")
            default: return nil
            }
        }
    }

    /// The requests of coracle's with a body.
    var sent: [Sent] {
        let text = (try? String(contentsOf: home.url.appending(path: "requests"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n")
            .compactMap { line in
                let words = line.split(separator: " ", maxSplits: 2).map { String($0) }
                guard words.count == 3, !words[1].contains("by=test"), !words[2].allSatisfy(\.isWhitespace) else {
                    return nil
                }
                return Sent(method: words[0], target: words[1], body: words[2])
            }
    }

    /// The passwords of the registry's admin user, which the emulator makes anew each time.
    private func adminPasswords() async throws -> [String] {
        let reply = try await arm(
            "POST",
            "Microsoft.ContainerRegistry/registries/testacr/listCredentials",
            version: "2023-07-01"
        )
        return try JSON(parsing: reply.text)["passwords"].array.compactMap { $0["value"].string }
    }

    /// Every body that was sent to the resource manager matches its schema, and no secret is anywhere.
    func check() async throws {
        if !isEncrypted { try await heal() }
        if let folder = JSONSchema.azure {
            for request in sent {
                guard let (schema, pointer) = try request.schema(folder) else {
                    Issue.record("no schema is known for \(request.method) \(request.target)")
                    continue
                }
                #expect(try schema.faults(of: request.body, at: pointer) == [], "\(request.method) \(request.target)")
            }
        }
        let generated = isEncrypted ? [] : try await adminPasswords()
        #expect(generated.count == 2 || isEncrypted)
        let logs = printed.withLock { $0 }
        #expect(!logs.contains("eyJ"), "coracle printed a token")
        for secret in Self.secrets + generated {
            #expect(!logs.contains(secret), "coracle printed \(secret)")
            // The store, coracle.yaml, caches: whatever coracle wrote; the emulator's own files lie elsewhere.
            let found = try Program.run(
                ["-rlF", secret, "store", "work", ".config", ".docker"],
                of: Self.grep,
                in: home.url
            )
            #expect(found.output == "", "\(secret) was written down")
            // It says itself what its own client signs in with.
            if secret != Self.secrets[0] { #expect(!log.contains(secret), "the emulator printed \(secret)") }
        }
    }

    private var isEncrypted: Bool { log.contains("CA_CERTIFICATE=") }
    private static let grep = URL(filePath: "/bin/grep")
}

/// A program at a terminal of its own, whose keys a test presses.
final class TerminalProgram: Sendable {
    private let process: Child
    private let keys: Int32
    private let isOpen = Mutex(true)
    private let seen = Mutex("")

    init(_ words: [String], in folder: URL, environment: [String: String]) throws {
        keys = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var (isLocked, number): (Int32, UInt32) = (0, 0)
        // TIOCSPTLCK and TIOCGPTN, which are made of macros.
        guard keys >= 0, ioctl(keys, 0x4004_5431, &isLocked) == 0, ioctl(keys, 0x8004_5430, &number) == 0 else {
            throw NoTerminal()
        }
        let terminal = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
        defer { close(terminal) }
        // A session of its own, whose terminal this is.
        process = try Child(
            ["--ctty", "--wait"] + words,
            of: URL(filePath: "/usr/bin/setsid"),
            in: folder,
            environment: environment,
            input: .descriptor(terminal),
            output: .descriptor(terminal),
            errors: .descriptor(terminal)
        )
        Thread.detachNewThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(keys, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                seen.withLock { $0 += String(decoding: buffer[..<count], as: UTF8.self) }
            }
            isOpen.withLock {
                $0 = false
                close(keys)
            }
        }
    }

    struct NoTerminal: Error {}

    /// What is on the screen.
    var screen: String { seen.withLock { $0 } }

    /// Presses keys.
    func type(_ text: String) {
        isOpen.withLock { isOpen in
            guard isOpen else { return }
            _ = Array(text.utf8).withUnsafeBytes { write(keys, $0.baseAddress, $0.count) }
        }
    }

    /// Waits until the screen shows something; whether it does within a minute.
    func wait(for text: String) async throws -> Bool {
        for _ in 0..<600 {
            if screen.contains(text) { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    /// Waits for its end, at most a minute; its exit status.
    func end() async throws -> Int32? {
        for _ in 0..<600 where process.isRunning { try await Task.sleep(for: .milliseconds(100)) }
        guard !process.isRunning else {
            process.send(SIGTERM)
            return nil
        }
        // What it wrote last is on its way.
        try await Task.sleep(for: .milliseconds(200))
        if case .exited(let status) = try process.wait() { return status }
        return nil
    }
}
