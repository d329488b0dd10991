// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// How a build with commands ends when it is not let to its end.
@Suite(
    "RUN that is ended",
    .enabled(if: ShellBase.program != nil, "no busybox"),
    .enabled(if: Rights.isRoot, "not root")
)
struct RunEndingTests {
    /// A build whose command sleeps for a number of seconds that nothing else sleeps for.
    private struct Sleeper {
        let place: BuildPlace
        let process: Child
        let mark = String(Int.random(in: 100_000...999_999))

        init() throws {
            let mount = "--mount=type=bind,target=/x,rw"
            place = try BuildPlace("FROM busybox\nRUN \(mount) echo begun > /x/file && sleep \(mark)\n")
            let flags = ["--store", place.store.path, "--progress", "plain"] + ShellBase.flags
            process = try Child(["build"] + flags + [place.context.path])
            try Waiting.blocking(until: "the command") { isSleeping }
        }

        /// Whether the command is there, by its arguments.
        var isSleeping: Bool {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            return names.contains { name in
                guard Int(name) != nil, let line = FileManager.default.contents(atPath: "/proc/\(name)/cmdline") else {
                    return false
                }
                return String(decoding: line, as: UTF8.self).hasPrefix("sleep\0\(mark)")
            }
        }

        /// Folders of steps that are left in the store.
        var leftovers: [String] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: place.store.path + "/tmp")) ?? []
            return names.filter { $0.hasPrefix("step-") }
        }

        var mounts: Bool {
            let text = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
            return text.contains(place.store.path)
        }
    }

    @Test("A signal ends the command, cleans up and ends coracle by the same signal", arguments: [SIGINT, SIGTERM])
    func signal(number: Int32) throws {
        let sleeper = try Sleeper()

        sleeper.process.send(number)

        #expect(try sleeper.process.wait() == .killed(number))
        #expect(!sleeper.isSleeping)
        #expect(sleeper.leftovers == [])
        #expect(!sleeper.mounts)
    }

    @Test("A killed build leaves no process and no mount, and the next one clears the rest")
    func killed() throws {
        let sleeper = try Sleeper()

        sleeper.process.send(SIGKILL)
        try sleeper.process.wait()
        // The kernel ends the command with the process that started it, which takes it a moment.
        try Waiting.blocking(until: "the end of the command") { !sleeper.isSleeping }

        #expect(!sleeper.mounts)
        // The root, what is the step's own beside it, and the files of the context.
        #expect(sleeper.leftovers.count == 3)
        try sleeper.place.write("Dockerfile", "FROM busybox\nRUN true\n")
        #expect(try sleeper.place.build(ShellBase.flags).status == 0)
        #expect(sleeper.leftovers == [])
    }
}
