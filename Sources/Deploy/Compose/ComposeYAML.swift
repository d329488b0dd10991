// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI
internal import Yams

/// Makes nodes of YAML: aliases and merge keys resolved, numbers and places kept.
struct ComposeYAML {
    let report: ComposeReport
    let source: Int
    private let text: SourceText
    private let lines: [Int]

    /// Reads a file that the report has; `nil` where it cannot be read, which the report then says, or is empty.
    static func read(_ source: Int, _ report: ComposeReport) -> ComposeNode? {
        ComposeYAML(source, report).read()
    }

    private init(_ source: Int, _ report: ComposeReport) {
        (self.source, self.report) = (source, report)
        text = report.sources[source]
        var lines = [0]
        for (index, byte) in text.bytes.enumerated() where byte == 0x0A { lines.append(index + 1) }
        self.lines = lines
    }

    private func read() -> ComposeNode? {
        guard let string = String(validating: text.bytes, as: UTF8.self) else {
            let bad = UTF8Fault.offset(in: text.bytes)
            report.error("not a text in UTF-8", at: ComposePlace(source, SourceRange(bad, bad + 1)))
            return nil
        }
        do {
            // Its default would look at the environment and print.
            guard let root = try Parser(yaml: string, encoding: .utf8).singleRoot() else { return nil }
            return node(root, depth: 0)
        } catch let error as YamlError {
            say(error)
        } catch {
            report.error("no YAML: \(error)", at: ComposePlace(source, SourceRange(0, 0)))
        }
        return nil
    }

    private func say(_ error: YamlError) {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let more = context.map { " \($0.text)" } ?? ""
            report.error("no YAML: \(problem)\(more)", at: place(mark))
        case .duplicatedKeysInMapping(let names, let context):
            let list = names.map { "\"\($0)\"" }.joined(separator: ", ")
            report.error("\(list) is there twice in one mapping", at: place(context.mark))
        case .reader(let problem, let offset, _, _):
            let start = offset ?? 0
            report.error("no YAML: \(problem)", at: ComposePlace(source, SourceRange(start, start + 1)))
        default: report.error("no YAML", at: ComposePlace(source, SourceRange(0, 0)))
        }
    }

    // MARK: Places

    private func offset(_ mark: Mark?) -> Int {
        guard let mark, lines.indices.contains(mark.line - 1) else { return text.bytes.count }
        var offset = lines[mark.line - 1]
        var left = mark.column - 1
        while left > 0, offset < text.bytes.count {
            offset += 1
            // Columns count scalars, and only their first bytes are not 10xxxxxx.
            while offset < text.bytes.count, text.bytes[offset] & 0xC0 == 0x80 { offset += 1 }
            left -= 1
        }
        return min(offset, text.bytes.count)
    }

    private func place(_ mark: Mark?, _ scalar: Node.Scalar? = nil) -> ComposePlace {
        let start = offset(mark)
        let bytes = text.bytes
        var end = start
        while end < bytes.count, bytes[end] != 0x0A, bytes[end] != 0x0D { end += 1 }
        guard let scalar, start < end else { return ComposePlace(source, SourceRange(start, end)) }
        let plain = Array(scalar.string.utf8)
        if bytes[start..<end].starts(with: plain) {
            return ComposePlace(source, SourceRange(start, start + max(1, plain.count)))
        }
        let quote = bytes[start]
        if quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            let close = bytes[(start + 1)..<end].firstIndex(of: quote) ?? end - 1
            return ComposePlace(source, SourceRange(start, close + 1))
        }
        return ComposePlace(source, SourceRange(start, end))
    }

    // MARK: Nodes

    private func node(_ node: Node, depth: Int) -> ComposeNode {
        let place = place(node.mark, node.scalar)
        let nothing = ComposeNode(.null, place)
        guard report.count(), depth < 100 else {
            if report.valuesLeft == -1 || depth == 100 {
                report.error("more values, or deeper ones, than any compose file has", at: place)
            }
            return nothing
        }
        var result: ComposeNode
        let tag: String
        switch node {
        case .scalar(let scalar):
            tag = scalar.tag.rawValue
            result = ComposeNode(ComposeScalar.content(scalar, tag: tag), place)
        case .sequence(let sequence):
            tag = sequence.tag.rawValue
            result = ComposeNode(.list(sequence.map { self.node($0, depth: depth + 1) }), place)
        case .mapping(let mapping):
            tag = mapping.tag.rawValue
            result = ComposeNode(.map(entries(mapping, depth: depth)), place)
        case .alias: return nothing
        }
        switch tag {
        case "!reset": result.change = .reset
        case "!override": result.change = .override
        case _ where tag.hasPrefix("!") && tag != "!":
            report.error("there is no tag \(tag): only !reset and !override", at: place)
        default: break
        }
        return result
    }

    /// Keys as they are written, after those that `<<` brings and that are not among them.
    private func entries(_ mapping: Node.Mapping, depth: Int) -> [ComposeNode.Entry] {
        var own: [ComposeNode.Entry] = []
        var merged: [ComposeNode.Entry] = []
        for (key, value) in mapping {
            let place = place(key.mark, key.scalar)
            guard let scalar = key.scalar else {
                report.error("a key is a text", at: place)
                continue
            }
            let child = node(value, depth: depth + 1)
            guard scalar.string == "<<", scalar.style == .plain else {
                own.append(.init(key: scalar.string, place: place, value: child))
                continue
            }
            for node in child.list ?? [child] {
                guard let map = node.map else {
                    report.error("\"<<\" merges mappings only", at: node.place)
                    continue
                }
                // Of several, the first that has a key wins.
                merged += map.filter { entry in !merged.contains { $0.key == entry.key } }
            }
        }
        return merged.filter { entry in !own.contains { $0.key == entry.key } } + own
    }
}

