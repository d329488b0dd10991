// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// An emulated Azure, in a process of its own, with a resource group and a registry; and a folder that coracle is run in.
final class AzurePlace: Sendable {
    private let home: TemporaryFolder
    private let process: ServerProcess
    private let port: Int
    let root: URL
    let registry: String
    /// Everything that coracle printed.
    let printed = Mutex("")

    /// What must never be printed or kept.
    static let secrets = ["emulated-secret", "s3cret-of-the-app", "another-s3cret"]

    private init(_ more: [String]) async throws {
        home = try TemporaryFolder()
        root = home.url.appending(path: "work")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let program = Program.coracle.deletingLastPathComponent().appending(path: "coracle-azure-emulator")
        var flags = [
            "--plain-http", "--folder", home.url.appending(path: "azure").path, "--resource-group", "demo",
            "--registry", "testacr", "--record", home.url.appending(path: "requests").path,
        ]
        flags += more
        if let schemas = JSONSchema.azure { flags += ["--specs", schemas.path] }
        let process = try await ServerProcess([program.path] + flags, readyAt: "REGISTRY_testacr=127.0.0.1:")
        self.process = process
        port = try process.port(after: "http://")
        registry = "127.0.0.1:\(try process.port(after: "REGISTRY_testacr="))"
    }

    /// Runs while a function does; then what was sent and printed is looked at.
    static func run(_ flags: [String] = [], _ body: (AzurePlace) async throws -> Void) async throws {
        let place = try await AzurePlace(flags)
        try await body(place)
        try place.check()
    }

    private var environment: [String: String] {
        [
            "HOME": home.url.path, "CORACLE_STORE": home.url.appending(path: "store").path,
            "AZURE_CLIENT_ID": "33333333-3333-4333-8333-333333333333", "AZURE_CLIENT_SECRET": "emulated-secret",
            "AZURE_TENANT_ID": "11111111-1111-4111-8111-111111111111",
            "AZURE_SUBSCRIPTION_ID": "22222222-2222-4222-8222-222222222222",
            "CORACLE_AZURE_CLOUD": "http://127.0.0.1:\(port)", "CORACLE_AZURE_POLL_MS": "200",
            "KEY": "s3cret-of-the-app",
        ]
    }

    /// Plans that something goes wrong.
    func fail(_ fault: String) async throws {
        let answer = try await Wire.ask("POST", "/_emulator/faults", port: port, body: Array(fault.utf8))
        try #require(answer.status == 201, "\(answer.text)")
    }

    /// Runs coracle, on a thread of its own as it blocks.
    func coracle(_ words: [String], _ more: [String: String] = [:]) async throws -> Program {
        let (root, environment) = (root, environment.merging(more) { $1 })
        let program = try await offPool { try Program.run(words, in: root, environment: environment) }
        printed.withLock { $0 += program.output + program.errors }
        return program
    }

    /// Forgets what was printed, where a container printed a secret of its own as it was told to.
    func forget() { printed.withLock { $0 = "" } }

