// SPDX-License-Identifier: Apache-2.0
import BuildPlan
import DockerfileSyntax
import OCI
import Testing

@Suite struct TriggerTests {
    /// A base that left triggers behind.
    private struct Base: BaseImageResolver {
        let triggers: [String]

        func resolve(_ request: BaseImageRequest) async -> BaseImage? {
            var config = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"))
            config.onBuild = triggers
            return BaseImage(reference: nil, config: config)
        }
    }

    private func read(_ text: String) -> (dockerfile: Dockerfile, diagnostics: [Diagnostic]) {
        Dockerfile.parse(SourceText(text, name: "Dockerfile"))
    }

    private func findings(_ text: String, _ change: (inout PlanOptions) -> Void = { _ in }) -> [String] {
        let source = SourceText(text, name: "Dockerfile")
        return plan(text, change).diagnostics.filter { $0.rule?.isDefault ?? true }
            .map { "\($0.rule?.name ?? $0.severity.rawValue) \(source.line(at: $0.range.start))" }
    }

    @Test(arguments: ["foo bar", "COPY x", "COPY --nosuch a b", "CMD --x", "HEALTHCHECK NOPE", "RUN --network=hots x"])
    func aStoredTriggerWithAFaultIsAWarning(trigger: String) throws {
        let (dockerfile, diagnostics) = read("FROM x\nONBUILD \(trigger)\n")

        #expect(diagnostics.map(\.severity) == [.warning])
        #expect(diagnostics.first?.notes.last?.message.contains("will fail") == true)
        let made = try #require(Plan.make(dockerfile, options: PlanOptions()).plan)
        #expect(made.image.onBuild == [trigger])
    }

    @Test(arguments: ["ONBUILD RUN x", "FROM x", "MAINTAINER x", "ENV a", "CMD [1]", "LABEL a=b c", ""])
    func aTriggerThatNoBuilderStoresIsAnError(trigger: String) {
        #expect(read("FROM x\nONBUILD \(trigger)\n").diagnostics.contains { $0.severity == .error })
    }

    @Test func aTriggerWithAFaultIsAnErrorOnlyWhereItRuns() {
        let text = "FROM x AS a\nONBUILD COPY x\nFROM a AS b\nRUN y\nFROM z AS c\nRUN y\n"

        #expect(findings(text) == [])
        #expect(findings(text) { $0.includesAllStages = true } == [])
        #expect(findings(text) { $0.target = "b" } == ["error 3"])
    }

    @Test func faultsOfAnImagesTriggersAreFoundAtItsFROM() async throws {
        for trigger in ["COPY x", "RUN a\nRUN b", "FROM y", "foo"] {
            let file = read("ARG a\nFROM x\n").dockerfile
            let (made, diagnostics) = try await Plan.make(
                file,
                options: PlanOptions(),
                resolver: Base(triggers: [trigger])
            )

            #expect(made == nil)
            let errors = diagnostics.filter { $0.severity == .error }
            #expect(errors.map { file.source.line(at: $0.range.start) } == [2])
            let first = trigger.prefix { $0 != "\n" }
            #expect(errors.first?.message.hasPrefix("the base's trigger \"\(first)\"") == true)
        }
    }

    @Test func findingsInTriggersAreAtTheFROMThatRunsThem() {
        let text = """
            FROM x AS a
            ONBUILD ENV key value
            ONBUILD ARG token
            ONBUILD CMD ["a"]
            ONBUILD ENTRYPOINT ["a"]
            FROM a AS b
            CMD ["b"]
            FROM a AS c
            CMD ["c"]

            """

        let expected = ["LegacyKeyValueFormat", "MultipleInstructionsDisallowed", "SecretsUsedInArgOrEnv"]
        #expect(
            findings(text) { $0.includesAllStages = true }.sorted()
                == (expected + ["SecretsUsedInArgOrEnv"]).map { $0 + " 8" }.sorted(),
            "the target does not reach stage b"
        )
        #expect(Set(findings(text) { $0.target = "b" }) == Set(expected.map { $0 + " 6" }))
    }

    @Test(arguments: ["type=foo,target=/x", "nosuch=1,target=/x", "target=/x,readonly=perhaps", "target=/x,mode=0755"])
    func aFaultOfAMountIsOneOnlyInAStageThatIsBuilt(mount: String) {
        let text = "FROM x AS bad\nRUN --mount=\(mount) ls\nFROM x\nRUN ok\n"

        #expect(read(text).diagnostics.isEmpty)
        #expect(findings(text) == [])
        #expect(findings(text) { $0.includesAllStages = true } == ["error 2"])
        #expect(findings(text) { $0.target = "bad" } == ["error 2"])
    }

    @Test(arguments: ["from=$a,target=/x", "'\"target=/x'"])
    func aMountThatCannotBeReadIsAFaultAnywhere(mount: String) {
        #expect(read("FROM x\nRUN --mount=\(mount) ls\n").diagnostics.map(\.severity) == [.error])
    }
}
