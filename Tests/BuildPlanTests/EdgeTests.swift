// SPDX-License-Identifier: Apache-2.0
import BuildPlan
import DockerfileSyntax
import OCI
import Testing

/// What BuildKit takes, or refuses, and few people know.
@Suite struct EdgeTests {
    @Test func anEmptyCommandIsLeftOut() throws {
        let made = try #require(plan("FROM x AS a\nCMD [\"b\"]\nFROM a\nCMD []\nENTRYPOINT [\"e\"]\n").plan)

        #expect(made.image.command == nil)
        #expect(made.image.history.map(\.createdBy).suffix(2) == ["CMD []", "ENTRYPOINT [\"e\"]"])
    }

    @Test func anEmptyFromIsTheBuildContext() throws {
        let made = try #require(plan("FROM x\nCOPY --from= a b\n").plan)

        guard case .copy(let copy)? = made.steps.last?.action else { throw NoRun() }
        #expect(copy.origin == .context)
        #expect(made.steps.count == 2)
    }

    @Test func anEmptyPlatformIsNone() throws {
        #expect(try #require(plan("FROM --platform= x\n").plan).stages[0].platform.description == "linux/amd64")
        #expect(plan("FROM --platform=$nosuch x\n").plan == nil, "one that expands to nothing is a fault")
    }

    @Test func flagsOfARGAreIgnoredWithAWarning() throws {
        let (dockerfile, diagnostics) = Dockerfile.parse(SourceText("FROM x\nARG --x --y=1 A=2\n", name: "Dockerfile"))

        #expect(diagnostics.map(\.severity) == [.warning, .warning])
        #expect(diagnostics.first?.message == "ARG takes no flags, and \"--x\" is ignored")
        #expect(try #require(Plan.make(dockerfile, options: PlanOptions()).plan).steps.last?.text == "ARG A=2")
    }

    @Test func anImageIDIsNoBase() {
        let id = String(repeating: "ab", count: 32)

        #expect(plan("FROM \(id)\n").diagnostics.contains { $0.message.contains("64 hexadecimal digits") })
        #expect(plan("FROM x\nCOPY --from=\(id) a b\n").plan == nil)
    }

    @Test func anUnsetVariableInAHeredocIsFoundAtTheInstruction() {
        let text = "FROM x\nCOPY <<A <<B /\nfine\nA\n\n$nosuch\nB\n"

        let found = plan(text).diagnostics.filter { $0.rule == .undefinedVar }

        #expect(found.map { SourceText(text, name: "").line(at: $0.range.start) } == [2])
    }

    @Test(arguments: ["${GOOD Z=1}", "${GOOD", "${GOOD:", "${GOOD:-a", "${"])
    func aMissingBraceIsCalledThat(value: String) {
        let found =
            plan("FROM x\nENV A=\(value)\n").diagnostics
            + Dockerfile.parse(
                SourceText("FROM x\nENV A=\(value)\n", name: "")
            )
            .diagnostics

        #expect(found.contains { $0.message.hasPrefix("\"}\" is missing at the end of \"${") })
    }

    @Test(arguments: ["bogus", "all", "local"])
    func aPlatformOfOneUnknownWordIsAFault(word: String) {
        let found = plan("FROM --platform=\(word) x\n").diagnostics

        #expect(found.contains { $0.message.contains("neither a known operating system") && $0.range.start == 16 })
    }
}
