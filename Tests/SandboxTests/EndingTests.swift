// SPDX-License-Identifier: Apache-2.0
import Foundation
import Sandbox
import TestSupport
import Testing

@Suite("How processes end, and what bounds them", .enabled(if: Machine.canRun))
struct EndingTests {
    let place: Place

    init() throws { place = try Place() }

    /// The processes of the machine whose arguments have a word.
    static func processes(with word: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }
            .filter { process in
                let line = try? Data(contentsOf: URL(filePath: "/proc/\(process)/cmdline"))
                return line.map { String(decoding: $0, as: UTF8.self).contains(word) } ?? false
            }
    }

    @Test("Ending a process ends all that it started", arguments: SandboxTests.isolations)
    func termination(isolation: Isolation) throws {
        let mark = "9\(UInt32.random(in: 10_000...99_999))"
        let (spec, _) = try place.spec("sleep \(mark) & sleep \(mark) & echo ready; sleep \(mark)", isolation)
        let written = Written()
        let process = try SandboxedProcess.start(spec, isolation: isolation, output: written.add)
        try written.wait(for: "ready")

        process.terminate()

        #expect(try !process.wait().isSuccess)
        #expect(Self.processes(with: "sleep\0\(mark)") == [])
    }

    @Test("A program that wants to end by itself may")
    func politeness() throws {
        let (spec, _) = try place.spec("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done")
        let written = Written()
        let process = try SandboxedProcess.start(spec, isolation: .namespaces, output: written.add)
        try written.wait(for: "ready")

        process.terminate(grace: 60)

        #expect(try process.wait() == .exited(3))
        #expect(written.text(.output) == "ready\nbye\n")
    }

    @Test("What stays in the background does not outlive the process", arguments: SandboxTests.isolations)
    func background(isolation: Isolation) throws {
        let mark = "8\(UInt32.random(in: 10_000...99_999))"

        let ran = try place.run("busybox setsid sleep \(mark) & sleep \(mark) & exit 4", isolation)

        #expect(ran.status == .exited(4))
        #expect(Self.processes(with: "sleep\0\(mark)") == [])
    }

    @Test(
        "Killing the caller leaves no process and no mount, also where a set-user-ID program took over",
        arguments: [
            "exec sleep MARK",
            "busybox chmod 4755 /bin/busybox; exec busybox su -s /bin/sh nobody -c 'exec busybox sleep MARK'",
        ]
    )
    func killedCaller(script: String) throws {
        let mark = "7\(UInt32.random(in: 10_000...99_999))"
        try place.folder.write("probe/root/etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
        let busybox = try #require(Machine.busybox).path
        let text = script.replacing("MARK", with: mark)
        let process = try Child([place.folder.url.path + "/probe", busybox, text], of: Machine.probe)
        try Waiting.blocking(until: "the command") {
            !Self.processes(with: "sleep\0\(mark)").isEmpty || !process.isRunning
        }

        process.send(SIGKILL)
        try process.wait()

        try Waiting.blocking(until: "the end of what it started") { Self.processes(with: "sleep\0\(mark)").isEmpty }
        let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
        #expect(!mounts.contains(place.folder.url.path))
    }

    @Test("Limits hold")
    func limits() throws {
        let ran = try place.run("ulimit -n; ulimit -Hn; ulimit -c") { spec in
            spec.limits = [.init(name: "nofile", soft: 100, hard: 200), .init(name: "core", soft: 0, hard: 0)]
        }

        #expect(ran.output == "100\n200\n0\n")
    }

    @Test("A fork bomb stays in its bounds")
    func forkBomb() throws {
        let ran = try place.run("for i in $(seq 1 200); do sleep 1 & done; echo started; wait") { spec in
            spec.resources.processes = 40
        }

        guard Self.hasGroups("pids") else { return }
        #expect(ran.errors.contains("can't fork"))
    }

    @Test("Memory is bounded, or a note says that it is not")
    func memory() throws {
        let ran = try place.run("head -c 64000000 /dev/zero | busybox tail -c 64000000 | wc -c") { spec in
            spec.resources.memory = 16 << 20
            spec.resources.memoryAndSwap = 16 << 20
        }

        #expect(ran.output != "64000000\n" || ran.notes.contains { $0.contains("is not limited: ") })
    }

    static func hasGroups(_ controller: String) -> Bool {
        let folder = "/sys/fs/cgroup/\(controller)"
        let can = access(folder, W_OK) == 0 || access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0
        if !can { print("SKIPPED: no control groups of \(controller) on this machine") }
        return can
    }

    @Test("Control groups are gone with their processes")
    func groups() throws {
        _ = try place.run("true")

        let find = try Program.run(
            ["/sys/fs/cgroup", "-type", "d", "-name", "coracle-\(getpid())-*"],
            of: URL(filePath: "/usr/bin/find")
        )
        // Other tests' processes run meanwhile, or are about to: their groups go, too, or are not empty.
        try Waiting.blocking(until: "the end of groups without processes") {
            find.output.split(separator: "\n")
                .allSatisfy { group in
                    guard let processes = try? String(contentsOfFile: group + "/cgroup.procs", encoding: .utf8)
                    else { return access(String(group), F_OK) != 0 }
                    return !processes.isEmpty
                }
        }
    }

    @Test("Many processes at once do not mix")
    func many() async throws {
        let outputs = try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for number in 0..<24 {
                group.addTask { (number, try place.run("echo \(number); exit 0").output) }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }

        for number in 0..<24 { #expect(outputs[number] == "\(number)\n") }
    }
}
