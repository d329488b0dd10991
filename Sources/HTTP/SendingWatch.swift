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
struct OutgoingBytes: AsyncSequence, Sendable {
    let chunks: HTTPChunks
    let fault: FirstError
    let watch: SendingWatch

    func makeAsyncIterator() -> Iterator { Iterator(body: self) }

    struct Iterator: AsyncIteratorProtocol {
        let body: OutgoingBytes
        private var rest = ByteBuffer()
        /// Bytes since the event loops were last waited for.
        private var ahead = 0

        init(body: OutgoingBytes) { self.body = body }

        /// Small enough that a slow line, too, is seen to move.
        private static let most = 256 << 10
        /// The client asks for more until its event loop, which may be late, says that the server takes no more.
        private static let mostAhead = 1 << 20

        mutating func next() async throws -> ByteBuffer? {
            if ahead >= Iterator.mostAhead {
                try await EventLoops.catchUp()
                ahead = 0
            }
            while rest.readableBytes == 0 {
                body.watch.reads()
                do {
                    guard let chunk = try await body.chunks.next() else {
                        body.watch.hands(last: true)
                        return nil
                    }
                    rest = ByteBuffer(bytes: chunk)
                } catch {
                    body.fault.set(error)
                    throw error
                }
            }
            body.watch.hands(last: false)
            let piece = rest.readSlice(length: Swift.min(rest.readableBytes, Iterator.most))
            ahead += piece?.readableBytes ?? 0
            return piece
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
