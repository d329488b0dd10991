// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What builds and plans say of a doubtful Dockerfile.
@Suite("Lint warnings of a build")
struct LintSummaryTests {
    private static let doubtful = "FROM scratch\nMAINTAINER me\nENV a b\n"
    private static let summary = """
        2 warnings found (coracle check shows the lines, and what to do):
         - MaintainerDeprecated: MAINTAINER is deprecated (line 2)
         - LegacyKeyValueFormat: ENV a is in the old form without "=" (line 3)

        """

    @Test("They are told after the build, each in a line", arguments: ["plain", "tty"])
    func told(style: String) throws {
        let place = try BuildPlace(Self.doubtful)

        for _ in 0..<2 {
            let result = try place.build(["--progress", style])

            #expect(result.status == 0)
            #expect(result.errors.hasSuffix(Self.summary), "\(result.errors)")
        }
        let quiet = try place.build(["--quiet"])
        #expect(quiet.status == 0 && quiet.errors == "")
    }

    @Test("One is one, and none is nothing")
    func few() throws {
        let one = try BuildPlace("FROM scratch\nMAINTAINER me\n").build(["--progress", "plain"])
        #expect(one.errors.contains("1 warning found (coracle check shows"))
        let none = try BuildPlace("FROM scratch\nENV a=b\n").build(["--progress", "plain"])
        #expect(!none.errors.contains("warning"))
    }

    @Test("As JSON they are events before the plan, with rule, place and page")
    func events() throws {
        let result = try BuildPlace(Self.doubtful).build(["--progress", "json"])

        let events = try result.errors.split(separator: "\n").map { try JSON(parsing: String($0)) }
        let kinds = events.map { $0["event"].string ?? "" }
        #expect(kinds.prefix(3) == ["lint", "lint", "planned"])
        let first = try #require(events.first)
        #expect(first["rule"].string == "MaintainerDeprecated" && first["severity"].string == "warning")
        #expect(first["message"].string == "MAINTAINER is deprecated")
        #expect(first["path"].string?.hasSuffix("/Dockerfile") == true)
        #expect(first["line"].int == 2 && first["column"].int == 1)
        #expect(first["url"].string == "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/")
        #expect(first["notes"].array.count == 1)
    }

    @Test("Rules are left out by the file and by a build argument")
    func skipped() throws {
        let place = try BuildPlace("# check=skip=MaintainerDeprecated\n" + Self.doubtful)
        let ofFile = try place.build(["--progress", "plain"])
        #expect(ofFile.errors.contains("1 warning found") && !ofFile.errors.contains("MaintainerDeprecated"))
        let argument = ["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all"]
        #expect(try !place.build(["--progress", "plain"] + argument).errors.contains("warning"))
        try place.write("Dockerfile", "FROM scratch\n# check=skip=MaintainerDeprecated\nMAINTAINER me\n")
        #expect(try !place.build(["--progress", "plain"]).errors.contains("warning"))
    }

    @Test("Where they are errors, nothing is built")
    func errors() throws {
        let place = try BuildPlace("# check=error=true\nFROM scratch\nCOPY Dockerfile /\nMAINTAINER me\n")
        for extra in [[], ["--no-cache"]] {
            let result = try place.build(["--progress", "plain", "-t", "x"] + extra)

            #expect(result.status == 2)
            #expect(result.errors.contains("Dockerfile:4:1: error: MAINTAINER is deprecated [MaintainerDeprecated]"))
            #expect(!result.errors.contains("#1") && result.output == "")
        }
        let argument = ["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true;skip=MaintainerDeprecated"]
        #expect(try place.build(argument).status == 0)
        try place.write("Dockerfile", Self.doubtful)
        #expect(try place.build(["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true"]).status == 2)
    }

    @Test("Several platforms say it once, and a failed step does not hide it")
    func once() throws {
        let several = try BuildPlace(Self.doubtful)
            .build(["--platform", "linux/amd64,linux/arm64", "--progress", "plain"])
        #expect(several.status == 0 && several.errors.hasSuffix(Self.summary), "\(several.errors)")

        let failed = try BuildPlace(Self.doubtful + "COPY missing /\n").build(["--progress", "plain"])
        #expect(failed.status == 1)
        let parts = failed.errors.components(separatedBy: Self.summary)
        #expect(parts.count == 2 && parts[0].contains("ERROR") && parts[1].contains("Dockerfile:4:1: error:"))
    }

    @Test("Bases for another platform are found, those that only files are taken from too")
    func platform() throws {
        let place = try BuildPlace("FROM scratch\nCOPY Dockerfile /\n")
        try #require(place.build(["--platform", "linux/s390x", "-t", "other"]).status == 0)
        try place.write("Dockerfile", "FROM other\nCOPY Dockerfile /b\nCOPY --from=other:latest Dockerfile /c\n")
        let rule = "InvalidBaseImagePlatform: base image other:latest is for linux/s390x, and linux/"

        let base = try place.build(["--offline", "--progress", "plain"])
        try place.write("Dockerfile", "FROM scratch\nCOPY --from=other Dockerfile /c\n")
        let files = try place.build(["--offline", "--progress", "plain"])
        let plan = try Program.run(
            ["plan", "--resolve", "--offline", "--store", place.store.path, place.context.path]
        )
        try place.write("Dockerfile", "# check=error=true\nFROM scratch\nCOPY --from=other Dockerfile /c\n")
        let refused = try place.build(["--offline", "--progress", "plain"])

        #expect(base.status == 0 && base.errors.contains("1 warning found"), "\(base.errors)")
        #expect(base.errors.contains(rule) && base.errors.contains("(line 1)"))
        #expect(
            files.status == 0 && files.errors.contains(rule) && files.errors.contains("(line 2)"),
            "\(files.errors)"
        )
        #expect(plan.status == 0 && plan.errors.contains(rule), "\(plan.errors)")
        #expect(refused.status == 2 && refused.errors.contains("Dockerfile:3:13: error: base image other:latest"))
    }

    @Test("A plan tells them beside itself, and as JSON within")
    func plan() throws {
        let plan = try Program.run(["plan", "-"], input: Self.doubtful)
        #expect(plan.status == 0 && plan.errors == Self.summary)
        #expect(!plan.output.contains("deprecated"))

        let json = try Program.run(["plan", "--format", "json", "-"], input: Self.doubtful)
        #expect(json.errors == "")
        let warnings = try JSON(parsing: json.output)["warnings"].array
        #expect(warnings.map { $0["rule"].string } == ["MaintainerDeprecated", "LegacyKeyValueFormat"])
        #expect(warnings.map { $0["line"].int } == [2, 3])
    }

    @Test("A front end that is not run is told")
    func foreign() throws {
        let result = try BuildPlace("# syntax=example.com/own/language\nFROM scratch\n").build(["--progress", "plain"])
        #expect(result.errors.contains("front end \"example.com/own/language\" is not run"), "\(result.errors)")
    }
}
