// SPDX-License-Identifier: Apache-2.0
internal import CCrypto
internal import OCI
internal import RegistryServer

/// What expressions of a template can refer to.
struct TemplateScope: Sendable {
    var parameters: [String: JSONValue] = [:]
    /// As the template has them: evaluated when they are used.
    var variables: [String: JSONValue] = [:]
    var copies: [String: Int64] = [:]
    var subscription = ""
    var tenant = ""
    var deployment = ""
    var group: JSONValue = [:]
    /// Gives what a resource is now: by identifier; throws where that cannot be known.
    var reference: @Sendable (_ id: String, _ isFull: Bool) throws(TemplateFault) -> JSONValue = {
        id,
        _ throws(TemplateFault) in
        throw TemplateFault(message: "The resource '\(id)' cannot be known yet.", isEarly: true)
    }
    /// Gives what a `list…` function of a resource answers.
    var list: @Sendable (_ function: String, _ id: String) throws(TemplateFault) -> JSONValue = {
        _,
        id throws(TemplateFault) in
        throw TemplateFault(message: "The secrets of '\(id)' cannot be known yet.", isEarly: true)
    }
    /// The resources of the template by symbolic name.
    var symbols: [String: String] = [:]

    /// Evaluates a value with all expressions in it; those that cannot be known yet stay where that is wanted.
    func value(of json: JSONValue, keepsEarly: Bool = false) throws(TemplateFault) -> JSONValue {
        switch json {
        case .string(let text):
            do {
                guard let expression = try TemplateExpression(text: text) else {
                    return text.hasPrefix("[[") ? .string(String(text.dropFirst())) : json
                }
                return try value(expression)
            } catch {
                if keepsEarly, error.isEarly { return json }
                throw error
            }
        case .array(let elements):
            var result: [JSONValue] = []
            for element in elements { result.append(try value(of: element, keepsEarly: keepsEarly)) }
            return .array(result)
        case .object(let members):
            var result: [String: JSONValue] = [:]
            for (name, member) in members {
                let key = try value(of: .string(name)).string ?? name
                result[key] = try value(of: member, keepsEarly: keepsEarly)
            }
            return .object(result)
        default: return json
        }
    }

    func value(_ expression: TemplateExpression) throws(TemplateFault) -> JSONValue {
        switch expression {
        case .literal(let value): return value
        case .member(let base, let name):
            let whole = try value(base)
            guard let found = whole.member(name) else {
                let known = whole.object?.keys.sorted().joined(separator: ", ") ?? ""
                throw TemplateFault(
                    message:
                        "The language expression property '\(name)' doesn't exist, available properties are '\(known)'."
                )
            }
            return found
        case .element(let base, let place):
            let whole = try value(base)
            switch try value(place) {
            case .int(let index):
                guard let list = whole.array, list.indices.contains(Int(index)) else {
                    throw TemplateFault(
                        message: "The language expression property array index '\(index)' is out of bounds."
                    )
                }
                return list[Int(index)]
            case .string(let name): return try value(.member(.literal(whole), name))
            default: throw TemplateFault(message: "An index is neither a number nor a name.")
            }
        case .call("if", let arguments):
            guard arguments.count == 3 else { throw wrongCount("if") }
            // The branch that is not taken is not looked at.
            return try value(try value(arguments[0]) == true ? arguments[1] : arguments[2])
        case .call(let name, let arguments):
            var values: [JSONValue] = []
            for argument in arguments { values.append(try value(argument)) }
            return try TemplateFunctions(scope: self).call(name, values)
        }
    }

    func wrongCount(_ name: String) -> TemplateFault {
        TemplateFault(message: "The template language function '\(name)' has another number of arguments.")
    }

    /// A variable, evaluated.
    func variable(_ name: String) throws(TemplateFault) -> JSONValue {
        guard let found = variables.first(where: { $0.key.lowercased() == name.lowercased() }) else {
            throw TemplateFault(message: "The template variable '\(name)' is not found.")
        }
        // A variable that needs itself finds itself missing.
        var inner = self
        inner.variables[found.key] = nil
        return try inner.value(of: found.value)
    }

    func parameter(_ name: String) throws(TemplateFault) -> JSONValue {
        guard let found = parameters.first(where: { $0.key.lowercased() == name.lowercased() }) else {
            throw TemplateFault(
                message:
                    "The template parameter '\(name)' is not found. Please see https://aka.ms/arm-syntax-parameters "
                    + "for usage details."
            )
        }
        return found.value
    }

    /// The number that `guid` gives: version 5 of RFC 9562, in the resource manager's own name space.
    static func guid(_ texts: [String]) -> String {
        let space: [UInt8] = [
            0x11, 0xFB, 0x06, 0xFB, 0x71, 0x2D, 0x4D, 0xDD, 0x98, 0xC7, 0xE7, 0x1B, 0xBD, 0x58, 0x88, 0x30,
        ]
        return Identifier.text(Array(digest(space + Array(texts.joined(separator: "-").utf8)).prefix(16)), version: 5)
    }

    /// Thirteen letters that stand for some texts; not those that Azure gives, whose function is not published.
    static func uniqueString(_ texts: [String]) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz234567")
        let bytes = digest(Array(texts.joined(separator: "-").utf8))
        return String(bytes.prefix(13).map { letters[Int($0 & 31)] })
    }

    private static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: 20)
        EVP_Digest(bytes, bytes.count, &result, nil, EVP_sha1(), nil)
        return result
    }
}
