// SPDX-License-Identifier: Apache-2.0

/// Replaces variables in texts: `$V ${V} ${V:-d} ${V-d} ${V:?e} ${V?e} ${V:+a} ${V+a} $$`, nested.
///
/// Specification: compose-spec, `12-interpolation.md`.
struct ComposeVariables {
    /// What a text becomes, and which variables it wanted that are not set.
    struct Result {
        var text = ""
        var unset: [String] = []
    }

    /// Why a text cannot be replaced.
    struct Fault: Error {
        let message: String
        var hint: String?
    }

    let value: (String) -> String?

    /// Replaces all variables in a text.
    func replace(_ text: String) throws(Fault) -> Result {
        var result = Result()
        guard text.utf8.contains(UInt8(ascii: "$")) else {
            result.text = text
            return result
        }
        var rest = Substring(text)
        while let dollar = rest.firstIndex(of: "$") {
            result.text += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            switch rest.first {
            case "$":
                result.text += "$"
                rest.removeFirst()
            case "{":
                rest.removeFirst()
                let inside = try ComposeVariables.braced(&rest, in: text)
                add(try braces(inside, in: text), to: &result)
            case let letter? where ComposeVariables.isStart(letter):
                let name = String(rest.prefix { ComposeVariables.isPart($0) })
                rest = rest.dropFirst(name.count)
                if value(name) == nil { result.unset.append(name) }
                result.text += value(name) ?? ""
            default: result.text += "$"
            }
        }
        result.text += rest
        return result
    }

    private func add(_ part: Result, to result: inout Result) {
        result.text += part.text
        result.unset += part.unset
    }

    /// Takes what is up to the brace that closes.
    private static func braced(_ rest: inout Substring, in text: String) throws(Fault) -> Substring {
        var depth = 1
        var index = rest.startIndex
        var last: Character = "{"
        while index < rest.endIndex {
            let letter = rest[index]
            if letter == "{", last == "$" { depth += 1 }
            if letter == "}" { depth -= 1 }
            if depth == 0 {
                let inside = rest[..<index]
                rest = rest[rest.index(after: index)...]
                return inside
            }
            last = letter
            index = rest.index(after: index)
        }
        throw Fault(message: "\"${\(rest.prefix(40))\" is not closed", hint: "write $$ for a dollar sign")
    }

    private func braces(_ inside: Substring, in text: String) throws(Fault) -> Result {
        let name = String(inside.prefix { ComposeVariables.isPart($0) })
        guard let first = name.first, ComposeVariables.isStart(first) else {
            throw Fault(message: "\"${\(inside)}\" names no variable", hint: "write $$ for a dollar sign")
        }
        let rest = inside.dropFirst(name.count)
        let known = value(name)
        if rest.isEmpty { return Result(text: known ?? "", unset: known == nil ? [name] : []) }
        let countsEmpty = rest.first == ":"
        let operation = countsEmpty ? rest.dropFirst() : rest
        let isThere = countsEmpty ? known?.isEmpty == false : known != nil
        let word = String(operation.dropFirst())
        switch operation.first {
        case "-": return isThere ? Result(text: known ?? "") : try replace(word)
        case "+": return isThere ? try replace(word) : Result()
        case "?":
            guard !isThere else { return Result(text: known ?? "") }
            let why = try replace(word).text
            throw Fault(
                message: "the variable \(name) \(known == nil ? "is not set" : "is empty")"
                    + (why.isEmpty ? "" : ": \(why)"),
                hint: "export \(name)=…, or \(name)=… in .env"
            )
        default:
            throw Fault(
                message: "\"${\(inside)}\" is no form that Compose knows",
                hint: "${V}, ${V:-default}, ${V-default}, ${V:?why}, ${V?why}, ${V:+other} or ${V+other}"
            )
        }
    }

    private static func isStart(_ letter: Character) -> Bool { letter.isASCII && (letter.isLetter || letter == "_") }

    private static func isPart(_ letter: Character) -> Bool { isStart(letter) || (letter.isASCII && letter.isNumber) }
}

extension ComposeNode {
    /// Replaces variables in all values, keys left as they are.
    func interpolated(
        _ variables: ComposeVariables,
        _ report: ComposeReport,
        _ warned: inout Set<String>,
        path: String = ""
    ) -> ComposeNode {
        var copy = self
        switch content {
        case .null: break
        case .scalar(let text, let kind):
            guard kind == .text, text.utf8.contains(UInt8(ascii: "$")) else { break }
            do {
                let result = try variables.replace(text)
                copy.content = .scalar(result.text, .text)
                for name in result.unset where warned.insert(name).inserted {
                    report.warn("\(path): the variable \(name) is not set, and is taken for an empty text", at: place)
                }
            } catch {
                report.error("\(path): \(error.message)", at: place, notes: error.hint.map { [$0] } ?? [])
            }
        case .list(let list):
            copy.content = .list(
                list.enumerated()
                    .map { $0.element.interpolated(variables, report, &warned, path: "\(path)[\($0.offset)]") }
            )
        case .map(let map):
            copy.content = .map(
                map.map { entry in
                    var entry = entry
                    let inner = path.isEmpty ? entry.key : "\(path).\(entry.key)"
                    entry.value = entry.value.interpolated(variables, report, &warned, path: inner)
                    return entry
                }
            )
        }
        return copy
    }
}
