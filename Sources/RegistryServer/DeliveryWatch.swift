// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import Synchronization

/// Ends the connection of a client that takes nothing of an answer for long: it would hold files open for ever.
final class DeliveryWatch: Sendable {
    private let moved = Mutex(ContinuousClock.now)

    /// Says that the client took some.
    func moves() { moved.withLock { $0 = .now } }

    /// Watches a connection while a function sends to it.
    static func run<Value>(
        _ channel: any Channel,
        limit: Duration,
        _ body: (DeliveryWatch) async throws -> Value
    ) async throws -> Value {
        let watch = DeliveryWatch()
        let pause = TimeAmount(limit / 4)
        let check = channel.eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { _ in
            if watch.moved.withLock({ $0.advanced(by: limit) }) < .now { channel.close(promise: nil) }
        }
        defer { check.cancel() }
        return try await body(watch)
    }
}
