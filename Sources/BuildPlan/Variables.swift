// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Variables in the order in which they were first set.
struct Variables {
    private(set) var names: [String] = []
    private var values: [String: (value: String, place: Int)] = [:]
    /// How many UTF-8 bytes names and values have in all.
    private(set) var size = 0
    /// Where each change is kept for the plan; `nil` where nobody asks for the variables later.
    private let log: AssignmentLog?
    /// The last change in the log; `nil` before the first.
    private(set) var last: Int?

    init(log: AssignmentLog? = nil) {
        self.log = log
    }

    subscript(name: String) -> String? { values[name]?.value }

    mutating func set(_ name: String, _ value: String) {
        if let old = values[name] {
            if old.value == value { return }
            size += value.utf8.count - old.value.utf8.count
            values[name] = (value, old.place)
        } else {
            values[name] = (value, names.count)
            names.append(name)
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
            for (place, later) in names.enumerated().dropFirst(old.place) {
                values[later]?.place = place
            }
            size -= name.utf8.count + old.value.utf8.count
            noteChange(name, nil)
        }
    }

    private mutating func noteChange(_ name: String, _ value: String?) {
        if let log { last = log.append(Assignment(name: name, value: value, previous: last)) }
    }

    /// Splits `NAME=value`; without `=`, the value is empty.
    static func split(_ pair: String) -> (name: String, value: String) {
        guard let equals = pair.utf8.firstIndex(of: UInt8(ascii: "=")) else { return (pair, "") }
        return (String(pair[..<equals]), String(pair[pair.utf8.index(after: equals)...]))
    }
}

/// A variable set to a value, or removed.
struct Assignment: Sendable {
    let name: String
    let value: String?
    /// The change before it in the same stage or its base; `nil` for the first.
    let previous: Int?
}

/// Every change of a variable in a plan.
///
/// What a RUN sees is a place in the log: a list of its own would be copied for every RUN after an ENV.
final class AssignmentLog {
    private(set) var entries: [Assignment] = []

    /// Adds a change and returns its place.
    func append(_ entry: Assignment) -> Int {
        entries.append(entry)
        return entries.count - 1
    }
}

extension Plan {
    /// What a RUN sees of ENV and ARG.
    ///
    /// - Parameter run: A step of this plan.
    /// - Returns: `NAME=value`, in the order in which they were first set.
    public func environment(of run: RunAction) -> [String] {
        var (place, changes) = (run.assignment, [Assignment]())
        while let index = place {
            changes.append(assignments[index])
            place = assignments[index].previous
        }
        var variables = Variables()
        for change in changes.reversed() {
            variables.set(change.name, change.value)
        }
        return variables.names.map { "\($0)=\(variables[$0] ?? "")" }
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
            ("BUILDPLATFORM", build.versioned), ("BUILDOS", build.os), ("BUILDOSVERSION", build.osVersion ?? ""),
            ("BUILDARCH", build.architecture), ("BUILDVARIANT", build.variant ?? ""),
            ("TARGETPLATFORM", platform.versioned), ("TARGETOS", platform.os),
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
