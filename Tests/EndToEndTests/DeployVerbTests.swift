// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// Whether containers can be run here, within this process.
enum Containers {
    static let canRun: Bool = {
        let can = geteuid() == 0 && ShellBase.program != nil
        if !can { print("AZURE DEPLOYMENTS SKIPPED: they run containers as root") }
        return can
    }()
}

@Suite("Deploying to an emulated Azure", .serialized, .waiting, .enabled(if: Containers.canRun))
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
            #expect(await place.answer(second.output) == nil)
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

            let up = try await place.coracle(["up", "site", "-g", "absent"] + ShellBase.flags)
            #expect(up.errors.contains("(ResourceGroupNotFound)"), "\(up.errors)")
            #expect(up.errors.contains("az group create --name absent"), "\(up.errors)")
            let volume = try await place.coracle(start + ["-g", "demo", "-n", "web", "--volume", "none:/x"])
            #expect(volume.status == 2, "\(volume.errors)")
            #expect(volume.errors.contains("mounts the volume \"none\", which the group does not have"))
            let nowhere = try await place.coracle(["deploy", "aci", "127.0.0.1:9/app:1", "-g", "demo", "-n", "web"])
            #expect(nowhere.status == 4, "\(nowhere.errors)")
            #expect(nowhere.errors.contains("127.0.0.1:9"), "\(nowhere.errors)")

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
