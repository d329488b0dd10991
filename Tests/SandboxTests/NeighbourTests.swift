// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Sandbox
import TestSupport
import Testing

@Suite("Processes beside others", .enabled(if: Machine.canRun))
struct NeighbourTests {
    private let place: Place

    init() throws { place = try Place() }

    private func beside(_ script: String) -> ProcessSpec {
        var spec = ProcessSpec(root: .directory("/"), arguments: ["sh", "-c", script])
        spec.environment = ["PATH=/bin"]
        return spec
    }

    @Test("A process beside another has its files, and ends before it", arguments: [Isolation.namespaces, .chroot])
    func files(isolation: Isolation) throws {
        let (spec, _) = try place.spec("echo mine > /tmp/file; echo ready; sleep 1000", isolation)
        let (first, second) = (Written(), Written())
        let process = try SandboxedProcess.start(spec, isolation: isolation, output: first.add)
        defer { process.terminate(grace: 0) }
        try first.wait(for: "ready")

        let neighbour = try process.startBeside(beside("cat /tmp/file; exit 4"), output: second.add)

        #expect(try neighbour.wait() == .exited(4))
        #expect(second.text(.output) == "mine\n")
    }

    @Test("It is numbered among the other's processes, and ends with it")
    func numbers() throws {
        let (spec, _) = try place.spec("echo ready; sleep 1000; true")
        let (first, second) = (Written(), Written())
        let process = try SandboxedProcess.start(spec, isolation: .namespaces, output: first.add)
        try first.wait(for: "ready")
        let neighbour = try process.startBeside(beside("echo $$; sleep 1000; true"), output: second.add)
        try second.wait(for: "\n")

        process.terminate(grace: 0)

        #expect((Int(second.text(.output).dropLast()) ?? 1000) < 100)
        #expect(try neighbour.wait() == .signaled(SIGKILL))
    }

    @Test("What is written to a descriptor is typed at its terminal, which has the size that was asked for")
    func terminal() throws {
        let (spec, _) = try place.spec("echo ready; sleep 1000")
        let (first, second) = (Written(), Written())
        let process = try SandboxedProcess.start(spec, isolation: .namespaces, output: first.add)
        defer { process.terminate(grace: 0) }
        try first.wait(for: "ready")
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { close(ends[1]) }
        var shell = beside("read line; echo got $line; busybox stty size")
        (shell.hasTerminal, shell.passesKeys, shell.keys) = (true, false, ends[0])
        shell.terminalSize = (31, 99)

        let neighbour = try process.startBeside(shell, output: second.add)
        close(ends[0])
        _ = write(ends[1], "words\n", 6)

        #expect(try neighbour.wait().isSuccess)
        #expect(second.text(.output).contains("got words"))
        #expect(second.text(.output).contains("31 99"))
    }

    @Test("Beside what a runtime keeps there is nothing", .enabled(if: !Machine.runtimes.isEmpty))
    func runtimes() throws {
        let isolation = Isolation.oci(runtime: try #require(Machine.runtimes.first))
        let (spec, _) = try place.spec("echo ready; sleep 1000", isolation)
        let written = Written()
        let process = try SandboxedProcess.start(spec, isolation: isolation, output: written.add)
        defer { process.terminate(grace: 0) }
        try written.wait(for: "ready")

        let error = #expect(throws: SandboxError.self) { try process.startBeside(beside("true")) { _, _ in } }

        #expect(error?.message.hasPrefix("starting a process beside one that ") == true)
    }

    @Test("Processes of one network reach each other, and others do not")
    func networks() throws {
        let (network, other) = (try NetworkNamespace(), try NetworkNamespace())
        func run(_ script: String, in network: NetworkNamespace) throws -> Sandbox.ExitStatus {
            let spec = try place.spec(script).spec
            return try network.run { try SandboxedProcess.start(spec, isolation: .namespaces) { _, _ in } }.wait()
        }
        let (spec, _) = try place.spec(
            "echo x > /tmp/file; echo ready; exec busybox httpd -f -p 127.0.0.1:4711 -h /tmp"
        )
        let written = Written()
        let server = try network.run { try SandboxedProcess.start(spec, isolation: .namespaces, output: written.add) }
        defer { server.terminate(grace: 0) }
        try written.wait(for: "ready")

        let fetch = "busybox wget -q -O /dev/null http://127.0.0.1:4711/file"
        #expect(try run("for i in $(seq 100); do \(fetch) && exit 0; sleep 0.05; done; exit 1", in: network).isSuccess)
        #expect(try run(fetch, in: other).code == 1)
    }

    @Test("A network reaches another one's addresses, also where a program has taken all of its own")
    func cable() throws {
        let (network, other) = (try NetworkNamespace(), try NetworkNamespace())
        try network.reach(other, as: "one", from: "127.77.1.1", "127.77.0.0", length: 16)
        var servers: [SandboxedProcess] = []
        defer { for server in servers { server.terminate(grace: 0) } }
        for (network, words, place) in [(other, "there", "127.77.9.9:4711"), (network, "here", "0.0.0.0:4711")] {
            let (spec, _) = try self.place.spec(
                "mkdir /tmp/www; echo \(words) > /tmp/www/file; echo ready; exec busybox httpd -f -p \(place) -h /tmp/www"
            )
            let written = Written()
            servers.append(
                try network.run { try SandboxedProcess.start(spec, isolation: .namespaces, output: written.add) }
            )
            try written.wait(for: "ready")
        }

        for (address, words) in [("127.77.9.9", "there"), ("127.77.1.1", "here"), ("127.0.0.1", "here")] {
            let fetch = "busybox wget -q -O - http://\(address):4711/file"
            let spec =
                try place.spec(
                    "for i in $(seq 100); do [ \"$(\(fetch))\" = \(words) ] && exit 0; sleep 0.05; done; exit 1"
                )
                .spec
            let client = try network.run { try SandboxedProcess.start(spec, isolation: .namespaces) { _, _ in } }
            #expect(try client.wait().isSuccess, "\(address)")
        }
        let error = #expect(throws: SandboxError.self) {
            try network.reach(other, as: "two", from: "127.77.1.2", "127.77.0.0", length: 16)
        }
        #expect(error?.message.hasPrefix("laying a cable between two networks: ") == true, "it has one")
    }
}
