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
