// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import CoracleKit

@Suite("coracle.yaml")
struct DeployFileTests {
    private let file = DeployFile("coracle.yaml", environment: [:])

    private var whole: DeployOptions {
        var options = DeployOptions()
        for (number, (_, field)) in DeployOptions.fields.enumerated() {
            switch field {
            case .text(let path): options[keyPath: path] = "text \(number): \"quoted\" # and 'so on' é"
            case .list(let path): options[keyPath: path] = ["one=\(number)", "- two", "true", "5", ""]
            }
        }
        options.secureEnvironment = ["NAME", "OTHER=env:A", "THIRD=file:/x"]
        return options
    }

    @Test("What is written is read again, every setting of it")
    func roundTrip() throws {
        let text = DeployFile.text(whole)
        let read = try file.parse(text)

        #expect(DeployFile.text(read) == text)
        for (name, field) in DeployOptions.fields {
            switch field {
            case .text(let path): #expect(read[keyPath: path] == whole[keyPath: path], "\(name)")
            case .list(let path): #expect(read[keyPath: path] == whole[keyPath: path], "\(name)")
            }
        }
    }

    @Test("The order is fixed, and plain texts are plain")
    func order() {
        var options = DeployOptions()
        (options.name, options.target, options.registry) = ("web", "aci", "127.0.0.1:5000")
        (options.cpu, options.ports) = ("0.5", ["80", "53/udp"])

        #expect(
            DeployFile.text(options).split(separator: "\n").dropFirst()
                .elementsEqual([
                    "target: aci", "name: web", "registry: \"127.0.0.1:5000\"", "port:", "  - \"80\"", "  - \"53/udp\"",
                    "cpu: \"0.5\"",
                ])
        )
    }

    @Test("Secrets are never written: of --secure-env the name, of what looks like a secret nothing")
    func noSecrets() {
        var options = DeployOptions()
        options.secureEnvironment = ["DB=hunter2-value", "KEY=env:KEY"]
        options.environment = ["MODE=prod", "MY_API_KEY=hunter2-value", "GITHUB_TOKEN=hunter2-value"]

        options.buildArguments = ["VERSION=1", "NPM_TOKEN=hunter2-value"]
        options.containers = [
            "name=a,image=i,secure-env=KEY=hunter2-value,env=MY_SECRET=hunter2-value,env=B=1,\"command=x,y\"",
            "name=b,image=i,secure-env=KEY=env:KEY,\"env=A=1,2\"",
        ]
        let text = DeployFile.text(options)

        #expect(!text.contains("hunter2-value"))
        #expect(text.contains("build-arg:\n  - VERSION=1\n"))
        #expect(text.contains(#"- "name=a,image=i,secure-env=KEY,env=B=1,\"command=x,y\"""#), "\(text)")
        #expect(text.contains(#"- "name=b,image=i,secure-env=KEY=env:KEY,\"env=A=1,2\"""#), "\(text)")
        #expect(DeployFile.secrets(in: options) == ["DB", "KEY"])
        #expect(DeployFile.doubtful(in: options) == ["MY_API_KEY", "GITHUB_TOKEN", "NPM_TOKEN", "MY_SECRET"])
        #expect(text.contains("secure-env:\n  - DB\n  - \"KEY=env:KEY\"\n"))
        #expect(text.contains("env:\n  - MODE=prod\n"))
    }

    @Test("A secret that somebody writes into the file is refused, and not repeated")
    func secretInFile() throws {
        let error = try #require(throws: ExitReason.self) { try file.parse("secure-env:\n  - DB=hunter2-value\n") }

        #expect(error.message.hasPrefix("coracle.yaml: secure-env \"DB\" holds its value"))
        #expect(!error.message.contains("hunter2-value"))
        let other = try #require(throws: ExitReason.self) {
            try file.parse("container: name=a,image=i,secure-env=KEY=hunter2-value\n")
        }
        #expect(other.message.hasPrefix("coracle.yaml: secure-env \"KEY\" holds its value"))
    }

    @Test(
        "Faults are named with their line",
        arguments: [
            (
                "target: aci\nresouce-group: x\n",
                "coracle.yaml:2: there is no setting \"resouce-group\", did you mean \"resource-group\"?"
            ),
            ("name: [a, b]\n", "coracle.yaml:1: name is one text"),
            ("- a\n", "coracle.yaml: expected settings, each NAME: VALUE, as coracle up writes them"),
            ("port:\n  - {a: b}\n", "coracle.yaml:1: port is a list of texts"),
        ]
    )
    func faults(text: String, message: String) throws {
        let error = try #require(throws: ExitReason.self) { try file.parse(text) }

        #expect(error.message == message)
    }

    @Test("YAML that is none is named", arguments: ["a: [", "a: b: c", "\t- x", "{"])
    func malformed(text: String) throws {
        let error = try #require(throws: ExitReason.self) { try file.parse(text) }

        #expect(error.message.hasPrefix("coracle.yaml: "))
    }

    @Test("What people write by hand is read: numbers, one of several")
    func byHand() throws {
        let read = try file.parse("name: web\ncpu: 0.5\nport: 80\nenv:\n- A=1\n")

        #expect(read.cpu == "0.5")
        #expect(read.ports == ["80"])
        #expect(read.environment == ["A=1"])
    }

    @Test("Flags win over what is remembered, and an image over a context")
    func over() {
        var typed = DeployOptions()
        var remembered = DeployOptions()
        (typed.image, typed.ports) = ("myacr.azurecr.io/web", ["81"])
        (remembered.context, remembered.name, remembered.ports) = (".", "web", ["80"])

        let both = typed.over(remembered)

        #expect(both.image == "myacr.azurecr.io/web")
        #expect(both.context == nil)
        #expect(both.name == "web")
        #expect(both.ports == ["81"])
    }
}
