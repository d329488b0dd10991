// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import Sandbox
internal import Synchronization

/// Loopback addresses for container groups, each group one of its own; a lock guards which are taken.
///
/// They are given from blocks of 254. A socket at the last address of a block holds it against other emulators.
final class GroupAddresses: Sendable {
    /// What they have in common: the first 16 bits.
    static let range = "127.77.0.0"

    private struct State {
        var block = Int.random(in: 1...254)
        /// The last address that was given of the block, which is none yet.
        var last = 254
        var holds: [Int32] = []
    }

    private let state = Mutex(State())
    /// Any port that nobody is likely to want there.
    private static let holdPort = 47_077

    deinit {
        for hold in state.withLock({ $0.holds }) { Glibc.close(hold) }
    }

    /// Another address: `127.77.x.y`.
    func take() -> String {
        state.withLock { state in
            if state.last == 254 { GroupAddresses.changeBlock(&state) }
            // Addresses that end with 0 and 255 look like something else.
            state.last += 1
            return "127.77.\(state.block).\(state.last)"
        }
    }

    /// Goes on to a block that no emulator has; where each is held, to any.
    private static func changeBlock(_ state: inout State) {
        state.last = 0
        for _ in 1...254 {
            state.block = state.block % 254 + 1
            let hold = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard hold >= 0 else { return }
            let address = Descriptors.address("127.77.\(state.block).255", holdPort)
            if Descriptors.with(address, { bind(hold, $0, $1) }) == 0 { return state.holds.append(hold) }
            Glibc.close(hold)
        }
    }
}

/// The network of a container group: containers share it, and its public ports are reached at an address of loopback.
///
/// A lock guards the ports that are listened on.
final class GroupNetwork: Sendable {
    /// Where people reach the group.
    let address: String
    private let inside: NetworkNamespace?
    private let listeners = Mutex<[Int32]>([])
    private let note: @Sendable (String) -> Void

    init(_ world: World) {
        note = world.options.note
        var made: NetworkNamespace?
        if !world.options.sharesNetwork {
            do {
                made = try NetworkNamespace()
            } catch {
                note("containers share this machine's network, as they can have none of their own: \(error)")
            }
        }
        inside = made
        address = made == nil ? "127.0.0.1" : world.addresses.take()
    }

    deinit { close() }

    /// Does something where processes and sockets belong to the group.
    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        guard let inside else { return try body() }
        return try inside.run(body)
    }

    /// A socket that is connected to a port of the group; -1 where nobody listens.
    func connect(to port: Int) -> Int32 {
        let made = try? run { Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0) }
        guard let socket = made, socket >= 0 else { return -1 }
        let result = Descriptors.with(Descriptors.address("127.0.0.1", port)) { Glibc.connect(socket, $0, $1) }
        if result == 0 { return socket }
        Glibc.close(socket)
        return -1
    }

    /// Listens on open ports, at the group's own address and, where the group is public and they are free, at 127.0.0.1.
    ///
    /// - Parameters:
    ///   - ports: The ports.
    ///   - alsoAtLoopback: Whether at 127.0.0.1, too.
    /// - Returns: What people should know, in sentences.
    func open(_ ports: [Int], alsoAtLoopback: Bool = true) -> [String] {
        guard inside != nil else { return [] }
        var notes: [String] = []
        for port in ports {
            if let fault = listen(port, at: address) {
                notes.append("port \(port) of the group cannot be reached at \(address): \(fault)")
            }
            if alsoAtLoopback { _ = listen(port, at: "127.0.0.1") }
        }
        return notes
    }

    /// Reaches addresses of emulated services in a network where they are listened for.
    ///
    /// - Parameter services: That network.
    /// - Throws: `SandboxError` where the machine refuses.
    func reach(_ services: NetworkNamespace) throws {
        // Each address is one group's alone, and so is a name made of it.
        let name = "g" + address.split(separator: ".").suffix(2).joined(separator: "-")
        try inside?.reach(services, as: name, from: address, GroupAddresses.range, length: 16)
    }

    /// Takes a socket that is listened on elsewhere, to end it with the others.
    func keep(_ socket: Int32) { listeners.withLock { $0.append(socket) } }

    /// Ends listening.
    func close() {
        let all = listeners.withLock { list in
            defer { list = [] }
            return list
        }
        for listener in all { shutdown(listener, Int32(SHUT_RDWR)) }
    }

    private func listen(_ port: Int, at address: String) -> String? {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return Descriptors.reason }
        var on: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let bound = Descriptors.with(Descriptors.address(address, port)) { bind(socket, $0, $1) }
        guard bound == 0, Glibc.listen(socket, 128) == 0 else {
            let reason = Descriptors.reason
            Glibc.close(socket)
            return reason
        }
        listeners.withLock { $0.append(socket) }
        Thread.start { [weak self] in
            defer { Glibc.close(socket) }
            while true {
                let client = accept(socket, nil, nil)
                if client < 0 {
                    if errno == EINTR || errno == ECONNABORTED { continue }
                    return
                }
                guard let self else {
                    Glibc.close(client)
                    return
                }
                let server = self.connect(to: port)
                guard server >= 0 else {
                    // As where nobody listens: the connection is refused.
                    var linger = linger(l_onoff: 1, l_linger: 0)
                    setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
                    Glibc.close(client)
                    continue
                }
                Thread.start { Relay.run(client, server) }
            }
        }
        return nil
    }
}

/// Threads for what blocks: their number is bounded by containers and connections.
enum Thread {
    /// Runs something on a thread of its own.
    static func start(_ body: @escaping @Sendable () -> Void) {
        let queue = DispatchQueue(label: "coracle.azure-emulator")
        queue.async(execute: body)
    }
}

/// Carries bytes between two sockets until both are done.
enum Relay {
    static func run(_ left: Int32, _ right: Int32) {
        let ends = [left, right]
        var isOpen = [true, true]
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer {
            buffer.deallocate()
            for end in ends { close(end) }
        }
        while isOpen[0] || isOpen[1] {
            var waiting = (0..<2).map { pollfd(fd: isOpen[$0] ? ends[$0] : -1, events: Int16(POLLIN), revents: 0) }
            guard poll(&waiting, 2, -1) > 0 || errno == EINTR else { return }
            for index in 0..<2 where isOpen[index] && waiting[index].revents != 0 {
                let count = recv(ends[index], buffer.baseAddress, buffer.count, 0)
                if count > 0 {
                    let part = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                    guard send(part, to: ends[1 - index]) else { return }
                } else {
                    isOpen[index] = false
                    shutdown(ends[1 - index], Int32(SHUT_WR))
                }
            }
        }
    }

    private static func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let rest = bytes.count - offset
            let count = Glibc.send(socket, bytes.baseAddress?.advanced(by: offset), rest, Int32(MSG_NOSIGNAL))
            if count >= 0 { offset += count } else if errno != EINTR { return false }
        }
        return true
    }
}
