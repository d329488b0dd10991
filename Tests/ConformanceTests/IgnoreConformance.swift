// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import TestSupport
import Testing

extension Conformance {
    /// Whether `.dockerignore` hides what it hides elsewhere.
    @Suite("Ignore files")
    struct IgnoreConformance {
        @Test("Patterns match the recorded paths")
        func patterns() throws {
            var counts = Counts("patternmatcher.json")
            for (index, item) in try ConformanceData.cases("1-buildkit/patternmatcher.json").enumerated() {
                let patterns = item["patterns"].strings ?? []
                counts.check("[\(index)] \(patterns) \(item["path"].string ?? "")") { fault(in: item, patterns) }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        private func fault(in item: JSON, _ patterns: [String]) -> String? {
            let text = patterns.joined(separator: "\n")
            let (file, diagnostics) = IgnoreFile.parse(SourceText(text, name: ".dockerignore"))
            if !item["error"].isNull || item["expected"].bool == nil {
                return diagnostics.isEmpty
                    ? "read without a fault; recorded: \(item["error"].string ?? "an error")" : nil
            }
            if let first = diagnostics.first { return first.message }
            let path = item["path"].string ?? ""
            if file.decision(for: path).isIgnored != item["expected"].bool { return "with parents" }
            let shallow = item["expected_without_parent_dirs"]
            return shallow.bool.map { $0 == file.shallowDecision(for: path).isIgnored } ?? true
                ? nil : "without parents"
        }

        @Test("Files are read into the recorded patterns")
        func files() throws {
            var counts = Counts("dockerignore-files.json")
            for (index, item) in try ConformanceData.cases("1-buildkit/dockerignore-files.json").enumerated() {
                counts.check("[\(index)]") {
                    let (file, diagnostics) = IgnoreFile.parse(
                        SourceText(item["text"].string ?? "", name: ".dockerignore")
                    )
                    // A lone "!" is kept by the reader and refused by the matcher there; here the reader refuses it.
                    let theirs = item["patterns"].strings ?? []
                    if diagnostics.count != theirs.count(where: { $0 == "!" }) { return "\(diagnostics)" }
                    let ours = file.rules.map(\.text)
                    return ours == theirs.filter { $0 != "!" } ? nil : "ours \(ours), theirs \(theirs)"
                }
            }
            counts.report()
            #expect(counts.failed == [])
        }
    }
}
