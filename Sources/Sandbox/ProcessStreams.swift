// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// The pipes or the terminal between a process and its caller.
///
/// A class, for its descriptors are closed once, wherever a start ends.
final class ProcessStreams {
    /// What the child gets as its standard streams.
    private(set) var childs: [Int32] = []
    /// A socket through which the child sends its terminal; -1 for none.
    private(set) var socket: Int32 = -1
    private var ourSocket: Int32 = -1
    private var output: Int32 = -1
    private var errors: Int32 = -1
    private var terminal: TerminalRelay?
    private let passesKeys: Bool
    /// What is typed in place of what the caller types; -1 for that.
    private var keys: Int32 = -1
    private let size: (rows: UInt16, columns: UInt16)

    init(_ spec: ProcessSpec) throws {
        (passesKeys, size) = (spec.passesKeys, spec.terminalSize)
        if spec.hasTerminal, let descriptor = spec.keys { keys = fcntl(descriptor, F_DUPFD_CLOEXEC, 3) }
        if spec.hasTerminal {
            var pair: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
                throw SandboxError("making a socket", errno: errno)
            }
            (ourSocket, socket) = (pair[0], pair[1])
            childs = [-1, -1, -1]
            return
        }
        let input: Int32
        switch spec.input {
        case .null: input = open("/dev/null", O_RDONLY | O_CLOEXEC)
        case .descriptor(let descriptor): input = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        }
        guard input >= 0 else { throw SandboxError("opening the standard input", errno: errno) }
        childs = [input]
        do {
            let (outputEnd, outputStart) = try Self.pipe()
            (output, childs) = (outputEnd, childs + [outputStart])
            let (errorsEnd, errorsStart) = try Self.pipe()
            (errors, childs) = (errorsEnd, childs + [errorsStart])
        } catch {
            close()
            throw error
        }
    }

    private static func pipe() throws -> (end: Int32, start: Int32) {
        var ends: [Int32] = [-1, -1]
        let error = clinux_pipe(&ends)
        guard error == 0 else { throw SandboxError("making a pipe", errno: error) }
        return (ends[0], ends[1])
    }

    /// Closes what only the child uses; with a terminal, takes its other side over.
    func closeChilds() {
        for descriptor in childs + [socket] where descriptor >= 0 { Glibc.close(descriptor) }
        (childs, socket) = ([], -1)
        guard ourSocket >= 0 else { return }
        output = clinux_receive_descriptor(ourSocket)
        Glibc.close(ourSocket)
        ourSocket = -1
        guard output >= 0 else { return }
        guard keys >= 0 else {
            terminal = TerminalRelay(sandbox: output, passesKeys: passesKeys)
            return
        }
        terminal = TerminalRelay(sandbox: output, keys: keys, rows: size.rows, columns: size.columns)
        keys = -1
    }

    /// Closes everything, where the process did not start.
    func close() {
        for descriptor in childs + [socket, ourSocket, output, errors, keys] where descriptor >= 0 {
            Glibc.close(descriptor)
        }
        (childs, socket, ourSocket, output, errors, keys) = ([], -1, -1, -1, -1, -1)
    }

    /// Hands over what the process writes until it has ended and nothing can write any more.
    func relay(until process: Int32, to handler: SandboxedProcess.OutputHandler, atExit: () -> Void) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        var hasEnded = false
        while !hasEnded || output >= 0 || errors >= 0 {
            var waiting = [
                pollfd(fd: hasEnded ? -1 : process, events: Int16(POLLIN), revents: 0),
                pollfd(fd: output, events: Int16(POLLIN), revents: 0),
                pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
                pollfd(fd: hasEnded ? -1 : terminal?.input ?? -1, events: Int16(POLLIN), revents: 0),
            ]
            // A terminal's size is looked at now and then; a signal handler would be the whole program's.
            let limit: Int32 = hasEnded ? 5_000 : terminal == nil ? -1 : 200
            let count = poll(&waiting, 4, limit)
            if count < 0, errno != EINTR { break }
            // What holds a pipe open this long after the end is not of this process.
            if count == 0, hasEnded { break }
            terminal?.followSize()
            guard count > 0 else { continue }
            if waiting[1].revents != 0 { Self.read(&output, .output, buffer, handler) }
            if waiting[2].revents != 0 { Self.read(&errors, .errors, buffer, handler) }
            if waiting[3].revents != 0 { terminal?.passInput(buffer) }
            if waiting[0].revents != 0 {
                hasEnded = true
                atExit()
            }
        }
        terminal?.restore()
        close()
    }

    private static func read(
        _ descriptor: inout Int32,
        _ stream: ProcessStream,
        _ buffer: UnsafeMutableRawBufferPointer,
        _ handler: SandboxedProcess.OutputHandler
    ) {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        if count > 0 {
            handler(stream, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        } else if count == 0 || (errno != EINTR && errno != EAGAIN) {
            // A terminal whose other side is closed answers EIO.
            Glibc.close(descriptor)
            descriptor = -1
        }
    }
}
