// SPDX-License-Identifier: Apache-2.0
import Deploy
import DockerfileSyntax
import OCI

@testable import CoracleKit

/// Compose files that are in memory, and what comes of them.
struct ComposeCase {
    var files: [String: String]
    var main = ["compose.yaml"]
    var environment: [String: String] = [:]
    var profiles: Set<String> = []

    init(_ text: String, _ others: [String: String] = [:]) {
        files = others.merging(["compose.yaml": text]) { $1 }
    }

    func read(_ path: String) -> [UInt8]? { files[path].map { Array($0.utf8) } }

    /// The project, or the error.
    func project() throws(ComposeError) -> ComposeProject {
        let files = files
        var input = ComposeInput(files: main) { path in files[path].map { Array($0.utf8) } }
        (input.environment, input.profiles) = (environment, profiles)
        return try ComposeProject.read(input)
    }

    /// Everything that is said, as people see it but without excerpts: `file:line:column: error: …`.
    func said(for target: ComposeTarget? = nil) -> [String] {
        do {
            let project = try project()
            guard let target else { return lines(project.warnings, project.sources) }
            do {
                return lines(try project.problems(for: target) { read($0) }, project.sources)
            } catch {
                return lines(error.problems, error.sources)
            }
        } catch {
            return lines(error.problems, error.sources)
        }
    }

    /// What is said, with the notes and the excerpts.
    func text() -> String {
        do {
            let project = try project()
            return ComposeFiles.text(project.warnings, project.sources)
        } catch {
            return ComposeFiles.text(error.problems, error.sources)
        }
    }

    private func lines(_ problems: [ComposeProblem], _ sources: [SourceText]) -> [String] {
        problems.map { problem in
            let source = sources[problem.place.source]
            let place = source.position(of: problem.place.range.start)
            let level = problem.diagnostic.severity.rawValue
            return "\(source.name):\(place.line):\(place.column): \(level): \(problem.diagnostic.message)"
        }
    }

    func errors(for target: ComposeTarget? = nil) -> [String] { said(for: target).filter { $0.contains(": error: ") } }

    /// The group's wish, with images that say nothing.
    func group() throws -> ComposeGroup { try ComposeGroup(project()) { read($0) } }

    func workloads() throws -> ComposeWorkloads { try ComposeWorkloads(project()) { read($0) } }

    /// Facts of an image.
    static func facts(
        entrypoint: [String] = [],
        command: [String] = [],
        health: String? = nil
    ) throws -> ImageFacts {
        var text =
            "{\"architecture\": \"amd64\", \"os\": \"linux\", \"rootfs\": {\"type\": \"layers\", \"diff_ids\": []}"
        var config: JSONValue = [:]
        if !entrypoint.isEmpty { config["Entrypoint"] = JSONValue(entrypoint) }
        if !command.isEmpty { config["Cmd"] = JSONValue(command) }
        if let health { config["Healthcheck"] = ["Test": ["CMD-SHELL", .string(health)]] }
        text += ", \"config\": \(config.canonical)}"
        let reference = try ImageReference("example.org/app@sha256:" + String(repeating: "a", count: 64))
        return ImageFacts(
            reference,
            mediaType: MediaType("application/vnd.oci.image.manifest.v1+json"),
            layers: [.layerGzip],
            config: try ImageConfig(parsing: Array(text.utf8))
        )
    }
}
