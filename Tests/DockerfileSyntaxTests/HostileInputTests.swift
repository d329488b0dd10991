// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import Testing

/// Inputs that nobody writes by accident: each gets a diagnostic, none a crash.
@Suite struct HostileInputTests {
    @Test func bytesThatAreNoTextAreFaults() {
        #expect(faults("FROM x\nRUN a\u{0}b\n").first?.contains("NUL") == true)
        let bytes = Array("FROM x\nENV a=".utf8) + [0xFF, 0xC0, 0x0A]
        let diagnostics = Dockerfile.parse(SourceText(bytes, name: "D")).diagnostics
        #expect(diagnostics.first?.message.contains("UTF-8") == true)
    }

    @Test func aLineOfTenMegabytesIsAFault() {
        let text = "FROM x\nRUN " + String(repeating: "a", count: 10_000_000) + "\n"
        #expect(faults(text).first?.contains("over the limit of 65535") == true)
    }

    @Test func oneHundredThousandInstructionsAreRead() {
        let text = "FROM x\n" + String(repeating: "ENV a=b\n", count: 100_000)
        let tree = Dockerfile.parse(SourceText(text, name: "D"))
        #expect(tree.diagnostics.isEmpty)
        #expect(tree.dockerfile.stages[0].instructions.count == 100_000)
    }

    @Test func aDelimiterOf65KilobytesIsAFault() {
        let name = String(repeating: "E", count: 65_000)
        #expect(faults("FROM x\nRUN <<\(name)\nx\n").first?.contains("is not closed") == true)
        #expect(faults("FROM x\nRUN <<\(name)\nx\n\(name)\n").isEmpty)
    }

    @Test func deepNestingIsAFault() {
        let word = String(repeating: "${a:-", count: 10_000) + String(repeating: "}", count: 10_000)
        #expect(throws: ExpansionError.self) { try WordExpander().expand(word) { _ in nil } }
        let array = "FROM x\nCMD " + String(repeating: "[", count: 60_000) + "\n"
        _ = Dockerfile.parse(SourceText(array, name: "D"))
    }

    @Test func aVariableThatDoublesItselfIsStopped() throws {
        var value = "0123456789"
        #expect(throws: ExpansionError.self) {
            for _ in 0..<40 {
                value = try WordExpander().expand("$a$a") { _ in value }.text
            }
        }
        #expect(value.utf8.count < 20 << 20)
    }

    @Test func aPatternOfManyStarsEnds() throws {
        let file =
            IgnoreFile.parse(
                SourceText(String(repeating: "**/*a*/", count: 20) + "b\n", name: ".dockerignore")
            )
            .file
        let path = Array(repeating: "aaaaaaaa", count: 30).joined(separator: "/") + "/c"
        #expect(!file.decision(for: path).isIgnored)
    }

    @Test func manyFaultsAreAllKeptAndCheap() {
        let text = "FROM x\n" + (0..<20_000).map { "NONSENSE\($0) a\n" }.joined()
        #expect(faults(text).count == 20_000)
    }
}
