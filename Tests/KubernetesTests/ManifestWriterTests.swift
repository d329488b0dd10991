// SPDX-License-Identifier: Apache-2.0
import Foundation
import Kubernetes
import OCI
import TestSupport
import Testing
import Yams

@Suite("Manifests as text")
struct ManifestWriterTests {
    /// What people would be surprised to see read as something else, by any parser.
    static let texts = [
        "", " ", "a", "yes", "No", "on", "y", "null", "~", "true", "1", "1.5", "1e3", "0x1F", "0o17", "1_000", "1:30",
        "12:30:45", "2001-12-14", "2001-12-14T21:59:43Z", "+1", "-1", "-", "--", "---", "...", "- a", "-a", "?", "? a",
        ":", "a:", "a: b", ": a", "#", "a #b", "a#b", "[a]", "{a}", "a,b", "&a", "*a", "!a", "|", ">", "'a'", "\"a\"",
        "%a", "@a", "`a", "=", "<<", "a\tb", "a\nb", "a\nb\n", "a\n\nb\n\n", "\na", " a\nb", "a \nb", "a\n  b\n",
        "a\r\nb",
        "a\n \nb", "\u{0}", "\u{7}", "\u{7F}", "\u{85}", "\u{A0}", "\u{2028}", "ä ö", "🚢", "$(A)", "\\",
        "\\n",
        ".inf", ".5", "5.", "1.2.3", "v1.2", "/path", "http://a:80/b?c=d#e", "a\\b", "tab\tend\t", "a\n\tb\n",
        "0", "00", "08", "0b1", "1e", "e1", "é: ü", "a - b", "- ", "key=value",
    ]

    @Test("Any text is read as itself", arguments: texts)
    func roundTrip(text: String) throws {
        let value: JSONValue = [
            "member": .string(text), "list": [.string(text), "x"], "deep": [["name": .string(text), "b": ["c": "d"]]],
            "long": [.string(text), .string(String(repeating: "w ", count: 50) + "w")],
        ]

        let yaml = ManifestWriter().write(value)

        #expect(try Self.read(yaml) == value, "\(yaml)")
    }

    @Test("A parser of YAML 1.1 that is not ours reads the same", .enabled(if: Self.python != nil))
    func otherParser() throws {
        let python = try #require(Self.python)
        let value: JSONValue = .object(
            Dictionary(uniqueKeysWithValues: Self.texts.enumerated().map { ("k\($0)", .string($1)) })
        )
        let folder = try TemporaryFolder()
        let file = try folder.write("a.yaml", ManifestWriter().write(value))

        let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1], newline=''))))"
        let answer = try Program.run(["-c", script, file.path], of: python)

        #expect(answer.status == 0, "\(answer.errors)")
        #expect(try JSONValue(parsing: Array(answer.output.utf8)) == value)
    }

    /// A Python with PyYAML.
    static let python: URL? = {
        let found = Program.named("python3")
        let answer = found.flatMap { try? Program.run(["-c", "import yaml"], of: $0) }
        if answer?.status != 0 {
            print("OTHER YAML PARSER SKIPPED: python3 has no yaml (apt-get install python3-yaml)")
        }
        return answer?.status == 0 ? found : nil
    }()

    /// Reads text as YAML with what plain scalars are by the core schema.
    static func read(_ yaml: String) throws -> JSONValue {
        func value(_ node: Node) throws -> JSONValue {
            switch node {
            case .scalar(let scalar):
                // Plain ones that would be something else show as such.
                switch scalar.style {
                case .plain where node.bool != nil || node.int != nil || node.float != nil || node.null != nil:
                    if let flag = node.bool { return .bool(flag) }
                    if let number = node.int { return .int(Int64(number)) }
                    if let number = node.float { return .decimal(number) }
                    return .null
                default: return .string(scalar.string)
                }
            case .mapping(let mapping):
                return .object(
                    try Dictionary(uniqueKeysWithValues: mapping.map { ($0.key.string ?? "", try value($0.value)) })
                )
            case .sequence(let sequence): return .array(try sequence.map(value))
            case .alias: return .null
            }
        }
        return try value(try #require(try Yams.compose(yaml: yaml)))
    }

    @Test("Members stand as people write them, remarks above what they are about")
    func order() {
        var manifest = ObjectManifest([
            "kind": "ConfigMap", "data": ["b": "1", "a": "two\nlines\n"], "apiVersion": "v1",
            "metadata": ["labels": ["name": "x", "b": "y"], "name": "settings"],
            "list": [["z": 1, "name": "first"], ["args": ["--port", "80"], "name": "second"]],
        ])
        manifest.comments[["data"]] = "read by pods when they start"
        manifest.comments[["list", "1"]] = "the second"
        manifest.comments[["list", "0", "name"]] = "its name"

        #expect(
            ManifestWriter().document(manifest) == """
                apiVersion: v1
                kind: ConfigMap
                metadata:
                  name: settings
                  labels:
                    b: "y"
                    name: x
                # read by pods when they start
                data:
                  a: |
                    two
                    lines
                  b: "1"
                list:
                # its name
                - name: first
                  z: 1
                # the second
                - name: second
                  args: [--port, "80"]

                """
        )
    }

    @Test("A Secret shows its names only")
    func secrets() throws {
        var workload = Workload("web")
        workload.containers = [.init("web", image: "i@sha256:0")]
        workload.secrets = [.init("web-env", files: ["PASSWORD": Array("s3cret".utf8)])]

        let secret = try #require(try workload.manifests().first)

        #expect(secret.redacted["data"] == ["PASSWORD": "•••"])
        #expect(secret.json["data"] == ["PASSWORD": "czNjcmV0"])
        #expect("\(workload.secrets)" == "[Secret web-env (PASSWORD)]")
        var dumped = ""
        dump(workload.secrets, to: &dumped)
        #expect(!dumped.contains("115"), "the bytes are not dumped either")
    }
}
