// SPDX-License-Identifier: Apache-2.0
import BuildPlan
import DockerfileSyntax
import OCI
import Testing

@Suite struct RemoteSourceTests {
    private let repository = "https://host/r.git"

    @Test(arguments: [
        ("?tag=v1#main", "two references are named: \"main\" and \"refs/tags/v1\""),
        ("?ref=dev#main", "two references are named: \"main\" and \"dev\""),
        ("?branch=a&tag=b", "branch \"a\" and tag \"b\" cannot both be wanted"),
        ("?ref=a&tag=b", "two references are named: \"a\" and \"refs/tags/b\""),
        ("?subdir=a#x:b", "two folders are named: \"b\" and \"a\""),
        ("?tag=a&tag=b", "query \"tag\" is given 2 times"), ("?tag=", "query \"tag\" has no value: tag=…"),
        ("?checksum=", "query \"checksum\" has no value: checksum=…"),
        ("?submodules=maybe", "query \"submodules=maybe\" is neither true nor false"),
        ("?keep-git-dir=yes", "query \"keep-git-dir=yes\" is neither true nor false"),
        ("?fetch-by-commit=2", "query \"fetch-by-commit=2\" is neither true nor false"),
        ("?mtime=foo", "query \"mtime=foo\" is neither checkout nor commit"),
        ("?brnch=a", "a git source has no query \"brnch\", did you mean \"branch\"?"),
    ])
    func aQueryThatCannotBeMeantIsRefused(query: String, message: String) throws {
        let error = try #require(throws: RemoteSourceError.self) { try GitSource(repository + query) }

        #expect(error.message == "\"\(repository + query)\": \(message)")
    }

    @Test func queryAndFragmentMaySayTheSame() throws {
        let source = try #require(try GitSource(repository + "?ref=main&subdir=b&keep-git-dir&submodules=F#main:/b/"))

        #expect((source.ref, source.subfolder) == ("main", "b"))
        #expect(source.keepsGitDirectory == true && source.skipsSubmodules)
    }

    @Test func tagsAndBranchesAreWrittenOutAndDecoded() throws {
        #expect(try GitSource(repository + "?tag=v1%2E0")?.ref == "refs/tags/v1.0")
        #expect(try GitSource(repository + "?branch=refs/heads/a&mtime=commit&&fetch-by-commit")?.ref == "refs/heads/a")
        #expect(try GitSource("git@host:r?branch=a")?.ref == "refs/heads/a")
    }

    @Test func aPlanWithSuchASourceIsRefusedAtTheSource() {
        let faults = plan("FROM x\nADD \(repository)?tag=a&branch=b /\n").diagnostics.filter { $0.severity == .error }

        #expect(faults.count == 1 && faults[0].range.start == 11)
    }

    @Test func aPortMayHaveAPlusSign() throws {
        #expect(try #require(plan("FROM x\nEXPOSE +80\n").plan).image.exposedPorts == ["80/tcp"])
    }
}
