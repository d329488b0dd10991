// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import Testing

@testable import CoracleKit
@testable import Deploy

@Suite("Compose files as they are written")
struct ComposeFileTests {
    @Test("A fault points into the file, with what was probably meant")
    func caret() {
        #expect(
            ComposeCase("services:\n  web:\n    image: x\n    prots:\n      - 80\n").text() == """
                compose.yaml:4:5: error: services.web has no key "prots", did you mean "ports"?
                    4 |     prots:
                      |     ^~~~~

                """
        )
    }

    @Test(
        "What no file may be is said with line and key",
        arguments: [
            ("services:\n  a:\n    image: [x]\n", "3:12: error: services.a.image is a list, and has to be a text"),
            (
                "services:\n  a:\n    image: x\n    ports: 80\n",
                "4:12: error: services.a.ports is 80, and has to be a list"
            ),
            (
                "services:\n  a:\n    image: x\n    init: maybe\n",
                "4:11: error: services.a.init is \"maybe\", and has to be true or false"
            ),
            ("services:\n  a:\n    image: true\n", "3:12: error: services.a.image: true is no text"),
            ("services:\n  a: {image: x, image: y}\n", "2:7: error: \"image\" is there twice in one mapping"),
            (
                "services:\n  a:\n   image: x\n  image: y: z\n",
                "4:11: error: no YAML: mapping values are not allowed in this context"
            ),
            (
                "services:\n\ta: x\n",
                "2:1: error: no YAML: found character that cannot start any token while scanning for the next token"
            ),
            (
                "service:\n  a:\n    image: x\n",
                "1:1: error: a compose file has no key \"service\", did you mean \"services\"?"
            ),
            ("services: {}\n", "1:1: error: services: there is no service"),
            ("services:\n  a: {}\n", "2:3: error: services.a has neither image nor build"),
            ("services:\n  a:\n", "2:3: error: services.a is empty"),
            ("services:\n  a:\n    image: !foo x\n", "3:12: error: there is no tag !foo: only !reset and !override"),
            (
                "services:\n  a:\n    image: x\n    depends_on: [b]\n",
                "4:18: error: services.a.depends_on: there is no service \"b\""
            ),
            (
                "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
                "2:3: error: services.a.depends_on goes in a circle: a -> b -> a"
            ),
            (
                "services:\n  a:\n    image: x\n    depends_on: {a: {condition: healthy}}\n",
                "4:33: error: services.a.depends_on.a.condition \"healthy\" is none of service_started, service_healthy, service_completed_successfully"
            ),
            (
                "services:\n  a:\n    image: x\n    volumes: [data:/x]\n",
                "4:15: error: services.a.volumes[0]: there is no \"data\" among volumes"
            ),
            (
                "services:\n  a:\n    image: x\n    secrets: [s]\n",
                "4:15: error: services.a.secrets[0]: there is no \"s\" among secrets"
            ),
            (
                "services:\n  a:\n    image: x\n    ports: [\"80:90:x:y\"]\n",
                "4:13: error: services.a.ports[0] \"80:90:x:y\" is not a port: expected [[ADDRESS:]PUBLISHED:]PORT[/udp]"
            ),
            (
                "services:\n  a:\n    image: x\n    ports: [\"1-9:80\"]\n",
                "4:13: error: services.a.ports[0]: 9 published ports for 1, where any free one is taken"
            ),
            (
                "services:\n  a:\n    image: x\n    ports: [\"80/sctp\"]\n",
                "4:13: error: services.a.ports[0]: the protocol \"sctp\" is neither tcp nor udp"
            ),
            (
                "services:\n  a:\n    image: x\n    ports: [\"80:80\", \"80:81\"]\n",
                "4:22: error: services.a.ports[1]: the port 80 is published twice"
            ),
            (
                "services:\n  a:\n    image: x\n    volumes: [/x, /y, /x]\n",
                "4:23: error: services.a.volumes[2]: something is mounted at /x already, in line 4"
            ),
            (
                "services:\n  a:\n    image: x\n    volumes: [\"v:x\"]\nvolumes: {v: }\n",
                "4:15: error: services.a.volumes[0]: \"x\" is no absolute path of a folder in it"
            ),
            (
                "services:\n  a:\n    image: x\n    restart: never\n",
                "4:14: error: services.a.restart \"never\" is none of no, always, on-failure, unless-stopped"
            ),
            (
                "services:\n  a:\n    image: x\n    mem_limit: 5 apples\n",
                "4:16: error: services.a.mem_limit \"5 apples\" is not a size, as 512m or 2gb"
            ),
            (
                "services:\n  a:\n    image: x\n    healthcheck: {test: [curl]}\n",
                "4:25: error: services.a.healthcheck.test has to begin with CMD, CMD-SHELL and one text, or NONE"
            ),
            (
                "services:\n  a:\n    image: x\n    healthcheck: {test: x, interval: 5}\n",
                "4:38: error: services.a.healthcheck.interval \"5\" is not a length of time, as 1m30s"
            ),
            (
                "services:\n  a:\n    image: x\n    cpus: 1\n    deploy: {resources: {limits: {cpus: 2}}}\n",
                "4:11: error: services.a.cpus is 1, and services.a.deploy.resources.limits.cpus is 2"
            ),
            (
                "services:\n  a:\n    build: {context: ., dockerfile: D, dockerfile_inline: FROM x}\n",
                "3:25: error: services.a.build.dockerfile and dockerfile_inline are given both"
            ),
            (
                "services:\n  a:\n    image: x\nsecrets: {s: {}}\n",
                "4:11: error: secrets.s needs one of file or environment"
            ),
            (
                "services:\n  a:\n    image: x\nconfigs: {s: {external: true, file: x}}\n",
                "4:11: error: configs.s is external, and has file too"
            ),
            (
                "name: Big Name\nservices:\n  a:\n    image: x\n",
                "1:7: error: the project's name \"Big Name\" has to be of lower-case letters, digits, - and _, a letter or digit first"
            ),
            (
                "services:\n  a:\n    image: x\n    command: 'a \"b'\n",
                "4:14: error: services.a.command ends within quotes, or with a backslash"
            ),
        ]
    )
    func faults(text: String, expected: String) {
        #expect(ComposeCase(text).errors() == ["compose.yaml:" + expected])
    }

    @Test("All faults are told at once, in the order of the file")
    func all() {
        let said = ComposeCase("services:\n  a:\n    imag: x\n  b:\n    ports: {}\n    build: 1\n    xx: 1\n").errors()

        #expect(said.map { String($0.split(separator: ":")[1]) } == ["3", "5", "7"])
    }

    @Test("A file without end, and one that aliases make endless, are refused", arguments: [100, 400])
    func hostile(depth: Int) {
        let deep = "services: " + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        #expect(ComposeCase(deep).errors().count > 0)
        var bomb = "x-a: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        for level in 1...9 {
            let use = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
            bomb += "x-b\(level): &a\(level) [\(use)]\n"
        }
        let errors = ComposeCase(bomb + "services: {a: {image: x}}\n").errors()
        #expect(errors.count == 1)
        #expect(errors[0].hasSuffix("error: more values, or deeper ones, than any compose file has"))
    }

    @Test("Bytes that are no text are shown where they are")
    func noText() {
        var input = ComposeInput(files: ["compose.yaml"]) { path in
            path == "compose.yaml" ? Array("services:\n  a: ".utf8) + [0xFF, 0x0A] : nil
        }
        input.environment = [:]
        let error = #expect(throws: ComposeError.self) { try ComposeProject.read(input) }
        #expect(error?.problems.map(\.diagnostic.message) == ["not a text in UTF-8"])
        #expect(error?.problems.first?.place.range.start == 15)
    }

    @Test("Anchors, aliases and merge keys; what is explicit wins, and of several the first")
    func anchors() throws {
        let project = try ComposeCase(
            """
            x-one: &one {A: "1", B: "1"}
            x-two: &two {B: "2", C: "2"}
            services:
              a: &base
                image: x
                environment:
                  <<: [*one, *two]
                  C: "3"
              b:
                <<: *base
                image: y
            """
        )
        .project()

        for service in project.services {
            #expect(service.environment.map { "\($0.name)=\($0.value)" } == ["A=1", "B=1", "C=3"])
        }
        #expect(project.services.map(\.image) == ["x", "y"])
    }

    @Test("Short and long syntaxes say the same")
    func syntaxes() throws {
        let project = try ComposeCase(
            """
            services:
              short:
                image: x
                ports: ["8080:80", "127.0.0.1:53:53/udp", "9000-9001:9000-9001", "[::1]:6001:6001", 3000]
                volumes: ["v:/data:ro", "/anonymous"]
                configs: [c]
                secrets: [s]
                depends_on: [long]
                command: run --flag "two words"
                healthcheck: {test: curl -f x, interval: 1m30s}
                env_file: []
                tmpfs: /run:size=1m
              long:
                image: x
                ports:
                  - {target: 80, published: "8080"}
                  - {target: 53, published: 53, protocol: udp, host_ip: 127.0.0.1}
                  - {target: 9000, published: 9000}
                  - {target: 9001, published: 9001}
                  - {target: 6001, published: 6001, host_ip: "::1"}
                  - {target: 3000}
                volumes:
                  - {type: volume, source: v, target: /data, read_only: true}
                  - {type: volume, target: /anonymous}
                  - {type: tmpfs, target: /run, tmpfs: {size: 1048576}}
                configs: [{source: c, target: /c}]
                secrets: [{source: s, target: s}]
                command: [run, --flag, two words]
                healthcheck: {test: [CMD-SHELL, curl -f x], interval: 90s}
            volumes: {v: }
            configs: {c: {content: x}}
            secrets: {s: {environment: S}}
            """
        )
        .project()
        let (long, short) = (project.services[0], project.services[1])

        #expect((long.name, short.name) == ("long", "short"))
        let ports = { (service: ComposeService) in
            service.ports.map { "\($0.address ?? "") \($0.published ?? 0) \($0.text)" }
        }
        #expect(ports(short) == ports(long))
        #expect(ports(short)[1] == "127.0.0.1 53 53/udp")
        let mounts = { (service: ComposeService) in
            service.mounts.map { "\($0.kind) \($0.source ?? "") \($0.target) \($0.isReadOnly) \($0.size ?? 0)" }
        }
        #expect(mounts(short) == mounts(long))
        #expect(short.configs.map(\.target) == long.configs.map(\.target))
        #expect(short.secrets.map(\.target) == ["/run/secrets/s"])
        #expect(long.secrets.map(\.target) == ["/run/secrets/s"])
        #expect(short.command == long.command)
        #expect(short.health == long.health)
    }

    @Test("Profiles choose services; what a wanted one needs has to be wanted")
    func profiles() throws {
        let text = """
            services:
              foo: {image: foo}
              bar: {image: bar, profiles: [test]}
              baz: {image: baz, depends_on: [bar], profiles: [test]}
              zot: {image: zot, depends_on: [bar], profiles: [debug]}
            """
        let names = { (profiles: Set<String>) throws -> [String] in
            var files = ComposeCase(text)
            files.profiles = profiles
            return try files.project().services.map(\.name)
        }

        #expect(try names([]) == ["foo"])
        #expect(try names(["test"]) == ["foo", "bar", "baz"])
        #expect(try names(["test", "debug"]) == ["foo", "bar", "baz", "zot"])
        #expect(try names(["*"]) == ["foo", "bar", "baz", "zot"])
        var files = ComposeCase(text)
        files.profiles = ["debug"]
        #expect(
            files.errors() == [
                "compose.yaml:5:34: error: services.zot.depends_on: bar is of the profile test, which is not active"
            ]
        )
    }

    @Test("The project's name is known to its variables")
    func name() throws {
        var files = ComposeCase("name: ${WHO}-shop\nservices:\n  a: {image: \"${COMPOSE_PROJECT_NAME}/x\"}\n")
        files.environment = ["WHO": "my"]
        let project = try files.project()

        #expect(project.name == "my-shop")
        #expect(project.services[0].image == "my-shop/x")
    }
}
