// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A cluster of an emulator, and clients that are not ours: curl and kubectl.
final class Clustering: Sendable {
    let azure: Emulating
    let kubeconfig: String
    /// `https://127.0.0.1:6443`.
    let server: String
    private let token: String
    private let authority: URL

    init(_ flags: [String] = [], cluster: String = "web", launcher: [String] = []) async throws {
        var all = ["--cluster", cluster] + flags
        if let folder = Specifications.folder { all += ["--specs", folder] }
        azure = try await Emulating(all, launcher: launcher)
        let name = cluster.prefix { $0 != "," }
        let line = azure.log.split(whereSeparator: \.isNewline).first { $0.hasPrefix("KUBECONFIG_\(name)=") }
        kubeconfig = String(try #require(line).dropFirst("KUBECONFIG_\(name)=".count))
        let text = try String(contentsOfFile: kubeconfig, encoding: .utf8)
        func field(_ name: String) throws -> String {
            let line = try #require(text.split(separator: "\n").first { $0.contains("\(name): ") })
            return String(try #require(line.split(separator: " ").last))
        }
        (server, token) = (try field("server"), try field("token"))
        let bytes = try #require(Data(base64Encoded: try field("certificate-authority-data")))
        authority = azure.files.url.appending(path: "cluster-ca.pem")
        try bytes.write(to: authority)
    }

    /// Asks the API server; gives status and body.
    func ask(
        _ method: String,
        _ path: String,
        _ body: String? = nil,
        type: String = "application/json",
        token: String? = nil,
        more: [String] = []
    ) throws -> (status: Int, json: JSON, text: String) {
        var arguments = [
            "--silent", "--cacert", authority.path, "-X", method, "-H", "Authorization: Bearer \(token ?? self.token)",
            "-H", "Content-Type: \(type)", "-w", "\n%{http_code}", server + path,
        ]
        if let body { arguments += ["--data-binary", body] }
        let result = try Program.run(arguments + more, of: URL(filePath: "/usr/bin/curl"))
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
        let status = Int(lines.last ?? "") ?? 0
        let text = lines.dropLast().joined(separator: "\n")
        return (status, try (try? JSON(parsing: text)) ?? JSON(parsing: "{}"), text)
    }

    /// Applies an object on the server's side.
    func apply(_ path: String, _ body: String, query: String = "") throws -> (status: Int, json: JSON, text: String) {
        try ask("PATCH", "\(path)?fieldManager=coracle\(query)", body, type: "application/apply-patch+yaml")
    }

    /// Runs kubectl.
    func kubectl(_ arguments: String..., input: String = "") throws -> Program {
        try Program.run(
            arguments,
            of: try #require(Kubectl.program),
            input: input,
            environment: ["KUBECONFIG": kubeconfig, "HOME": azure.files.url.path]
        )
    }

    /// What an object is once something is true of it, or as it is after half a minute.
    func object(_ path: String, when isRight: (JSON) -> Bool) async throws -> JSON {
        var seen = try JSON(parsing: "{}")
        for _ in 0..<300 {
            seen = try ask("GET", path).json
            if isRight(seen) { return seen }
            try await Task.sleep(for: .milliseconds(100))
        }
        return seen
    }
}

/// kubectl: Debian's, or the one that is named.
enum Kubectl {
    static let program: URL? = {
        if let path = ProcessInfo.processInfo.environment["CORACLE_KUBECTL"] { return URL(filePath: path) }
        if let found = Program.named("kubectl") { return found }
        print("SKIPPED: tests with kubectl: apt-get install kubernetes-client")
        return nil
    }()

    /// Whether it speaks websockets, as it does since 1.31.
    static let speaksWebsockets: Bool = {
        guard let program, let result = try? Program.run(["version", "--client", "-o", "json"], of: program),
            let minor = try? JSON(parsing: result.output)["clientVersion"]["minor"].string
        else { return false }
        return (Int(minor.prefix { $0.isNumber }) ?? 0) >= 31
    }()
}

/// Manifests that tests share.
enum Manifest {
    static func deployment(
        _ name: String,
        _ script: String,
        replicas: Int = 1,
        image: String = ShellImage.name,
        container: String = "",
        pod: String = "",
        spec: String = ""
    ) -> String {
        let command = script.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
        return """
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "\(name)", "labels": {"app": "\(name)"}},
            "spec": {"replicas": \(replicas), "selector": {"matchLabels": {"app": "\(name)"}}, \(spec) "template":
            {"metadata": {"labels": {"app": "\(name)"}}, "spec": {"terminationGracePeriodSeconds": 1, \(pod) "containers":
            [{"name": "\(name)", "image": "\(image)", \(container) "command": ["/bin/sh", "-c", "\(command)"]}]}}}}
            """
    }

    /// A web server that says something, and is ready once it does.
    static func server(_ name: String, _ words: String, replicas: Int = 1, spec: String = "") -> String {
        deployment(
            name,
            "mkdir /www && echo \(words) > /www/index.html && exec httpd -f -v -p 8080 -h /www",
            replicas: replicas,
            container: """
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
                """,
            spec: spec
        )
    }

    static func service(_ name: String) -> String {
        """
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "\(name)"}, "spec": {"selector": {"app": "\(name)"},
        "ports": [{"port": 80, "targetPort": "http"}]}}
        """
    }
}
