// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

@Suite(
    "Container groups that run",
    .serialized,
    .waiting,
    .enabled(if: ShellImage.canRun, "no busybox, or not root")
)
struct ContainerGroupTests {
    private func state(_ group: JSON, _ container: Int = 0) -> JSON {
        group["properties"]["containers"].array[container]["properties"]["instanceView"]["currentState"]
    }

    private func isDone(_ group: JSON) -> Bool {
        group["properties"]["containers"].array
            .allSatisfy {
                $0["properties"]["instanceView"]["currentState"]["state"].string == "Terminated"
            }
    }

    private func put(_ azure: Emulating, _ name: String, _ body: String) async throws -> Wire.Reply {
        try await azure.arm("PUT", "\(Emulating.container)/\(name)", body)
    }

    @Test("A web server answers at the group's address, and is gone with the group")
    func answers() async throws {
        let azure = try await Emulating(ShellImage.flags)
        let server = ShellImage.container(
            "web",
            "mkdir /www && echo \"$GREETING of $WHO\" > /www/index.html && exec httpd -f -v -p 8080 -h /www",
            more: """
                "ports": [{"port": 8080}], "environmentVariables":
                [{"name": "GREETING", "value": "page"}, {"name": "WHO", "secureValue": "nobody-knows"}]
                """
        )
        let address =
            "\"ipAddress\": {\"type\": \"Public\", \"dnsNameLabel\": \"my-web\", \"ports\": [{\"port\": 8080}]}"

        let made = try await put(azure, "web", ShellImage.group([server], more: address))
        let group = try await azure.group("web") { $0["properties"]["provisioningState"].string == "Succeeded" }

        #expect(made.status == 201)
        #expect(made["Azure-AsyncOperation"]?.contains("/locations/westeurope/operations/") == true)
        let properties = group["properties"]
        #expect(properties["instanceView"]["state"].string == "Running")
        #expect(properties["ipAddress"]["fqdn"].string == "my-web.westeurope.azurecontainer.localhost")
        let ip = try #require(properties["ipAddress"]["ip"].string)
        let page = try Program.run(
            ["--silent", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "http://\(ip):8080/"],
            of: URL(filePath: "/usr/bin/curl")
        )
        #expect(page.output == "page of nobody-knows\n", "\(page.errors)")
        try await Waiting.until("the server's log") { try await azure.logs("web", "web").contains("response:200") }
        let shown = try await azure.arm("GET", "\(Emulating.container)/web").text
        #expect(!shown.contains("nobody-knows"), "a secret never comes back")
        #expect(!azure.log.contains("nobody-knows"))

        #expect(try await azure.arm("DELETE", "\(Emulating.container)/web").status == 200)
        #expect(try await azure.arm("GET", "\(Emulating.container)/web").status == 404)
        #expect(try await azure.arm("DELETE", "\(Emulating.container)/web").status == 204)
    }

    @Test("What runs once tells its exit code and keeps its last words", arguments: [0, 7])
    func exitCodes(code: Int) async throws {
        let azure = try await Emulating(ShellImage.flags)
        let job = ShellImage.container("job", "echo out; echo err >&2; exit \(code)")

        _ = try await put(azure, "job", ShellImage.group([job], policy: "Never"))
        let group = try await azure.group("job", when: isDone)

        #expect(state(group)["exitCode"].int == code)
        #expect(state(group)["detailStatus"].string == (code == 0 ? "Completed" : "Error"))
        #expect(group["properties"]["instanceView"]["state"].string == (code == 0 ? "Succeeded" : "Failed"))
        #expect(Set(try await azure.logs("job", "job").split(separator: "\n")) == ["out", "err"])
        #expect(try await azure.logs("job", "job", query: "?tail=1").split(separator: "\n").count == 1)
        #expect(try await azure.logs("job", "job", query: "?timestamps=true").contains("Z out"))
    }

    @Test("What fails is started again, and its restarts are counted")
    func restarts() async throws {
        let azure = try await Emulating(ShellImage.flags)
        let job = ShellImage.container("job", "exit 3")

        _ = try await put(azure, "job", ShellImage.group([job], policy: "OnFailure"))
        let group = try await azure.group("job") { group in
            (group["properties"]["containers"].array.first?["properties"]["instanceView"]["restartCount"].int ?? 0) >= 2
        }

        let view = try #require(group["properties"]["containers"].array.first)["properties"]["instanceView"]
        #expect((view["restartCount"].int ?? 0) >= 2)
        #expect(view["previousState"]["exitCode"].int == 3 || view["currentState"]["exitCode"].int == 3)
        #expect(view["events"].array.contains { $0["name"].string == "BackOff" })
    }

