// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Dispatch
internal import Glibc
internal import Synchronization

/// A network with nothing but a loopback interface, which processes share.
///
/// A thread of its own is in it for as long as this value is referenced: what is started or opened there, a process
/// with ``ProcessSpec/Network/host`` or a socket, belongs to the network.
public final class NetworkNamespace: Sendable {
    private struct State {
        var work: [@Sendable () -> Void] = []
        var isOver = false
    }

    /// What the thread shares with everybody; the thread keeps nothing else alive.
    private final class Queue: Sendable {
        let state = Mutex(State())
        let signal = DispatchSemaphore(value: 0)
        let entered = Mutex<Int32>(-1)
        let ready = DispatchSemaphore(value: 0)

        func body() {
            let error = clinux_enter_network()
            entered.withLock { $0 = error }
            ready.signal()
            guard error == 0 else { return }
            while true {
                signal.wait()
                let (next, isOver) = state.withLock { state in
                    (state.work.isEmpty ? nil : state.work.removeFirst(), state.isOver)
                }
                if let next { next() } else if isOver { return }
            }
        }
    }

    private let queue = Queue()

    /// Makes a network.
    ///
    /// - Throws: ``SandboxError`` where the machine refuses.
    public init() throws {
        let context = Unmanaged.passRetained(queue).toOpaque()
        var thread = pthread_t()
        let result = pthread_create(
            &thread,
            nil,
            { context in
                if let context { Unmanaged<Queue>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            },
            context
        )
        guard result == 0 else {
            Unmanaged<Queue>.fromOpaque(context).release()
            throw SandboxError("starting a thread for a network", errno: result)
        }
        pthread_detach(thread)
        queue.ready.wait()
        let error = queue.entered.withLock { $0 }
        guard error == 0 else { throw SandboxError("making a network", errno: error) }
    }

    deinit {
        queue.state.withLock { $0.isOver = true }
        queue.signal.signal()
    }

    /// Lays a cable to another network, through which a range of its addresses is reached.
    ///
    /// In this network the cable is `eth0`. The range comes before what loopback has of it, so that addresses in
    /// 127.0.0.0/8 can be of the other network; the cable is gone with either network.
    ///
    /// - Parameters:
    ///   - other: The network at the other end; what listens there is not in the way of programs of this one.
    ///   - name: What the cable is called there: at most 15 bytes, free.
    ///   - address: What this network is called there, an IPv4 address in dotted numbers, this cable's alone.
    ///   - range: The range of addresses, as `127.77.0.0`.
    ///   - length: The bits that the range's addresses have in common, 0 to 32.
    /// - Throws: ``SandboxError`` where the machine refuses: `veth` is not there, or the right to make it.
    public func reach(
        _ other: NetworkNamespace,
        as name: String,
        from address: String,
        _ range: String,
        length: Int32
    ) throws {
        let there = try other.run {
            let descriptor = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw SandboxError("opening a network", errno: errno) }
            return descriptor
        }
        defer { close(there) }
        let own = "eth0"
        try run {
            try Self.check(clinux_lay_cable(own, there, name), "laying a cable between two networks")
            try Self.check(clinux_raise_cable(own, address, range, length), "using a cable between two networks")
        }
        try other.run {
            try Self.check(clinux_raise_cable(name, nil, address, 32), "using a cable between two networks")
        }
    }

    private static func check(_ error: Int32, _ what: String) throws {
        if error != 0 { throw SandboxError(what, errno: error) }
    }

    /// Does something on the network's thread, one thing at a time; blocks until it is done.
    ///
    /// - Parameter body: Starts a process, or opens a socket; it should not wait for anything.
    /// - Returns: What it returns.
    /// - Throws: What it throws.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<Result<Value, any Error>?>(nil)
        queue.state.withLock { state in
            state.work.append {
                let value = Result { try body() }
                result.withLock { $0 = value }
                done.signal()
            }
        }
        queue.signal.signal()
        done.wait()
        guard let value = result.withLock({ $0 }) else {
            throw SandboxError(.system, "doing something in a network: its thread gave nothing back")
        }
        return try value.get()
    }
}
