// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import Testing

@Suite struct WordTests {
    private let values = ["x": "abc.tar.gz", "empty": "", "n": "1"]

    @Test(arguments: [
        ("$x", "abc.tar.gz"), ("${x}", "abc.tar.gz"), ("\\$x", "$x"), ("'$x'", "$x"), ("\"$x\"", "abc.tar.gz"),
        ("${none:-y}", "y"), ("${empty:-y}", "y"), ("${empty-y}", ""), ("${x:+y}", "y"), ("${none+y}", ""),
        ("${none:-${x%%.*}}", "abc"), ("${x%.*}", "abc.tar"), ("${x#*.}", "tar.gz"), ("${x##*.}", "gz"),
        ("${x/a/b}", "bbc.tar.gz"), ("${x//a/o}", "obc.tor.gz"), ("a$none", "a"), ("$", "$"), ("ü$n", "ü1"),
    ])
    func wordsExpand(word: String, result: String) throws {
        #expect(try WordExpander().expand(word) { values[$0] }.text == result)
    }

    @Test(arguments: ["${x", "${x:", "${", "'a", "\"a", "${none:?no}", "${none?}", "${x:!y}", "${}"])
    func badWordsThrow(word: String) {
        #expect(throws: ExpansionError.self) { try WordExpander().expand(word) { values[$0] } }
    }

    @Test func setAndUnsetVariablesAreTold() throws {
        let expansion = try WordExpander().expand("$x $none ${n:-a} $none") { values[$0] }
        #expect(expansion.matched == ["x", "n"])
        #expect(expansion.unmatched == ["none"])
    }

    @Test func wordsFallApartAtWhiteSpaceOutsideQuotesOnly() throws {
        let words = try WordExpander().words("a $two \"$two\" 'c d'\\ e  ") { $0 == "two" ? "x y" : nil }
        #expect(words == ["a", "x", "y", "x y", "c d e"])
    }
}

@Suite struct IgnoreFileTests {
    private func file(_ text: String) -> IgnoreFile {
        IgnoreFile.parse(SourceText(text, name: ".dockerignore")).file
    }

    @Test func theLastRuleThatMatchesDecidesAndIsNamed() throws {
        let ignore = file("# all\n*.md\n!README.md\n\n/docs/\n")
        #expect(ignore.decision(for: "a.md").isIgnored)
        #expect(ignore.decision(for: "a.md").rule?.line == 2)
        #expect(!ignore.decision(for: "README.md").isIgnored)
        #expect(ignore.decision(for: "README.md").rule?.line == 3)
        #expect(ignore.decision(for: "docs/deep/file").rule?.line == 5)
        #expect(ignore.decision(for: "src/a.md").rule == nil)
    }

    @Test func aFolderWithAnExceptionInItIsStillLookedInto() {
        let ignore = file("node_modules\n!node_modules/keep/**\nbuild\n")
        #expect(!ignore.hidesAll(below: Array("node_modules".utf8)))
        #expect(ignore.hidesAll(below: Array("build".utf8)))
    }

    @Test func badPatternsAreFaults() {
        let (_, diagnostics) = IgnoreFile.parse(SourceText("ok\n[a-\n", name: ".dockerignore"))
        #expect(diagnostics.count == 1)
    }
}

@Suite struct SuggestionTests {
    @Test func theNearestNameIsSuggestedAndFarOnesAreNot() {
        #expect(Suggestion.nearest(to: "COPPY", among: ["COPY", "ADD"]) == "COPY")
        #expect(Suggestion.nearest(to: "biuld", among: ["build", "test"]) == "build")
        #expect(Suggestion.nearest(to: "zebra", among: ["build", "test"]) == nil)
    }
}
