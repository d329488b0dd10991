// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// An expression of a template: what stands between square brackets in a text.
///
/// Specification: ARM template syntax, "Syntax and expressions in ARM templates".
indirect enum TemplateExpression {
    case literal(JSONValue)
    case call(String, [TemplateExpression])
    case member(TemplateExpression, String)
    case element(TemplateExpression, TemplateExpression)

    /// Reads a text of a template; `nil` where it is none but itself.
    init?(text: String) throws(TemplateFault) {
        guard text.hasPrefix("["), text.hasSuffix("]"), !text.hasPrefix("[[") else { return nil }
        var reader = TemplateReader(Array(text.utf8.dropFirst().dropLast()), text)
        self = try reader.expression()
        try reader.end()
    }
}

/// What is wrong with a template, or cannot be known yet.
struct TemplateFault: Error {
    let message: String
    /// Whether it only cannot be known before something is deployed.
    var isEarly = false
}

private struct TemplateReader {
    private let bytes: [UInt8]
    private let text: String
    private var index = 0

    init(_ bytes: [UInt8], _ text: String) { (self.bytes, self.text) = (bytes, text) }

    private func fault(_ reason: String) -> TemplateFault {
        TemplateFault(message: "Unable to parse language expression '\(text.dropFirst().dropLast())': \(reason)")
    }

    private mutating func skipBlanks() {
        while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    }

    private mutating func take(_ letter: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard index < bytes.count, bytes[index] == UInt8(ascii: letter) else { return false }
        index += 1
        return true
    }

    mutating func end() throws(TemplateFault) {
        skipBlanks()
        guard index == bytes.count else { throw fault("expected the end at position \(index).") }
    }

    mutating func expression() throws(TemplateFault) -> TemplateExpression {
        var result = try primary()
        while true {
            if take(".") {
                result = .member(result, try word())
            } else if take("[") {
                let place = try expression()
                guard take("]") else { throw fault("expected ']' at position \(index).") }
                result = .element(result, place)
            } else {
                return result
            }
        }
    }

    private mutating func primary() throws(TemplateFault) -> TemplateExpression {
        skipBlanks()
        guard index < bytes.count else { throw fault("it ends too early.") }
        if bytes[index] == UInt8(ascii: "'") { return .literal(.string(try quoted())) }
        if (0x30...0x39).contains(bytes[index]) || bytes[index] == UInt8(ascii: "-") { return .literal(try number()) }
        let name = try word()
        guard take("(") else { throw fault("expected '(' behind '\(name)'.") }
        var arguments: [TemplateExpression] = []
        if take(")") { return .call(name.lowercased(), arguments) }
        repeat { arguments.append(try expression()) } while take(",")
        guard take(")") else { throw fault("expected ')' at position \(index).") }
        return .call(name.lowercased(), arguments)
    }

    private mutating func quoted() throws(TemplateFault) -> String {
        index += 1
        var result: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "'") else {
                result.append(byte)
                continue
            }
            // Two are one.
            guard index < bytes.count, bytes[index] == UInt8(ascii: "'") else {
                return String(decoding: result, as: UTF8.self)
            }
            result.append(byte)
            index += 1
        }
        throw fault("a text has no end.")
    }

    private mutating func number() throws(TemplateFault) -> JSONValue {
        let start = index
        index += 1
        while index < bytes.count, (0x30...0x39).contains(bytes[index]) { index += 1 }
        guard let number = Int64(String(decoding: bytes[start..<index], as: UTF8.self)) else {
            throw fault("a number is none.")
        }
        return .int(number)
    }

    private mutating func word() throws(TemplateFault) -> String {
        skipBlanks()
        let start = index
        while index < bytes.count, isLetter(bytes[index]) { index += 1 }
        guard index > start else { throw fault("expected a name at position \(start).") }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private func isLetter(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x5F
            || byte == UInt8(ascii: "$")
    }
}
