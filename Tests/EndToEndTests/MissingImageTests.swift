// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What a build says of images that a Dockerfile names and that are not to be had.
@Suite("Images that are not there")
struct MissingImageTests {
    @Test("A base image that is not in the store is pointed at, with the stages that there are")
    func base() throws {
        let place = try BuildPlace(
            "FROM scratch AS build\nCOPY a /\nFROM buidl:latest AS last\nCOPY --from=build /a /\n"
        )
        try place.write("a", "a")

        let run = try place.build(["--offline"])

        #expect(run.status == 2, "\(run.errors)")
        let lines = run.errors.split(separator: "\n").map(String.init)
        let start = try #require(lines.firstIndex { $0.contains("error: ") }, "\(run.errors)")
        #expect(lines[start].hasSuffix("Dockerfile:3:6: error: the image buidl:latest is not in the store"))
        #expect(lines[start + 1...start + 2] == ["    3 | FROM buidl:latest AS last", "      |      ^~~~~~~~~~~~"])
        #expect(
            lines[(start + 3)...].contains("   note: did you mean the stage \"build\"? stages: build"),
            "\(run.errors)"
        )
        #expect(!run.errors.contains("coracle: error"), "said once: \(run.errors)")
    }

    @Test(
        "An image that files are taken from is pointed at where it is named",
        arguments: [
            ("COPY --from=nosuch /a /b", 13, "^~~~~~"),
            ("RUN --mount=type=bind,from=nosuch,target=/m true", 13, "^~~~"),
        ]
    )
    func source(instruction: String, column: Int, caret: String) throws {
        let place = try BuildPlace("FROM scratch AS one\nFROM scratch AS other\n\(instruction)\n")

        let run = try place.build(["--offline"])

        #expect(run.status == 2, "\(run.errors)")
        #expect(
            run.errors.contains("Dockerfile:3:\(column): error: the image nosuch:latest is not in the store"),
            "\(run.errors)"
        )
        #expect(run.errors.contains("      |" + String(repeating: " ", count: column) + caret), "\(run.errors)")
        #expect(run.errors.contains("   note: stages: one, other\n"), "\(run.errors)")
    }

    @Test("A registry that has no such image is told of in the same form, with the exit code of registries")
    func registry() async throws {
        let registry = try await TestRegistry()
        let place = try BuildPlace("# a comment\nFROM \(registry.host)/team/none:1\n")

        let run = try place.build()

        #expect(run.status == 4, "\(run.errors)")
        #expect(run.errors.contains("Dockerfile:2:6: error: "), "\(run.errors)")
        #expect(run.errors.contains("    2 | FROM \(registry.host)/team/none:1\n"), "\(run.errors)")
        #expect(!run.errors.contains("note: stages"), "\(run.errors)")
        let plan = try Program.run(["plan", "--resolve", "--store", place.store.path, place.context.path])
        #expect(plan.status == 4, "\(plan.errors)")
        #expect(plan.errors.contains("Dockerfile:2:6: error: "), "\(plan.errors)")
    }

    @Test("A trigger's image is pointed at with the FROM that runs it")
    func trigger() throws {
        let place = try BuildPlace("FROM scratch AS base\nONBUILD COPY --from=nosuch /a /b\nFROM base\n")

        let run = try place.build(["--offline"])

        #expect(run.status == 2, "\(run.errors)")
        #expect(run.errors.contains("Dockerfile:3:1: error: the image nosuch:latest"), "\(run.errors)")
    }

    @Test("A context by name that is an image, and is not there, is pointed at")
    func context() throws {
        let place = try BuildPlace("FROM scratch\nCOPY --from=data /a /b\n")

        let run = try place.build(["--offline", "--build-context", "data=docker-image://nosuch:1"])

        #expect(run.status == 2, "\(run.errors)")
        #expect(run.errors.contains("Dockerfile:2:13: error: the image nosuch:1 is not in the store"), "\(run.errors)")
    }
}
