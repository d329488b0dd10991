// SPDX-License-Identifier: Apache-2.0
import CoracleKit
import DockerfileSyntax
import Testing

@Suite struct DiagnosticTextTests {
    private func text(_ dockerfile: String) -> String {
        let source = SourceText(dockerfile, name: "Dockerfile")
        return DiagnosticText.write(Dockerfile.parse(source).diagnostics, in: source)
    }

    @Test func theCaretStandsBelowTheFault() {
        #expect(
            text("FROM x\nRUN --network=hots /a\n") == """
                Dockerfile:2:15: error: --network is one of default, none, host, not "hots", did you mean "host"?
                    2 | RUN --network=hots /a
                      |               ^~~~

                """
        )
    }

    @Test func tabsAndWideTextKeepTheCaretInPlace() {
        let lines = text("FROM x\n\t\tCOPPY é\n").split(separator: "\n")
        #expect(lines.count == 3)
        let caret = lines[2].firstIndex(of: "^").map { lines[2].distance(from: lines[2].startIndex, to: $0) }
        let word = lines[1].firstRange(of: "COPPY")
            .map { lines[1].distance(from: lines[1].startIndex, to: $0.lowerBound) }
        #expect(caret != nil && caret == word)
    }

    @Test func controlCharactersDoNotReachTheTerminal() {
        #expect(!text("FROM x\nB\u{1B}[31mAD x\n").contains("\u{1B}"))
    }
}
