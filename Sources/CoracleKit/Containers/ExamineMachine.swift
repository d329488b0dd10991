// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Sandbox
internal import Store

/// `coracle doctor`: what this machine allows for RUN and `coracle run`, and how to allow more.
public struct ExamineMachine: Sendable {
    private let workspace: Workspace

    /// Looks at this machine.
    ///
    /// - Parameter workspace: Where layers will lie, as not every file system can do what is needed.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// What was found.
    public struct Report: Sendable {
        /// Lines or JSON.
        public let text: String
        /// Whether commands can be run at all.
        public let isPossible: Bool
    }

    /// Looks at this machine by trying; takes a tenth of a second.
    ///
    /// - Parameter format: For whom.
    /// - Returns: What was found.
    /// - Throws: ``ExitReason`` where there is no folder to try in.
    public func run(_ format: OutputFormat) throws(ExitReason) -> Report {
        let entry = UserRights.entry ?? UserNamespace.enter()
        let scratch = try place()
        defer { if scratch.isOurs { rmdir(scratch.path) } }
        let doctor = Doctor(entry: entry, scratch: scratch.path)
        let findings = Findings(doctor: doctor, store: workspace.path, scratch: scratch.isOurs ? scratch.path : nil)
        return Report(text: findings.formatted(format), isPossible: doctor.choice != nil)
    }

    /// A folder on the file system of the store, which need not be there yet.
    private func place() throws(ExitReason) -> (path: String, isOurs: Bool) {
        if try workspace.storeIfAny() != nil { return (workspace.path + "/tmp", false) }
        var folder = workspace.path
        if !folder.hasPrefix("/") { folder = "./" + folder }
        while access(folder, F_OK) != 0, let slash = folder.lastIndex(of: "/"), slash != folder.startIndex {
            folder = String(folder[..<slash])
        }
        var template = Array("\(folder)/.coracle-doctor-XXXXXX\0".utf8CString)
        guard mkdtemp(&template) != nil else {
            let reason = String(cString: strerror(errno)).lowercased()
            throw ExitReason(
                .step,
                "trying what works in \(folder): \(reason)",
                hint: "--store FOLDER on a disk of yours"
            )
        }
        let path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        return (path, true)
    }

    private struct Findings: Writable {
        let doctor: Doctor
        let store: String
        /// A folder that stood for the store's, where there is no store yet.
        let scratch: String?

        /// Says the store's name in place of that of a folder that is gone.
        private func named(_ text: String) -> String {
            scratch.map { text.replacing($0, with: store) } ?? text
        }

        var text: String {
            let width = doctor.findings.map(\.subject.count).max() ?? 0
            var lines: [String] = []
            for finding in doctor.findings {
                let blanks = String(repeating: " ", count: width - finding.subject.count)
                lines.append("\(finding.isGood ? "ok  " : "no  ")\(finding.subject)\(blanks)  \(named(finding.detail))")
                if let remedy = finding.remedy {
                    lines.append("    \(String(repeating: " ", count: width))  to change it: \(remedy)")
                }
            }
            if let choice = doctor.choice {
                let files = choice.mountsOverlays ? "layers are mounted" : "layers are copied for each command"
                lines.append("\nRUN and coracle run work here: isolation \(choice.isolation), \(files)")
            } else {
                lines.append("\nRUN and coracle run do not work here; COPY, ADD and all else do")
            }
            return lines.map { $0 + "\n" }.joined()
        }

        var json: JSONValue {
            let findings = doctor.findings.map { finding in
                var members: [String: JSONValue] = [
                    "subject": .string(finding.subject), "good": .bool(finding.isGood),
                    "detail": .string(named(finding.detail)),
                ]
                members["remedy"] = finding.remedy.map { .string($0) }
                return JSONValue.object(members)
            }
            var members: [String: JSONValue] = [
                "version": 1, "store": .string(store), "works": .bool(doctor.choice != nil),
                "findings": .array(findings),
            ]
            if let choice = doctor.choice {
                members["isolation"] = .string("\(choice.isolation)")
                members["mountsOverlays"] = .bool(choice.mountsOverlays)
                members["reasons"] = JSONValue(choice.reasons)
            }
            return .object(members)
        }
    }
}
