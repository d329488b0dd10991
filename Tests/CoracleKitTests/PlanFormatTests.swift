// SPDX-License-Identifier: Apache-2.0
import BuildPlan
import CoracleKit
import DockerfileSyntax
import TestSupport
import Testing

@Suite struct PlanFormatTests {
    private func write(_ text: String, as format: PlanFormat) throws -> String {
        let source = SourceText(text, name: "Dockerfile")
        let plan = try #require(Plan.make(Dockerfile.parse(source).dockerfile, options: PlanOptions()).plan)
        return format.write(plan, of: source)
    }

    private func steps(_ text: String) throws -> [JSON] {
        try JSON(parsing: write("FROM x\n" + text, as: .json))["steps"].array
    }

    @Test func aChartTellsStagesFromFiles() throws {
        let text = """
            FROM x AS a
            RUN a
            ENV a=1
            FROM a AS b
            ENV b=1
            FROM b AS c
            RUN c
            COPY --from=a /f /
            COPY --from=b /f /

            """

        let edges = try write(text, as: .mermaid).split(separator: "\n").filter { $0.contains(">") }

        #expect(
            edges == [
                "  n1 -- FROM --> f1", "  f1 -- FROM --> f2", "  n0 --> n1", "  n1 --> n2", "  f1 --> n3",
                "  f2 --> n4", "  n4 --> n5", "  n1 -. files .-> n5", "  n5 --> n6", "  n1 -. files .-> n6",
            ]
        )
    }

    @Test func aChartNamesTheStageThatFilesAreTakenFrom() throws {
        let text = "FROM x AS a\nRUN a\nFROM a AS b\nFROM y\nCOPY --from=b /f /\n"

        let chart = try write(text, as: .mermaid)

        #expect(chart.contains("    f1[\"FROM a\"]\n"))
        #expect(chart.contains("  f1 -. files .-> n3\n"))
    }

    @Test func aCopyHasAllThatABuildNeeds() throws {
        let copy = try #require(
            steps("ADD --keep-git-dir https://h/r.git?submodules=0&commit=abc&fetch-by-commit=1 /\n").last?["copy"]
        )
        let source = try #require(copy["sources"].array.first)

        #expect(copy["keepGitDir"].bool == true)
        #expect(source["submodules"].bool == false)
        #expect(source["checksum"].string == "abc")
        #expect(source["fetchByCommit"].bool == true)
        #expect(try steps("COPY a b\n").last?["copy"]["keepGitDir"].bool == false)
    }

    @Test func aMountHasAllThatABuildNeeds() throws {
        let text = """
            RUN --mount=type=tmpfs,target=/t,size=64m \\
                --mount=type=secret,id=s,mode=0440,uid=1,gid=2,required --device=required,name=d x

            """
        let run = try #require(steps(text).last?["run"])
        let (tmpfs, secret) = (run["mounts"].array[0], run["mounts"].array[1])

        #expect(tmpfs["size"].int == 64 << 20)
        #expect(tmpfs["required"].bool == false)
        #expect(secret["mode"].string == "440")
        #expect(secret["uid"].int == 1)
        #expect(secret["gid"].int == 2)
        #expect(secret["required"].bool == true)
        #expect(run["requiredDevices"].array.map(\.string) == ["d"])
    }
}