    /// A web site: a page, on a small server.
    func site(_ page: String, command: String = #"["httpd", "-f", "-p", "8080", "-h", "/srv"]"#) throws {
        let text = "FROM busybox\nCOPY index.html /srv/\nEXPOSE 8080\nCMD \(command)\n"
        for (name, content) in [("Dockerfile", text), ("index.html", page)] {
            let file = root.appending(path: "site/\(name)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try Data(content.utf8).write(to: file)
        }
    }

    /// What a URL answers with; `nil` where nobody does.
    func page(_ url: String) async -> String? {
        let url = url.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let busybox = ShellBase.program, !url.isEmpty else { return nil }
        let answer = try? await offPool { try Program.run(["wget", "-q", "-O", "-", url], of: busybox) }
        return answer.flatMap { $0.status == 0 ? $0.output : nil }
    }

    /// Every body that was sent to the resource manager matches its schema, and no secret is anywhere.
    private func check() throws {
        let text = (try? String(contentsOf: home.url.appending(path: "requests"), encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2).map { String($0) }
            guard words.count == 3, words[0] == "PUT", words[1].contains("/containerGroups/"),
                let folder = JSONSchema.azure,
                let range = words[1].range(of: "api-version=")
            else { continue }
            let name = "containerinstance-containerGroups-\(words[1][range.upperBound...]).json"
            let faults = try JSONSchema(folder.appending(path: "request-schemas/\(name)")).faults(of: words[2])
            #expect(faults == [], "\(words[1])")
        }
        let config = (try? String(contentsOf: root.appending(path: "coracle.yaml"), encoding: .utf8)) ?? ""
        for secret in Self.secrets {
            #expect(!printed.withLock { $0.contains(secret) }, "coracle printed \(secret)")
            #expect(!config.contains(secret), "coracle.yaml holds \(secret)")
            let found = try Program.run(["-rlF", secret, "store"], of: URL(filePath: "/bin/grep"), in: home.url)
            #expect(found.output == "", "the store holds \(secret)")
        }
    }
}

/// Whether containers can be run here, within this process.
enum Containers {
    static let canRun: Bool = {
        let can = geteuid() == 0 && ShellBase.program != nil
        if !can { print("AZURE DEPLOYMENTS SKIPPED: they run containers as root") }
        return can
    }()
}

@Suite("Deploying to an emulated Azure", .serialized, .enabled(if: Containers.canRun))
struct DeployVerbTests {
    @Test("From a Dockerfile to a page, to the next, back from one that does not work, and down")
    func whole() async throws {
        try await AzurePlace.run { place in
            try place.site("one")
            let flags = ["--registry", "testacr", "--secure-env", "KEY", "--env", "MODE=one"]
            let first = try await place.coracle(["up", "site", "-g", "demo"] + flags + ShellBase.flags)

            try #require(first.status == 0, "\(first.errors)")
            let url = first.output
            #expect(await place.page(url) == "one")
            #expect(first.errors.contains("create site: site from \(place.registry)/site@sha256:"))

            try place.site("two")
            let second = try await place.coracle(["up"])

            try #require(second.status == 0, "\(second.errors)")
            #expect(second.errors.contains("change site: all its containers start again"))
            #expect(await place.page(second.output) == "two")

            try place.site("three", command: #"["sh", "-c", "echo no database; exit 3"]"#)
            let third = try await place.coracle(["up"])

            #expect(third.status == 5)
            #expect(third.errors.contains("site ended with exit code 3"), "\(third.errors)")
            #expect(third.errors.contains("no database"))
            #expect(third.errors.contains("runs again"), "\(third.errors)")
            #expect(await place.page(second.output) == "two", "the last good image runs again")

            let list = try await place.coracle(["ps"])
            #expect(list.output.contains("running"), "\(list.output)")
            let logs = try await place.coracle(["logs"])
            #expect(logs.status == 0)
            #expect(logs.errors.contains("deployment site in the resource group demo, from coracle.yaml"))
            let inside = try await place.coracle(["exec", "sh", "-c", "cat /srv/index.html; exit 4"])
            #expect(inside.output == "two")
            #expect(inside.status == 4, "\(inside.errors)")
            #expect(try await place.coracle(["stop"]).output == "site\n")
            #expect(await place.page(second.output) == nil)
            let started = try await place.coracle(["start"])
            #expect(started.status == 0, "\(started.errors)")
            #expect(try await place.coracle(["down"]).output == "site\n")
            #expect(try await place.coracle(["down"]).errors.contains("there was no site"))
        }
    }

    @Test("The admin user pushes and pulls")
    func admin() async throws {
        try await AzurePlace.run { place in
            try place.site("admin")
            let run = try await place.coracle(
                ["deploy", "aci", "./site", "-g", "demo", "-n", "web", "--registry", "testacr", "--azure", "admin"]
                    + ["--pull-with", "admin", "--json"] + ShellBase.flags
            )

            try #require(run.status == 0, "\(run.errors)")
            #expect(run.errors.contains("gives it to user \"testacr\""), "\(run.errors)")
            let url = try JSON(parsing: run.output)["url"].string ?? ""
            #expect(await place.page(url) == "admin")
        }
    }

    @Test("What is not mentioned stays, and secrets are asked for again")
    func merging() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let place2 = ["-g", "demo", "-n", "web", "--registry", "testacr"]
            let flags = [
                "--env", "MODE=one", "--secure-env", "KEY", "--tag", "team=blue", "--cpu", "0.5", "--memory", "0.5",
                "--volume", "type=emptyDir,name=scratch,target=/scratch", "--dns-label", "my-own-site",
                "--container",
                "name=side,image=\(place.registry)/web:latest,port=9090,cpu=0.5,memory=0.5,command=sleep 1000",
            ]
            // The sidecar's image has to be there first.
            let push = try await place.coracle(
                ["build", "-q", "-t", "\(place.registry)/web:latest", "--push"] + ShellBase.flags + ["site"]
            )
            try #require(push.status == 0, "\(push.errors)")
            let first = try await place.coracle(["deploy", "aci", "./site"] + place2 + flags + ShellBase.flags)
            try #require(first.status == 0, "\(first.errors)")

            try place.site("next")
            let lost = try await place.coracle(["deploy", "aci", "./site"] + place2 + ShellBase.flags)
            #expect(lost.status == 2)
            #expect(
                lost.errors.contains(
                    "Azure keeps secrets to itself, so that these must be given again: the secure variable KEY of the container web"
                ),
                "\(lost.errors)"
            )

