// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// What a value of a compose file may be.
indirect enum ComposeShape: Sendable {
    /// Text; numbers are taken for their texts.
    case text
    /// A number, or a text that is to be read later: `0.5`, `512m`.
    case number
    case flag
    /// One of some words.
    case word([String])
    case any
    case list(ComposeShape)
    /// One, or a list of them.
    case oneOrMore(ComposeShape)
    /// A mapping with these keys, and extensions.
    case map([String: ComposeShape])
    /// A mapping whose keys are names that people choose.
    case names(ComposeShape)
    /// `NAME: value`, or a list of `NAME=value`.
    case pairs
    /// A text, or else.
    case textOr(ComposeShape)
    /// A list of names, or a mapping of them.
    case listOr(ComposeShape)
    /// Nothing, or this.
    case optional(ComposeShape)

    /// Says what is wrong with a value, all the way down.
    func check(_ node: ComposeNode, _ report: ComposeReport) {
        guard node.change != .reset else { return }
        let path = node.path
        let wrong = { (what: String) in
            report.error("\(path) is \(ComposeShape.name(of: node)), and has to be \(what)", at: node.place)
        }
        switch (self, node.content) {
        case (.any, _), (.optional, .null), (.text, .scalar(_, .text)), (.text, .scalar(_, .number)): break
        case (.number, .scalar(_, .text)), (.number, .scalar(_, .number)): break
        case (.text, .scalar(let text, .bool)):
            report.error("\(path): \(text) is no text", at: node.place, notes: ["write it with quotes: \"\(text)\""])
        case (.text, _): wrong("a text")
        case (.number, _): wrong("a number")
        case (.flag, .scalar(let text, _)) where ComposeNode.bool(text) != nil: break
        case (.flag, _): wrong("true or false")
        case (.word(let words), .scalar(let text, _)) where words.contains(text): break
        case (.word(let words), .scalar(let text, _)):
            let near = Suggestion.phrase(for: text, among: words)
            report.error("\(path) \"\(text)\" is none of \(words.joined(separator: ", "))\(near)", at: node.place)
        case (.word(let words), _): wrong(words.joined(separator: " or "))
        case (.list(let shape), .list(let list)), (.oneOrMore(let shape), .list(let list)):
            for element in list { shape.check(element, report) }
        case (.list, _): wrong("a list")
        case (.oneOrMore(let shape), _), (.optional(let shape), _): shape.check(node, report)
        case (.map(let keys), .map(let map)): check(map, keys, path, report)
        case (.names(let shape), .map(let map)): for entry in map { shape.check(entry.value, report) }
        case (.map, _), (.names, _): wrong("a mapping")
        case (.pairs, .map(let map)): pairs(map, report)
        case (.pairs, .list(let list)), (.listOr, .list(let list)):
            for element in list { ComposeShape.text.check(element, report) }
        case (.pairs, .null): break
        case (.pairs, _): wrong("a mapping NAME: value, or a list of NAME=value")
        case (.textOr, .scalar(_, .text)), (.textOr, .scalar(_, .number)): break
        case (.textOr(let shape), _), (.listOr(let shape), _): shape.check(node, report)
        }
    }

    private func pairs(_ map: [ComposeNode.Entry], _ report: ComposeReport) {
        for entry in map where entry.value.list != nil || entry.value.map != nil {
            report.error("\(entry.value.path) has to be one value", at: entry.value.place)
        }
    }

    private func check(
        _ map: [ComposeNode.Entry],
        _ keys: [String: ComposeShape],
        _ path: String,
        _ report: ComposeReport
    ) {
        for entry in map {
            if let shape = keys[entry.key] {
                shape.check(entry.value, report)
            } else if !entry.key.hasPrefix("x-") {
                let near = Suggestion.phrase(for: entry.key, among: keys.keys.sorted())
                let place = path.isEmpty ? "a compose file" : path
                report.error("\(place) has no key \"\(entry.key)\"\(near)", at: entry.place)
            }
        }
    }

    static func name(of node: ComposeNode) -> String {
        switch node.content {
        case .null: "empty"
        case .scalar(let text, .text): "\"\(text.prefix(60))\""
        case .scalar(let text, _): text
        case .list: "a list"
        case .map: "a mapping"
        }
    }
}
