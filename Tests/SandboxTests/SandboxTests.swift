// SPDX-License-Identifier: Apache-2.0
import Foundation
import Sandbox
import TestSupport
import Testing

@Suite("What a process in a sandbox may do and see", .enabled(if: Machine.canRun))
struct SandboxTests {
    let place: Place

    init() throws { place = try Place() }

    static let isolations: [Isolation] = [.namespaces, .chroot] + Machine.runtimes.map { .oci(runtime: $0) }
    static let walls = isolations.filter { $0 != .chroot }

    @Test("Root has Docker's capabilities and no others, under a filter of system calls", arguments: walls)
    func rights(isolation: Isolation) throws {
        let ran = try place.run("cat /proc/self/status; mount -t tmpfs x /tmp; unshare -m true; echo $$", isolation)

        let lines = Set(ran.output.split(separator: "\n").map { $0.replacing("\t", with: "") })
        // crun without control groups can't bar devices, so it may make none.
        let capabilities = ran.notes.contains { $0.contains("no mknod") } ? "00000000a00425fb" : "00000000a80425fb"
        #expect(lines.isSuperset(of: ["CapEff:" + capabilities, "CapBnd:" + capabilities, "CapPrm:" + capabilities]))
        #expect(lines.isSuperset(of: ["CapInh:0000000000000000", "CapAmb:0000000000000000"]))
        #expect(lines.isSuperset(of: ["Seccomp:2", "NoNewPrivs:0"]))
        #expect(ran.output.hasSuffix("\n1\n"), "it is the first process of its namespace")
        #expect(ran.errors.contains("mount: permission denied"))
        #expect(ran.errors.contains("unshare: unshare(0x20000): Operation not permitted"))
    }

    @Test("Another user has no capability, and may be root again only through set-user-ID programs")
    func userRights() throws {
        let ran = try place.run("cat /proc/self/status; id; echo out > /dev/stdout; echo err > /dev/stderr") { spec in
            spec.user = .init(uid: 1000, gid: 1001, groups: [1001, 7])
        }

        #expect(ran.output.contains("CapEff:\t0000000000000000"))
        #expect(ran.output.contains("CapBnd:\t00000000a80425fb"))
        #expect(ran.output.contains("uid=1000 gid=1001 groups=7,1001"))
        #expect(ran.output.hasSuffix("out\n"))
        #expect(ran.errors == "err\n")
    }

    @Test("security=insecure has the caller's rights and no filter", arguments: walls)
    func insecure(isolation: Isolation) throws {
        let ran = try place.run("cat /proc/self/status; mount -t tmpfs x /tmp; echo $?", isolation) {
            $0.isInsecure = true
        }

        let own = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(own.split(separator: "\n").first { $0.hasPrefix("CapEff") })
        #expect(ran.output.contains(line))
        #expect(ran.output.contains("Seccomp:\t0"))
        #expect(ran.output.hasSuffix("\n0\n"))
    }

    @Test("The host's files, processes and environment are not seen", arguments: walls)
    func view(isolation: Isolation) throws {
        setenv("CORACLE_TEST_VARIABLE", "of the host", 1)
        let script = "ls -a /; ls -d /proc/[0-9]*; busybox env; cat /proc/1/environ; ls -l /proc/self/fd"

        let ran = try place.run(script, isolation) { $0.environment = ["PATH=/bin", "A=b c"] }

        #expect(!ran.output.contains("CORACLE_TEST_VARIABLE"))
        #expect(ran.output.hasPrefix(".\n..\nbin\ndev\netc\nproc\nsys\ntmp\n/proc/1\n"), "\(ran.output)")
        #expect(ran.output.contains("\nA=b c\n"))
        #expect(ran.output.matches(of: /\/proc\/\d+\n/).count <= 2)
        #expect(!ran.output.contains(place.folder.url.path))
    }

