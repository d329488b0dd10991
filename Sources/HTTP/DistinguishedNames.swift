// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The names in a certificate, for messages: who issued it, and for whom.
///
/// Specification: RFC 5280, section 4.1; X.690 (DER). Anything malformed gives no names.
struct DistinguishedNames {
    private(set) var issuer: String?
    private(set) var subject: String?
    private(set) var alternativeNames: [String] = []

    init(certificate: [UInt8]) {
        var outer = DERReader(certificate[...])
        guard
            var body = outer.next()
                .flatMap({ element in
                    var certificate = DERReader(element.content)
                    return certificate.next().map { DERReader($0.content) }
                })
        else { return }
        // Version (optional, tag 0), serial number, algorithm, issuer, validity, subject, key, extensions (tag 3).
        var elements: [DERReader.Element] = []
        while let element = body.next() { elements.append(element) }
        if elements.first?.tag == 0xA0 { elements.removeFirst() }
        guard elements.count > 4 else { return }
        (issuer, subject) = (DistinguishedNames.name(elements[2].content), DistinguishedNames.name(elements[4].content))
        guard let extensions = elements.first(where: { $0.tag == 0xA3 }) else { return }
        alternativeNames = DistinguishedNames.alternatives(extensions.content)
    }

    /// The common name, else the organization.
    private static func name(_ content: ArraySlice<UInt8>) -> String? {
        var found: [UInt8: String] = [:]
        var sets = DERReader(content)
        while let set = sets.next() {
            var pairs = DERReader(set.content)
            guard let pair = pairs.next() else { continue }
            var parts = DERReader(pair.content)
            guard let type = parts.next(), let value = parts.next(), type.content.starts(with: [0x55, 0x04]),
                let kind = type.content.last
            else { continue }
            found[kind] = String(decoding: value.content, as: UTF8.self)
        }
        return found[3] ?? found[10]
    }

    private static func alternatives(_ content: ArraySlice<UInt8>) -> [String] {
        var outer = DERReader(content)
        guard let list = outer.next() else { return [] }
        var entries = DERReader(list.content)
        while let entry = entries.next() {
            var parts = DERReader(entry.content)
            guard let type = parts.next(), type.content.elementsEqual([0x55, 0x1D, 0x11]) else { continue }
            var value = parts.next()
            if value?.tag == 0x01 { value = parts.next() }
            guard let octets = value else { return [] }
            var wrapper = DERReader(octets.content)
            guard let names = wrapper.next() else { return [] }
            var reader = DERReader(names.content)
            var result: [String] = []
            while let name = reader.next(), result.count < 8 {
                if name.tag == 0x82 { result.append(Redaction.text(String(decoding: name.content, as: UTF8.self))) }
                if name.tag == 0x87, name.content.count == 4 {
                    result.append(name.content.map { String($0) }.joined(separator: "."))
                }
            }
            return result
        }
        return []
    }
}

/// Reads elements of DER one after the other.
private struct DERReader {
    struct Element {
        let tag: UInt8
        let content: ArraySlice<UInt8>
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    mutating func next() -> Element? {
        guard let tag = rest.popFirst(), let first = rest.popFirst() else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            let count = Int(first & 0x7F)
            guard (1...4).contains(count), rest.count >= count else { return nil }
            length = rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(count)
        }
        guard rest.count >= length else { return nil }
        defer { rest = rest.dropFirst(length) }
        return Element(tag: tag, content: rest.prefix(length))
    }
}
