// SPDX-License-Identifier: Apache-2.0
import Foundation
import Sandbox
import TestSupport
import Testing

@Suite("What keeps a process from running is said", .enabled(if: Machine.canRun))
struct FailureTests {
    let place: Place

    init() throws { place = try Place() }

    func error(_ edit: (inout ProcessSpec) -> Void) throws -> SandboxError {
        var spec = try place.spec("true").spec
        edit(&spec)
        return try #require(throws: SandboxError.self) { _ = try place.run(spec) }
    }

    @Test("A program that is not there")
    func missing() throws {
        let byName = try error { $0.arguments = ["nothing"] }
        let byPath = try error { $0.arguments = ["/bin/nothing"] }
        let shell = try error { spec in
            spec.root = .directory(place.root + "/etc")
        }

        #expect(byName.message == "running \"nothing\": no such file in any folder of the PATH")
        #expect(byPath.message == "running \"/bin/nothing\": no such file in the image")
        #expect(shell.hint?.hasPrefix("the image has no shell: use the exec form") == true)
        #expect(byName.code == .program)
    }

    @Test("A program that may not or can't be executed")
    func notExecutable() throws {
        try place.folder.write("root/bin/plain", "text")
        let denied = try error { $0.arguments = ["plain"] }
        try Program.install("text", at: URL(filePath: place.root + "/bin/plain"))
        let text = try error { $0.arguments = ["plain"] }

        #expect(denied.message == "running \"/bin/plain\": permission denied for the user 0")
        #expect(text.message == "running \"/bin/plain\": it is neither a program nor a script that begins with #!")
    }

    @Test("A program of another machine, with what to install")
    func foreign() throws {
        var header = [UInt8](repeating: 0, count: 64)
        header.replaceSubrange(0..<7, with: [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1])
        // e_type: executable; e_machine: one that nobody emulates here.
        (header[16], header[18]) = (2, 22)
        let file = place.folder.url.appending(path: "foreign")
        try Data(header).write(to: file)
        try Program.install(file, at: URL(filePath: place.root + "/bin/foreign"))

        let error = try error { $0.arguments = ["foreign"] }

        #expect(error.message.hasPrefix("running \"/bin/foreign\": it is a program for s390x, this machine is "))
        #expect(error.hint == "install an emulator: apt-get install qemu-user-static binfmt-support")
    }

    @Test("A script whose interpreter is missing")
    func interpreter() throws {
        try Program.install("#!/usr/bin/python3 -u\n", at: URL(filePath: place.root + "/bin/script"))
        try Program.install("#!/bin/sh\r\necho\r\n", at: URL(filePath: place.root + "/bin/windows"))

        let missing = try error { $0.arguments = ["script"] }
        let windows = try error { $0.arguments = ["windows"] }

        #expect(missing.message == "running \"/bin/script\": its interpreter \"/usr/bin/python3\" is not there")
        #expect(windows.hint == "the line ends in a carriage return: save it with Unix line ends")
    }

    @Test("A mount whose source is missing, a limit that is none, a byte that ends texts")
    func specification() throws {
        let bind = try error { $0.mounts = [MountSpec(.bind("/nowhere/at/all", isReadOnly: true), at: "/x")] }
        let limit = try error { $0.limits = [.init(name: "noturn", soft: 1, hard: 1)] }
        let order = try error { $0.limits = [.init(name: "nofile", soft: 2, hard: 1)] }
        let byte = try error { $0.environment = ["A=b\0c"] }
        let none = try error { $0.arguments = [] }

        #expect(bind.message == "mounting /nowhere/at/all at /x: No such file or directory")
        #expect(limit.message == "there is no limit \"noturn\"")
        #expect(order.message == "the limit nofile: 2 is more than 1")
        #expect(byte.message == "\"A=b…\" has a null byte in it")
        #expect(none.message == "there is no program to run")
    }

    @Test("A layer or an upper directory that is missing")
    func layers() throws {
        let error = try error { spec in
            guard case .overlay(_, let upper, let work) = spec.root else { return }
            spec.root = .overlay(lower: ["/nowhere"], upper: upper, work: work)
        }

        #expect(error.message.hasPrefix("mounting the root of 1 layers, changes in "))
        #expect(error.message.hasSuffix(": No such file or directory"))
    }

    @Test("A program that is still open for writing is waited for", arguments: [Isolation.namespaces, .chroot])
    func busy(isolation: Isolation) throws {
        let file = open(place.root + "/bin/busybox", O_WRONLY | O_CLOEXEC)
        try #require(file >= 0)
        DispatchQueue(label: "lets go").asyncAfter(deadline: .now() + 0.3) { close(file) }

        #expect(try place.run("exit 7", isolation).status == .exited(7))
    }

    @Test("What chroot can't do")
    func chroot() throws {
        var spec = try place.spec("true", .chroot).spec
        spec.mounts = [MountSpec(.tmpfs(size: nil), at: "/t")]
        let mount = try #require(throws: SandboxError.self) { _ = try place.run(spec, .chroot) }
        spec.mounts = []
        spec.network = .none
        let network = try #require(throws: SandboxError.self) { _ = try place.run(spec, .chroot) }

        #expect(mount.message == "chroot: nothing can be mounted at /t here")
        #expect(network.message == "chroot: the network can't be taken away here (--network=none)")
    }

    @Test("An isolation that is none, or not there")
    func isolations() throws {
        let name = #expect(throws: SandboxError.self) { _ = try IsolationChoice.Wish("jail") }
        let scratch = place.folder.url.path
        let runtime = #expect(throws: SandboxError.self) {
            _ = try IsolationChoice.probe(.only(.oci(runtime: "/nowhere/runc")), scratch: scratch)
        }

        #expect(name?.message == "there is no isolation \"jail\"")
        #expect(runtime?.message.hasPrefix("no isolation works: oci (/nowhere/runc): ") == true)
    }
}
