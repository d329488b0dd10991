// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Yams

/// `coracle.yaml`: what `coracle up` was told, so that the next one needs no flag; never a secret.
struct DeployFile: Sendable {
    let path: String

    /// The file that is named, else that of `CORACLE_CONFIG`, else `coracle.yaml` in the current folder.
    init(_ named: String?, environment: [String: String]) {
        path = named ?? environment["CORACLE_CONFIG"].flatMap { $0.isEmpty ? nil : $0 } ?? "coracle.yaml"
    }

    /// Reads the file; nothing is said where there is none.
    func read() throws(ExitReason) -> DeployOptions {
        guard let bytes = try TextFile.read(path) else { return DeployOptions() }
        return try parse(String(decoding: bytes, as: UTF8.self))
    }

    func parse(_ text: String) throws(ExitReason) -> DeployOptions {
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch YamlError.duplicatedKeysInMapping(let names, _) {
            throw repetition(of: names, in: text)
        } catch {
            throw ExitReason(.usage, "\(path): \(DeployFile.reason(error))")
        }
        var options = DeployOptions()
        guard let node else { return options }
        guard case .mapping(let mapping) = node else {
            throw ExitReason(.usage, "\(path): expected settings, each NAME: VALUE, as coracle up writes them")
        }
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            let place = "\(path):\(key.mark.map { "\($0.line)" } ?? "1"): "
            guard let field = DeployOptions.fields.first(where: { $0.name == name })?.field else {
                let near = Suggestion.nearest(to: name, among: DeployOptions.fields.map(\.name))
                throw ExitReason(
                    .usage,
                    place + "there is no setting \"\(name)\"" + (near.map { ", did you mean \"\($0)\"?" } ?? "")
                )
            }
            switch field {
            case .text(let path):
                guard let text = value.scalar?.string else { throw ExitReason(.usage, place + "\(name) is one text") }
                options[keyPath: path] = text
            case .list(let path):
                // One of several may stand alone.
                let elements = value.sequence.map { Array($0) } ?? [value]
                let texts = elements.compactMap { $0.scalar?.string }
                guard texts.count == elements.count else {
                    throw ExitReason(.usage, place + "\(name) is a list of texts")
                }
                options[keyPath: path] = texts
            }
        }
        for name in DeployFile.secrets(in: options) {
            throw ExitReason(
                .usage,
                "\(path): secure-env \"\(name)\" holds its value, and this file is no place for secrets",
                hint: "NAME alone (from the environment), NAME=env:VARIABLE or NAME=file:PATH"
            )
        }
        return options
    }

    /// Names the first setting that is said again, and where both are; settings begin lines.
    private func repetition(of names: [String], in text: String) -> ExitReason {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { $0.drop { $0 == " " } }
        let places = names.map { name in
            let forms = [name, "\"\(name)\"", "'\(name)'"]
            let found = lines.indices.filter { index in
                forms.contains { form in
                    lines[index].hasPrefix(form) && lines[index].dropFirst(form.count).drop { $0 == " " }.hasPrefix(":")
                }
            }
            return (name: name, lines: found.map { $0 + 1 })
        }
        let first = places.filter { $0.lines.count > 1 }.min { $0.lines[1] < $1.lines[1] }
        guard let first else { return ExitReason(.usage, "\(path): \"\(names.first ?? "")\" is said twice") }
        return ExitReason(
            .usage,
            "\(path):\(first.lines[1]): \"\(first.name)\" is said twice, first in line \(first.lines[0])",
            hint: "leave one of them; several values of one setting are a list"
        )
    }

    private static func reason(_ error: any Error) -> String {
        String(describing: error).split(separator: "\n").map { String($0).drop { $0 == " " } }.prefix(1).joined()
    }

    /// Writes the file, in a fixed order, unless it says the same already.
    func write(_ options: DeployOptions) throws(ExitReason) {
        let text = Array(Self.text(options).utf8)
        if try TextFile.read(path) != text { try restore(text) }
    }

    /// Gives the file the bytes that it had; `nil` where there was none.
    func restore(_ bytes: [UInt8]?) throws(ExitReason) {
        guard let bytes else {
            unlink(path)
            return
        }
        do {
            try OutputFile(path).write(bytes)
        } catch {
            throw ExitReason(.usage, "\(path): cannot be written: \(error)")
        }
    }

    /// The file's text.
    static func text(_ options: DeployOptions) -> String {
        var lines = ["# Written by coracle up, which needs none of these flags again. It holds no secret."]
        for (name, field) in DeployOptions.fields {
            switch field {
            case .text(let path):
                if let text = options[keyPath: path] { lines.append("\(name): \(quoted(text))") }
            case .list(let path):
                var list = options[keyPath: path]
                if name == "secure-env" { list = list.map { SecretSource.reference($0) } }
                if ["env", "build-arg"].contains(name) { list.removeAll { SecretSource.looksSecret($0) } }
                if name == "container" { list = list.compactMap { container($0) } }
                guard !list.isEmpty else { continue }
                lines.append("\(name):")
                lines += list.map { "  - \(quoted($0))" }
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A further container without its secrets: where they come from stays; `nil` where it cannot be read.
    private static func container(_ text: String) -> String? {
        guard let values = try? KeyedValues(text, flag: "--container") else { return nil }
        var lone = DeployOptions()
        lone.containers = [text]
        if secrets(in: lone).isEmpty, doubtful(in: lone).isEmpty { return text }
        return values.pairs
            .compactMap { key, value -> String? in
                if key == "env", SecretSource.looksSecret(value) { return nil }
                let pair = "\(key)=\(key == "secure-env" ? SecretSource.reference(value) : value)"
                return pair.contains(",") ? "\"\(pair)\"" : pair
            }
            .joined(separator: ",")
    }

    /// Every text of options that says what a secret is: the name of each, with where it was written.
    static func secrets(in options: DeployOptions) -> [String] {
        var found = options.secureEnvironment.filter { !SecretSource.isReference($0) }
        for text in options.containers {
            let values = (try? KeyedValues(text, flag: "--container"))?.all("secure-env") ?? []
            found += values.filter { !SecretSource.isReference($0) }
        }
        return found.map { String($0.prefix { $0 != "=" }) }
    }

    /// Every variable and build argument whose name says that it is a secret.
    static func doubtful(in options: DeployOptions) -> [String] {
        let ofContainers = options.containers.flatMap {
            (try? KeyedValues($0, flag: "--container"))?.all("env") ?? []
        }
        return (options.environment + options.buildArguments + ofContainers).filter { SecretSource.looksSecret($0) }
            .map { String($0.prefix { $0 != "=" }) }
    }

    /// A text as YAML has it: plain where it cannot be anything else, else as JSON.
    private static func quoted(_ text: String) -> String {
        let isPlain =
            text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || "_-./=@+".utf8.contains($0)
            } && text.utf8.first.map { (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2F } == true
        let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"]
        return isPlain && !words.contains(text.lowercased()) ? text : JSONValue.string(text).canonical
    }
}
