// SPDX-License-Identifier: Apache-2.0
import BuildPlan
import DockerfileSyntax
import TestSupport
import Testing

extension Conformance {
    /// Whether our lint finds what BuildKit's finds.
    @Suite("Lint")
    struct LintConformance {
        @Test("Recorded cases give BuildKit's rules at BuildKit's lines")
        func cases() async throws {
            var counts = Counts("lint-cases.json")
            for (index, item) in try ConformanceData.cases("1-buildkit/lint-cases.json").enumerated() {
                let text = item["dockerfile"].string ?? ""
                let fault = try await LintConformance.fault(item["warnings"], item["error"], Array(text.utf8))
                counts.check("[\(index)] \(item["from"].string ?? "")") { fault }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        @Test("The examples of each rule give what BuildKit reports on them")
        func rules() async throws {
            var counts = Counts("lint-rules.json examples")
            for rule in try ConformanceData.cases("1-buildkit/lint-rules.json") {
                counts.check(rule["rule"].string ?? "") {
                    LintRule.named(rule["rule"].string ?? "") == nil ? "there is no rule of this name" : nil
                }
                for (index, example) in rule["examples"].array.enumerated() {
                    let text = example["dockerfile"].string ?? ""
                    let fault = try await LintConformance.fault(
                        example["lint"]["warnings"],
                        example["lint"]["error"],
                        Array(text.utf8)
                    )
                    counts.check("\(rule["rule"].string ?? "") example \(index)") { fault }
                }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        @Test("Whole files give BuildKit's rules at BuildKit's lines", arguments: ["dockerfiles", "heredocs"])
        func files(file: String) async throws {
            var counts = Counts("\(file).json lint")
            for (index, item) in try ConformanceData.cases("1-buildkit/\(file).json").enumerated() {
                let lint = item["expected"]["lint"]
                let bytes = Array((item["dockerfile"].string ?? "").utf8)
                let fault = try await LintConformance.fault(lint["warnings"], lint["error"], bytes)
                counts.check("\(file)[\(index)] \(item["from"].string ?? "")") { fault }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        @Test("Real Dockerfiles give BuildKit's rules at BuildKit's lines")
        func realWorld() async throws {
            var counts = Counts("3-realworld lint")
            for (name, bytes, expected) in try ConformanceData.realWorld() {
                let lint = expected["lint"]
                let fault = try await LintConformance.fault(lint["warnings"], lint["error"], bytes)
                counts.check(name) { fault }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        /// Rules that BuildKit does not have, or that need another configuration than it was recorded with.
        private static let ours: Set<LintRule> = [.secretArgUsedInRun, .aptGetUpdateAlone, .unpinnedBaseImage]

        /// Rules and lines that differ; after an error BuildKit stops, so that ours may be more.
        static func fault(_ warnings: JSON, _ error: JSON, _ bytes: [UInt8]) async throws -> String? {
            let source = SourceText(bytes, name: "Dockerfile")
            let (dockerfile, faults) = Dockerfile.parse(source)
            var findings = faults + Linter.findings(in: dockerfile)
            var options = PlanConformance.options()
            options.includesAllStages = true
            findings += try await Plan.make(dockerfile, options: options, resolver: PlanConformance.StubBases())
                .diagnostics
            let configuration = LintConfiguration.of(dockerfile).configuration
            let ours = configuration.filter(findings, in: dockerfile)
                .filter { $0.rule.map { !LintConformance.ours.contains($0) } ?? false }
                .map { "\($0.rule?.name ?? "") \(line(of: $0, dockerfile))" }
            let theirs = warnings.array.map {
                "\($0["rule"].string ?? "") \($0["lines"].array.first?.array.first?.int ?? 0)"
            }
            let (mine, recorded) = (Set(ours), Set(theirs))
            if !error.isNull {
                // BuildKit's rules look at an instruction before it is read; ours at those without a fault in them.
                let faulty = Set(faults.filter { $0.severity == .error }.map { "\(line(of: $0, dockerfile))" })
                let missing = recorded.subtracting(mine)
                    .filter { finding in
                        !faulty.contains { finding.hasSuffix(" " + $0) }
                    }
                return missing.isEmpty ? nil : "missing \(missing.sorted()); BuildKit stops at: \(error.string ?? "")"
            }
            if mine == recorded { return nil }
            return "more \(mine.subtracting(recorded).sorted()), missing \(recorded.subtracting(mine).sorted())"
        }

        /// BuildKit reports the first line of the instruction; we point at the word.
        private static func line(of diagnostic: Diagnostic, _ dockerfile: Dockerfile) -> Int {
            let source = dockerfile.source
            if diagnostic.rule == .noEmptyContinuation { return source.line(at: diagnostic.range.start) }
            let instruction = dockerfile.instructions.last { $0.range.start <= diagnostic.range.start }
            return source.line(at: instruction?.range.start ?? diagnostic.range.start)
        }
    }
}
