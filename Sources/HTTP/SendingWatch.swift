// SPDX-License-Identifier: Apache-2.0
internal import AsyncHTTPClient
internal import NIOCore
internal import Synchronization

/// Whether a server still takes what is sent to it.
///
/// The client's own write timeout is the time *we* take for the next piece, and is off while the server takes nothing;
/// a server that stops reading would hold a push up for ever.
final class SendingWatch: Sendable {
    private struct State {
        var since = ContinuousClock.now
        /// Whether the server is waited for, not the body's source.
        var isServersTurn = true
        var isDone = false
    }

    private let state = Mutex(State())

    /// The server took what it was given, and the next piece is being read.
    func reads() {
        state.withLock { $0.isServersTurn = false }
    }

    /// The next piece was handed over, or there is none.
    func hands(last: Bool) {
        state.withLock { state in
            (state.since, state.isServersTurn, state.isDone) = (.now, true, last)
        }
    }

    /// Returns when everything was handed over.
    ///
    /// - Throws: The client's error of a write that takes too long; `CancellationError`.
    func wait(_ limit: Duration) async throws {
        while true {
            let now = state.withLock { $0 }
            if now.isDone { return }
            let end = now.isServersTurn ? now.since + limit : .now + limit
            if end <= .now { throw HTTPClientError.writeTimeout }
            try await Task.sleep(until: end, tolerance: nil, clock: .continuous)
        }
    }
}

/// A body as the client reads it: the next piece when the last has gone out.
///
/// The client keeps the reader of a body that a server refuses before its end, for ever (async-http-client 1.37): what
/// the body is read from is given up here.
final class OutgoingBytes: AsyncSequence, Sendable {
    private struct State {
        var source: HTTPChunks?
        var rest = ByteBuffer()
        /// Bytes that are still to be handed over.
        var left: Int64
        /// Bytes since the event loops were last waited for.
        var ahead = 0
    }

    private let state: Mutex<State>
    private let fault: FirstError
    private let watch: SendingWatch

    init(_ source: HTTPChunks, size: Int64, _ fault: FirstError, _ watch: SendingWatch) {
        state = Mutex(State(source: source, left: size))
        (self.fault, self.watch) = (fault, watch)
    }

    /// Small enough that a slow line, too, is seen to move.
    private static let most = 256 << 10
    /// The client asks for more until its event loop, which may be late, says that the server takes no more.
    private static let mostAhead = 1 << 20
    /// What a piece costs beside its bytes, about.
    private static let least = 4 << 10

    /// Lets go of the source: nobody wants the rest.
    func giveUp() {
        state.withLock { $0 = State(left: $0.left) }
    }

    func makeAsyncIterator() -> Iterator { Iterator(body: self) }

    struct Iterator: AsyncIteratorProtocol {
        let body: OutgoingBytes

        func next() async throws -> ByteBuffer? { try await body.next() }
    }

    private func next() async throws -> ByteBuffer? {
        watch.reads()
        while state.withLock({ $0.rest.readableBytes }) == 0 {
            guard let source = state.withLock({ $0.source }) else {
                if state.withLock({ $0.left }) == 0 { return nil }
                // An error would be taken for the end of the answer, which is still being read.
                try await Task.sleep(for: .milliseconds(10))
                return ByteBuffer()
            }
            do {
                guard let chunk = try await source.next() else {
                    watch.hands(last: true)
                    return nil
                }
                state.withLock { if $0.source != nil { $0.rest = ByteBuffer(bytes: chunk) } }
            } catch {
                // Nor would one of a source that nobody wants to be read.
                guard state.withLock({ $0.source != nil }) else { continue }
                fault.set(error)
                throw error
            }
        }
        // Not after the last piece, which the server may answer at once.
        if state.withLock({ $0.ahead }) >= OutgoingBytes.mostAhead {
            try await EventLoops.catchUp()
            state.withLock { $0.ahead = 0 }
        }
        watch.hands(last: false)
        return state.withLock { state in
            let count = Swift.min(state.rest.readableBytes, OutgoingBytes.most)
            state.left -= Int64(count)
            state.ahead += Swift.max(count, OutgoingBytes.least)
            return state.rest.readSlice(length: count)
        }
    }
}

/// The first error of a body that is being sent: the client reports it as its own.
final class FirstError: Sendable {
    private let error = Mutex<(any Error)?>(nil)

    var value: (any Error)? { error.withLock { $0 } }

    func set(_ new: any Error) {
        error.withLock { $0 = $0 ?? new }
    }
}
