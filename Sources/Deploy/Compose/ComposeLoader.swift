// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// Which files make a project, and what they may ask for.
public struct ComposeInput: Sendable {
    /// The files in their order: each is put over those before it.
    public var files: [String]
    /// The folder that relative paths start from; that of the first file by default.
    public var folder: String
    /// The project's name, where something outside of the files says it.
    public var name: String?
    /// The project's name where nobody says it: that of its folder.
    public var usualName = "app"
    /// Profiles whose services are wanted; `*` for all.
    public var profiles: Set<String> = []
    /// Variables of the process.
    public var environment: [String: String] = [:]
    /// Gives the bytes of a file; `nil` where there is none.
    public var read: @Sendable (String) throws -> [UInt8]?

    /// An input.
    ///
    /// - Parameters:
    ///   - files: The files in their order.
    ///   - read: Gives the bytes of a file; `nil` where there is none.
    public init(files: [String], read: @escaping @Sendable (String) throws -> [UInt8]?) {
        (self.files, self.read) = (files, read)
        folder = files.first.map { ComposePath.folder(of: $0) } ?? "."
    }

    /// The names that a project's file has where nobody says which, in their order.
    public static let usualNames = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"]
}

/// Paths as texts.
enum ComposePath {
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// A path that starts from a folder; `~` is the home of whoever calls.
    static func join(_ folder: String, _ path: String, home: String?) -> String {
        if path.hasPrefix("/") { return path }
        if path == "~" || path.hasPrefix("~/"), let home { return home + path.dropFirst() }
        var rest = path[...]
        while rest.hasPrefix("./") { rest = rest.dropFirst(2) }
        if rest.isEmpty || rest == "." { return folder }
        return folder == "." ? String(rest) : folder.hasSuffix("/") ? folder + rest : folder + "/" + rest
    }
}

/// Reads files to one tree: variables replaced, services extended, files included and put over each other.
struct ComposeLoader {
    let input: ComposeInput
    let report = ComposeReport()
    private(set) var variables: [String: String] = [:]
    private var warned: Set<String> = []

    init(_ input: ComposeInput) { self.input = input }

    /// The whole tree, with every value told where it is.
    mutating func load() throws(ComposeError) -> ComposeNode {
        variables = dotenv(ComposePath.join(input.folder, ".env", home: nil), input.environment)
        let named = input.name ?? variables["COMPOSE_PROJECT_NAME"] ?? nameBefore(reading: input.files)
        variables["COMPOSE_PROJECT_NAME"] = named ?? input.usualName
        guard let tree = merged(input.files, folder: input.folder, variables, above: []) else {
            if !report.hasErrors {
                report.error("there is nothing in it", at: ComposePlace(0, SourceRange(0, 0)))
            }
            try report.check()
            return ComposeNode(.null, ComposePlace(0, SourceRange(0, 0)))
        }
        try report.check()
        return tree.settled().placed()
    }

    /// Variables of a process over those of a file beside the project.
    private func dotenv(_ path: String, _ over: [String: String]) -> [String: String] {
        guard let bytes = try? input.read(path) else { return over }
        let source = SourceText(bytes, name: path)
        let file = VariablesFile(source) { over[$0] }
        if !file.faults.isEmpty {
            let index = report.add(source, folder: ComposePath.folder(of: path))
            for fault in file.faults { report.error(fault.message, at: ComposePlace(index, fault.range)) }
        }
        var result = over
        // As a shell's: what is in the file never wins over the process.
        for variable in file.variables where over[variable.name] == nil {
            result[variable.name] = variable.value
        }
        return result
    }

    /// The name that the files give the project, which their variables may want: the last one.
    private func nameBefore(reading files: [String]) -> String? {
        let scratch = ComposeReport()
        for path in files.reversed() {
            guard let bytes = try? input.read(path) else { continue }
            let source = scratch.add(SourceText(bytes, name: path), folder: ".")
            guard let text = ComposeYAML.read(source, scratch)?["name"]?.text else { continue }
            let variables = variables
            return try? ComposeVariables { variables[$0] }.replace(text).text
        }
        return nil
    }

    /// Several files, each over those before; `above` are those that include or extend them.
    private mutating func merged(
        _ files: [String],
        folder: String,
        _ variables: [String: String],
        above: [String]
    ) -> ComposeNode? {
        var result: ComposeNode?
        for path in files {
            guard let tree = file(path, folder: folder, variables, above: above) else { continue }
            result = result.map { ComposeMerge.merge(tree, over: $0) ?? $0 } ?? tree
        }
        return result
    }

    /// One file, its services extended and its includes included.
    private mutating func file(
        _ path: String,
        folder: String,
        _ variables: [String: String],
        above: [String]
    ) -> ComposeNode? {
        guard let tree = parsed(path, folder: folder, variables, at: nil) else { return nil }
        let extended = extend(tree, path, variables)
        return include(extended, path, folder: folder, variables, above: above + [path])
    }

    /// One file as it is, variables replaced; `place` is where it is asked for.
    private mutating func parsed(
        _ path: String,
        folder: String,
        _ variables: [String: String],
        at place: ComposePlace?
    ) -> ComposeNode? {
        let bytes: [UInt8]?
        var why = "there is no such file"
        do {
            bytes = try input.read(path)
        } catch {
            (bytes, why) = (nil, "\(error)")
        }
        guard let bytes else {
            if let place {
                report.error("\(path): \(why)", at: place)
            } else {
                let source = report.add(SourceText("", name: path), folder: folder)
                report.error(why, at: ComposePlace(source, SourceRange(0, 0)))
            }
            return nil
        }
        let source = report.add(SourceText(bytes, name: path), folder: folder)
        guard let tree = ComposeYAML.read(source, report) else { return nil }
        let value = ComposeVariables { variables[$0] }
        let result = tree.interpolated(value, report, &warned)
        ComposeSchema.file.check(result.placed(), report)
        return result
    }

