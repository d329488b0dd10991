// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What is done with deployments besides making them: at a terminal, by other identities, as templates, in other clouds.
@Suite("Using what is deployed", .serialized, .waiting, .enabled(if: Containers.canRun))
struct DeployUseTests {
    private static let start =
        ["deploy", "aci", "./site", "--registry", "testacr", "-g", "demo", "-n", "web"] + ShellBase.flags

    @Test("logs -f shows each line once, and ends with the container")
    func follow() async throws {
        try await AzurePlace.run { place in
            try place.site("page", command: #"["sh", "-c", "for i in 1 2 3 4; do echo line $i; sleep 1; done"]"#)
            let up = ["up", "site", "-g", "demo", "--registry", "testacr", "--restart-policy", "Never"]
            async let logs = place.following()
            let run = try await place.coracle(up + ShellBase.flags)
            try #require(run.status == 0, "\(run.errors)")

            let followed = try await logs
            #expect(followed.output == "line 1\nline 2\nline 3\nline 4\n", "\(followed.errors)")
            #expect(followed.status == 0)
        }
    }

    @Test("A shell in a container at a terminal, and one that is told what to do by a file")
    func shell() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let run = try await place.coracle(Self.start)
            try #require(run.status == 0, "\(run.errors)")

            let terminal = try place.terminal(["exec", "-g", "demo", "--name", "web"])
            #expect(try await terminal.wait(for: "#"), "\(terminal.screen)")
            terminal.type("echo sum-$((20+3))-ü\r")
            #expect(try await terminal.wait(for: "sum-23-ü"), "\(terminal.screen)")
            terminal.type("echo go-$((1+1)); cat; echo end-$((1+2))\r")
            #expect(try await terminal.wait(for: "go-2"), "\(terminal.screen)")
            terminal.type("typed\u{3}")
            // A key that ends a program there ends none here.
            #expect(try await terminal.wait(for: "^C"), "\(terminal.screen)")
            terminal.type("exit\r")
            #expect(try await terminal.end() == 0, "\(terminal.screen)")

            let piped = try await place.coracle(["exec", "-g", "demo", "--name", "web"], input: "echo sum-$((20+4))")
            #expect(piped.status == 0, "\(piped.errors)")
            #expect(piped.output.contains("sum-24"), "\(piped.output)")
        }
    }

    @Test("Secrets that Azure kept are asked for at a terminal, and not shown there")
    func prompt() async throws {
        try await AzurePlace.run { place in
            try place.site(
                "page",
                command: #"["sh", "-c", "echo $KEY > /srv/index.html; exec httpd -f -p 8080 -h /srv"]"#
            )
            let first = try await place.coracle(Self.start + ["--secure-env", "KEY"])
            try #require(first.status == 0, "\(first.errors)")

            let terminal = try place.terminal(Self.start + ["--env", "MODE=two"])
            #expect(
                try await terminal.wait(for: "Azure keeps the secure variable KEY of the container web to itself"),
                "\(terminal.screen)"
            )
            terminal.type("another-s3cret\r")
            #expect(try await terminal.end() == 0, "\(terminal.screen)")

            #expect(!terminal.screen.contains("another-s3cret"))
            #expect(await place.page(first.output) == "another-s3cret\n")
        }
    }

    @Test("A user-assigned identity pulls; one without a role is told how to get it")
    func identity() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let type = "Microsoft.ManagedIdentity/userAssignedIdentities/pull"
            let made = try await place.arm("PUT", type, #"{"location": "westeurope"}"#, version: "2023-01-31")
            let id = try #require(try JSON(parsing: made.text)["id"].string)
            let principal = try #require(try JSON(parsing: made.text)["properties"]["principalId"].string)

            let lacking = try await place.coracle(Self.start + ["--pull-with", "identity=\(id)"])
            #expect(lacking.status == 5)
            #expect(lacking.errors.contains("pull has no role at \(place.registry) that pulls"), "\(lacking.errors)")
            #expect(
                lacking.errors.contains("az role assignment create --role AcrPull --assignee-object-id \(principal)"),
                "\(lacking.errors)"
            )
            #expect(lacking.errors.contains("(InaccessibleImage)"), "\(lacking.errors)")

            let registry =
                "/subscriptions/\(AzurePlace.subscription)/resourceGroups/demo/providers/Microsoft.ContainerRegistry/registries/testacr"
            let role = """
                {"properties": {"principalId": "\(principal)", "roleDefinitionId":
                "/subscriptions/\(AzurePlace.subscription)/providers/Microsoft.Authorization/roleDefinitions/7f951dda-4ed3-4680-a7ca-43fe172d538d"}}
                """
            let given = try await place.arm(
                "PUT",
                "\(registry)/providers/Microsoft.Authorization/roleAssignments/77777777-7777-4777-8777-777777777777",
                role,
                version: "2022-04-01"
            )
            try #require(given.status == 201, "\(given.text)")
            let run = try await place.coracle(Self.start + ["--pull-with", "identity=\(id)"])

            #expect(run.status == 0, "\(run.errors)")
            #expect(run.errors.contains("pull has a role that pulls from \(place.registry)"), "\(run.errors)")
            #expect(await place.page(run.output) == "page")
            let put = try #require(place.sent.last { $0.method == "PUT" })
            #expect(put.body.contains("\"identity\":\"\(id)\""))
            #expect(!put.body.contains("\"password\""))
        }
    }

    @Test("The template of --emit arm is one that the resource manager validates, foresees and deploys")
    func template() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            // What a template names has to be there: pushed, as a pipeline does.
            let image = "\(place.registry)/web:1"
            let push = try await place.coracle(["build", "-q", "--push", "-t", image] + ShellBase.flags + ["site"])
            try #require(push.status == 0, "\(push.errors)")
            let emitted = try await place.coracle([
                "deploy", "aci", image, "-g", "demo", "-n", "web", "--secure-env", "KEY", "--env", "MODE=[one]",
                "--emit", "arm", "--pull-with", "admin",
            ])
            try #require(emitted.status == 0, "\(emitted.errors)")
            let keys = try await place.arm(
                "POST",
                "Microsoft.ContainerRegistry/registries/testacr/listCredentials",
                version: "2023-07-01"
            )
            let password = try #require(try JSON(parsing: keys.text)["passwords"].array.first?["value"].string)
            let names = try JSON(parsing: emitted.output)["parameters"].keys
            let holder = try #require(names.first { $0.hasSuffix("Password") }, "\(names)")
            let body = """
                {"properties": {"mode": "Incremental", "template": \(emitted.output), "parameters":
                {"webKey": {"value": "v"}, "\(holder)": {"value": "\(password)"}}}}
                """
            let deployment = "Microsoft.Resources/deployments/web"

            let validated = try await place.arm("POST", "\(deployment)/validate", body, version: "2024-03-01")
            #expect(validated.status == 200, "\(validated.text)")
            let foreseen = try await place.arm("POST", "\(deployment)/whatIf", body, version: "2024-03-01")
            #expect(foreseen.status == 202, "\(foreseen.text)")
            let result = try #require(foreseen["Location"]?.components(separatedBy: "127.0.0.1").last)
            let path = String(result.drop { $0 != "/" })
            let changes = try await place.arm("GET", path, version: "2024-03-01")
            #expect(
                try JSON(parsing: changes.text)["properties"]["changes"].array.first?["changeType"].string == "Create"
            )
            let made = try await place.arm("PUT", deployment, body, version: "2024-03-01")
            #expect(made.status == 201, "\(made.text)")
            var state = ""
            for _ in 0..<300 where !["Succeeded", "Failed"].contains(state) {
                let seen = try await place.arm("GET", deployment, version: "2024-03-01")
                state = try JSON(parsing: seen.text)["properties"]["provisioningState"].string ?? ""
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(state == "Succeeded")
            let list = try await place.coracle(["ps", "-g", "demo", "--format", "json"])
            let url = try JSON(parsing: list.output)["deployments"].array.first?["url"].string ?? ""
            #expect(await place.page(url) == "page", "\(list.output)")
        }
    }

    @Test("Everything that coracle sends to the resource manager has a schema, and matches it")
    func bodies() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let key = try place.home.write("key", "s3cret-of-the-app").path
            let git = try #require(Program.named("git"))
            let repository = place.root.appending(path: "repository")
            try place.write("repository/file", "of git")
            for words in [
                ["init", "-q"], ["add", "file"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"],
            ] {
                #expect(try Program.run(words, of: git, in: repository).status == 0)
            }
            let flags = [
                "--volume", "type=emptyDir,name=scratch,target=/scratch",
                "--volume", "type=secret,name=certs,target=/certs,tls.key=file:\(key)",
                "--volume", "type=azureFile,name=share,target=/data,share=s,account=a,key=env:KEY",
                "--volume", "type=gitRepo,name=source,target=/src,repository=\(repository.path),directory=.",
                "--secure-env", "KEY", "--env", "MODE=one", "--zone", "1", "--dns-label", "my-own-site",
                "--identity", "system", "--cpu", "1", "--cpu-limit", "1", "--memory", "1.5", "--memory-limit", "1.5",
                "--restart-policy", "on-failure", "--liveness", "http:8080/,delay=1", "--readiness", "exec:true",
                "--tag", "team=blue",
            ]
            let run = try await place.coracle(Self.start + flags)
            try #require(run.status == 0, "\(run.errors)")
            let inside = try await place.coracle(
                ["exec", "-g", "demo", "--name", "web", "sh", "-c", "cat /src/file /certs/tls.key | wc -c"]
            )
            #expect(inside.output.contains("23"), "\(inside.output)\(inside.errors)")
            for words in [["stop"], ["start"], ["down"]] {
                let done = try await place.coracle(words + ["-g", "demo", "--name", "web"])
                #expect(done.status == 0, "\(done.errors)")
            }

            // A group without secrets, in a subnet; then a tag alone.
            let subnet =
                "/subscriptions/\(AzurePlace.subscription)/resourceGroups/demo/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
            let network = ["--subnet", subnet, "--ip", "private", "--pull-with", "anonymous"]
            let anonymous = try await place.arm(
                "PATCH",
                "Microsoft.ContainerRegistry/registries/testacr",
                #"{"properties": {"anonymousPullEnabled": true}}"#,
                version: "2023-07-01"
            )
            #expect(anonymous.status < 300, "\(anonymous.text)")
            let words =
                ["deploy", "aci", "./site", "--registry", "testacr", "-g", "demo", "-n", "inner"] + ShellBase.flags
            let inner = try await place.coracle(words + network)
            try #require(inner.status == 0, "\(inner.errors)")
            #expect(await place.page(inner.output) == "page", "a private address, which is the machine's here")
            let tagged = try await place.coracle(words + ["--pull-with", "anonymous", "--tag", "a=b"])
            #expect(tagged.status == 0, "\(tagged.errors)")
            #expect(tagged.errors.contains("change inner in place"), "\(tagged.errors)")

            let kinds = Set(place.sent.map { $0.method + ($0.target.contains("/exec?") ? " exec" : "") })
            #expect(kinds == ["PUT", "PATCH", "POST exec"], "each of them is looked at when the place is left")
        }
    }

    @Test("A second up restarts nothing; a password is renewed where it is named; what is stopped starts")
    func again() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let up = ["up", "site", "-g", "demo", "--registry", "testacr"] + ShellBase.flags
            let first = try await place.coracle(up)
            try #require(first.status == 0, "\(first.errors)")

            let second = try await place.coracle(["up"])
            #expect(second.status == 0, "\(second.errors)")
            #expect(second.errors.contains("site is as it should be: nothing to do"), "\(second.errors)")
            #expect(second.output == first.output)
            let renewed = try await place.coracle(["up", "--pull-with", "service-principal"])
            #expect(renewed.errors.contains("the password of \(AzurePlace.client)"), "\(renewed.errors)")
            let third = try await place.coracle(["up"])
            #expect(third.errors.contains("nothing to do"), "what is remembered renews nothing: \(third.errors)")

            #expect(try await place.coracle(["stop"]).status == 0)
            let woken = try await place.coracle(["up"])
            #expect(woken.errors.contains("  ~ state: stopped -> running"), "\(woken.errors)")
            #expect(await place.page(woken.output) == "page")
        }
    }

    @Test("ps says in one document what runs here and what is deployed, and is calm about what is down")
    func list() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let up = try await place.coracle(["up", "site", "-g", "demo", "--registry", "testacr"] + ShellBase.flags)
            try #require(up.status == 0, "\(up.errors)")

            let both = try JSON(parsing: try await place.coracle(["ps", "--format", "json"]).output)
            #expect(both["version"].int == 1)
            #expect(both["containers"].array.isEmpty)
            #expect(both["deployments"].array.map { $0["name"].string } == ["site"])
            let local = try JSON(parsing: try await place.coracle(["ps", "--local", "--format", "json"]).output)
            #expect(local["deployments"].isNull)

            #expect(try await place.coracle(["down"]).status == 0)
            let down = try await place.coracle(["ps"])
            #expect(down.status == 0, "\(down.errors)")
            #expect(down.errors.contains("site is not deployed: coracle up"))
            let empty = try JSON(parsing: try await place.coracle(["ps", "--format", "json"]).output)
            #expect(empty["deployments"].array.isEmpty)
        }
    }
}

extension AzurePlace {
    /// Follows the log of a deployment once it is there.
    fileprivate func following() async throws -> Program {
        for _ in 0..<300 {
            let list = try await coracle(["ps", "-g", "demo", "--format", "json"])
            if list.output.contains("\"state\": \"Running\"") { break }
            try await Task.sleep(for: .milliseconds(100))
        }
        return try await coracle(["logs", "-f", "-g", "demo", "--name", "site"])
    }
}
