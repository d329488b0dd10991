// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import Testing

@Suite struct ParserTests {
    @Test func allFaultsAreFoundAtOnceAndInOrder() {
        let text = "FORM a\nFROM b\nCOPPY . .\nRUN --mont=type=cache x\nEXPOSE\nCOPY one\n"
        let found = placed(text)
        #expect(found.map { String($0.prefix { $0 != " " }) } == ["1:1", "3:1", "4:5", "5:1", "6:6"])
        #expect(found[0] == "1:1 unknown instruction \"FORM\", did you mean \"FROM\"?")
        #expect(found[1] == "3:1 unknown instruction \"COPPY\", did you mean \"COPY\"?")
        #expect(found[2].contains("did you mean \"--mount\"?"))
    }

    @Test func everyWordKnowsItsPlace() throws {
        let text = "FROM debian AS build\nCOPY --chown=1:2 \\\n  # why\n  a b \\\n\n  /to/\n"
        let source = SourceText(text, name: "Dockerfile")
        let tree = Dockerfile.parse(source).dockerfile
        let copy = try #require(tree.stages.first?.instructions.first)
        guard case .copy(let transfer) = copy.content else { throw Unexpected() }
        #expect(source.text(of: copy.flags[0].raw.range) == "--chown=1:2")
        #expect(try source.text(of: #require(transfer.chown).range) == "1:2")
        #expect(source.text(of: transfer.destination.range) == "/to/")
        let paths = transfer.sources.compactMap { if case .path(let word) = $0 { word } else { nil } }
        #expect(paths.map { source.text(of: $0.range) } == ["a", "b"])
        #expect(source.text(of: copy.range) == String(text.dropFirst("FROM debian AS build\n".count).dropLast()))
        #expect(source.text(of: tree.stages[0].from.range) == "FROM debian AS build")
    }

    @Test func directivesAreReadOnlyAtTheTop() {
        let tree = Dockerfile.parse(SourceText("# syntax=a/b\n# Escape=`\n\n# check=skip=all\nFROM x\n", name: "D"))
            .dockerfile
        #expect(tree.directives.map(\.name) == [.syntax, .escape])
        #expect(tree.escape == UInt8(ascii: "`"))
        #expect(faults("# escape=`\n# escape=\\\nFROM x\n").first?.contains("second \"escape\"") == true)
        #expect(faults("# escape=x\nFROM x\n").first?.contains("neither a backslash nor a backtick") == true)
    }

    @Test func heredocsBelongToTheirLine() throws {
        let text = "FROM x\nRUN <<-A cat <<'B' > /f\n\tone\n\tA\ntwo $x\nB\nRUN true\n"
        let tree = Dockerfile.parse(SourceText(text, name: "D"))
        #expect(tree.diagnostics.isEmpty)
        let run = tree.dockerfile.stages[0].instructions[0]
        #expect(run.heredocs.map(\.name) == ["A", "B"])
        #expect(run.heredocs.map(\.content) == ["\tone\n", "two $x\n"])
        #expect(run.heredocs.map(\.text) == ["one\n", "two $x\n"])
        #expect(run.heredocs.map(\.expands) == [true, false])
        #expect(tree.dockerfile.stages[0].instructions.count == 2)
        #expect(faults("FROM x\nRUN <<EOF\nforever\n").first?.contains("\"EOF\" is not closed") == true)
    }

    @Test func byteOrderMarkAndCarriageReturnsAreNoPartOfTheText() {
        let tree = Dockerfile.parse(SourceText("\u{FEFF}FROM x\r\nRUN a \\\r\n  b\r\n", name: "D"))
        #expect(tree.diagnostics.isEmpty)
        #expect(tree.dockerfile.stages[0].instructions[0].text == "RUN a   b")
    }

    @Test(arguments: [
        ("", "no instructions"), ("# nothing\n", "no instructions"), ("ARG a\n", "no FROM after ARG"),
        ("RUN x\n", "RUN before the first FROM"), ("FROM\n", "FROM"), ("FROM a b c\n", "AS"),
        ("FROM a AS 1x\n", "1x"), ("FROM x\nENV\n", "ENV"), ("FROM x\nENV a\n", "ENV"), ("FROM x\nCOPY a\n", "COPY"),
        ("FROM x\nSHELL sh\n", "SHELL"), ("FROM x\nONBUILD ONBUILD RUN x\n", "cannot be triggered"),
        ("FROM x\nONBUILD\n", "ONBUILD needs"), ("FROM x\nHEALTHCHECK --interval=soon CMD x\n", "soon"),
        ("FROM x\nRUN --mount=from=$a x\n", "has a variable"), ("FROM x\nRUN --network=lan x\n", "lan"),
        ("FROM x\nSTOPSIGNAL\n", "STOPSIGNAL"), ("FROM x\nADD --checksum=x\n", "ADD"),
    ])
    func faultsSayWhatIsWrong(text: String, part: String) {
        #expect(faults(text).contains { $0.contains(part) }, "\(faults(text))")
    }

    @Test(arguments: [
        "FROM x\n", "# syntax=docker/dockerfile:1\n# escape=`\nFROM x AS y\nRUN a `\n b\n",
        "# note\n# syntax=x\nARG v=1\n\n# y is the base\nFROM x AS y\nENV a=b c=\"d e\" f='g'\n",
        "FROM x\nRUN <<-EOF\n\ta\n\tEOF\nCOPY <<a <<\"b\" /to/\none\na\ntwo\nb\n",
        "FROM x\nONBUILD COPY --link a b\nHEALTHCHECK --interval=1m --retries=3 CMD curl\nCMD [\"a\", \"b\"]\n",
        "FROM x\nRUN echo \\\\\nRUN --mount=type=cache,target=/a --mount=type=secret,id=b make\n",
        "FROM x\r\nRUN a \\\r\n# c\r\n\r\n  b\r\n",
    ])
    func printingATreeAndReadingItAgainGivesTheSameTree(text: String) {
        let tree = Dockerfile.parse(SourceText(text, name: "D")).dockerfile
        let again = Dockerfile.parse(SourceText(tree.printed(), name: "D")).dockerfile
        #expect(shape(of: again) == shape(of: tree))
        #expect(again.printed() == tree.printed())
    }

    @Test func aPrintedLineThatIsTooLongIsContinued() {
        let lines = (0..<9000).map { "word\($0) \\\n" }.joined()
        let tree = Dockerfile.parse(SourceText("FROM x\nRUN \(lines) end\n", name: "D"))
        #expect(tree.diagnostics.isEmpty)
        let again = Dockerfile.parse(SourceText(tree.dockerfile.printed(), name: "D"))
        #expect(again.diagnostics.isEmpty)
        #expect(shape(of: again.dockerfile) == shape(of: tree.dockerfile))
    }
}

/// Something that a test needs is not there.
struct Unexpected: Error {}
