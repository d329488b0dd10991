// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import Synchronization

/// Ends the connection of a client that takes nothing of an answer for long: it would hold files open for ever.
final class DeliveryWatch: Sendable {
    private let state: Mutex<State>

    private struct State {
        var moved = ContinuousClock.now
        var check: RepeatedTask?
    }

    /// Watches a connection while something is sent to it.
    init(_ channel: any Channel, limit: Duration) {
        state = Mutex(State())
        let pause = TimeAmount(limit / 4)
        let check = channel.eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { [self] _ in
            if state.withLock({ $0.moved.advanced(by: limit) }) < .now { channel.close(promise: nil) }
        }
        state.withLock { $0.check = check }
    }

    /// Says that the client took some.
    func moves() { state.withLock { $0.moved = .now } }

    /// Watches no longer.
    func end() {
        state.withLock { state in
            state.check?.cancel()
            state.check = nil
        }
    }
}
