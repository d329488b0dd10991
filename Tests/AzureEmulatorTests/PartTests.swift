// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

@testable import AzureEmulator

@Suite("Parts of the emulator")
struct PartTests {
    @Test("A fault that was planned waits until it happens")
    func waits() {
        let faults = AzureFaults([AzureFault(.transitioning, skipped: 1, path: "Groups")])

        #expect(faults.take("PUT", "/other") { $0 } == nil)
        #expect(faults.take("PUT", "/groups") { $0 } == nil, "one is spared")
        #expect(faults.take("PUT", "/groups") { $0 } == .transitioning)
        #expect(faults.waiting.isEmpty)
        #expect(faults.happened == [.transitioning])
    }

    @Test("azure-cli's names without quotes are read, and nothing else is changed")
    func relaxed() throws {
        let text = #"{"properties": {"mode": "Incremental", template:{"a: b": [true, "c\"d: e"]}}}"#

        let json = try JSONValue(parsing: RelaxedJSON.quoteNames(Array(text.utf8)))

        #expect(json[path: "properties", "template", "a: b"] == [true, "c\"d: e"])
    }

    @Test(
        "Names of images are read as Docker reads them",
        arguments: [
            ("app", "docker.io", "library/app", "latest"), ("team/app:1", "docker.io", "team/app", "1"),
            ("127.0.0.1:5000/a/b:2", "127.0.0.1:5000", "a/b", "2"),
            ("My.azurecr.io/app:1@sha256:00", "my.azurecr.io", "app", "sha256:00"),
            ("localhost/x", "localhost", "x", "latest"),
        ]
    )
    func images(text: String, server: String, repository: String, reference: String) {
        let name = ImageName(text)

        #expect([name.server, name.repository, name.reference] == [server, repository, reference])
    }

    @Test(
        "Patterns of actions match whatever the case",
        arguments: [
            ("Microsoft.X/y/read", "*", true), ("Microsoft.X/y/read", "*/read", true),
            ("Microsoft.X/y/write", "*/read", false),
            ("Microsoft.Authorization/roleAssignments/write", "microsoft.authorization/*/Write", true),
        ]
    )
    func actions(action: String, pattern: String, expected: Bool) {
        #expect(Roles.matches(action, pattern) == expected)
    }

    @Test("Paths are taken apart whatever their case")
    func paths() {
        let path = ResourcePath(
            [
                "subscriptions", "s", "RESOURCEGROUPS", "g", "providers", "Microsoft.X", "things", "a", "parts", "b",
                "logs",
            ]
        )

        #expect(path.group == "g")
        #expect(path.type == "Microsoft.X/things/parts/logs")
        #expect(path.identifier("things") == "/subscriptions/s/resourceGroups/g/providers/Microsoft.X/things/a")
    }

    @Test("What was written is kept by lines, and the last ones are given")
    func output() {
        let output = ContainerOutput()
        output.write("one\ntw")
        output.write("o\nthree")

        #expect(output.text(tail: nil, withTimes: false) == "one\ntwo\nthree")
        #expect(output.text(tail: 2, withTimes: false) == "two\nthree")
    }
}
