// SPDX-License-Identifier: Apache-2.0
import OCI

/// A Bicep file as coracle writes them, read by the language's own rules: one resource, its parameters and outputs.
///
/// Specification: Bicep language reference, "Bicep file structure", "Data types".
struct BicepText {
    struct Parameter {
        var type = ""
        var isSecure = false
        var value: JSONValue?
    }

    struct Fault: Error { let message: String }

    private(set) var parameters: [String: Parameter] = [:]
    private(set) var type = ""
    private(set) var resource = JSONValue.null
    private(set) var outputs: [String] = []
    private var rest: Substring

    init(_ text: String) throws {
        rest = text[...]
        var isSecure = false
        while skip() {
            if take("@secure()") {
                isSecure = true
            } else if take("@description(") {
                _ = try string()
                try expect(")")
            } else if take("param ") {
                let name = word()
                var parameter = Parameter(isSecure: isSecure)
                parameter.type = word()
                if take("=") { parameter.value = try value() }
                parameters[name] = parameter
                isSecure = false
            } else if take("resource ") {
                _ = word()
                type = try string()
                try expect("=")
                resource = try value()
            } else if take("output ") {
                outputs.append(word())
                _ = word()
                try expect("=")
                _ = try value()
            } else {
                throw Fault(message: "not Bicep: \(rest.prefix(40))")
            }
        }
    }

    /// Skips blanks; whether anything follows.
    private mutating func skip() -> Bool {
        rest = rest.drop { $0.isWhitespace }
        return !rest.isEmpty
    }

    private mutating func take(_ text: String) -> Bool {
        _ = skip()
        guard rest.hasPrefix(text) else { return false }
        rest = rest.dropFirst(text.count)
        return true
    }

    private mutating func expect(_ text: String) throws {
        guard take(text) else { throw Fault(message: "no \(text): \(rest.prefix(40))") }
    }

    private mutating func word() -> String {
        _ = skip()
        let word = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        rest = rest.dropFirst(word.count)
        return String(word)
    }

    private mutating func string() throws -> String {
        try expect("'")
        var text = ""
        while let letter = rest.popFirst(), letter != "'" {
            guard letter != "\n", !(letter == "$" && rest.first == "{") else {
                throw Fault(message: "a line end, or an interpolation: \(rest.prefix(40))")
            }
            guard letter == "\\" else {
                text.append(letter)
                continue
            }
            switch rest.popFirst() {
            case "n": text += "\n"
            case "r": text += "\r"
            case "t": text += "\t"
            case let plain? where "\\'$".contains(plain): text.append(plain)
            case "u":
                try expect("{")
                let digits = rest.prefix { $0 != "}" }
                rest = rest.dropFirst(digits.count + 1)
                text.unicodeScalars.append(UInt32(digits, radix: 16).flatMap { Unicode.Scalar($0) } ?? "?")
            default: throw Fault(message: "no escape: \(rest.prefix(40))")
            }
        }
        return text
    }

    private mutating func value() throws -> JSONValue {
        _ = skip()
        switch rest.first {
        case "'": return .string(try string())
        case "[":
            try expect("[")
            var elements: [JSONValue] = []
            while !take("]") { elements.append(try value()) }
            return .array(elements)
        case "{":
            try expect("{")
            var members: [String: JSONValue] = [:]
            while !take("}") {
                _ = skip()
                let name = rest.first == "'" ? try string() : word()
                try expect(":")
                members[name] = try value()
            }
            return .object(members)
        default: return try named()
        }
    }

    /// A number, a truth value, a parameter, `json('0.5')`, or a path of a resource.
    private mutating func named() throws -> JSONValue {
        let name = rest.first == "-" ? String(rest.removeFirst()) + word() : word()
        if let number = Int64(name) { return .int(number) }
        switch name {
        case "true": return true
        case "false": return false
        case "null": return .null
        case "json":
            try expect("(")
            let number = try JSONValue(parsing: Array(try string().utf8))
            try expect(")")
            return number
        case "": throw Fault(message: "no value: \(rest.prefix(40))")
        default:
            var path = name
            while rest.first == "." || rest.first == "(" {
                let mark = rest.removeFirst()
                path.append(mark)
                if mark == "(" { try expect(")") } else { path += word() }
            }
            return .string("[parameters('\(path)')]")
        }
    }

    /// What a text of an ARM template stands for: two brackets are one, which begins no expression.
    static func unescaped(_ value: JSONValue) -> JSONValue {
        switch value {
        case .string(let text) where text.hasPrefix("[["): .string(String(text.dropFirst()))
        case .array(let elements): .array(elements.map { unescaped($0) })
        case .object(let members): .object(members.mapValues { unescaped($0) })
        default: value
        }
    }
}
