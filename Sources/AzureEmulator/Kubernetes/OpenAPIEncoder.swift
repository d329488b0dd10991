// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// An OpenAPI document of version 2 as protocol buffers, which kubectl validates by before version 1.27.
///
/// Specification: gnostic's `OpenAPIv2.proto`, whose numbers these are; only what kubectl reads is written.
enum OpenAPIEncoder {
    static func encode(_ document: JSONValue) -> [UInt8] {
        var out = Message()
        out.text(1, "2.0")
        out.message(2) { info in
            info.text(1, document.at("info", "title")?.string ?? "Kubernetes")
            info.text(2, document.at("info", "version")?.string ?? "")
        }
        out.message(8) { paths in
            for (path, item) in sorted(document["paths"]) { paths.message(2) { named(&$0, path) { self.path(item, &$0) } } }
        }
        out.message(9) { definitions in
            for (name, schema) in sorted(document["definitions"]) {
                definitions.message(1) { named(&$0, name) { self.schema(schema, &$0) } }
            }
        }
        return out.bytes
    }

    private static func sorted(_ value: JSONValue?) -> [(key: String, value: JSONValue)] {
        (value?.object ?? [:]).sorted { $0.key < $1.key }
    }

    /// A pair of a name and a message.
    private static func named(_ out: inout Message, _ name: String, _ body: (inout Message) -> Void) {
        out.text(1, name)
        out.message(2, body)
    }

    private static func path(_ item: JSONValue, _ out: inout Message) {
        for (name, number) in [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)] {
            guard let operation = item[name] else { continue }
            out.message(number) { out in
                for parameter in (operation["parameters"]?.array ?? []) + (item["parameters"]?.array ?? []) {
                    out.message(8) { self.parameter(parameter, &$0) }
                }
                // An operation without answers is refused by the reader.
                out.message(9) { _ in }
                extensions(operation, 13, &out)
            }
        }
    }

    private static func parameter(_ parameter: JSONValue, _ out: inout Message) {
        if let reference = parameter["$ref"]?.string {
            // References of the pruned document name a parameter and a hash: `#/parameters/dryRun-…`.
            let name = reference.split(separator: "/").last?.split(separator: "-").first.map(String.init) ?? ""
            query(name, &out)
        } else if parameter["in"] == "query" {
            query(parameter.text("name"), &out)
        } else {
            out.message(2) { $0.text(1, "#/parameters/\(parameter.text("name"))") }
        }
    }

    /// A parameter of the query: parameter → not of the body → of the query.
    private static func query(_ name: String, _ out: inout Message) {
        out.message(1) {
            $0.message(2) {
                $0.message(3) { out in
                    out.text(2, "query")
                    out.text(4, name)
                    out.text(6, "string")
                }
            }
        }
    }

    private static func schema(_ schema: JSONValue, _ out: inout Message) {
        if let text = schema["$ref"]?.string { out.text(1, text) }
        if let text = schema["format"]?.string { out.text(2, text) }
        if let text = schema["description"]?.string { out.text(4, text) }
        for name in schema["required"]?.texts ?? [] { out.text(19, name) }
        if let inner = schema["additionalProperties"] {
            out.message(21) { out in
                if let flag = inner.bool { out.flag(2, flag) } else { out.message(1) { self.schema(inner, &$0) } }
            }
        }
        if let kind = schema["type"]?.string { out.message(22) { $0.text(1, kind) } }
        if let items = schema["items"] { out.message(23) { $0.message(1) { self.schema(items, &$0) } } }
        if schema["properties"] != nil {
            out.message(25) { out in
                for (name, member) in sorted(schema["properties"]) {
                    out.message(1) { named(&$0, name) { self.schema(member, &$0) } }
                }
            }
        }
        extensions(schema, 31, &out)
    }

    /// `x-kubernetes-…`: values as YAML, of which JSON is a part.
    private static func extensions(_ value: JSONValue, _ number: Int, _ out: inout Message) {
        for (name, value) in sorted(value) where name.hasPrefix("x-kubernetes") {
            out.message(number) { named(&$0, name) { $0.text(2, value.canonical + "\n") } }
        }
    }

    /// A message as it grows.
    struct Message {
        private(set) var bytes: [UInt8] = []

        private mutating func variable(_ value: Int) {
            var rest = UInt64(value)
            while rest > 0x7F {
                bytes.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }

        mutating func text(_ number: Int, _ text: String) {
            variable(number << 3 | 2)
            variable(text.utf8.count)
            bytes += text.utf8
        }

        mutating func flag(_ number: Int, _ value: Bool) {
            variable(number << 3)
            variable(value ? 1 : 0)
        }

        mutating func message(_ number: Int, _ body: (inout Message) -> Void) {
            var inner = Message()
            body(&inner)
            variable(number << 3 | 2)
            variable(inner.bytes.count)
            bytes += inner.bytes
        }
    }
}
