// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import Synchronization
import TestSupport
import Testing

@Suite("Trying again", .inTurns)
struct RetryTests {
    /// Hardly any waiting.
    static var quick: RetryPolicy {
        var policy = RetryPolicy()
        policy.firstDelay = .milliseconds(1)
        return policy
    }

    @Test(
        "Retry-After is seconds or a date",
        arguments: [
            ("7", 7), ("Sun, 06 Nov 1994 08:49:37 GMT", 37), ("Sun, 06 Nov 1994 08:48:00 GMT", 0), ("-3", 0),
        ]
    )
    func retryAfter(text: String, seconds: Int) {
        // 784111740 is 1994-11-06 08:49:00.
        #expect(RetryPolicy.retryAfter(["retry-after": text], now: 784_111_740) == .seconds(seconds))
    }

    @Test("A Retry-After that cannot be read is none", arguments: ["soon", "", "1.5", "Sun Nov  6 08:49:37 1994"])
    func noRetryAfter(text: String) {
        #expect(RetryPolicy.retryAfter(["Retry-After": text], now: 0) == nil)
    }

    @Test("Waiting grows, is bounded, and is never less than asked for")
    func delays() throws {
        let policy = RetryPolicy()

        for attempt in 1..<policy.attempts {
            let delay = try #require(policy.delay(after: attempt))
            #expect(delay <= policy.longestDelay && delay >= policy.firstDelay / 2)
            #expect(try #require(policy.delay(after: attempt, asked: .seconds(30))) >= .seconds(30))
        }
        #expect(policy.delay(after: policy.attempts) == nil)
        #expect(policy.delay(after: 1, asked: .seconds(3600)) == nil, "nobody waits for an hour")
    }

    @Test(
        "What may pass is tried again, the rest is not",
        arguments: [
            (408, 3), (429, 3), (500, 3), (502, 3), (503, 3), (504, 3), (400, 1), (401, 1), (404, 1), (501, 1),
        ]
    )
    func statuses(status: Int, attempts: Int) async throws {
        let server = try FaultyServer { $0.index < 2 ? .answer(status, ["Retry-After": "0"]) : .answer(200) }
        let session = HTTPSession(NetworkTransport(), policy: RetryTests.quick)

        let response = try await session.send(HTTPRequest(.get, HTTPURL("http://127.0.0.1:\(server.port)/")))

        #expect(response.status == (attempts == 3 ? 200 : status))
        #expect(server.requests.count == attempts)
    }

    @Test("A request that may not be repeated is not, unless the server says that it did nothing")
    func never() async throws {
        let server = try FaultyServer { $0.index == 0 ? .answer(429) : .answer(500) }
        let session = HTTPSession(NetworkTransport(), policy: RetryTests.quick)

        let response = try await session.send(HTTPRequest(.patch, HTTPURL("http://127.0.0.1:\(server.port)/")))

        #expect(response.status == 500)
        #expect(server.requests.count == 2)
    }

    @Test("A body is sent again from its start, with its length and never chunked")
    func bodies() async throws {
        let server = try FaultyServer { $0.index == 0 ? .answer(503) : .answer(200) }
        let session = HTTPSession(NetworkTransport(), policy: RetryTests.quick)
        let body = HTTPBody([UInt8](repeating: 1, count: 3 << 20))

        let response = try await session.send(
            HTTPRequest(.put, HTTPURL("http://127.0.0.1:\(server.port)/"), body: body)
        )

        #expect(response.status == 200)
        for request in server.requests {
            #expect(request.fields["content-length"] == "3145728")
            #expect(request.fields["transfer-encoding"] == nil)
        }
    }

    @Test("A refused connection is told after the last attempt, and each wait before")
    func refused() async throws {
        let events = Mutex<[String]>([])
        var policy = RetryTests.quick
        policy.attempts = 3
        let port = try UnusedPort.find()
        let session = HTTPSession(NetworkTransport(), policy: policy) { event in
            if case .waiting(_, let reason, _, let attempt) = event {
                events.withLock { $0.append("\(attempt) \(reason)") }
            }
        }

        let error = try await #require(throws: ServerError.self) {
            try await session.send(HTTPRequest(.get, HTTPURL("http://127.0.0.1:\(port)/")))
        }

        #expect(error.code == .unreachable)
        let text = "127.0.0.1 port \(port): connection refused, nobody listens there"
        #expect(events.withLock { $0 } == ["1 \(text)", "2 \(text)"])
    }
}

@Suite("How many at once", .inTurns)
struct ConcurrencyLimitTests {
    @Test("Never more than the limit run, and all get their turn", arguments: [1, 2, 5])
    func width(width: Int) async throws {
        let limit = ConcurrencyLimit(width)
        let gauge = Gauge()

        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await limit.run {
                        gauge.change(1)
                        await Task.yield()
                        gauge.change(-1)
                    }
                }
            }
            try await group.waitForAll()
        }

        #expect(gauge.most <= width)
        #expect(gauge.now == 0)
    }

    final class Gauge: Sendable {
        private let values = Mutex((now: 0, most: 0))

        var now: Int { values.withLock { $0.now } }
        var most: Int { values.withLock { $0.most } }

        func change(_ difference: Int) {
            values.withLock { values in
                values.now += difference
                values.most = max(values.most, values.now)
            }
        }
    }

    @Test("It halves once for all that run together, and grows back")
    func additiveIncrease() async throws {
        let limit = ConcurrencyLimit(8)

        try await limit.run {
            limit.shrink()
            limit.shrink()
        }
        #expect(limit.current == 4, "one overload is one cut, however many answers tell of it")
        limit.shrink()
        limit.shrink()
        #expect(limit.current == 1)
        for _ in 0..<100 { limit.grow() }
        #expect(limit.current == 8)
    }

    @Test("Who waits can be cancelled, and the next takes the turn")
    func cancelling() async throws {
        let limit = ConcurrencyLimit(1)

        try await limit.run {
            await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await limit.run {} }
                group.cancelAll()
                await #expect(throws: CancellationError.self) { try await group.next() }
            }
        }

        try await limit.run {}
    }
}
