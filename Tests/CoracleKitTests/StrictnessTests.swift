// SPDX-License-Identifier: Apache-2.0
import BuildPlan
import CoracleKit
import DockerfileSyntax
import Foundation
import TestSupport
import Testing

/// Where `check` finds errors, `plan` makes no plan, and the other way around.
@Suite struct StrictnessTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func check(_ change: (inout Check) -> Void = { _ in }) throws -> Check.Report {
        var check = Check(DockerfileInput(file: nil, path: folder.url.path))
        change(&check)
        return try check.run(environment: [:])
    }

    private func plan(_ change: (inout ShowPlan) -> Void = { _ in }) async throws -> ShowPlan.Outcome {
        var show = ShowPlan(DockerfileInput(file: nil, path: folder.url.path))
        change(&show)
        return try await show.run(environment: [:])
    }

    private func lines(_ findings: [Check.Findings]) -> [String] {
        findings.flatMap { file in
            file.diagnostics.filter { $0.severity == .error }
                .map { "\(file.source.line(at: $0.range.start)) \($0.message)" }
        }
    }

    @Test(arguments: [
        "# check=foo=bar\nFROM x\n", "# check=skip\nFROM x\n", "# check=error=perhaps\nFROM x\n",
        "# check=error=true\nFROM x\nMAINTAINER me\n", "# check=error=true\nFROM x\nWORKDIR a\nEXPOSE 80/TCP\n",
        "#!/bin/sh\n# check=foo=bar\nFROM x\n", "#!/bin/sh\n# syntax=docker/dockerfile:1\n#check=skip\nFROM x\n",
        "#!/bin/sh\n# check=error=true\nFROM x\nMAINTAINER me\n", "# check=error=true\nFROM x\\\n\n\n",
    ])
    func checkAndPlanRefuseTheSame(text: String) async throws {
        try folder.write("Dockerfile", text)

        let (report, outcome) = (try check(), try await plan())

        #expect(report.isFailure && outcome.plan == nil)
        #expect(!lines(report.findings).isEmpty)
        #expect(lines(report.findings) == lines(outcome.errors))
    }

    @Test(arguments: [
        "# check=error=true\nFROM x\n", "# check=skip=MaintainerDeprecated;error=true\nFROM x\nMAINTAINER me\n",
        "# check=error=false\nFROM x\nMAINTAINER me\n", "# check=error=true\nFROM y\nENV a b\nFROM x\n",
        "#!/bin/sh\n# check=skip=all;error=true\nFROM x\nMAINTAINER me\n", "#!/bin/sh\n# escape=`\nFROM x\\\n:1\n",
    ])
    func planTakesWhatABuildTakes(text: String) async throws {
        try folder.write("Dockerfile", text)

        #expect(try await plan().plan != nil)
    }

    @Test func anIgnoreFileWithAFaultIsOneForBoth() async throws {
        try folder.write("Dockerfile", "FROM x\nCOPY a /\n")
        try folder.write(".dockerignore", "a.log\n!\n")

        let (report, outcome) = (try check(), try await plan())

        #expect(outcome.plan == nil)
        #expect(outcome.errors.map(\.source.name).first?.hasSuffix(".dockerignore") == true)
        #expect(lines(report.findings) == lines(outcome.errors))
    }

    @Test func anEmptyTargetIsTheLastStage() async throws {
        try folder.write("Dockerfile", "FROM x AS a\nENV a b\nFROM x AS b\n")

        #expect(try await plan { $0.settings.target = "" }.plan?.target == 1)
        #expect(try check { $0.settings.target = "" }.findings[0].diagnostics.count == 1, "all stages are checked")
    }

    @Test func aCheckOfATargetIsAboutTheStagesItNeeds() throws {
        let body = "CMD [\"a\"]\nCMD [\"b\"]\nENV key value\n"
        try folder.write("Dockerfile", "FROM x AS a\nRUN y\nFROM x AS b\n\(body)MAINTAINER m\n")

        #expect(try check { $0.settings.target = "a" }.findings[0].diagnostics.map(\.rule) == [.maintainerDeprecated])
        #expect(
            try check { $0.settings.target = "b" }.findings[0].diagnostics.compactMap(\.rule?.name) == [
                "MultipleInstructionsDisallowed", "SecretsUsedInArgOrEnv", "LegacyKeyValueFormat",
                "MaintainerDeprecated",
            ]
        )
    }

    @Test(arguments: [
        (CheckFormat.text, ":2:1: error: MAINTAINER"), (.json, "\"errors\": 1"), (.json, "\"severity\": \"error\""),
        (.sarif, "\"level\": \"error\""), (.github, "::error file="), (.azure, "type=error;"),
    ])
    func findingsAreShownAsTheErrorsTheyAre(format: CheckFormat, shown: String) throws {
        try folder.write("Dockerfile", "FROM x\nMAINTAINER me\n")
        let report = try check { $0.failsOnWarning = true }

        #expect(report.isFailure)
        #expect(format.write(report.findings).contains(shown))
        #expect(Check.summary(of: [report]) == "checked 1 Dockerfile: 1 error")
        #expect(!format.write(try check().findings).contains(shown))
    }

    @Test func aWarningThatIsNoFindingStaysOne() throws {
        try folder.write("Dockerfile", "# syntax=foreign/front:1\nFROM x\n")

        #expect(try !check { $0.failsOnWarning = true }.isFailure)
    }
}
