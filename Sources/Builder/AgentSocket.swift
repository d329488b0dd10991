// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import Store

/// A socket of a step's own that leads to an SSH agent, so that the agent's own is not exposed.
///
/// Specification: Dockerfile reference, "RUN --mount=type=ssh".
final class AgentSocket: @unchecked Sendable {
    // SAFETY: both are set before any thread starts, and read only after that.
    /// The socket's path.
    let path: String
    private let listener: Int32
    private let agent: String

    /// Makes a socket in a folder that belongs to a step.
    init(in folder: String, to agent: String, mode: UInt32, uid: UInt32, gid: UInt32) throws {
        self.agent = agent
        let name = "agent-\(UInt32.random(in: 0...UInt32.max))"
        path = "\(folder)/\(name)"
        let place = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if place >= 0 { Glibc.close(place) } }
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0,
            // A socket's address has 108 bytes, and stores lie deeper than that.
            AgentSocket.address("/proc/self/fd/\(place)/\(name)", { bind(listener, $0, $1) }) == 0,
            listen(listener, 16) == 0,
            chown(path, uid, gid) == 0, chmod(path, mode) == 0
        else { throw StoreError("making the socket \(path)", errno: errno) }
        DispatchQueue(label: "coracle.agent").async { self.accept() }
    }

    /// Ends it; connections that are open go on until the command closes them.
    func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        unlink(path)
    }

    private func accept() {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            if client < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                // Only who accepts may close: the number may become another socket's at once, and be accepted from.
                Glibc.close(listener)
                return
            }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            guard server >= 0, AgentSocket.address(agent, { connect(server, $0, $1) }) == 0 else {
                Glibc.close(client)
                if server >= 0 { Glibc.close(server) }
                continue
            }
            DispatchQueue(label: "coracle.agent.connection")
                .async {
                    AgentSocket.exchange(client, server)
                    Glibc.close(client)
                    Glibc.close(server)
                }
        }
    }

    /// Carries bytes both ways until one side ends.
    private static func exchange(_ one: Int32, _ other: Int32) {
        var ends = [
            pollfd(fd: one, events: Int16(POLLIN), revents: 0), pollfd(fd: other, events: Int16(POLLIN), revents: 0),
        ]
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            if poll(&ends, 2, -1) < 0, errno != EINTR { return }
            for (from, to) in [(0, 1), (1, 0)] where ends[from].revents != 0 {
                let count = read(ends[from].fd, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                var sent = 0
                while sent < count {
                    let next = buffer[sent..<count]
                        .withUnsafeBytes {
                            send(ends[to].fd, $0.baseAddress, $0.count, Int32(truncatingIfNeeded: MSG_NOSIGNAL))
                        }
                    if next < 0, errno == EINTR { continue }
                    guard next > 0 else { return }
                    sent += next
                }
            }
        }
    }

    /// Calls a function with the address of a socket's path; fails with ENAMETOOLONG where it has no room.
    private static func address(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            errno = ENAMETOOLONG
            return -1
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