            let again = ["--secure-env", "KEY", "--env", "MODE=two", "--dry-run", "--json"]
            let plan = try await place.coracle(["deploy", "aci", "./site"] + place2 + again + ShellBase.flags)
            try #require(plan.status == 0, "\(plan.errors)")
            let json = try JSON(parsing: plan.output)
            #expect(json["action"].string == "restart")
            let group = json["group"]
            #expect(group["tags"]["team"].string == "blue")
            #expect(group["properties"]["containers"].array.count == 2)
            #expect(group["properties"]["volumes"].array.count == 1)
            #expect(group["properties"]["ipAddress"]["dnsNameLabel"].string == "my-own-site")
            let main = group["properties"]["containers"].array[0]["properties"]
            #expect(main["environmentVariables"].array.map { $0["value"].string } == ["two", nil])
            #expect(main["resources"]["requests"]["cpu"].raw as? Double == 0.5)
        }
    }

    @Test("Templates and plans change nothing, push nothing, and hold no secret")
    func templates() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let flags = ["-g", "demo", "-n", "web", "--registry", "testacr", "--secure-env", "KEY"] + ShellBase.flags
            for mode in [["--emit", "arm"], ["--emit", "bicep"], ["--emit", "az"], ["--dry-run"]] {
                let run = try await place.coracle(["deploy", "aci", "./site"] + flags + mode)
                #expect(run.status == 0, "\(run.errors)")
                #expect(!run.output.isEmpty)
            }
            let list = try await place.coracle(["ps", "-g", "demo"])
            #expect(!list.output.contains("web"), "\(list.output)")
            let tags = try await place.coracle(["registry", "tags", "\(place.registry)/web"])
            #expect(tags.status != 0 || tags.output == "")
        }
    }

    @Test("What would fail is said before anything is changed")
    func preflight() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let start = ["deploy", "aci", "./site", "--registry", "testacr"] + ShellBase.flags
            let absent = try await place.coracle(start + ["-g", "absent", "-n", "web"])
            #expect(absent.status == 5)
            #expect(
                absent.errors.contains("nothing was changed: there is no resource group absent"),
                "\(absent.errors)"
            )
            #expect(absent.errors.contains("az group create --name absent"))

            let name = try await place.coracle(start + ["-g", "demo", "-n", "Web_1"])
            #expect(name.errors.contains("lower-case letters, digits and dashes"), "\(name.errors)")

            let image = try await place.coracle([
                "deploy", "aci", "\(place.registry)/none:1", "-g", "demo", "-n", "web", "--pull-with",
                "service-principal",
            ])
            #expect(image.status == 4)
            #expect(image.errors.contains("has no image \(place.registry)/none:1"), "\(image.errors)")

            let wrong = try await place.coracle(
                ["deploy", "aci", "\(place.registry)/none:1", "-g", "demo", "-n", "web", "--pull-with", "user=nobody"],
                ["CORACLE_PULL_PASSWORD": "another-s3cret"]
            )
            #expect(wrong.status == 3)
            #expect(wrong.errors.contains("Container Instances would pull"), "\(wrong.errors)")
        }
    }

    @Test("What Azure refuses is said, and what passes is waited for")
    func faults() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            let start =
                ["deploy", "aci", "./site", "--registry", "testacr", "-g", "demo", "-n", "web"] + ShellBase.flags
            try await place.fail(#"{"fault": "inaccessibleImage"}"#)
            let image = try await place.coracle(start)
            #expect(image.status == 5)
            #expect(image.errors.contains("InaccessibleImage"), "\(image.errors)")

            try await place.fail(#"{"fault": "transitioning", "method": "PUT", "path": "containerGroups"}"#)
            try await place.fail(#"{"fault": "throttled", "method": "PUT", "path": "containerGroups"}"#)
            let busy = try await place.coracle(start)
            #expect(busy.status == 0, "\(busy.errors)")
            #expect(await place.page(busy.output) == "page")

            let cpu = try await place.coracle(start + ["--cpu", "2"])
            #expect(cpu.status == 2)
            #expect(cpu.errors.contains("--recreate"), "\(cpu.errors)")
            let anew = try await place.coracle(start + ["--cpu", "2", "--recreate"])
            #expect(anew.status == 0, "\(anew.errors)")
            #expect(await place.page(anew.output) == "page")
        }
    }

    @Test("A name is that of a container of this machine first, and what it means is said")
    func names() async throws {
        try await AzurePlace.run { place in
            let unknown = try await place.coracle(["logs", "nothing"])
            #expect(unknown.status == 2)
            let none = try await place.coracle(["logs"])
            #expect(
                none.errors.contains("there is no name, and no coracle.yaml here that names a deployment"),
                "\(none.errors)"
            )
            try Data("name: web\nresource-group: demo\n".utf8).write(to: place.root.appending(path: "coracle.yaml"))
            let known = try await place.coracle(["logs", "nothing"])
            #expect(known.errors.contains("coracle.yaml names the deployment \"web\""), "\(known.errors)")
            let web = try await place.coracle(["logs", "web"])
            #expect(web.errors.contains("there is no container group web in demo"), "\(web.errors)")
        }
    }
}
