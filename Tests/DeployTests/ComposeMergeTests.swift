// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Deploy

@Suite("Compose files over each other")
struct ComposeMergeTests {
    /// One service of two files.
    private func merged(_ base: String, _ over: String) throws -> ComposeService {
        let indent = { (text: String) in
            text.split(separator: "\n").map { "    \($0)\n" }.joined()
        }
        let tail = "volumes: {one: , two: }\nsecrets: {s: {environment: S}}\n"
        var files = ComposeCase("services:\n  foo:\n    image: x\n" + indent(base) + tail)
        files.files["over.yaml"] = "services:\n  foo:\n" + indent(over)
        files.main = ["compose.yaml", "over.yaml"]
        return try files.project().services[0]
    }

    @Test("Mappings are joined, scalars replaced, sequences appended")
    func plain() throws {
        let service = try merged(
            "hostname: one\ndomainname: kept\ndns: [1.1.1.1]\ncap_add: [A]",
            "hostname: two\ndns: 8.8.8.8\ncap_add: [B, A]"
        )

        #expect(service.node["hostname"]?.text == "two")
        #expect(service.node["domainname"]?.text == "kept")
        #expect(service.node["dns"]?.texts.compactMap(\.text) == ["1.1.1.1", "8.8.8.8"])
        #expect(service.node["cap_add"]?.texts.compactMap(\.text) == ["A", "B"])
    }

    @Test("Commands are replaced as a whole")
    func commands() throws {
        let service = try merged(
            "command: [echo, foo]\nentrypoint: [a]\nhealthcheck: {test: [CMD, a], retries: 5}",
            "command: [echo, bar]\nentrypoint: b c\nhealthcheck: {test: [CMD, b]}"
        )

        #expect(service.command == ["echo", "bar"])
        #expect(service.entrypoint == ["b", "c"])
        #expect(service.health?.test == ["b"])
        #expect(service.health?.retries == 5)
    }

    @Test("Variables are joined by their names, whichever syntax they have")
    func environment() throws {
        let service = try merged("environment: [A=1, B=1]", "environment:\n  B: \"2\"\n  C: \"2\"")

        #expect(service.environment.map { "\($0.name)=\($0.value)" } == ["A=1", "B=2", "C=2"])
    }

    @Test("Volumes, ports and secrets are joined by what they are about")
    func unique() throws {
        let service = try merged(
            "volumes: [\"one:/work\", \"/x\"]\nports: [\"80:80\", \"81:81\"]\nsecrets: [s]",
            "volumes: [\"two:/work\"]\nports: [{target: 80, published: 80, host_ip: 1.2.3.4}, \"81:81\"]\nsecrets: [{source: s, mode: 0440}]"
        )

        #expect(service.mounts.map { "\($0.source ?? "-"):\($0.target)" } == ["two:/work", "-:/x"])
        #expect(service.ports.map { $0.address ?? "-" } == ["-", "-", "1.2.3.4"])
        #expect(service.secrets.map(\.mode) == [0o440])
    }

    @Test("!reset takes away, !override replaces")
    func tags() throws {
        let service = try merged(
            "ports: [\"8080:80\"]\nenvironment: {FOO: BAR, KEPT: \"1\"}\nhostname: x\ndns: [1.1.1.1]",
            "ports: !override [\"8443:443\"]\nenvironment:\n  FOO: !reset null\nhostname: !reset null\ndns: !reset []"
        )

        #expect(service.ports.map(\.target) == [443])
        #expect(service.environment.map(\.name) == ["KEPT"])
        #expect(service.node["hostname"] == nil)
        #expect(service.node["dns"] == nil)
    }

