// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import Synchronization

/// Ends the connection of a client that takes nothing of an answer for long: it would hold files open for ever.
final class DeliveryWatch: Sendable {
    private let state: Mutex<State>

    private struct State {
        /// How many looks in a row found that nothing had moved.
        var still = 0
        var check: RepeatedTask?
    }

    /// A look after the limit has passed for sure.
    private static let mostLooks = 5

    /// Watches a connection while something is sent to it.
    init(_ channel: any Channel, limit: Duration) {
        state = Mutex(State())
        // Looks are counted, as a process that did not run for a while has done nothing that a client could take.
        let pause = TimeAmount(limit / (DeliveryWatch.mostLooks - 1))
        let check = channel.eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { [self] _ in
            let still = state.withLock { state in
                state.still += 1
                return state.still
            }
            if still >= DeliveryWatch.mostLooks { channel.close(promise: nil) }
        }
        state.withLock { $0.check = check }
    }

    /// Says that the client took some.
    func moves() { state.withLock { $0.still = 0 } }

    /// Watches no longer.
    func end() {
        state.withLock { state in
            state.check?.cancel()
            state.check = nil
        }
    }
}
