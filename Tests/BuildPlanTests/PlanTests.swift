// SPDX-License-Identifier: Apache-2.0
import BuildPlan
import DockerfileSyntax
import OCI
import Testing

/// A plan of a text, or its diagnostics.
func plan(_ text: String, _ change: (inout PlanOptions) -> Void = { _ in }) -> (plan: Plan?, diagnostics: [Diagnostic])
{
    var options = PlanOptions()
    options.buildPlatform = Platform(os: "linux", architecture: "amd64")
    change(&options)
    return Plan.make(Dockerfile.parse(SourceText(text, name: "Dockerfile")).dockerfile, options: options)
}

@Suite struct PlanTests {
    private func messages(_ text: String, _ change: (inout PlanOptions) -> Void = { _ in }) -> [String] {
        plan(text, change).diagnostics.filter { $0.severity == .error }.map(\.message)
    }

    @Test func onlyWhatTheTargetReachesIsPlanned() throws {
        let text = "FROM a AS one\nRUN x\nFROM b AS two\nRUN y\nFROM c\nCOPY --from=one /x /\n"
        let made = try #require(plan(text).plan)
        #expect(made.stages.map(\.isNeeded) == [true, false, true])
        #expect(made.stages[2].sources == [0])
        #expect(made.steps.map(\.text) == ["FROM a:latest", "RUN x", "FROM c:latest", "COPY --from=one /x /"])
        #expect(made.steps[3].inputs == [2, 1])
        #expect(made.levels == [0, 1, 0, 2])
        let other = try #require(plan(text) { $0.target = "two" }.plan)
        #expect(other.stages.map(\.isNeeded) == [false, true, false])
    }

    @Test func commandsAfterAStepAreThoseOfItsChain() throws {
        let text = "FROM a AS one\nCOPY f /\nWORKDIR /w\nRUN x\nCOPY g /\nFROM b\nCOPY --from=one /x /\n"
        let made = try #require(plan(text).plan)
        let found = made.steps.map { made.runsCommands(after: $0) }
        #expect(made.steps.map(\.text).count == 7)
        #expect(found == [true, true, true, false, false, false, false])
    }

    @Test func stagesThatNeedEachOtherInACircleAreAFault() {
        let text = "FROM x AS a\nCOPY --from=b / /\nFROM x AS b\nCOPY --from=a / /\n"
        #expect(messages(text).contains { $0.contains("in a circle: a → b → a") })
    }

    @Test func namesThatAreNearlyRightAreSuggested() {
        #expect(
            messages("FROM x AS build\n") { $0.target = "biuld" }.first?.contains("did you mean \"build\"?") == true
        )
        let warnings = plan("FROM x AS build\nFROM y\nCOPY --from=biuld / /\n").diagnostics.map(\.message)
        #expect(warnings.contains { $0.contains("did you mean \"build\"?") })
    }

    @Test func argumentsAreInScopeWhereTheReferenceSaysSo() throws {
        let text = """
            ARG v=1
            FROM x AS a
            ARG v
            ARG w=$v
            ENV e=$v-$w
            FROM a AS b
            RUN echo
            FROM x AS c
            ENV e=[$v]

            """
        let inherited = try #require(plan(text) { $0.target = "b" }.plan)
        #expect(inherited.image.environment.contains("e=1-1"))
        let run = try #require(inherited.steps.last)
        guard case .run(let action) = run.action else { throw NoRun() }
        #expect(inherited.environment(of: action).contains("w=1"))
        let fresh = try #require(plan(text) { $0.target = "c" }.plan)
        #expect(fresh.image.environment.contains("e=[]"))
        let given = try #require(
            plan(text) {
                $0.target = "b"; $0.buildArguments["v"] = "9"
            }
            .plan
        )
        #expect(given.image.environment.contains("e=9-9"))
    }

    @Test func environmentOfARunIsThatOfItsPlace() throws {
        let made = try #require(plan("FROM x\nENV a=1 b=2\nRUN one\nENV a=3 c=4\nRUN two\n").plan)
        let runs = made.steps.compactMap { if case .run(let run) = $0.action { run } else { nil } }
        #expect(
            runs.map { made.environment(of: $0).filter { !$0.hasPrefix("PATH=") } } == [
                ["a=1", "b=2"], ["a=3", "b=2", "c=4"],
            ]
        )
    }

    @Test func aKeyChangesWithWhatTheStepDoesAndWithNothingElse() throws {
        func keys(_ text: String, _ change: (inout PlanOptions) -> Void = { _ in }) throws -> [StepKey] {
            try #require(plan(text, change).plan).definitionKeys()
        }
        let first = try keys("FROM x\nENV a=1\nRUN make\nCOPY a /b\n")
        #expect(try keys("FROM x\n# note\nENV a=1\nRUN \\\n make\nCOPY a /b\n").count == first.count)
        #expect(try keys("from x\nenv a=1\nrun make\ncopy a /b\n") == first)
        #expect(try keys("FROM x\nENV a=2\nRUN make\nCOPY a /b\n")[2] != first[2])
        #expect(try keys("FROM x\nENV a=1\nRUN make\nCOPY --chown=1 a /b\n").prefix(3) == first.prefix(3))
        #expect(try keys("FROM x\nENV a=1\nRUN make\nCOPY --chown=1 a /b\n")[3] != first[3])
        // A proxy is no part of what is built.
        #expect(try keys("FROM x\nENV a=1\nRUN make\nCOPY a /b\n") { $0.buildArguments["http_proxy"] = "p" } == first)
        #expect(Set(first).count == first.count)
    }

    @Test func keysAreSHA256() throws {
        // The digest of the empty message and of "abc" are in FIPS 180-4's examples; long ones cross a block.
        let long = String(repeating: "a", count: 5000)
        let first = try #require(plan("FROM x\nRUN \(long)b\n").plan).definitionKeys()[1]
        let second = try #require(plan("FROM x\nRUN \(long)c\n").plan).definitionKeys()[1]
        #expect(first != second)
        #expect(first.description.count == 64)
    }

    @Test func triggersOfAStageRunInItsChild() throws {
        let made = try #require(plan("FROM x AS a\nONBUILD ENV t=1\nONBUILD RUN make\nFROM a\n").plan)
        #expect(made.image.environment.contains("t=1"))
        #expect(made.steps.map(\.text).contains("RUN make"))
    }

    @Test func hiddenFilesAreWarnedOfWithTheRuleThatHidesThem() {
        let ignore = IgnoreFile.parse(SourceText("*.log\nbuild\n!build/keep\nsecret\n", name: ".dockerignore")).file
        let warnings = plan("FROM x\nCOPY a.log /\nCOPY secret /\nCOPY build/x /\nCOPY build/keep /\nCOPY src /\n") {
            $0.ignoreFile = ignore
        }
        .diagnostics.filter { $0.rule == .copyIgnoredFile }
        #expect(
            warnings.compactMap { $0.notes.first?.message.prefix { $0 != " " } } == [
                ".dockerignore:1", ".dockerignore:4", ".dockerignore:2",
            ]
        )
    }

    @Test func tooManyInstructionsAreAFaultAndNoPlan() {
        let text = "FROM x\n" + String(repeating: "ENV a=b\n", count: 100_000)
        #expect(messages(text).first?.contains("over the limit of 10000") == true)
    }

    @Test func variablesThatGrowWithoutBoundAreAFault() {
        var text = "FROM x\nENV a=0123456789\n"
        for _ in 0..<60 { text += "ENV a=$a$a\n" }
        #expect(!messages(text).isEmpty)
    }
}

/// The plan has no RUN where the test expects one.
struct NoRun: Error {}