    @Test("Nothing outside the root can be written", arguments: walls)
    func writes(isolation: Isolation) throws {
        let disk =
            try String(contentsOfFile: "/proc/partitions", encoding: .utf8)
            .split(separator: "\n").dropFirst(1).first?
            .split(separator: " ").prefix(2).joined(separator: " ") ?? "8 0"
        let script = """
            echo 1 > /proc/sys/kernel/core_pattern; echo h > /proc/sysrq-trigger; echo 1 > /sys/kernel/uevent_seqnum
            for folder in / /dev /dev/shm; do mknod $folder/disk b \(disk) && head -c 1 $folder/disk; done
            echo x > /etc/hosts; echo x > /etc/resolv.conf; cat /proc/kcore /proc/keys; ls /sys/firmware
            """

        let ran = try place.run(script, isolation)

        #expect(ran.output == "")
        for file in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_seqnum", "/etc/hosts"]
        {
            #expect(ran.errors.contains("can't create \(file): "), "\(ran.errors)")
        }
        #expect(!ran.errors.contains("x86_64"))
    }

    @Test("A process has its host name, its /etc/hosts and the host's resolver", arguments: walls)
    func names(isolation: Isolation) throws {
        let ran = try place.run("busybox hostname; cat /etc/hosts /etc/hostname /etc/resolv.conf", isolation) { spec in
            spec.hostname = "builder"
            spec.hosts = [.init(name: "db", address: "10.1.2.3")]
            spec.hasHostnameFile = true
        }

        let resolver = (try? String(contentsOfFile: "/etc/resolv.conf", encoding: .utf8)) ?? ""
        #expect(
            ran.output == """
                builder
                127.0.0.1\tlocalhost builder
                ::1\tlocalhost ip6-localhost ip6-loopback
                10.1.2.3\tdb
                builder
                \(resolver)
                """
        )
    }

    @Test("network none has the loopback interface only, and that is up", arguments: walls)
    func network(isolation: Isolation) throws {
        let ran = try place.run("busybox ip -o link; ls /sys/class/net", isolation) { $0.network = .none }

        #expect(ran.output.contains("lo: <LOOPBACK,UP"))
        let others = try FileManager.default.contentsOfDirectory(atPath: "/sys/class/net").filter { $0.hasPrefix("e") }
        #expect(others.allSatisfy { !ran.output.contains($0 + "\n") && !ran.output.contains($0 + ":") })
        #expect(ran.output.contains("\nlo\n"))
    }

    @Test("The exit status comes back, or the signal", arguments: isolations)
    func statuses(isolation: Isolation) throws {
        #expect(try place.run("exit 0", isolation).status == .exited(0))
        #expect(try place.run("exit 7", isolation).status == .exited(7))
        #expect(try place.run("sh -c 'kill -9 $$'; exit $?", isolation).status == .exited(137))
    }

    @Test("A signal that ends the process is told from an exit")
    func signals() throws {
        let (spec, _) = try place.spec("echo ready; sleep 100")
        let written = Written()
        let process = try SandboxedProcess.start(spec, isolation: .namespaces, output: written.add)
        try written.wait(for: "ready")

        process.send(signal: SIGKILL)

        #expect(try process.wait() == .signaled(SIGKILL))
        #expect(try process.wait().code == 137)
    }

    @Test("A hundred thousand lines come whole and in order", arguments: isolations)
    func output(isolation: Isolation) throws {
        let ran = try place.run("seq 1 100000; seq 1 5 >&2", isolation)

        #expect(ran.output == (1...100_000).map { "\($0)\n" }.joined())
        #expect(ran.errors == "1\n2\n3\n4\n5\n")
    }

    @Test("The working directory is made where it is missing, as the user's", arguments: isolations)
    func workingDirectory(isolation: Isolation) throws {
        let ran = try place.run("busybox pwd; busybox stat -c '%a %u:%g' .", isolation) { spec in
            spec.workingDirectory = "/srv/new/app"
            if isolation == .namespaces { spec.user = .init(uid: 12, gid: 34) }
        }

        #expect(ran.output == "/srv/new/app\n755 \(isolation == .namespaces ? "12:34" : "0:0")\n")
    }

    @Test("Standard input is the file given, or nothing")
    func input() throws {
        let file = try place.folder.write("input", "typed\n")
        let descriptor = open(file.path, O_RDONLY)
        defer { close(descriptor) }

        #expect(try place.run("cat").output == "")
        #expect(try place.run("cat") { $0.input = .descriptor(descriptor) }.output == "typed\n")
    }

    @Test("A terminal is the process's own")
    func terminal() throws {
        let ran = try place.run("tty; test -t 0 && test -t 1 && echo terminal; tty > /dev/tty") {
            $0.hasTerminal = true
        }

        #expect(ran.output == "/dev/pts/0\r\nterminal\r\n/dev/pts/0\r\n")
    }
}
