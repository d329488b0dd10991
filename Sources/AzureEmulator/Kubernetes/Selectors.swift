// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Which objects a request is about, by labels and by fields.
struct ObjectFilter: Sendable {
    private enum Test: Sendable {
        case isOne(String, [String])
        case isNone(String, [String])
        case exists(String)
        case lacks(String)
    }

    private var labels: [Test] = []
    private var fields: [(path: [String], value: String, isEqual: Bool)] = []

    init(labels labelText: String?, fields fieldText: String?) throws(KubeFault) {
        for part in Self.split(labelText ?? "") { labels.append(try Self.test(part)) }
        for part in (fieldText ?? "").split(separator: ",") {
            let isEqual = !part.contains("!=")
            let pieces = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard pieces.count == 2 else { throw .badRequest("invalid selector: '\(part)'; can't understand '\(part)'") }
            var name = pieces[0]
            if !isEqual { name = String(name.dropLast()) }
            let value = isEqual && pieces[1].hasPrefix("=") ? String(pieces[1].dropFirst()) : pieces[1]
            fields.append((name.split(separator: ".").map(String.init), value, isEqual))
        }
    }

    /// The labels of a `selector` of an object.
    init(selector: JSONValue?) {
        for (name, value) in selector?["matchLabels"]?.strings ?? [:] { labels.append(.isOne(name, [value])) }
        for expression in selector?["matchExpressions"]?.array ?? [] {
            let (name, values) = (expression.text("key"), expression["values"]?.texts ?? [])
            switch expression.text("operator") {
            case "In": labels.append(.isOne(name, values))
            case "NotIn": labels.append(.isNone(name, values))
            case "Exists": labels.append(.exists(name))
            default: labels.append(.lacks(name))
            }
        }
    }

    func matches(_ object: JSONValue) -> Bool {
        let own = object.kubeLabels
        return matches(labels: own)
            && fields.allSatisfy { field in
                let found = object.at(field.path[...]).map { $0.string ?? $0.canonical } ?? ""
                return (found == field.value) == field.isEqual
            }
    }

    func matches(labels own: [String: String]) -> Bool {
        labels.allSatisfy { test in
            switch test {
            case .isOne(let name, let values): own[name].map(values.contains) ?? false
            case .isNone(let name, let values): own[name].map { !values.contains($0) } ?? true
            case .exists(let name): own[name] != nil
            case .lacks(let name): own[name] == nil
            }
        }
    }

    /// Parts between commas that are not in parentheses.
    private static func split(_ text: String) -> [String] {
        var parts = [""]
        var depth = 0
        for letter in text {
            if letter == "(" { depth += 1 }
            if letter == ")" { depth -= 1 }
            if letter == ",", depth == 0 { parts.append("") } else { parts[parts.count - 1].append(letter) }
        }
        return parts.map(trimmed).filter { !$0.isEmpty }
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    private static func test(_ text: String) throws(KubeFault) -> Test {
        if let open = text.firstIndex(of: "("), text.hasSuffix(")") {
            let words = text[..<open].split(separator: " ").map(String.init)
            let values = text[text.index(after: open)...].dropLast()
                .split(separator: ",", omittingEmptySubsequences: false).map(trimmed)
            guard words.count == 2, ["in", "notin"].contains(words[1]) else { throw unreadable(text) }
            return words[1] == "in" ? .isOne(words[0], values) : .isNone(words[0], values)
        }
        if text.hasPrefix("!") { return .lacks(trimmed(text.dropFirst())) }
        guard let sign = text.firstIndex(of: "=") else {
            guard !text.contains(" ") else { throw unreadable(text) }
            return .exists(text)
        }
        var name = text[..<sign]
        let isUnequal = name.hasSuffix("!")
        if isUnequal { name = name.dropLast() }
        var value = text[text.index(after: sign)...]
        if value.hasPrefix("=") { value = value.dropFirst() }
        let (left, right) = (trimmed(name), trimmed(value))
        return isUnequal ? .isNone(left, [right]) : .isOne(left, [right])
    }

    private static func unreadable(_ text: String) -> KubeFault {
        .badRequest("unable to parse requirement: found '\(text)', expected: in, notin, =, ==, !=, exists or !")
    }
}
