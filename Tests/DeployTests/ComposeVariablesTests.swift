// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import Testing

@testable import Deploy

@Suite("Variables of compose files")
struct ComposeVariablesTests {
    private static let known = ["SET": "value", "EMPTY": "", "OTHER": "else"]

    @Test(
        "Every form gives what Compose gives",
        arguments: [
            ("plain", "plain"), ("$SET", "value"), ("${SET}", "value"), ("a${SET}b", "avalueb"), ("$SET.x", "value.x"),
            ("${SET:-d}", "value"), ("${EMPTY:-d}", "d"), ("${NONE:-d}", "d"), ("${EMPTY-d}", ""), ("${NONE-d}", "d"),
            ("${SET:+o}", "o"), ("${EMPTY:+o}", ""), ("${EMPTY+o}", "o"), ("${NONE+o}", ""),
            ("${SET:?why}", "value"), ("${EMPTY?why}", ""), ("$$SET", "$SET"), ("$$", "$"), ("$", "$"),
            ("a $ b", "a $ b"),
            ("${NONE:-${OTHER}}", "else"), ("${NONE:-${EMPTY:-deep}}", "deep"), ("${NONE:-a}b}", "ab}"),
            ("${NONE-}", ""), ("$NONE", ""), ("$1", "$1"), ("${NONE:-$$SET}", "$SET"), ("é$SET€", "évalue€"),
        ]
    )
    func forms(text: String, expected: String) throws {
        #expect(try ComposeVariables { Self.known[$0] }.replace(text).text == expected)
    }

