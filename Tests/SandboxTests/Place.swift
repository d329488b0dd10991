// SPDX-License-Identifier: Apache-2.0
import Foundation
import Sandbox
import Synchronization
import TestSupport

/// What tests of the sandbox need of the machine.
enum Machine {
    static let busybox = Program.named("busybox")
    /// Root and a busybox that needs no library, as `scripts/setup` installs it.
    static let canRun: Bool = {
        let can = geteuid() == 0 && busybox != nil
        if !can { print("SKIPPED: tests of the sandbox need root, and busybox-static") }
        return can
    }()
    static let canChangeUsers: Bool = {
        let can = ["setpriv", "newuidmap"].allSatisfy { Program.named($0) != nil }
        if !can { print("SKIPPED: tests of user namespaces need setpriv and newuidmap (util-linux, uidmap)") }
        return can
    }()
    static let runtimes = ["runc", "crun"].compactMap { Program.named($0)?.path }
    static let probe = Program.coracle.deletingLastPathComponent().appending(path: "SandboxProbe")
}

/// What a process in a sandbox left.
struct Ran {
    let status: ExitStatus
    let output: String
    let errors: String
    let notes: [String]
    let stubs: [Stub]
}

/// A root with busybox in a folder of its own, and an overlay for each process.
final class Place: Sendable {
    let folder: TemporaryFolder
    private let count = Mutex(0)

    var root: String { folder.url.path + "/root" }

    init() throws {
        folder = try TemporaryFolder()
        let files = FileManager.default
        for name in ["bin", "etc", "tmp", "dev", "proc", "sys"] {
            try files.createDirectory(atPath: root + "/" + name, withIntermediateDirectories: true)
        }
        try Program.install(Machine.busybox ?? URL(filePath: "/"), at: URL(filePath: root + "/bin/busybox"))
        for applet in [
            "sh", "cat", "ls", "sleep", "seq", "id", "mount", "unshare", "mknod", "head", "grep", "wc", "tty",
        ] {
            try files.createSymbolicLink(atPath: root + "/bin/" + applet, withDestinationPath: "busybox")
        }
    }

    /// A new upper directory, with its overlay.
    func overlay() throws -> (root: ProcessSpec.Root, upper: String) {
        let number = count.withLock { count in
            count += 1
            return count
        }
        let base = folder.url.path + "/layer\(number)"
        for name in ["upper", "work"] {
            try FileManager.default.createDirectory(atPath: base + "/" + name, withIntermediateDirectories: true)
        }
        return (.overlay(lower: [root], upper: base + "/upper", work: base + "/work"), base + "/upper")
    }

    /// A specification that runs a script, and where its changes go.
    func spec(_ script: String, _ isolation: Isolation = .namespaces) throws -> (spec: ProcessSpec, upper: String) {
        let (overlay, upper) = try overlay()
        var spec = ProcessSpec(root: overlay, arguments: ["/bin/sh", "-c", script])
        if isolation == .chroot { spec.root = .directory(root) }
        spec.environment = ["PATH=/bin"]
        return (spec, upper)
    }

    /// Runs a script to its end.
    func run(
        _ script: String,
        _ isolation: Isolation = .namespaces,
        edit: (inout ProcessSpec) -> Void = { _ in }
    ) throws -> Ran {
        var spec = try spec(script, isolation).spec
        edit(&spec)
        return try run(spec, isolation)
    }

    /// Runs a process to its end.
    func run(_ spec: ProcessSpec, _ isolation: Isolation = .namespaces) throws -> Ran {
        let written = Written()
        let process = try SandboxedProcess.start(spec, isolation: isolation, output: written.add)
        let status = try process.wait()
        return Ran(
            status: status,
            output: written.text(.output),
            errors: written.text(.errors),
            notes: process.notes,
            stubs: process.stubs
        )
    }
}

/// What a process wrote.
///
/// A class, for the process's thread adds to it.
final class Written: Sendable {
    private let bytes = Mutex<[ProcessStream: [UInt8]]>([:])

    func add(_ stream: ProcessStream, _ more: UnsafeRawBufferPointer) {
        bytes.withLock { $0[stream, default: []] += more }
    }

    func text(_ stream: ProcessStream) -> String {
        bytes.withLock { String(decoding: $0[stream] ?? [], as: UTF8.self) }
    }

    /// Waits until a process has written something.
    func wait(for text: String) throws {
        try Waiting.blocking(until: "\(text) on standard output") { self.text(.output).contains(text) }
    }
}
