// SPDX-License-Identifier: Apache-2.0
// Runs one process in a sandbox, for tests that need a program of their own: as another user, or to be killed.
//
// SandboxProbe FOLDER BUSYBOX SCRIPT: makes a root with busybox in FOLDER and runs the script there.
internal import Glibc
internal import Sandbox

let entry = UserNamespace.enter()

func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(2, bytes, bytes.count)
}

func makeFolder(_ path: String) { mkdir(path, 0o755) }

func copy(_ source: String, to target: String) {
    let (from, to) = (open(source, O_RDONLY), open(target, O_WRONLY | O_CREAT | O_TRUNC, 0o755))
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var count = read(from, &buffer, buffer.count)
    while count > 0 {
        _ = write(to, buffer, count)
        count = read(from, &buffer, buffer.count)
    }
    close(from)
    close(to)
}

func main() throws -> Int32 {
    let arguments = CommandLine.arguments
    guard arguments.count == 4 else { return 2 }
    let folder = arguments[1]
    for name in ["", "/root", "/root/bin", "/root/etc", "/root/tmp", "/upper", "/work"] { makeFolder(folder + name) }
    copy(arguments[2], to: folder + "/root/bin/busybox")
    symlink("busybox", folder + "/root/bin/sh")
    say("outcome: \(entry.outcome)")
    if let note = entry.note { say("note: \(note)") }
    let choice = try IsolationChoice.probe(scratch: folder)
    say("isolation: \(choice.isolation), overlays: \(choice.mountsOverlays)")
    let root = ProcessSpec.Root.overlay(lower: [folder + "/root"], upper: folder + "/upper", work: folder + "/work")
    var spec = ProcessSpec(root: root, arguments: ["/bin/sh", "-c", arguments[3]])
    spec.environment = ["PATH=/bin"]
    let process = try SandboxedProcess.start(spec, isolation: choice.isolation) { stream, bytes in
        _ = write(stream == .output ? 1 : 2, bytes.baseAddress, bytes.count)
    }
    return try process.wait().code
}

do { exit(try main()) } catch {
    say("error: \(error)")
    exit(99)
}