    @Test("Containers of a group share localhost and volumes, and wait for init containers")
    func together() async throws {
        let azure = try await Emulating(ShellImage.flags)
        let mounts =
            "\"volumeMounts\": [{\"name\": \"shared\", \"mountPath\": \"/s\"}, {\"name\": \"keys\", \"mountPath\": \"/k\"}]"
        let first = ShellImage.container("first", "echo ready > /s/init", more: mounts)
            .replacingOccurrences(of: "\"resources\": {\"requests\": {\"cpu\": 0.5, \"memoryInGB\": 0.5}}, ", with: "")
        let server = ShellImage.container(
            "server",
            "cat /s/init /k/key > /s/index.html; exec httpd -f -p 81 -h /s",
            more: mounts
        )
        let reader = ShellImage.container(
            "reader",
            "until wget -q -O - http://127.0.0.1:81/; do sleep 0.1; done; touch /k/x || echo fixed; sleep 1000"
        )
        let more = """
            "initContainers": [\(first)],
            "volumes": [{"name": "shared", "emptyDir": {}}, {"name": "keys", "secret": {"key": "b3Blbgo="}}]
            """

        let made = try await put(
            azure,
            "pair",
            ShellImage.group(
                [server, reader.replacingOccurrences(of: "\"resources\"", with: "\(mounts), \"resources\"")],
                more: more
            )
        )
        #expect(made.status == 201, "\(made.text)")
        var said = ""
        for _ in 0..<200 where !said.contains("fixed") {
            said = try await azure.logs("pair", "reader")
            try await Task.sleep(for: .milliseconds(100))
        }

        #expect(said.contains("ready\nopen\n"))
        #expect(said.contains("fixed"), "secrets cannot be written to: \(said)")
        #expect(!made.text.contains("b3Blbgo="))
    }

    @Test("A container that its liveness probe finds dead is started again")
    func probes() async throws {
        let azure = try await Emulating(ShellImage.flags)
        let probe = """
            "livenessProbe": {"exec": {"command": ["/bin/sh", "-c", "test -e /alive"]}, "periodSeconds": 1, "failureThreshold": 1}
            """
        let job = ShellImage.container("job", "echo start; sleep 1000", more: probe)

        _ = try await put(azure, "job", ShellImage.group([job]))
        let group = try await azure.group("job") { group in
            (group["properties"]["containers"].array.first?["properties"]["instanceView"]["restartCount"].int ?? 0) >= 1
        }

        let events = group["properties"]["containers"].array[0]["properties"]["instanceView"]["events"].array
        #expect(events.contains { $0["message"].string?.hasPrefix("Liveness probe failed") == true })
    }

    @Test("A program that is not there is said in the events, and the group exists all the same")
    func missingProgram() async throws {
        let azure = try await Emulating(ShellImage.flags)
        let body = ShellImage.group([ShellImage.container("job", "true")], policy: "Never")
            .replacingOccurrences(of: "[\"/bin/sh\", \"-c\", \"true\"]", with: "[\"/no/such\"]")

        _ = try await put(azure, "job", body)
        let group = try await azure.group("job", when: isDone)

        let view = group["properties"]["containers"].array[0]["properties"]["instanceView"]
        #expect(view["currentState"]["exitCode"].int == 128)
        #expect(view["events"].array.contains { $0["message"].string?.contains("/no/such") == true })
    }

    @Test("Stopped and started again, a group keeps its name and loses its address in between")
    func stopped() async throws {
        let azure = try await Emulating(ShellImage.flags)
        let more = "\"ipAddress\": {\"type\": \"Public\", \"ports\": [{\"port\": 8081}]}"
        let web = ShellImage.container(
            "web",
            "echo begun; exec httpd -f -p 8081",
            more: "\"ports\": [{\"port\": 8081}]"
        )
        _ = try await put(azure, "web", ShellImage.group([web], more: more))
        _ = try await azure.group("web") { $0["properties"]["provisioningState"].string == "Succeeded" }

        #expect(try await azure.arm("POST", "\(Emulating.container)/web/stop").status == 204)
        let stopped = try await azure.group("web") { $0["properties"]["instanceView"]["state"].string == "Stopped" }
        #expect(stopped["properties"]["ipAddress"]["ip"].isNull)

        #expect(try await azure.arm("POST", "\(Emulating.container)/web/start").status == 202)
        let started = try await azure.group("web") { $0["properties"]["instanceView"]["state"].string == "Running" }
        #expect(started["properties"]["ipAddress"]["ip"].string?.hasPrefix("127.77.") == true)
    }
}
