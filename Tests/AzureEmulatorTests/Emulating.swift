// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// An emulator in a process of its own, as containers need threads and rights of their own.
final class Emulating: Sendable {
    static let group = "/subscriptions/\(subscription)/resourceGroups/coracle"
    static let subscription = "22222222-2222-4222-8222-222222222222"
    static let tenant = "11111111-1111-4111-8111-111111111111"
    static let client = "33333333-3333-4333-8333-333333333333"
    static let container = "Microsoft.ContainerInstance/containerGroups"

    let port: Int
    let files: TemporaryFolder
    private let process: ServerProcess

    /// Starts one; a launcher is what runs it.
    init(_ flags: [String] = [], launcher: [String] = []) async throws {
        files = try TemporaryFolder()
        let program = Program.coracle.deletingLastPathComponent().appending(path: "coracle-azure-emulator")
        process = try await ServerProcess(
            launcher + [program.path, "--plain-http", "--folder", files.url.appending(path: "azure").path] + flags,
            readyAt: "AZURE_AUTHORITY_HOST="
        )
        port = try process.port(after: "http://")
    }

    /// What it printed so far: its log of requests.
    var log: String { process.text }

    /// Where a registry is.
    func registry(_ name: String) async throws -> String {
        for _ in 0..<500 {
            let line = log.split(whereSeparator: \.isNewline).first { $0.hasPrefix("REGISTRY_\(name)=") }
            if let line { return String(line.dropFirst("REGISTRY_\(name)=".count)) }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ServerNotFound(name: name)
    }

    struct ServerNotFound: Error { let name: String }

    /// Sends a form to the directory.
    func ask(_ form: [String: String], tenant: String = tenant) async throws -> Wire.Reply {
        var letters = CharacterSet.alphanumerics
        letters.insert(charactersIn: "-._~")
        let body = form.map { "\($0.key)=\($0.value.addingPercentEncoding(withAllowedCharacters: letters) ?? "")" }
        return try await Wire.ask(
            "POST",
            "/\(tenant)/oauth2/v2.0/token",
            port: port,
            headers: [("Content-Type", "application/x-www-form-urlencoded")],
            body: Array(body.joined(separator: "&").utf8)
        )
    }

    /// A token of the service principal.
    func token(for resource: String = "https://management.azure.com") async throws -> String {
        let reply = try await ask([
            "grant_type": "client_credentials", "client_id": Self.client, "client_secret": "emulated-secret",
            "scope": resource + "/.default",
        ])
        return try #require(try JSON(parsing: reply.text)["access_token"].string, "\(reply.text)")
    }

    /// Asks the resource manager; paths without a slash are of the resource group.
    func arm(
        _ method: String,
        _ path: String,
        _ body: String? = nil,
        version: String? = "2023-05-01",
        token: String? = nil
    ) async throws -> Wire.Reply {
        let bearer = if let token { token } else { try await self.token() }
        let place = path.hasPrefix("/") ? path : "\(Self.group)/providers/\(path)"
        let mark = place.contains("?") ? "&" : "?"
        return try await Wire.ask(
            method,
            place + (version.map { "\(mark)api-version=\($0)" } ?? ""),
            port: port,
            headers: [("Authorization", "Bearer \(bearer)"), ("Content-Type", "application/json")],
            body: body.map { Array($0.utf8) }
        )
    }

    /// Plans a fault.
    func plan(_ fault: String) async throws {
        let reply = try await Wire.ask("POST", "/_emulator/faults", port: port, body: Array(fault.utf8))
        #expect(reply.status == 201, "\(reply.text)")
    }

    /// What a container group is once something is true of it, or as it is after half a minute.
    func group(_ name: String, when isRight: (JSON) -> Bool) async throws -> JSON {
        var seen = try JSON(parsing: "{}")
        for _ in 0..<300 {
            seen = try JSON(parsing: try await arm("GET", "\(Self.container)/\(name)").text)
            if isRight(seen) { return seen }
            try await Task.sleep(for: .milliseconds(100))
        }
        return seen
    }

    func logs(_ group: String, _ container: String, query: String = "") async throws -> String {
        let reply = try await arm("GET", "\(Self.container)/\(group)/containers/\(container)/logs\(query)")
        return try JSON(parsing: reply.text)["content"].string ?? reply.text
    }

    /// The error of an answer: its code and its message.
    static func error(_ reply: Wire.Reply) throws -> (code: String, message: String) {
        let error = try JSON(parsing: reply.text)["error"]
        return (error["code"].string ?? "", error["message"].string ?? "")
    }
}

/// An image with a shell, made once for this test run.
enum ShellImage {
    static let program = Program.named("busybox")
    static let canRun = program != nil && geteuid() == 0
    static let name = "example.org/shell:1"
    private static let folder = try? TemporaryFolder()

    /// The flags that give an emulator the image.
    static let flags: [String] = {
        do {
            return ["--image", "\(name)=\(try layout())"]
        } catch {
            fatalError("making the image of tests: \(error)")
        }
    }()

    static func layout() throws -> String {
        guard let folder else { throw Emulating.ServerNotFound(name: "a folder") }
        let place = folder.url.appending(path: "bases/busybox").path
        if FileManager.default.fileExists(atPath: place) { return place }
        let script = ConformanceData.projectRoot.appending(path: "scripts/bases").path
        let result = try Program.run(
            [script, Program.coracle.path, folder.url.appending(path: "bases").path, "busybox"],
            of: URL(filePath: "/bin/bash")
        )
        #expect(result.status == 0, "\(result.errors)")
        return place
    }

    /// A container of a group that runs a shell command.
    static func container(_ name: String, _ script: String, more: String = "") -> String {
        let command = script.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
        return """
            {"name": "\(name)", "properties": {"image": "\(ShellImage.name)", "command": ["/bin/sh", "-c", "\(command)"],
            "resources": {"requests": {"cpu": 0.5, "memoryInGB": 0.5}}\(more.isEmpty ? "" : ", " + more)}}
            """
    }

    /// A group of containers.
    static func group(_ containers: [String], policy: String = "Always", more: String = "") -> String {
        """
        {"location": "westeurope", "properties": {"osType": "Linux", "restartPolicy": "\(policy)",
        "containers": [\(containers.joined(separator: ", "))]\(more.isEmpty ? "" : ", " + more)}}
        """
    }
}

/// Azure's published schemas, where they lie beside the project.
enum Specifications {
    static let folder: String? = {
        let place = ConformanceData.projectRoot.deletingLastPathComponent().appending(path: "shared/specs/azure").path
        if FileManager.default.fileExists(atPath: place + "/request-schemas") { return place }
        print("SKIPPED: tests by Azure's published schemas: no ../shared/specs/azure")
        return nil
    }()
}
