// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// A JSON schema, as strict as it is written; as much of drafts 04 and 2020-12 as published schemas of Azure need.
///
/// Patterns of texts are not looked at.
public final class JSONSchema {
    private let root: URL
    private let isClosed: Bool
    private var documents: [URL: [String: Any]] = [:]

    /// Reads a schema.
    ///
    /// - Parameters:
    ///   - file: Its file; others that it names are read beside it.
    ///   - isClosed: Whether objects have no members but those named, and none that is read-only, where the schema does not
    ///     say it: published interfaces leave that out.
    /// - Throws: Where it cannot be read.
    public init(_ file: URL, isClosed: Bool = false) throws {
        (root, self.isClosed) = (file.standardizedFileURL, isClosed)
        _ = try document(root)
    }

    /// The published schemas of Azure; `nil` where they are not here.
    public static let azure: URL? = {
        let folder = ConformanceData.projectRoot.deletingLastPathComponent().appending(path: "shared/specs/azure")
        if FileManager.default.fileExists(atPath: folder.path) { return folder }
        print("SCHEMAS SKIPPED: ../shared/specs/azure is absent, so that no request is compared with it")
        return nil
    }()

    /// What is wrong with a document.
    ///
    /// - Parameters:
    ///   - text: The document.
    ///   - pointer: Which part of the schema it must match, as `/definitions/group`.
    /// - Returns: A line for each fault; empty where it matches.
    /// - Throws: Where the document is no JSON, or the schema names what is not there.
    public func faults(of text: String, at pointer: String = "") throws -> [String] {
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: [.fragmentsAllowed])
        let schema = try find(pointer, in: root)
        return try check(value, schema, root, "$")
    }

    private func document(_ url: URL) throws -> [String: Any] {
        if let found = documents[url] { return found }
        let read = try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any] ?? [:]
        documents[url] = read
        return read
    }

    private struct Missing: Error { let reference: String }

    private func find(_ pointer: String, in url: URL) throws -> [String: Any] {
        var value: Any = try document(url)
        for part in pointer.split(separator: "/") {
            let name = part.replacingOccurrences(of: "~1", with: "/").replacingOccurrences(of: "~0", with: "~")
            guard let next = (value as? [String: Any])?[name] else {
                throw Missing(reference: "\(url.path)#\(pointer)")
            }
            value = next
        }
        return value as? [String: Any] ?? [:]
    }

    private func check(_ value: Any, _ schema: [String: Any], _ base: URL, _ path: String) throws -> [String] {
        var faults: [String] = []
        if let reference = schema["$ref"] as? String {
            let parts = reference.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let url =
                parts[0].isEmpty ? base : base.deletingLastPathComponent().appending(path: parts[0]).standardizedFileURL
            faults += try check(value, try find(parts.count > 1 ? parts[1] : "", in: url), url, path)
        }
        for part in schema["allOf"] as? [[String: Any]] ?? [] { faults += try check(value, part, base, path) }
        for keyword in ["oneOf", "anyOf"] {
            guard let choices = schema[keyword] as? [[String: Any]] else { continue }
            let results = try choices.map { try check(value, $0, base, path) }
            if !results.contains(where: \.isEmpty) {
                faults.append("\(path): matches no choice; nearest: \(results.min { $0.count < $1.count } ?? [])")
            }
        }
        if let allowed = schema["enum"] as? [NSObject], schema["x-open-enum"] == nil,
            !allowed.contains(value as? NSObject ?? NSNull())
        {
            faults.append("\(path): \(value) is none of \(allowed)")
        }
        return try faults + typed(value, schema, base, path)
    }

    private func typed(_ value: Any, _ schema: [String: Any], _ base: URL, _ path: String) throws -> [String] {
        let types = (schema["type"] as? [String]) ?? (schema["type"] as? String).map { [$0] } ?? []
        guard types.isEmpty || types.contains(where: { JSONSchema.isOf(value, $0) }) else {
            return ["\(path): \(value) is no \(types.joined(separator: " or "))"]
        }
        var faults: [String] = []
        if let object = value as? [String: Any] { faults += try members(object, schema, base, path) }
        if let array = value as? [Any], let items = schema["items"] as? [String: Any] {
            for (index, element) in array.enumerated() {
                faults += try check(element, items, base, "\(path)[\(index)]")
            }
        }
        if let text = value as? String {
            if let least = schema["minLength"] as? Int, text.count < least { faults.append("\(path): too short") }
            if let most = schema["maxLength"] as? Int, text.count > most { faults.append("\(path): too long") }
        }
        return faults
    }

    private func members(_ object: [String: Any], _ schema: [String: Any], _ base: URL, _ path: String) throws
        -> [String]
    {
        var faults: [String] = []
        let known = schema["properties"] as? [String: [String: Any]] ?? [:]
        for name in schema["required"] as? [String] ?? [] where object[name] == nil {
            faults.append("\(path): \(name) is missing")
        }
        for (name, value) in object {
            if let part = known[name] {
                if isClosed, part["readOnly"] as? Bool == true { faults.append("\(path): \(name) is read-only") }
                faults += try check(value, part, base, "\(path).\(name)")
            } else if let others = schema["additionalProperties"] as? [String: Any] {
                faults += try check(value, others, base, "\(path).\(name)")
            } else if schema["additionalProperties"] as? Bool ?? !(isClosed && !known.isEmpty) == false {
                faults.append("\(path): \(name) is not known")
            }
        }
        return faults
    }

    private static func isOf(_ value: Any, _ type: String) -> Bool {
        let number = value as? NSNumber
        let isBool = number.map { String(cString: $0.objCType) == "c" || String(cString: $0.objCType) == "B" } ?? false
        switch type {
        case "object": return value is [String: Any]
        case "array": return value is [Any]
        case "string": return value is String
        case "boolean": return isBool
        case "integer": return number.map { !isBool && $0.doubleValue.rounded() == $0.doubleValue } ?? false
        case "number": return number != nil && !isBool
        case "null": return value is NSNull
        default: return false
        }
    }
}