    // MARK: extends

    private mutating func extend(_ tree: ComposeNode, _ path: String, _ variables: [String: String]) -> ComposeNode {
        guard let services = tree["services"]?.map else { return tree }
        var results: [ComposeNode.Entry] = []
        for var entry in services {
            let origin = Origin(path: path, service: entry.key)
            entry.value = extended(entry.value, in: tree, origin, variables, above: [origin])
            results.append(entry)
        }
        return tree.replacing("services", with: results)
    }

    private struct Origin: Hashable {
        let path: String
        let service: String
    }

    private mutating func extended(
        _ service: ComposeNode,
        in tree: ComposeNode,
        _ origin: Origin,
        _ variables: [String: String],
        above: [Origin]
    ) -> ComposeNode {
        guard let wish = service.entry("extends"), wish.value.change != .reset else { return service }
        let own = service.removing("extends")
        guard let name = wish.value["service"]?.text ?? wish.value.text else {
            report.error("services.\(origin.service).extends names no service", at: wish.place)
            return own
        }
        var home = tree
        var path = origin.path
        if let file = wish.value["file"], let text = file.text {
            path = ComposePath.join(report.folders[file.place.source], text, home: variables["HOME"])
            guard let other = parsed(path, folder: ComposePath.folder(of: path), variables, at: file.place) else {
                return own
            }
            home = other
        }
        let next = Origin(path: path, service: name)
        guard !above.contains(next) else {
            let chain = (above + [next]).map(\.service).joined(separator: " -> ")
            report.error("services.\(origin.service).extends goes in a circle: \(chain)", at: wish.place)
            return own
        }
        guard let base = home["services"]?[name] else {
            let near = Suggestion.phrase(for: name, among: (home["services"]?.map ?? []).map(\.key))
            report.error(
                "services.\(origin.service).extends: \(path) has no service \"\(name)\"\(near)",
                at: wish.place
            )
            return own
        }
        let whole = extended(base, in: home, next, variables, above: above + [next])
        return ComposeMerge.merge(own, over: whole, path: ["services", "*"]) ?? own
    }

    // MARK: include

    private mutating func include(
        _ tree: ComposeNode,
        _ path: String,
        folder: String,
        _ variables: [String: String],
        above: [String]
    ) -> ComposeNode {
        guard let list = tree["include"]?.list else { return tree }
        var result = tree.removing("include")
        for wish in list {
            let paths = (wish["path"] ?? wish).texts.compactMap(\.text)
                .map { ComposePath.join(folder, $0, home: variables["HOME"]) }
            guard let first = paths.first else {
                report.error("include names no file", at: wish.place)
                continue
            }
            if let again = paths.first(where: { above.contains($0) }) {
                report.error("include goes in a circle: \((above + [again]).joined(separator: " -> "))", at: wish.place)
                continue
            }
            if let missing = paths.first(where: { ((try? input.read($0)) ?? nil) == nil }) {
                report.error("include: there is no file \(missing)", at: wish.place)
                continue
            }
            let home =
                wish["project_directory"]?.text.map { ComposePath.join(folder, $0, home: variables["HOME"]) }
                ?? ComposePath.folder(of: first)
            let named = (wish["env_file"]?.texts ?? []).compactMap(\.text)
                .map { ComposePath.join(folder, $0, home: variables["HOME"]) }
            var known = variables
            for file in named.isEmpty ? [ComposePath.join(home, ".env", home: nil)] : named.reversed() {
                known = dotenv(file, known)
            }
            guard let other = merged(paths, folder: home, known, above: above) else { continue }
            result = adding(other, to: result, wish.place)
        }
        return result
    }

    /// Puts what an included project has beside what there is; two of one name are an error.
    private func adding(_ other: ComposeNode, to tree: ComposeNode, _ place: ComposePlace) -> ComposeNode {
        var result = tree
        for section in ["services", "networks", "volumes", "configs", "secrets", "models"] {
            var entries = result[section]?.map ?? []
            for entry in other[section]?.map ?? [] where entry.value.change != .reset {
                if let own = entries.first(where: { $0.key == entry.key }) {
                    // The same file, reached by two ways, is no conflict.
                    if own.place == entry.place || isSame(own.place, entry.place) { continue }
                    report.error(
                        "include brings \(section).\(entry.key), which is here already",
                        at: place,
                        notes: ["it is in \(report.sources[entry.place.source].name)"]
                    )
                } else {
                    entries.append(entry)
                }
            }
            if !entries.isEmpty { result = result.replacing(section, with: entries) }
        }
        return result
    }

    private func isSame(_ one: ComposePlace, _ other: ComposePlace) -> Bool {
        report.sources[one.source].name == report.sources[other.source].name && one.range == other.range
    }
}

extension ComposeNode {
    func removing(_ key: String) -> ComposeNode {
        var copy = self
        if let map { copy.content = .map(map.filter { $0.key != key }) }
        return copy
    }

    func replacing(_ key: String, with entries: [Entry]) -> ComposeNode {
        var map = map ?? []
        if let index = map.firstIndex(where: { $0.key == key }) {
            map[index].value.content = .map(entries)
        } else {
            map.append(Entry(key: key, place: place, value: ComposeNode(.map(entries), place)))
        }
        var copy = self
        copy.content = .map(map)
        return copy
    }
}
