// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// What is said before anything is built or pushed, and what verbs say of deployments that are not as they should be.
@Suite("What a deployment says first", .serialized, .waiting, .enabled(if: Containers.canRun))
struct DeployFirstTests {
    private static let start =
        ["deploy", "aci", "./site", "--registry", "testacr", "-g", "demo", "-n", "web"] + ShellBase.flags

    /// An application that a token stands for: it has no secret that Container Instances could be given.
    private static func tokenOnly(_ place: AzurePlace) throws -> [String: String] {
        let claims =
            #"{"iss":"https://issuer.example","sub":"main","aud":"api://AzureADTokenExchange","exp":4102444800}"#
        let middle = Data(claims.utf8).base64EncodedString().replacing("=", with: "")
        try place.write("token", "eyJhbGciOiJSUzI1NiJ9.\(middle).c2ln")
        return ["AZURE_CLIENT_SECRET": "", "AZURE_FEDERATED_TOKEN_FILE": place.root.appending(path: "token").path]
    }

    private func expectUnbuilt(_ run: Program, _ place: AzurePlace) async throws {
        #expect(!run.errors.contains("COPY index.html"), "nothing was built: \(run.errors)")
        #expect(!place.log.contains("/blobs/uploads/"), "nothing was pushed")
    }

    @Test("Where nothing could pull what would be pushed, nothing is built")
    func pulling() async throws {
        try await AzurePlace.run(["--federation", "https://issuer.example,main", "--cluster", "shop"]) { place in
            try place.site("page")
            let token = try Self.tokenOnly(place)
            let off = try await place.arm(
                "PATCH",
                "Microsoft.ContainerRegistry/registries/testacr",
                #"{"properties": {"adminUserEnabled": false}}"#,
                version: "2023-07-01"
            )
            try #require(off.status < 300, "\(off.text)")

            let group = try await place.coracle(Self.start, token)

            #expect(group.status == 3, "\(group.errors)")
            #expect(
                group.errors.contains("there is nothing that Container Instances could pull \(place.registry)/web"),
                "\(group.errors)"
            )
            #expect(group.errors.contains("--pull-with identity=ID"), "\(group.errors)")
            try await expectUnbuilt(group, place)
            for wish in ["secret=nopull", "user=nobody", "admin", "service-principal", "nonsense"] {
                let run = try await place.coracle(Self.start + ["--pull-with", wish], token)
                #expect([2, 3].contains(run.status), "\(wish): \(run.errors)")
                #expect(run.errors.contains("   hint: "), "\(wish): \(run.errors)")
                try await expectUnbuilt(run, place)
            }
            // As the place looks for its passwords in what was printed.
            let on = try await place.arm(
                "PATCH",
                "Microsoft.ContainerRegistry/registries/testacr",
                #"{"properties": {"adminUserEnabled": true}}"#,
                version: "2023-07-01"
            )
            #expect(on.status < 300, "\(on.text)")
        }
    }

    @Test("A Secret that pods would pull with and that is not there is missed before anything is built")
    func pullSecret() async throws {
        try await AzurePlace.run(["--cluster", "shop"]) { place in
            try place.site("page")
            let start = [
                "deploy", "aks", "./site", "-n", "web", "--registry", "testacr", "--cluster", "shop", "-g", "demo",
            ]

            let absent = try await place.coracle(start + ["--pull-with", "secret=nopull"] + ShellBase.flags)

            #expect(absent.status == 5, "\(absent.errors)")
            #expect(
                absent.errors.contains(
                    "nothing was changed: there is no secret/nopull in the namespace default, which pulling its image needs"
                ),
                "\(absent.errors)"
            )
            try await expectUnbuilt(absent, place)
            try place.write("compose.yaml", "services:\n  web:\n    build: site\n    ports: [8080]\n")
            let up = ["up", "--target", "aks", "--cluster", "shop", "-g", "demo", "--registry", "testacr"]
            let several = try await place.coracle(up + ["--pull-with", "secret=nopull"] + ShellBase.flags)
            #expect(several.status == 5, "\(several.errors)")
            #expect(several.errors.contains("nothing was changed: there is no secret/nopull"), "\(several.errors)")
            try await expectUnbuilt(several, place)
            let gone = try await place.coracle(["up", "-g", "demo", "--registry", "testacr", "--env-rm", "A"])
            #expect(gone.status == 2)
            #expect(gone.errors.contains("--env-rm is about one container, and compose.yaml"), "\(gone.errors)")
        }
    }

    @Test("Secrets that Azure kept are missed before anything is built, and asked for once")
    func secrets() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let first = try await place.coracle(Self.start + ["--secure-env", "KEY"])
            try #require(first.status == 0, "\(first.errors)")
            try place.site("next")

            let lost = try await place.coracle(Self.start)

            #expect(lost.status == 2)
            #expect(lost.errors.contains("the secure variable KEY of the container web"), "\(lost.errors)")
            #expect(!lost.errors.contains("COPY index.html"), "nothing was built: \(lost.errors)")
            let terminal = try place.terminal(Self.start)
            #expect(try await terminal.wait(for: "KEY of the container web to itself"), "\(terminal.screen)")
            terminal.type("another-s3cret\r")
            #expect(try await terminal.end() == 0, "\(terminal.screen)")
            #expect(terminal.screen.components(separatedBy: "Again, please").count == 2, "\(terminal.screen)")
        }
    }

    @Test("What is taken away, or taken from here, and is not there is said with what there is")
    func absent() async throws {
        try await AzurePlace.run(["--cluster", "shop"]) { place in
            try place.site("page")
            try place.write("more.env", "FROM_FILE\nGIVEN=1\n")
            let flags = ["--env", "MODE=one", "--env", "UNSET", "--env-file", "more.env", "--env-rm", "OLD"]

            let first = try await place.coracle(Self.start + flags)

            try #require(first.status == 0, "\(first.errors)")
            for name in ["UNSET", "FROM_FILE"] {
                #expect(
                    first.errors.contains(
                        "warning: the variable \(name) is left out: it has no value here (\(name)=VALUE, or export \(name))"
                    ),
                    "\(first.errors)"
                )
            }
            #expect(first.errors.contains("warning: --env-rm OLD: web is not there yet"), "\(first.errors)")

            let second = try await place.coracle(
                Self.start + [
                    "--env-rm", "OLD", "--container-rm", "side", "--secret-source", "gone=env:KEY", "--dry-run",
                ]
            )
            #expect(second.status == 0, "\(second.errors)")
            #expect(
                second.errors.contains(
                    "warning: --env-rm OLD: the container web has no such variable; it has GIVEN, MODE"
                ),
                "\(second.errors)"
            )
            #expect(
                second.errors.contains("warning: --container-rm side: web has no such container; it has web"),
                "\(second.errors)"
            )
            #expect(second.errors.contains("warning: --secret-source gone: "), "\(second.errors)")

            let scope = try await place.coracle(Self.start + ["--dns-scope", "noreuse"])
            #expect(scope.status == 2)
            #expect(scope.errors.contains("--dns-scope is given, and no --dns-label"), "\(scope.errors)")
            let unset = try await place.coracle(
                ["deploy", "aks", "\(place.registry)/web:latest", "-n", "web", "--emit", "k8s", "--env", "UNSET"]
            )
            #expect(unset.errors.contains("warning: the variable UNSET is left out"), "\(unset.errors)")
        }
    }

    @Test("An address that no port leads to is refused, not dropped")
    func portless() async throws {
        try await AzurePlace.run { place in
            let image = try await place.pushed()
            for flags in [["--dns-label", "my-own-site"], ["--ip", "public"]] {
                let run = try await place.coracle(["deploy", "aci", image, "-g", "demo", "-n", "web"] + flags)

                #expect(run.status == 2, "\(run.errors)")
                #expect(
                    run.errors.contains("\(flags[0]) is given, and no container listens on a port"),
                    "\(run.errors)"
                )
                #expect(run.errors.contains("--port"), "\(run.errors)")
            }
        }
    }

    @Test("A resource group that is not there is said by every verb, with what to type")
    func resourceGroup() async throws {
        try await AzurePlace.run { place in
            for verb in [["ps"], ["logs"], ["exec", "true"], ["stop"], ["start"], ["down"]] {
                let words = [verb[0], "-g", "absent", "--name", "web"] + verb.dropFirst()

                let run = try await place.coracle(words)

                #expect(run.status == 2, "\(words): \(run.errors)")
                #expect(
                    run.errors.contains(
                        "there is no resource group absent in the subscription \(AzurePlace.subscription)"
                    ),
                    "\(words): \(run.errors)"
                )
                #expect(run.errors.contains("az group list"), "\(words): \(run.errors)")
            }
            let other = try await place.coracle(["logs", "-g", "demo", "--name", "web"])
            #expect(other.errors.contains("there is no container group web in demo"), "\(other.errors)")
            let all = try await place.coracle(["ps", "-g", "absent"])
            #expect(all.errors.contains("az group"), "\(all.errors)")
        }
    }

    @Test("exec in a container that does not run says so, how it ended, and where its log is")
    func crashing() async throws {
        try await AzurePlace.run { place in
            try place.site("page", command: #"["sh", "-c", "echo no database; exit 3"]"#)
            let run = try await place.coracle(Self.start + ["--restart-policy", "never"])
            #expect(run.status == 5)

            for command in [["true"], []] {
                let inside = try await place.coracle(["exec", "-g", "demo", "--name", "web"] + command)

                #expect(inside.status == 5, "\(inside.errors)")
                #expect(inside.errors.contains("the container web of web does not run: "), "\(inside.errors)")
                #expect(inside.errors.contains("exit code 3"), "\(inside.errors)")
                #expect(
                    inside.errors.contains("   hint: coracle logs --resource-group demo --name web"),
                    "\(inside.errors)"
                )
            }
            #expect(try await place.coracle(["down", "-g", "demo", "--name", "web"]).status == 0)
            let again = try await place.coracle(Self.start)
            #expect(again.status == 5)
            let loop = try await place.coracle(["exec", "-g", "demo", "--name", "web", "true"])
            #expect(loop.status == 5, "\(loop.errors)")
            #expect(loop.errors.contains("exit code 3"), "\(loop.errors)")
        }
    }

    @Test("A deployment's name is a word of stop, and ps -q lists names only")
    func names() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let deployed = try await place.coracle(Self.start + ["--json"])
            try #require(deployed.status == 0, "\(deployed.errors)")
            #expect(try JSON(parsing: deployed.output)["outcome"].string == "running")
            let url = try JSON(parsing: deployed.output)["url"].string ?? ""
            let bigger = try await place.coracle(Self.start + ["--cpu", "2"])
            #expect(bigger.status == 2)
            #expect(bigger.errors.contains("made anew for web: CPU, and may not be"), "\(bigger.errors)")
            #expect(!bigger.errors.contains("COPY index.html"), "nothing was built: \(bigger.errors)")

            let names = try await place.coracle(["ps", "-q", "-g", "demo"])
            #expect(names.output == "web\n", "\(names.errors)")
            let one = try await place.coracle(["ps", "-q", "-g", "demo", "--name", "web"])
            #expect(one.output == "web\n", "\(one.errors)")
            let stopped = try await place.coracle(["stop", "web", "-g", "demo"])
            #expect(stopped.status == 0, "\(stopped.errors)")
            #expect(stopped.output == "web\n")
            let list = try await place.coracle(["ps", "-g", "demo"])
            #expect(list.output.contains("stopped") || list.output.contains("terminated"), "\(list.output)")
            #expect(try await place.coracle(["start", "web", "-g", "demo"]).output == url + "\n")
            let other = try await place.coracle(["down", "web", "--name", "site", "-g", "demo"])
            #expect(other.errors.contains("web and --name site are given both"), "\(other.errors)")
            #expect(try await place.coracle(["down", "web", "-g", "demo"]).output == "web\n")
            let nowhere = try await place.coracle(["down", "web"])
            #expect(nowhere.status == 2)
            #expect(
                nowhere.errors.contains(
                    "no deployment is named: there is no --resource-group, and none in coracle.yaml"
                ),
                "\(nowhere.errors)"
            )
            let two = try await place.coracle(["stop", "web", "other", "-g", "demo"])
            #expect(two.status == 2)
            #expect(two.errors.contains("of deployments one is stopped at a time"), "\(two.errors)")
        }
    }

    @Test("What does not work is JSON, too: with its cause, its log and what to do")
    func failure() async throws {
        try await AzurePlace.run { place in
            try place.site("page", command: #"["sh", "-c", "echo no database; exit 3"]"#)

            let run = try await place.coracle(Self.start + ["--json", "--progress", "json"])

            #expect(run.status == 5)
            let json = try JSON(parsing: run.output)
            #expect(json["outcome"].string == "failed")
            #expect(json["cause"].string?.contains("exit code 3") == true, "\(run.output)")
            #expect(json["log"].string?.contains("no database") == true, "\(run.output)")
            let lines = run.errors.split(separator: "\n").filter { !$0.hasPrefix("coracle: error: ") }
                .filter { !$0.hasPrefix("   hint: ") }
            for line in lines { #expect((try? JSON(parsing: String(line))) != nil, "no JSON: \(line)") }
            let quiet = try await place.coracle(Self.start + ["--quiet"])
            #expect(quiet.output == "")
            #expect(quiet.errors.hasPrefix("coracle: error: web does not work: "), "\(quiet.errors)")
        }
    }

    @Test("A credential that was kept for one repository pulls from that repository")
    func byRepository() async throws {
        try await AzurePlace.run(["--federation", "https://issuer.example,main"]) { place in
            try place.site("page")
            let image = "\(place.registry)/web:1"
            let push = try await place.coracle(["build", "-q", "--push", "-t", image] + ShellBase.flags + ["site"])
            try #require(push.status == 0, "\(push.errors)")
            let right = Data("\(AzurePlace.client):emulated-secret".utf8).base64EncodedString()
            let wrong = Data("nobody:another-s3cret".utf8).base64EncodedString()
            let config = """
                {"auths": {"\(place.registry)": {"auth": "\(wrong)"}, "\(place.registry)/web": {"auth": "\(right)"}}}
                """
            let file = try place.home.write("kept.json", config).path
            let kept = try Self.tokenOnly(place).merging(["REGISTRY_AUTH_FILE": file]) { $1 }
            let flags = ["-g", "demo", "-n", "web", "--pull-with", "user=\(AzurePlace.client)"]

            let run = try await place.coracle(["deploy", "aci", image] + flags, kept)

            #expect(run.status == 0, "\(run.errors)")
            #expect(await place.page(run.output) == "page")
        }
    }
}