    @Test("depends_on is joined, lists with mappings too")
    func dependencies() throws {
        var files = ComposeCase(
            "services:\n  a: {image: x, depends_on: [b, c]}\n  b: {image: x}\n  c: {image: x}\n"
        )
        files.files["over.yaml"] = "services:\n  a:\n    depends_on:\n      c: {condition: service_healthy}\n"
        files.main = ["compose.yaml", "over.yaml"]
        let service = try #require(try files.project().services.last)

        #expect(
            service.dependencies.map { "\($0.name) \($0.condition)" } == ["b service_started", "c service_healthy"]
        )
    }

    @Test("A build that is a text and one that is a mapping are one")
    func builds() throws {
        let service = try merged("build: ./dir", "build: {target: prod, args: [A=1]}")

        #expect(service.build?.context == "dir")
        #expect(service.build?.target == "prod")
        #expect(service.build?.arguments == ["A=1"])
    }

    // MARK: extends

    @Test("A service has what the one has that it extends, through any number of them")
    func extends() throws {
        let project = try ComposeCase(
            """
            services:
              base: {image: busybox, user: root}
              common: {image: busybox, extends: {service: base}, environment: {TZ: utc, PORT: "80"}}
              cli: {extends: common, environment: [PORT=8080]}
            """
        )
        .project()
        let service = try #require(project.services.first { $0.name == "cli" })

        #expect(service.image == "busybox")
        #expect(service.node["user"]?.text == "root")
        #expect(service.environment.map { "\($0.name)=\($0.value)" } == ["TZ=utc", "PORT=8080"])
    }

    @Test("A service of another file has its paths from there")
    func extendsFile() throws {
        let project = try ComposeCase(
            "services:\n  web:\n    extends: {file: lib/common.yml, service: webapp}\n    ports: [\"80:80\"]\n",
            [
                "lib/common.yml": "services:\n  webapp:\n    build: ./src\n    env_file: a.env\n",
                "lib/a.env": "A=1",
            ]
        )
        .project()

        #expect(project.services[0].build?.context == "lib/src")
        #expect(project.services[0].environment.map(\.name) == ["A"])
    }

    @Test(
        "What cannot be extended is said",
        arguments: [
            ("a: {extends: b}\n  b: {extends: a}", "services.a.extends goes in a circle: b -> a -> b"),
            (
                "a: {extends: bb}\n  bbb: {image: x}",
                "services.a.extends: compose.yaml has no service \"bb\", did you mean \"bbb\"?"
            ),
            ("a: {extends: {file: none.yml, service: b}}", "none.yml: there is no such file"),
        ]
    )
    func extendsFaults(text: String, expected: String) {
        let errors = ComposeCase("services:\n  \(text)\n").errors()
        #expect(errors.first?.hasSuffix("error: " + expected) == true, "\(errors)")
    }

    // MARK: include

    @Test("Included projects bring their services, with paths and .env of their own")
    func include() throws {
        let project = try ComposeCase(
            "include:\n  - other/compose.yaml\nservices:\n  a: {image: x, depends_on: [b]}\n",
            [
                "other/compose.yaml":
                    "include: [deeper.yaml]\nservices:\n  b: {build: ., image: \"b:${TAG}\", volumes: [\"v:/v\"]}\nvolumes: {v: }\n",
                "other/deeper.yaml": "services:\n  c: {image: c}\n", "other/.env": "TAG=7",
            ]
        )
        .project()

        #expect(project.services.map(\.name).sorted() == ["a", "b", "c"])
        let service = try #require(project.services.first { $0.name == "b" })
        #expect(service.build?.context == "other")
        #expect(service.image == "b:7")
    }

    @Test("A conflict, a circle and a missing file are errors where the include is")
    func includeFaults() {
        let conflict = ComposeCase(
            "include: [b.yaml]\nservices:\n  a: {image: x}\n",
            ["b.yaml": "services:\n  a: {image: y}\n"]
        )
        #expect(conflict.errors() == ["compose.yaml:1:11: error: include brings services.a, which is here already"])
        let circle = ComposeCase(
            "include: [b.yaml]\nservices:\n  a: {image: x}\n",
            ["b.yaml": "include: [compose.yaml]\nservices: {b: {image: x}}\n"]
        )
        #expect(
            circle.errors() == [
                "b.yaml:1:11: error: include goes in a circle: compose.yaml -> b.yaml -> compose.yaml"
            ]
        )
        let missing = ComposeCase("include: [b.yaml]\nservices:\n  a: {image: x}\n")
        #expect(missing.errors() == ["compose.yaml:1:11: error: include: there is no file b.yaml"])
    }
}
