// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Variables in the order in which they were first set.
struct Variables: Sendable {
    private(set) var names: [String] = []
    /// `NAME=value`, in order.
    private(set) var pairs: [String] = []
    private var values: [String: (value: String, place: Int)] = [:]
    /// How many UTF-8 bytes names and values have in all.
    private(set) var size = 0
    /// What was set, in order, as a key: one step each time, where hashing all pairs would take one for every pair.
    private(set) var key: StepKey?

    subscript(name: String) -> String? { values[name]?.value }

    mutating func set(_ name: String, _ value: String) {
        if let old = values[name] {
            if old.value == value { return }
            size += value.utf8.count - old.value.utf8.count
            values[name] = (value, old.place)
            pairs[old.place] = "\(name)=\(value)"
        } else {
            values[name] = (value, names.count)
            names.append(name)
            pairs.append("\(name)=\(value)")
            size += name.utf8.count + value.utf8.count
        }
        noteChange(name, value)
    }

    /// Sets a variable, or removes it.
    mutating func set(_ name: String, _ value: String?) {
        if let value {
            set(name, value)
        } else if let old = values.removeValue(forKey: name) {
            names.remove(at: old.place)
            pairs.remove(at: old.place)
            for (place, later) in names.enumerated().dropFirst(old.place) {
                values[later]?.place = place
            }
            size -= name.utf8.count + old.value.utf8.count
            noteChange(name, nil)
        }
    }

    private mutating func noteChange(_ name: String, _ value: String?) {
        var fields = KeyFields("variable")
        fields.add(key.map { [$0] } ?? [])
        fields.add(name)
        fields.add(value)
        key = StepKey(fields)
    }

    /// Splits `NAME=value`; without `=`, the value is empty.
    static func split(_ pair: String) -> (name: String, value: String) {
        guard let equals = pair.utf8.firstIndex(of: UInt8(ascii: "=")) else { return (pair, "") }
        return (String(pair[..<equals]), String(pair[pair.utf8.index(after: equals)...]))
    }
}

/// The arguments that exist before any stage.
///
/// Specification: Dockerfile reference, "Predefined ARGs", "Automatic platform ARGs in the global scope".
enum ArgumentScope {
    /// Platform arguments, each replaced by a build argument of its name.
    static func predefined(_ options: PlanOptions, platform: Platform, targetStage: String) -> Variables {
        let build = options.buildPlatform
        var scope = Variables()
        let values: [(String, String)] = [
            ("BUILDPLATFORM", build.description), ("BUILDOS", build.os), ("BUILDOSVERSION", build.osVersion ?? ""),
            ("BUILDARCH", build.architecture), ("BUILDVARIANT", build.variant ?? ""),
            ("TARGETPLATFORM", platform.description), ("TARGETOS", platform.os),
            ("TARGETOSVERSION", platform.osVersion ?? ""), ("TARGETARCH", platform.architecture),
            ("TARGETVARIANT", platform.variant ?? ""), ("TARGETSTAGE", targetStage),
        ]
        for (name, value) in values {
            scope.set(name, options.buildArguments[name] ?? value)
        }
        return scope
    }

    /// The proxies among the build arguments, `NAME=value` sorted by name; they need no ARG.
    static func proxies(_ arguments: [String: String]) -> [String] {
        let names: Set<String> = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"]
        return arguments.filter { names.contains($0.key.lowercased()) }.map { "\($0.key)=\($0.value)" }.sorted()
    }

    /// Arguments of the build itself, which no RUN sees as variables.
    static let hidden: Set<String> = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"]
}
