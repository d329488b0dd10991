// SPDX-License-Identifier: Apache-2.0
import Foundation
import Sandbox
import TestSupport
import Testing

@Suite("Ordinary users", .enabled(if: Machine.canRun && Machine.canChangeUsers), .serialized)
struct UserNamespaceTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Runs the probe as another user.
    func probe(_ script: String, uid: Int) throws -> Program {
        let place = folder.url.path
        chmod(place, 0o777)
        // The test's own build folder may not be open to everybody.
        let copy = folder.url.appending(path: "probe").path
        try Program.install(Machine.probe, at: URL(filePath: copy))
        let busybox = try #require(Machine.busybox).path
        let identity = ["--reuid=\(uid)", "--regid=\(uid)", "--clear-groups"]
        return try Program.run(
            identity + [copy, place + "/user", busybox, script],
            of: try #require(Program.named("setpriv"))
        )
    }

    static let script =
        "id -u; cat /proc/self/status; echo x > /file; busybox chown 12:34 /file && busybox stat -c %u:%g /file"

    @Test("A user without ranges is root alone, and is told so")
    func single() throws {
        let ran = try probe(Self.script.replacing("id -u", with: "busybox id -u"), uid: 54_321)

        #expect(
            ran.errors.contains("outcome: single(reason: \"/etc/subuid has no range for uid 54321\")"),
            "\(ran.errors)"
        )
        #expect(ran.errors.contains("note: files can belong to root alone, so chown to others and USER fail"))
        #expect(ran.errors.contains("isolation: namespaces, overlays: true"))
        #expect(ran.output.hasPrefix("0\n"))
        #expect(ran.output.contains("CapEff:\t00000000a80425fb"))
        #expect(ran.output.contains("Seccomp:\t2"))
        #expect(ran.status == 1, "chown is refused")
    }

    @Test("A user with ranges may give files to others")
    func mapped() throws {
        guard let user = Self.userWithRanges() else {
            print("SKIPPED: no user of this machine has ranges in /etc/subuid and /etc/subgid")
            return
        }

        let ran = try probe(Self.script.replacing("id -u", with: "busybox id -u"), uid: user)

        #expect(ran.errors.contains("outcome: mapped"), "\(ran.errors)")
        #expect(ran.output.hasSuffix("\n12:34\n"))
        #expect(ran.output.contains("CapEff:\t00000000a80425fb"))
        #expect(ran.status == 0)
    }

    /// A user that useradd gave ranges, as it does on most systems.
    private static func userWithRanges() -> Int? {
        let read = { (path: String) in (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
        let names = read("/etc/subuid").split(separator: "\n").compactMap { $0.split(separator: ":").first }
        for line in read("/etc/passwd").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 3, fields[2] == fields[3], names.contains(fields[0]) { return Int(fields[2]) }
        }
        return nil
    }
}

@Suite("Choosing an isolation", .enabled(if: Machine.canRun))
struct IsolationChoiceTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("Namespaces are chosen where they work, and nothing is left of the trial")
    func best() throws {
        let choice = try IsolationChoice.probe(scratch: folder.url.path)

        #expect(choice.isolation == .namespaces)
        #expect(choice.mountsOverlays)
        #expect(choice.reasons == [])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == [])
    }

    @Test("Each can be asked for", arguments: SandboxTests.isolations)
    func asked(isolation: Isolation) throws {
        let choice = try IsolationChoice.probe(.only(isolation), scratch: folder.url.path)

        #expect(choice.isolation == isolation)
        #expect(choice.mountsOverlays == (isolation != .chroot))
    }

    @Test("The doctor names what was chosen")
    func doctor() throws {
        let entry = UserNamespace.enter()
        let doctor = Doctor(entry: entry, scratch: folder.url.path)

        #expect(entry.outcome == .notNeeded)
        #expect(doctor.choice?.isolation == .namespaces)
        #expect(doctor.findings.contains { $0.subject == "isolation" && $0.detail == "namespaces is used" })
        #expect(doctor.findings.allSatisfy { $0.isGood || $0.remedy != nil })
    }
}