/// What scalars mean: the core schema of YAML 1.2, and the octal numbers of 1.1, as Compose reads them.
enum ComposeScalar {
    static func content(_ scalar: Node.Scalar, tag: String) -> ComposeNode.Content {
        let text = scalar.string
        guard scalar.style == .plain || scalar.style == .any, tag.isEmpty || !tag.hasSuffix(":str") else {
            return .scalar(text, .text)
        }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .scalar("true", .bool)
        case "false", "False", "FALSE": return .scalar("false", .bool)
        default: break
        }
        guard let number = number(text) else { return .scalar(text, .text) }
        return .scalar(number, .number)
    }

    /// A number as others print it, which is what a container gets for it: `0x10` is 16, `1.10` is 1.1.
    private static func number(_ text: String) -> String? {
        let bare = text.filter { $0 != "_" }
        let digits = bare.hasPrefix("-") || bare.hasPrefix("+") ? bare.dropFirst() : bare[...]
        guard let first = digits.utf8.first, (0x30...0x39).contains(first) || first == UInt8(ascii: ".") else {
            return nil
        }
        let sign = bare.hasPrefix("-") ? "-" : ""
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            return Int64(digits.dropFirst(2), radix: radix).map { sign + "\($0)" }
        }
        if digits.count > 1, first == 0x30, let octal = Int64(digits, radix: 8) { return sign + "\(octal)" }
        if let number = Int64(digits) { return sign + "\(number)" }
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }),
            let number = Double(bare), number.isFinite
        else { return nil }
        return JSONValue(number).canonical
    }
}

/// Finds the first byte that is no part of UTF-8.
private enum UTF8Fault {
    static func offset(in bytes: [UInt8]) -> Int {
        // What is no character becomes another one, and all before it stays.
        let repaired = Array(String(decoding: bytes, as: UTF8.self).utf8)
        let differs = zip(bytes, repaired).enumerated().first { $0.element.0 != $0.element.1 }
        return differs?.offset ?? max(0, bytes.count - 1)
    }
}
