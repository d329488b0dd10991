// SPDX-License-Identifier: Apache-2.0
internal import Deploy
internal import DockerfileSyntax
internal import Glibc

/// Finds compose files, reads them, and shows what is wrong with them.
public struct ComposeFiles: Sendable {
    /// `--file` and `--compose`, in their order; empty for the one that is in the current folder.
    public var files: [String] = []
    /// `--profile`.
    public var profiles: [String] = []
    /// `--name`, which the project is called by.
    public var name: String?
    let environment: [String: String]

    /// Prepares to read compose files.
    ///
    /// - Parameter environment: The environment of the process.
    public init(environment: [String: String]) { self.environment = environment }

    /// Whether a path is a compose file's: it ends with `.yaml` or `.yml`.
    ///
    /// - Parameter path: The path.
    /// - Returns: Whether it is.
    public static func isCompose(_ path: String) -> Bool { path.hasSuffix(".yaml") || path.hasSuffix(".yml") }

    /// The files of a folder, or those that `COMPOSE_FILE` names; empty where there are none.
    static func usual(in folder: String, _ environment: [String: String]) -> [String] {
        if let named = environment["COMPOSE_FILE"], !named.isEmpty {
            let separator = environment["COMPOSE_PATH_SEPARATOR"].flatMap(\.first) ?? ":"
            return named.split(separator: separator).map { DockerfileInput.join(folder, String($0)) }
        }
        let paths = ComposeInput.usualNames.map { folder == "." ? $0 : DockerfileInput.join(folder, $0) }
        guard let first = paths.first(where: { TextFile.isFile($0) }) else { return [] }
        // What Compose puts over it by itself.
        let over = ["override.yaml", "override.yml"]
            .map { String(first.prefix(upTo: first.lastIndex(of: ".") ?? first.endIndex)) + "." + $0 }
        return [first] + over.filter { TextFile.isFile($0) }.prefix(1)
    }

    /// What is read.
    var input: ComposeInput {
        var input = ComposeInput(files: files) { try TextFile.read($0) }
        (input.environment, input.name) = (environment, name)
        let active = (environment["COMPOSE_PROFILES"] ?? "").split(separator: ",").map(String.init)
        input.profiles = Set(profiles.flatMap { $0.split(separator: ",").map(String.init) } + active)
        input.usualName = ComposeFiles.projectName(of: input.folder)
        return input
    }

    /// A folder's name as a project may be called.
    private static func projectName(of folder: String) -> String {
        var path = folder
        if let resolved = realpath(folder, nil) {
            path = String(cString: resolved)
            free(resolved)
        }
        let name = (path.split(separator: "/").last ?? "app").lowercased()
            .filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        let trimmed = name.drop { $0 == "-" || $0 == "_" }
        return trimmed.isEmpty ? "app" : String(trimmed)
    }

    /// Reads the project.
    func read() throws(ComposeError) -> ComposeProject { try ComposeProject.read(input) }

    /// Problems for people: place, message, the line with a caret under it, what to do.
    static func text(_ problems: [ComposeProblem], _ sources: [SourceText]) -> String {
        problems.map { DiagnosticText.write([$0.diagnostic], in: sources[$0.place.source]) }.joined()
    }

    /// Checks files for a target, without asking anybody.
    ///
    /// - Parameter target: `aci` or `aks`.
    /// - Returns: What is wrong or doubtful, by file.
    /// - Throws: ``ExitReason`` where the target is none.
    public func check(target: String) throws(ExitReason) -> Check.Report {
        let target = try ComposeFiles.target(target, flag: "--for")
        do {
            let project = try read()
            do {
                let later = try project.problems(for: target) { try TextFile.read($0) }
                return ComposeFiles.report(project.warnings + later, project.sources)
            } catch {
                return ComposeFiles.report(project.warnings + error.problems, error.sources)
            }
        } catch {
            return ComposeFiles.report(error.problems, error.sources)
        }
    }

    static func target(_ name: String, flag: String = "--target") throws(ExitReason) -> ComposeTarget {
        if let target = ComposeTarget(rawValue: name) { return target }
        throw ExitReason(.usage, "\(flag) \"\(name)\" is neither aci nor aks", hint: "\(flag) aci")
    }

    private static func report(_ problems: [ComposeProblem], _ sources: [SourceText]) -> Check.Report {
        var findings: [Check.Findings] = []
        for (index, source) in sources.enumerated() {
            let own = problems.filter { $0.place.source == index }.map(\.diagnostic)
                .sorted { $0.range.start < $1.range.start }
            // A file that is read for one service only is of interest where it has faults.
            if !own.isEmpty || index == 0 { findings.append(.init(source: source, diagnostics: own)) }
        }
        return Check.Report(findings: findings, isFailure: problems.contains(where: \.isError), isProject: true)
    }
}
