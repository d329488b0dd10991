// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// An error as the Kubernetes API gives it: a `Status`.
///
/// Specification: Kubernetes API conventions, "Response Status Kind".
struct KubeFault: Error, Sendable {
    var code: Int
    var reason: String
    var message: String
    var details: JSONValue?

    /// One thing that is wrong with an object.
    struct Cause: Sendable {
        let reason: String
        /// The message without the field.
        let message: String
        let field: String

        static func required(_ field: String, _ why: String = "") -> Cause {
            Cause(
                reason: "FieldValueRequired",
                message: "Required value" + (why.isEmpty ? "" : ": \(why)"),
                field: field
            )
        }

        static func invalid(_ field: String, _ value: JSONValue, _ why: String) -> Cause {
            let shown = value.canonical
            let text = shown.utf8.count > 200 ? String(shown.prefix(200)) + "…" : shown
            return Cause(reason: "FieldValueInvalid", message: "Invalid value: \(text): \(why)", field: field)
        }

        static func unsupported(_ field: String, _ value: String, _ known: [String]) -> Cause {
            let list = known.map { "\"\($0)\"" }.joined(separator: ", ")
            return Cause(
                reason: "FieldValueNotSupported",
                message: "Unsupported value: \"\(value)\": supported values: \(list)",
                field: field
            )
        }

        static func duplicate(_ field: String, _ value: String) -> Cause {
            Cause(reason: "FieldValueDuplicate", message: "Duplicate value: \"\(value)\"", field: field)
        }

        static func notFound(_ field: String, _ value: String) -> Cause {
            Cause(reason: "FieldValueNotFound", message: "Not found: \"\(value)\"", field: field)
        }

        static func forbidden(_ field: String, _ why: String) -> Cause {
            Cause(reason: "FieldValueForbidden", message: "Forbidden: \(why)", field: field)
        }

        var json: JSONValue {
            ["reason": .string(reason), "message": .string(message), "field": .string(field)]
        }
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "message": .string(message),
            "code": .int(Int64(code)),
        ]
        if !reason.isEmpty { members["reason"] = .string(reason) }
        members["details"] = details
        return .object(members)
    }

    init(_ code: Int, _ reason: String, _ message: String, details: JSONValue? = nil) {
        (self.code, self.reason, self.message, self.details) = (code, reason, message, details)
    }

    private static func details(_ type: KubeType, _ name: String) -> JSONValue {
        var members: [String: JSONValue] = ["name": .string(name), "kind": .string(type.plural)]
        if !type.group.isEmpty { members["group"] = .string(type.group) }
        return .object(members)
    }

    static func notFound(_ type: KubeType, _ name: String) -> KubeFault {
        KubeFault(404, "NotFound", "\(type.qualified) \"\(name)\" not found", details: details(type, name))
    }

    static func alreadyExists(_ type: KubeType, _ name: String) -> KubeFault {
        KubeFault(409, "AlreadyExists", "\(type.qualified) \"\(name)\" already exists", details: details(type, name))
    }

    static func changed(_ type: KubeType, _ name: String) -> KubeFault {
        KubeFault(
            409,
            "Conflict",
            "Operation cannot be fulfilled on \(type.qualified) \"\(name)\": the object has been modified; please apply "
                + "your changes to the latest version and try again",
            details: details(type, name)
        )
    }

    static func invalid(_ type: KubeType, _ name: String, _ causes: [Cause]) -> KubeFault {
        var details = details(type, name)
        details["kind"] = .string(type.kind)
        details["causes"] = .array(causes.map(\.json))
        let texts = causes.map { "\($0.field): \($0.message)" }
        let text = texts.count == 1 ? texts[0] : "[" + texts.joined(separator: ", ") + "]"
        return KubeFault(422, "Invalid", "\(type.qualifiedKind) \"\(name)\" is invalid: \(text)", details: details)
    }

    static func badRequest(_ message: String) -> KubeFault { KubeFault(400, "BadRequest", message) }

    static func forbidden(_ type: KubeType, _ name: String, _ why: String) -> KubeFault {
        KubeFault(
            403,
            "Forbidden",
            "\(type.qualified) \"\(name)\" is forbidden: \(why)",
            details: details(type, name)
        )
    }

    static func expired(_ revision: Int64, _ first: Int64) -> KubeFault {
        KubeFault(410, "Expired", "too old resource version: \(revision) (\(first))")
    }

    static let unknownPath = KubeFault(404, "NotFound", "the server could not find the requested resource", details: [:])
    static let unauthorized = KubeFault(401, "Unauthorized", "Unauthorized")
    static func wrongMethod(_ type: KubeType?) -> KubeFault {
        KubeFault(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }
}
