// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Lets at most so many do something at once; the others wait their turn, first come, first served.
///
/// The limit shrinks when a server says that it is too much, and grows back by one with each round that goes well
/// (additive increase, multiplicative decrease). The lock protects the count and the queue.
public final class ConcurrencyLimit: Sendable {
    private struct State {
        var limit: Double
        var running = 0
        var nextTicket = 0
        var waiting: [(ticket: Int, continuation: CheckedContinuation<Void, any Error>)] = []
        var cancelled: Set<Int> = []
        /// Those that run since before the last cut are not counted against the limit a second time.
        var untouched = 0
    }

    private let most: Int
    private let state: Mutex<State>

    /// Makes a limit.
    ///
    /// - Parameter most: How many at once, at least 1.
    public init(_ most: Int) {
        self.most = max(most, 1)
        state = Mutex(State(limit: Double(max(most, 1))))
    }

    /// How many may run at once now.
    public var current: Int { state.withLock { Int($0.limit) } }

    /// Does something when it is its turn.
    ///
    /// - Parameter work: What to do.
    /// - Returns: What it returns.
    /// - Throws: What it throws; `CancellationError` where the task is cancelled while it waits.
    public func run<Value>(_ work: () async throws -> Value) async throws -> Value {
        try await enter()
        defer { leave() }
        return try await work()
    }

    /// Halves the limit, to 1 at the least, and not again before those that run now have ended.
    public func shrink() {
        state.withLock { state in
            guard state.untouched == 0 else { return }
            state.limit = max(1, (state.limit / 2).rounded(.down))
            state.untouched = state.running
        }
    }

    /// Grows the limit by one over as many calls as it now allows at once, until it is back where it began.
    public func grow() {
        wake {
            $0.limit = min(Double(most), $0.limit + 1 / $0.limit)
        }
    }

    private func enter() async throws {
        try Task.checkCancellation()
        let ticket = state.withLock { state in
            defer { state.nextTicket += 1 }
            return state.nextTicket
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelled.remove(ticket) != nil { return .failure(CancellationError()) }
                    if state.running < Int(state.limit), state.waiting.isEmpty {
                        state.running += 1
                        return .success(())
                    }
                    state.waiting.append((ticket, continuation))
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Void, any Error>? in
                guard let index = state.waiting.firstIndex(where: { $0.ticket == ticket }) else {
                    state.cancelled.insert(ticket)
                    return nil
                }
                return state.waiting.remove(at: index).continuation
            }
            waiter?.resume(throwing: CancellationError())
        }
        state.withLock { _ = $0.cancelled.remove(ticket) }
    }

    private func leave() {
        wake { state in
            state.running -= 1
            state.untouched = max(0, state.untouched - 1)
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let ready = state.withLock { state in
            change(&state)
            var ready: [CheckedContinuation<Void, any Error>] = []
            while state.running < Int(state.limit), !state.waiting.isEmpty {
                state.running += 1
                ready.append(state.waiting.removeFirst().continuation)
            }
            return ready
        }
        for continuation in ready { continuation.resume() }
    }
}