    @Test(
        "What cannot be replaced says why",
        arguments: [
            ("${NONE:?it has to be there}", "the variable NONE is not set: it has to be there"),
            ("${EMPTY:?${OTHER}}", "the variable EMPTY is empty: else"), ("${NONE?}", "the variable NONE is not set"),
            ("${SET", "\"${SET\" is not closed"), ("${}", "\"${}\" names no variable"),
            ("${1x}", "\"${1x}\" names no variable"), ("${SET/a/b}", "\"${SET/a/b}\" is no form that Compose knows"),
            ("${SET:x}", "\"${SET:x}\" is no form that Compose knows"),
        ]
    )
    func faults(text: String, expected: String) throws {
        let fault = #expect(throws: ComposeVariables.Fault.self) {
            try ComposeVariables { Self.known[$0] }.replace(text)
        }
        #expect(fault?.message == expected)
    }

    @Test("A variable that is not set is told of, once, and is empty")
    func unset() {
        let said = ComposeCase("services:\n  a:\n    image: x:${TAG}\n    hostname: h${TAG}\n").said()

        #expect(
            said == [
                "compose.yaml:3:12: warning: services.a.image: the variable TAG is not set, and is taken for an empty text"
            ]
        )
    }

    @Test("Keys are left as they are, and so are values that YAML takes for numbers")
    func keys() throws {
        let text = """
            services:
              a:
                image: x
                environment:
                  $SET: 1.10
                  OCT: 0x10
                  NO: no
                  SURE: true
                  TEXT: "1.10"
            """
        var files = ComposeCase(text)
        files.environment = Self.known
        let service = try files.project().services[0]

        #expect(
            service.environment.map { "\($0.name)=\($0.value)" } == [
                "$SET=1.1", "OCT=16", "NO=no", "SURE=true", "TEXT=1.10",
            ]
        )
    }

    // MARK: .env and env_file

    private func variables(_ text: String) -> [String] {
        VariablesFile(SourceText(text, name: ".env")) { Self.known[$0] }.variables
            .map { $0.name + ($0.value.map { "=\($0)" } ?? "") }
    }

    @Test(
        "Files of variables are read as Compose reads them",
        arguments: [
            ("VAR=VAL", "VAR=VAL"), ("VAR=\"VAL\"", "VAR=VAL"), ("VAR='VAL'", "VAR=VAL"), ("VAR=VAL # c", "VAR=VAL"),
            ("VAR=VAL# no", "VAR=VAL# no"), ("VAR=\"VAL # no\"", "VAR=VAL # no"), ("VAR=\"VAL\" # c", "VAR=VAL"),
            ("VAR='$OTHER'", "VAR=$OTHER"), ("VAR='${OTHER}'", "VAR=${OTHER}"), ("VAR=$OTHER", "VAR=else"),
            ("VAR=\"${OTHER}\"", "VAR=else"), (#"VAR='Let\'s go!'"#, "VAR=Let's go!"),
            (#"VAR="{\"hello\": \"json\"}""#, #"VAR={"hello": "json"}"#), (#"VAR="some\tvalue""#, "VAR=some\tvalue"),
            (#"VAR='some\tvalue'"#, #"VAR=some\tvalue"#), (#"VAR=some\tvalue"#, #"VAR=some\tvalue"#), ("VAR=", "VAR="),
            ("VAR", "VAR"), ("export VAR=x", "VAR=x"), ("  VAR = x  ", "VAR=x"), ("VAR=x\r", "VAR=x"),
            ("VAR=\"two\nlines\"", "VAR=two\nlines"), ("VAR=a=b", "VAR=a=b"),
        ]
    )
    func lines(text: String, expected: String) {
        #expect(variables(text) == [expected])
        #expect(variables("# before\n\n\(text)\nLAST=1\n") == [expected, "LAST=1"])
    }

    @Test("A mark of the byte order is no part of a name")
    func byteOrder() {
        #expect(variables("\u{FEFF}VAR=x") == ["VAR=x"])
    }

    @Test("A line sees those before it, whatever others say")
    func before() {
        #expect(variables("SET=own\nTHEN=$SET-${NONE:-x}") == ["SET=own", "THEN=own-x"])
    }

    @Test("Nothing is replaced in a raw file")
    func raw() {
        let source = SourceText("VAR=\"$SET\" # x\nA", name: "raw")
        let read = VariablesFile(source, isRaw: true) { Self.known[$0] }

        #expect(read.variables.map { $0.name + "|" + ($0.value ?? "") } == ["VAR|\"$SET\" # x", "A|"])
    }

    @Test("A fault is shown in the file of variables itself")
    func faultInFile() {
        let said = ComposeCase(
            "services:\n  a:\n    image: x\n    env_file: a.env\n",
            ["a.env": "GOOD=1\nit is not\nQ=\"open\n"]
        )
        .said()

        #expect(
            said == [
                "a.env:2:1: error: no variable: expected NAME=value", "a.env:3:3: error: the quote is not closed",
            ]
        )
    }

    @Test("env_file, environment and the process win in their order; .env never wins over the process")
    func precedence() throws {
        var files = ComposeCase(
            """
            services:
              a:
                image: ${IMAGE}
                env_file:
                  - one.env
                  - path: two.env
                  - {path: absent.env, required: false}
                environment:
                  LAST: file
                  GIVEN:
                  ABSENT:
            """,
            [
                ".env": "IMAGE=dotenv\nGIVEN=dotenv", "one.env": "A=1\nB=1\nLAST=1", "two.env": "B=2\nC=$A\nGIVEN",
            ]
        )
        files.environment = ["GIVEN": "process", "A": "outside"]
        let project = try files.project()

        #expect(project.services[0].image == "dotenv")
        #expect(
            project.services[0].environment.map { "\($0.name)=\($0.value)" } == [
                "A=1", "B=2", "C=outside", "LAST=file", "GIVEN=process",
            ]
        )
        #expect(files.said().count == 1, "of ABSENT")
    }

    @Test("A file that is missing and needed is an error with its line")
    func missing() {
        #expect(
            ComposeCase("services:\n  a:\n    image: x\n    env_file: [a.env]\n").said() == [
                "compose.yaml:4:16: error: services.a.env_file[0]: there is no file a.env"
            ]
        )
    }
}
