// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import TestSupport
import Testing

extension Conformance {
    /// Whether words expand as BuildKit expands them.
    @Suite("Word expansion")
    struct ShellLexerConformance {
        @Test("Words expand as BuildKit expands them")
        func words() throws {
            var counts = Counts("shell-lexer.json")
            for (index, item) in try ConformanceData.cases("1-buildkit/shell-lexer.json").enumerated() {
                counts.check("[\(index)] \(item["from"].string ?? ""): \(item["word"].string ?? "")") {
                    fault(in: item)
                }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        private func fault(in item: JSON) -> String? {
            var environment: [String: String] = [:]
            for pair in item["env"].strings ?? [] {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                environment[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
            }
            let expander = WordExpander(escape: item["escape"].string?.utf8.first ?? UInt8(ascii: "\\"))
            let expected = item["expected"]
            do {
                let word = item["word"].string ?? ""
                if item["kind"].string == "words" {
                    let words = try expander.words(word) { environment[$0] }
                    if let error = expected["error"].string { return "gave \(words), BuildKit says: \(error)" }
                    return words == (expected["words"].strings ?? [])
                        ? nil : "gave \(words), not \(expected["words"].strings ?? [])"
                }
                let result = try expander.expand(word) { environment[$0] }
                if let error = expected["error"].string { return "gave \(result.text), BuildKit says: \(error)" }
                if result.text != expected["result"].string {
                    return "gave \(result.text), not \(expected["result"].string ?? "")"
                }
                if result.matched.sorted() != (expected["matched"].strings ?? []).sorted() {
                    return "matched \(result.matched)"
                }
                if result.unmatched.sorted() != (expected["unmatched"].strings ?? []).sorted() {
                    return "unmatched \(result.unmatched)"
                }
                return nil
            } catch {
                return expected["error"].isNull ? "threw \(error.message)" : nil
            }
        }
    }
}
