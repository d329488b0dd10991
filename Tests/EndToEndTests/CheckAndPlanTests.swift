// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `coracle check` and `coracle plan` as a person or a pipeline runs them.
@Suite struct CheckAndPlanTests {
    @Test func samplesAreCleanAndCanBePlanned() throws {
        let names = try BuildPlace.samples()
        #expect(names.count == 8)
        for name in names {
            let check = try Program.run(["check", "samples/\(name)/Dockerfile"])
            #expect(check.status == 0, "\(check.errors)")
            #expect(try Program.run(["plan", "samples/\(name)"]).status == 0)
            let plan = try Program.run(["plan", "--format", "json", "samples/\(name)"])
            #expect(try !JSON(parsing: plan.output)["steps"].array.isEmpty)
        }
    }

    @Test func aFaultPointsIntoTheFileAndEndsWith2() throws {
        let folder = try TemporaryFolder()
        try folder.write("Dockerfile", "FROM a AS build\nCOPPY . .\nFROM b\nCOPY --from=biuld /x /\n")
        let check = try Program.run(["check"], in: folder.url)
        #expect(check.status == 2)
        #expect(
            check.output == """
                Dockerfile:2:1: error: unknown instruction "COPPY", did you mean "COPY"?
                    2 | COPPY . .
                      | ^~~~~
                Dockerfile:4:13: warning: stage "biuld" does not exist, did you mean "build"? (it is taken as an image)
                    4 | COPY --from=biuld /x /
                      |             ^~~~~

                """
        )
        #expect(check.errors == "checked 1 Dockerfile: 1 error, 1 warning\n")
        let plan = try Program.run(["plan"], in: folder.url)
        #expect(plan.status == 2)
        #expect(plan.errors.contains("Dockerfile:2:1: error: unknown instruction"))
        #expect(plan.output.isEmpty)
    }

    @Test func warningsEndWith0AndWith2WhereAskedFor() throws {
        let folder = try TemporaryFolder()
        try folder.write("Dockerfile", "FROM a\nMAINTAINER me\n")
        #expect(try Program.run(["check"], in: folder.url).status == 0)
        #expect(try Program.run(["check", "--error"], in: folder.url).status == 2)
        #expect(try Program.run(["check", "--error", "--skip", "MaintainerDeprecated"], in: folder.url).status == 0)
        try folder.write("Dockerfile", "# check=error=true\nFROM a\nMAINTAINER me\n")
        #expect(try Program.run(["check"], in: folder.url).status == 2)
        try folder.write("Dockerfile", "# check=skip=MaintainerDeprecated;error=true\nFROM a\nMAINTAINER me\n")
        #expect(try Program.run(["check"], in: folder.url).status == 0)
    }

    @Test func wrongUsageEndsWith2AndSaysWhatToDo() throws {
        for arguments in [
            ["check", "--skipp", "x"], ["plan", "a", "b"], ["chekc"], ["check", "--skip", "NoSuchRule"],
        ] {
            let result = try Program.run(arguments)
            #expect(result.status == 2, "\(arguments)")
            #expect(!result.errors.isEmpty)
        }
        let folder = try TemporaryFolder()
        let missing = try Program.run(["plan"], in: folder.url)
        #expect(missing.status == 2)
        #expect(missing.errors.contains("Dockerfile"))
        #expect(try Program.run(["version"]).output.hasPrefix("coracle "))
    }

    @Test func aDockerfileComesFromStandardInput() throws {
        let result = try Program.run(["plan", "-"], input: "FROM scratch\nLABEL a=b\n")
        #expect(result.status == 0)
        #expect(result.output.contains("LABEL a=b"))
    }

    @Test(arguments: ["json", "sarif"])
    func machineFormatsAreJSON(format: String) throws {
        let result = try Program.run(["check", "--format", format, "-"], input: "FROM a\nMAINTAINER \"q\\\n")
        #expect(result.status == 0)
        let json = try JSON(parsing: result.output)
        #expect(json["version"].int == 1 || json["version"].string == "2.1.0")
    }

    @Test func annotationsAreOneLineEach() throws {
        let text = "FROM a\nMAINTAINER me,%;]\nCMD a\n"
        let github = try Program.run(["check", "--format", "github", "-"], input: text).output.split(separator: "\n")
        #expect(github.count == 2 && github.allSatisfy { $0.hasPrefix("::warning file=") })
        let azure = try Program.run(["check", "--format", "azure", "-"], input: text).output.split(separator: "\n")
        #expect(azure.count == 2 && azure.allSatisfy { $0.hasPrefix("##vso[task.logissue type=warning;") })
    }

    @Test func whatCanBeReadIsReportedBeforeWhatCannot() throws {
        let folder = try TemporaryFolder()
        try folder.write("bad", "FROM a\nCOPPY . .\n")
        try folder.write("good", "FROM a\n")

        let result = try Program.run(["check", "nosuch", "bad", "good", ""], in: folder.url)

        #expect(result.status == 2)
        #expect(result.output.hasPrefix("bad:2:1: error: unknown instruction"))
        #expect(
            result.errors.hasPrefix("checked 2 Dockerfiles: 1 error\ncoracle: error: nosuch: there is no such file")
        )
        #expect(result.errors.contains("coracle: error: \"\": there is no such file"))
        #expect(try Program.run(["check", "good", "nosuch"], in: folder.url).status == 2)
    }

    @Test func aFlagWithAFaultIsReportedOnce() throws {
        let folder = try TemporaryFolder()
        try folder.write("one", "FROM a\n")
        try folder.write("two", "FROM a\n")

        for platform in ["bogus", "local"] {
            let result = try Program.run(["check", "--platform", platform, "one", "two"], in: folder.url)
            #expect(result.status == 2 && result.output.isEmpty)
            #expect(result.errors.split(separator: "\n").count == 1)
            #expect(result.errors.contains("--platform \"\(platform)\" is not a platform"))
        }
    }

    @Test func aPlanThatALintRuleForbidsEndsWith2() throws {
        let text = "# check=error=true\nFROM a\nMAINTAINER me\n"
        let result = try Program.run(["plan", "-"], input: text)
        #expect(result.status == 2)
        #expect(result.errors.hasPrefix("<stdin>:3:1: error: MAINTAINER is deprecated [MaintainerDeprecated]\n"))
    }
}
