// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Using an emulated cluster day by day", .serialized, .waiting, .enabled(if: Containers.canRun))
struct ClusterUseTests {
    private static let cluster = ["--cluster", "shop", "-g", "demo"]
    private static let named = ["--name", "web"] + cluster
    private static let pull = ["--pull-with", "service-principal"]
    private static let deploy =
        ["deploy", "aks", "./site", "-n", "web", "--registry", "testacr"] + cluster + pull + ShellBase.flags

    private func run(_ body: (AzurePlace) async throws -> Void) async throws {
        try await AzurePlace.run(["--cluster", "shop"], body)
    }

    /// The variables that the main container has, those of the machine left out.
    private func variables(_ place: AzurePlace) async throws -> [String] {
        let list = try await place.coracle(["exec"] + Self.named + ["sh", "-c", "env | sort"])
        #expect(list.status == 0, "\(list.errors)")
        place.forget()
        return list.output.split(separator: "\n").map(String.init).filter { "ABCDK".contains($0.prefix(1)) }
    }

    @Test("Variables that nobody mentions stay, and --env-rm takes them away")
    func variables() async throws {
        try await run { place in
            try place.site("page")
            try place.write("some.env", "C=three\nD=four\n")
            let first = try await place.coracle(
                Self.deploy + ["-e", "A=one", "-e", "B=$(A) costs $5", "--env-file", "some.env", "--secure-env", "KEY"]
                    + ["--ip", "public"]
            )
            try #require(first.status == 0, "\(first.errors)")
            let begin = ["A=one", "B=$(A) costs $5", "C=three", "D=four", "KEY=s3cret-of-the-app"]
            #expect(try await variables(place) == begin)

            let same = try await place.coracle(Self.deploy + ["--dry-run"])
            #expect(same.output.contains("nothing to do"), "\(same.output)\(same.errors)")
            #expect(same.errors.contains("kept from before: A, B, C, D, KEY (--env-rm takes one away)"))

            let second = try await place.coracle(Self.deploy + ["-e", "A=two", "--env-rm", "D", "--env-rm", "NONE"])
            try #require(second.status == 0, "\(second.errors)")
            #expect(second.output == first.output, "the address stays: \(second.errors)")
            #expect(second.errors.contains("kept from before: the public address (--ip says otherwise)"))
            #expect(second.errors.contains("--env-rm NONE: web has no such variable"), "\(second.errors)")
            #expect(
                try await variables(place) == ["A=two", "B=$(A) costs $5", "C=three", "KEY=s3cret-of-the-app"]
            )

            let third = try await place.coracle(
                Self.deploy + ["--ip", "cluster"] + ["--env-rm", "KEY", "--env-rm", "B", "-e", "C=plain"]
            )
            try #require(third.status == 0, "\(third.errors)")
            #expect(try await variables(place) == ["A=two", "C=plain"])
            #expect(third.output == "web\n", "where somebody says so, it goes: \(third.errors)")
            #expect(third.errors.contains("secret/web-env is left from before"), "\(third.errors)")
            let manifests = try await place.coracle(Self.deploy + ["--emit", "k8s", "--env-rm", "A"])
            #expect(manifests.status == 2)
            #expect(manifests.errors.contains("--env-rm takes away what a cluster has"), "\(manifests.errors)")
        }
    }

    @Test("A plan by reading alone is that of the server, and nothing is asked of it but what there is")
    func predicted() async throws {
        try await run { place in
            try place.site("one")
            let start = Self.deploy + ["-e", "A=1", "--ip", "public", "--cpu", "0.25", "--memory", "0.0625"]
            let new = try await place.coracle(start + ["--dry-run=client"])
            #expect(new.status == 0, "\(new.errors)")
            #expect(new.output.contains("+ deployment/web"), "\(new.output)")
            let first = try await place.coracle(start)
            try #require(first.status == 0, "\(first.errors)")

            let seen = place.log.count
            let same = try await place.coracle(start + ["--dry-run=client"])
            #expect(same.output.contains("nothing to do"), "defaults are no change: \(same.output)\(same.errors)")
            #expect(!place.log.dropFirst(seen).contains("PATCH"), "nothing is applied, not even to be looked at")

            let change = start + ["-e", "A=2"]
            let client = try await place.coracle(change + ["--dry-run=client"])
            let server = try await place.coracle(change + ["--dry-run=server"])
            #expect(client.output.contains("env[A].value: 1 -> 2"), "\(client.output)\(client.errors)")
            #expect(client.output == server.output)
            let both = try await place.coracle(change + ["--dry-run=client", "--dry-run"])
            #expect(both.status == 2, "\(both.errors)")
            let other = try await place.coracle(change + ["--dry-run=later"])
            #expect(other.status == 2, "\(other.errors)")
            #expect(other.errors.contains("--dry-run \"later\" is none of client, server, none"), "\(other.errors)")
        }
    }

    @Test("diff ends as kubectl's: 0 for the same, 1 for a difference, more for a fault")
    func codes() async throws {
        try await run { place in
            try place.site("one")
            let flags = ["--target", "aks", "--registry", "testacr"] + Self.cluster + Self.pull + ShellBase.flags
            let differs = try await place.coracle(["diff", "site"] + flags)
            #expect(differs.status == 1, "\(differs.errors)")
            try #require(try await place.coracle(["up", "site"] + flags).status == 0)
            #expect(try await place.coracle(["diff"]).status == 0)
            try place.write("site/Dockerfile", "FROM busybox\nRUN exit 9\n")
            let broken = try await place.coracle(["diff"])
            #expect(broken.status == 2, "\(broken.errors)")
            #expect(broken.errors.contains("exit 9"), "\(broken.errors)")
        }
    }

    @Test("A command reads what is passed on to it, whole, and has a terminal where there is one")
    func input() async throws {
        try await run { place in
            try place.site("page")
            try #require(try await place.coracle(Self.deploy).status == 0)
            let text = (0..<60_000).map { "line \($0) of many\n" }.joined()

            let sum = try await place.coracle(
                ["exec", "-i"] + Self.named + ["sh", "-c", "cat > /tmp/a; wc -c < /tmp/a"],
                input: text
            )
            #expect(sum.output == "\(text.utf8.count)\n", "\(sum.errors)")
            let back = try await place.coracle(["exec", "-i"] + Self.named + ["cat"], input: text)
            #expect(back.output == text, "\(back.output.utf8.count) bytes of \(text.utf8.count)")
            let deaf = try await place.coracle(["exec"] + Self.named + ["wc", "-c"], input: "unheard")
            #expect(deaf.output == "0\n", "without -i nothing is passed on: \(deaf.errors)")
            let early = try await place.coracle(
                ["exec", "-i"] + Self.named + ["sh", "-c", "head -c 4; exit 3"],
                input: text
            )
            #expect(early.output == "line" && early.status == 3, "\(early.errors)")
            let none = try await place.coracle(["exec", "-it"] + Self.named + ["wc", "-c"], input: "12345")
            #expect(none.output == "5\n", "\(none.errors)")
            #expect(none.errors.contains("standard input is no terminal"), "\(none.errors)")

            let screen = try place.terminal(
                ["exec", "-it"] + Self.named + ["sh", "-c", "tty; read a; echo got $a; exit 5"]
            )
            #expect(try await screen.wait(for: "/dev/"), "\(screen.screen)")
            screen.type("word\n")
            #expect(try await screen.end() == 5, "\(screen.screen)")
            #expect(screen.screen.contains("got word"), "\(screen.screen)")
        }
    }

    @Test("Nothing runs in a container that ends again and again, and why is said; its logs are there")
    func crashing() async throws {
        try await run { place in
            let count = #"["sh", "-c", "echo attempt with $(date +%s%N); exit 3"]"#
            try place.site("page", command: count)
            let failed = try await place.coracle(Self.deploy + ["--keep-failed"])
            #expect(failed.status == 5, "\(failed.errors)")
            let again = try await place.coracle(Self.deploy + ["--keep-failed"])
            #expect(again.status == 5, "what did not work does not work because it is asked again: \(again.errors)")

            var exec = try await place.coracle(["exec"] + Self.named + ["true"])
            // It runs for a moment now and then.
            for _ in 0..<20 where !exec.errors.contains("CrashLoopBackOff") {
                exec = try await place.coracle(["exec"] + Self.named + ["true"])
            }
            #expect(exec.status == 2, "\(exec.errors)")
            #expect(exec.errors.contains("the container web of web-"), "\(exec.errors)")
            #expect(exec.errors.contains("does not run: CrashLoopBackOff, it ended with 3 (Error), "), "\(exec.errors)")
            #expect(exec.errors.contains("coracle logs --name web, with --previous"), "\(exec.errors)")
            let before = try await place.coracle(["logs", "--previous"] + Self.named)
            #expect(before.status == 0, "\(before.errors)")
            #expect(before.output.hasPrefix("attempt with "), "\(before.output)")
            let both = try await place.coracle(["logs", "--previous", "-f"] + Self.named)
            #expect(both.status == 2 && both.errors.contains("--previous and --follow"), "\(both.errors)")

            try place.site("page")
            try #require(try await place.coracle(Self.deploy).status == 0)
            let fresh = try await place.coracle(["logs", "--previous"] + Self.named)
            #expect(fresh.errors.contains("no container of web was started again"), "\(fresh.errors)")
        }
    }

    @Test("Manifests ask for no secret, and say who has to write which")
    func names() async throws {
        try await run { place in
            try place.site("page")
            let start =
                ["deploy", "aks", "./site", "--emit", "k8s", "-n", "web", "--registry", place.registry]
                + ShellBase.flags
            let wishes = [
                "--secure-env", "NOT_HERE", "--volume", "type=secret,name=tls,target=/tls,tls.key=file:none.key",
            ]
            for (pull, command) in [
                ("user=me", "--docker-username=me"), ("admin", "--docker-username=127"),
                ("service-principal", "--docker-username=\(AzurePlace.client)"),
            ] {
                let stream = try await place.coracle(
                    start + wishes + ["--pull-with", pull],
                    ["AZURE_CLIENT_SECRET": ""]
                )
                #expect(stream.status == 0, "\(pull): \(stream.errors)")
                #expect(stream.output.contains(command), "\(stream.output)")
                #expect(stream.output.contains("kubectl create secret generic web-tls --from-file=tls.key=FILE"))
            }
            let folder = try await place.coracle(
                start + wishes + ["--pull-with", "kubelet", "-o", "k8s", "--ingress", "a.example.com"]
            )
            #expect(folder.status == 0, "\(folder.errors)")
            #expect(folder.errors.contains("write web-env.env, web-tls/tls.key there"), "\(folder.errors)")
            let later = try await place.coracle(start + ["--pull-with", "kubelet", "-o", "k8s"])
            #expect(later.errors.contains("removed k8s/ingress.yaml, which is not wanted any more"), "\(later.errors)")
        }
    }

    @Test("Services come up side by side; one that fails leaves out those that need it, and all is said")
    func sideBySide() async throws {
        try await run { place in
            try place.site("page")
            let web = "build: site\n    expose: [8080]"
            let compose = """
                name: shop
                services:
                  one:
                    \(web)
                  two:
                    \(web)
                    command: ["sh", "-c", "echo two is broken; exit 3"]
                  three:
                    \(web)
                    depends_on: [two]
                  four:
                    \(web)
                    command: ["sh", "-c", "echo four is broken; exit 4"]
                """
            try place.write("compose.yaml", compose)
            let up = ["up", "--target", "aks", "--registry", "testacr"] + Self.cluster + Self.pull + ShellBase.flags

            let run = try await place.coracle(up + ["--json"])

            #expect(run.status == 5, "\(run.errors)")
            #expect(run.errors.contains("two does not work"), "\(run.errors)")
            #expect(run.errors.contains("four does not work"), "both are said: \(run.errors)")
            #expect(run.errors.contains("three is left as it was: it waits for two, which does not work"))
            let json = try JSON(parsing: run.output)
            let outcomes = json["services"].array.map { "\($0["name"].string ?? "") \($0["outcome"].string ?? "")" }
            #expect(outcomes.sorted() == ["four failed", "one running", "three skipped", "two failed"], "\(outcomes)")
            // The second begins before the first is done.
            let lines = run.errors.split(separator: "\n").map(String.init)
            let begins = ["one", "two", "four"]
                .compactMap { name in lines.firstIndex { $0.contains("\(name): create \(name)") } }
            let end = try #require(
                lines.firstIndex { $0.contains("one: ") && $0.contains("1 of 1") } ?? lines.indices.last
            )
            #expect(begins.count == 3 && begins.allSatisfy { $0 < end }, "\(run.errors)")
        }
    }
}
