// SPDX-License-Identifier: Apache-2.0
import Azure
import DockerfileSyntax
import OCI
import Testing

@testable import Deploy

@Suite("Compose projects as container groups")
struct ComposeGroupTests {
    @Test("Each service is a container, with what it says of itself")
    func containers() throws {
        var files = ComposeCase(
            """
            services:
              web:
                image: web
                ports: ["8080:8080", "53:53/udp", "127.0.0.1:9000:9000"]
                environment: {MODE: prod, DB_PASSWORD: hunter2, PLAIN: x}
                x-aci: {environment: {MODE: aci}, secure-environment: [PLAIN], cpu: 2}
                deploy: {resources: {limits: {cpus: "0.5", memory: 512M}, reservations: {memory: 100M}}}
                healthcheck: {test: [CMD, check], interval: 5s, start_period: 1m}
                secrets: [key]
                volumes: ["data:/data:ro"]
                restart: always
                domainname: my-web
              worker_one: {image: worker, restart: unless-stopped, command: [run], tmpfs: /work}
            secrets: {key: {environment: KEY}}
            volumes:
              data: {driver: azure_file, driver_opts: {share_name: share, storage_account_name: account}}
            """
        )
        files.environment = ["KEY": "s3cret"]
        let wish = try files.group().wish

        #expect(wish.isWhole)
        #expect(wish.containers.map(\.name) == ["web", "worker-one"])
        #expect((wish.restartPolicy, wish.dnsLabel) == ("Always", "my-web"))
        let web = wish.containers[0]
        #expect(web.ports?.map(\.description) == ["8080", "53/udp"], "what is for this machine only is not opened")
        #expect(
            web.environment == [
                .init("DB_PASSWORD", .secure(SecureText("hunter2"))), .init("PLAIN", .secure(SecureText("x"))),
                .init("MODE", .plain("aci")),
            ]
        )
        #expect((web.cpu, web.memory, web.cpuLimit, web.memoryLimit) == (2, 0.1, 0.5, 0.5))
        var probe = Probe(.command(["check"]))
        (probe.period, probe.timeout, probe.delay, probe.failures) = (5, 30, 60, 3)
        #expect(web.liveness == .probe(probe))
        #expect(
            web.mounts == [
                .init(volume: "volume-data", path: "/data", isReadOnly: true),
                .init(volume: "web-files-1", path: "/run/secrets", isReadOnly: true),
            ]
        )
        #expect(wish.containers[1].ports == [], "nothing that EXPOSE says is opened to the world")
        #expect(wish.containers[1].mounts.map(\.path) == ["/work"])
        let share = GroupWish.Volume.Content.share(name: "share", account: "account", key: nil, isReadOnly: false)
        #expect(wish.volumes.first { $0.name == "volume-data" }?.content == share)
        #expect(
            wish.volumes.first { $0.name == "web-files-1" }?.content == .files(["key": SecureText("czNjcmV0")])
        )
    }

    @Test(
        "Words are those of the image where the file says none",
        arguments: [
            ("command: [c]", ["e", "c"]), ("entrypoint: [n]", ["n"]),
            ("entrypoint: [n]\n    command: [c]", ["n", "c"]),
            ("command: []", ["e"]), ("entrypoint: []\n    command: [c]", ["c"]),
        ]
    )
    func commands(text: String, expected: [String]) throws {
        var group = try ComposeCase("services:\n  a:\n    image: x\n    \(text)\n").group()
        try group.take(ComposeCase.facts(entrypoint: ["e"], command: ["d"]), for: 0)

        #expect(group.wish.containers[0].command == expected)
    }

    @Test("Without words, those of the image stay; without a check, that of the image with the file's times")
    func defaults() throws {
        var group = try ComposeCase("services:\n  a:\n    image: x\n    healthcheck: {retries: 9}\n").group()
        try group.take(ComposeCase.facts(entrypoint: ["e"], health: "ok"), for: 0)

        #expect(group.wish.containers[0].command == nil)
        guard case .probe(let probe)? = group.wish.containers[0].liveness else {
            Issue.record("there is no probe")
            return
        }
        #expect((probe.failures, probe.period) == (9, 30))
    }

    @Test("A service without a program is an error with its line")
    func noProgram() throws {
        var group = try ComposeCase("services:\n  a:\n    image: x\n    entrypoint: []\n").group()

        let error = #expect(throws: ComposeError.self) {
            try group.take(ComposeCase.facts(command: ["c"]), for: 0)
        }
        #expect(error?.problems.map(\.diagnostic.message) == ["services.a has no program to run"])
    }

    @Test("What has to end before others begin runs before them")
    func initContainers() throws {
        let text = """
            services:
              migrate: {image: m, command: [go]}
              web: {image: w, depends_on: {migrate: {condition: service_completed_successfully}}}
            """
        let wish = try ComposeCase(text).group().wish

        #expect(wish.containers.map(\.name) == ["web"])
        #expect(wish.initContainers.map(\.name) == ["migrate"])
        let group = ContainerGroup.merging(wish, into: nil, name: "g")
        #expect(group.initContainers.map(\.name) == ["migrate"])
        #expect(group.initContainers[0].json["properties"]?["resources"] == nil)
        let errors = ComposeCase(
            text.replacing("{image: m,", with: "{image: m, depends_on: [db],") + "\n  db: {image: d}\n"
        )
        .errors(for: .aci)
        #expect(errors.count == 1)
        #expect(errors[0].contains("migrate has to end before the others begin, and wants db"))
    }

    @Test("The group is what the file says: what another deployment left goes")
    func whole() throws {
        let old = try ComposeCase(
            "services:\n  a: {image: x, environment: {OLD: \"1\"}, tmpfs: /t}\n  b: {image: y}\n"
        )
        .group().wish
        let new = try ComposeCase("services:\n  a: {image: x}\n").group().wish
        let first = ContainerGroup.merging(old, into: nil, name: "g")

        let second = ContainerGroup.merging(new, into: first, name: "g")

        #expect(first.containers.count == 2)
        #expect(second.containers.map(\.name) == ["a"])
        #expect(second.json["properties"]?["volumes"] == nil)
        #expect(second.containers[0].json["properties"]?["environmentVariables"] == nil)
    }

    @Test(
        "What a group cannot do is refused with its line, and says what to do",
        arguments: [
            (
                "ports: [\"80:8080\"]",
                "4:13: error: services.a.ports[0]: a container group opens the very port that its program listens on, so that 8080 cannot be reached at 80"
            ),
            ("user: nobody", "4:5: error: services.a.user: the user cannot be chosen"),
            ("working_dir: /x", "4:5: error: services.a.working_dir: the folder cannot be chosen"),
            ("privileged: true", "4:5: error: services.a.privileged: Container Instances has no privileged containers"),
            (
                "cap_add: [SYS_ADMIN]",
                "4:5: error: services.a.cap_add: Container Instances gives no capabilities beyond the usual ones"
            ),
            ("devices: [/dev/sda]", "4:5: error: services.a.devices: there are no devices of a host"),
            ("network_mode: host", "4:19: error: services.a.network_mode: there is no network \"host\" of a host"),
            ("network_mode: none", "4:19: error: services.a.network_mode: containers of a group have one network"),
            (
                "platform: linux/arm64",
                "4:15: error: services.a.platform: Container Instances runs linux/amd64, not linux/arm64"
            ),
            ("scale: 3", "4:12: error: services.a.scale: a container group has each container once, not 3 times"),
            (
                "volumes: [\"./x:/y\"]",
                "4:15: error: services.a.volumes[0]: a container group does not see x of this machine"
            ),
            (
                "volumes: [\"/var/run/docker.sock:/s\"]",
                "4:15: error: services.a.volumes[0]: there is no Docker engine to ask"
            ),
            (
                "deploy: {placement: {constraints: [x]}}",
                "4:14: error: services.a.deploy.placement: nodes are not chosen by Docker's labels"
            ),
            (
                "extra_hosts: [\"a=1.2.3.4\"]",
                "4:5: error: services.a.extra_hosts: names cannot be given to a container group"
            ),
            ("gpus: all", "4:5: error: services.a.gpus: there are no GPUs on Container Instances since July 2025"),
            (
                "post_start: [{command: x}]",
                "4:5: error: services.a.post_start: nothing is run in a container after its start"
            ),
            ("x-aci: {memry: 1}", "4:13: error: services.a.x-aci has no key \"memry\", did you mean \"memory\"?"),
        ]
    )
    func refused(text: String, expected: String) {
        let errors = ComposeCase("services:\n  a:\n    image: x\n    \(text)\n").errors(for: .aci)
        #expect(errors == ["compose.yaml:" + expected])
    }

    @Test(
        "What is harmless is told, and nothing else",
        arguments: [
            ("hostname: h", "services.a.hostname is left out: the group's containers share a name that Azure gives"),
            ("container_name: n", "services.a.container_name is left out: it is called like its service"),
            ("stop_grace_period: 5s", "services.a.stop_grace_period is left out: Azure decides how long it waits"),
            (
                "logging: {driver: syslog}",
                "services.a.logging is left out: logs are kept where coracle logs reads them"
            ),
            ("read_only: true", "services.a.read_only is left out: the root of its files stays writable"),
            ("tty: true", "services.a.tty is left out: nobody is at its terminal"),
            ("develop: {watch: []}", "services.a.develop is left out: it is about the machine that Compose runs on"),
            (
                "volumes: [/cache]",
                "services.a.volumes[0]: /cache is an empty folder of the group: it is empty whenever the group begins anew"
            ),
            ("restart: on-failure:3", "services.a.restart: it is tried without end"),
        ]
    )
    func harmless(text: String, expected: String) {
        let said = ComposeCase("services:\n  a:\n    image: x\n    \(text)\n").said(for: .aci)
        #expect(said.count == 1)
        #expect(said.first?.hasSuffix("warning: " + expected) == true, "\(said)")
    }

    @Test(
        "What says what would be anyway is not worth a word",
        arguments: [
            "privileged: false", "init: false", "tty: false", "stdin_open: false", "read_only: false", "cap_add: []",
            "network_mode: bridge", "ipc: private", "pull_policy: always", "scale: 1", "deploy: {mode: replicated}",
            "labels: {}", "extra_hosts: []", "stop_signal: SIGTERM", "attach: true", "platform: linux/amd64",
        ]
    )
    func usual(text: String) {
        #expect(ComposeCase("services:\n  a:\n    image: x\n    \(text)\n").said(for: .aci) == [])
    }

    @Test("Ports, restart policies and names that get into each other's way")
    func conflicts() {
        let ports = ComposeCase(
            "services:\n  a: {image: x, ports: [\"80:80\"]}\n  b: {image: x, expose: [80]}\n"
        )
        .errors(for: .aci)
        #expect(
            ports == [
                "compose.yaml:3:26: error: services.b.expose[0]: the port 80 is taken by a: containers of a group share one address"
            ]
        )
        let policies = ComposeCase(
            "services:\n  a: {image: x, restart: always}\n  b: {image: x, restart: \"no\"}\n"
        )
        .errors(for: .aci)
        #expect(
            policies == [
                "compose.yaml:3:26: error: services.b.restart: containers of a group have one restart policy; here it is Never, and for a (line 2) Always"
            ]
        )
    }

    @Test(
        "Who wants another by its name is told of localhost",
        arguments: ["db", "db:5432", "postgres://u:p@db:5432/x", "http://db/", "one,db:1"]
    )
    func names(value: String) {
        let said = ComposeCase(
            "services:\n  web:\n    image: x\n    environment:\n      HOST: \"\(value)\"\n  db: {image: y}\n"
        )
        .said(for: .aci)

        #expect(
            said == [
                "compose.yaml:5:7: warning: services.web.environment.HOST names db, which web reaches at localhost: containers of a group share one address, and have no names"
            ]
        )
    }

    @Test("Other texts name nobody", arguments: ["database", "mydb", "db.example.org", "/var/db", "db-1", "x db y"])
    func noNames(value: String) {
        let said = ComposeCase(
            "services:\n  web:\n    image: x\n    environment:\n      HOST: \"\(value)\"\n  db: {image: y}\n"
        )
        .said(for: .aci)

        #expect(said.count == 1)
        #expect(said.first?.contains("services reach each other at localhost") == true, "\(said)")
    }

    @Test("A config goes into a folder, as single files cannot be mounted")
    func configs() throws {
        let text = """
            services:
              a: {image: x, configs: [{source: c, target: /etc/app/app.conf}]}
            configs: {c: {file: ./app.conf}}
            """
        let files = ComposeCase(text, ["app.conf": "hello"])
        let wish = try files.group().wish

        #expect(wish.containers[0].mounts.map(\.path) == ["/etc/app"])
        #expect(wish.volumes[0].content == .files(["app.conf": SecureText("aGVsbG8=")]))
        #expect(files.said(for: .aci).map { $0.contains("what its image has there is hidden") } == [true])
        let root = ComposeCase(text.replacing("[{source: c, target: /etc/app/app.conf}]", with: "[c]"))
        #expect(root.errors(for: .aci).first?.contains("/c would need a volume at /") == true)
    }
}
