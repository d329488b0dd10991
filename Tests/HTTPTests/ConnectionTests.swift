// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import HTTP

@Suite("Connections", .inTurns)
struct ConnectionTests {
    static func get(_ url: String, _ settings: NetworkSettings = NetworkSettings()) async throws -> HTTPResponse {
        try await NetworkTransport(settings).send(HTTPRequest(.get, HTTPURL(url)))
    }

    @Test("A host without an address is named, with what to check")
    func unknownHost() async throws {
        let error = try await #require(throws: ServerError.self) {
            try await Self.get("https://registry.invalid/v2/")
        }

        #expect(error.code == .unknownHost)
        #expect(error.message == "the host \"registry.invalid\" has no address in the DNS")
        #expect(error.hint?.contains("getent hosts registry.invalid") == true)
    }

    @Test("A server that does not answer is given up after the time allowed")
    func silence() async throws {
        let server = try FaultyServer { _ in .stall }
        var settings = NetworkSettings()
        settings.idleTimeout = .milliseconds(200)

        let idle = try await #require(throws: ServerError.self) {
            try await Self.get("http://127.0.0.1:\(server.port)/", settings)
        }

        #expect(idle.code == .timedOut)
        #expect(idle.message == "127.0.0.1 port \(server.port): nothing came for 200 ms")
    }

    @Test("An answer that ends too early is an error, not a short answer")
    func cut() async throws {
        let server = try FaultyServer { _ in .answer(200, ["Content-Length": "100"], "short") }

        let response = try await Self.get("http://127.0.0.1:\(server.port)/")
        let error = try await #require(throws: ServerError.self) { try await response.bytes(limit: 1000) }

        #expect(error.code == .cut)
        #expect(error.isTransient)
    }

    @Test("An answer over the limit is refused")
    func limit() async throws {
        let server = try FaultyServer { _ in .answer(200, [:], String(repeating: "x", count: 5000)) }

        let response = try await Self.get("http://127.0.0.1:\(server.port)/")
        let error = try await #require(throws: ServerError.self) { try await response.bytes(limit: 4999) }

        #expect(error.message == "127.0.0.1:\(server.port) answered with more than 4999 bytes")
    }

    @Test("A request can be cancelled while it waits")
    func cancelling() async throws {
        let server = try FaultyServer { _ in .stall }

        await #expect(throws: CancellationError.self) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await Self.get("http://127.0.0.1:\(server.port)/") }
                try await Waiting.until("the request") { !server.requests.isEmpty }
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    @Test("A body is read only as fast as the server takes it")
    func backPressure() async throws {
        let server = try FaultyServer { _ in .stall }
        let count = Mutex(0)
        var settings = NetworkSettings()
        settings.idleTimeout = .milliseconds(400)
        let body = HTTPBody(size: 1 << 40) {
            HTTPChunks {
                count.withLock { $0 += 1 }
                return [UInt8](repeating: 7, count: 1 << 20)
            }
        }

        let url = try HTTPURL("http://127.0.0.1:\(server.port)/")
        let error = try await #require(throws: ServerError.self) {
            try await NetworkTransport(settings).send(HTTPRequest(.put, url, body: body))
        }

        #expect(error.message == "127.0.0.1 port \(server.port): nothing was taken for 400 ms")
        // What the sockets of both sides may hold on this machine, what is on its way to them, and no more.
        let held = try Sockets.held()
        #expect(count.withLock { $0 } < held >> 20 + 8)
    }

    /// In a process of its own, as others wait for these loops, too.
    @Test("A body is not read ahead of an event loop that is late")
    func lateLoops() async throws {
        await #expect(processExitsWith: .success) {
            for number in 0..<EventLoops.group.makeIterator().reduce(0, { count, _ in count + 1 }) {
                let late = LateLoop(number)
                let count = try await late.bodyRead(chunks: 32)
                #expect(count <= 4, "loop \(number)")
            }
        }
    }

    @Test("What a refused body is read from is let go")
    func refusedBody() async throws {
        final class Source: Sendable {}
        struct Seen { weak var source: Source? }
        let server = try FaultyServer { _ in .refuse(401) }
        let seen = Mutex(Seen())
        let body = HTTPBody(size: 1 << 40) {
            let source = Source()
            seen.withLock { $0.source = source }
            return HTTPChunks { withExtendedLifetime(source) { [UInt8](repeating: 7, count: 1 << 20) } }
        }
        let url = try HTTPURL("http://127.0.0.1:\(server.port)/")
        let transport = NetworkTransport()

        let response = try await transport.send(HTTPRequest(.put, url, body: body))

        #expect(response.status == 401)
        #expect(try await response.bytes(limit: 100) == Array("refused".utf8))
        try await Waiting.until("the source to go", upTo: 10) { seen.withLock { $0.source == nil } }
    }

    @Test("The error of a body is the caller's own")
    func bodyFault() async throws {
        struct Damaged: Error, Equatable {}
        let server = try FaultyServer { _ in .answer(200) }
        let url = try HTTPURL("http://127.0.0.1:\(server.port)/")
        let body = HTTPBody(size: 10) { HTTPChunks { throw Damaged() } }

        await #expect(throws: Damaged()) {
            try await NetworkTransport().send(HTTPRequest(.put, url, body: body))
        }
    }

    @Test("A proxy is asked for the way, with its login, which no message shows")
    func proxy() async throws {
        let server = try FaultyServer { _ in .answer(200, [:], "through") }
        let proxy = try FaultyServer(upstream: server.port) { head in
            head.fields["proxy-authorization"] == "Basic bWU6aHVudGVyMjI=" ? .tunnel : .answer(407)
        }
        func settings(_ login: String) -> NetworkSettings {
            NetworkSettings(environment: ["HTTP_PROXY": "http://\(login)127.0.0.1:\(proxy.port)"])
        }

        let response = try await Self.get("http://registry.invalid:81/x", settings("me:hunter22@"))
        let error = try await #require(throws: ServerError.self) {
            try await Self.get("http://registry.invalid:81/x", settings("me:wrongpass@"))
        }

        #expect(String(decoding: try await response.bytes(limit: 100), as: UTF8.self) == "through")
        #expect(proxy.requests[0].target == "registry.invalid:81")
        #expect(
            error.message
                == "registry.invalid port 81 through the proxy 127.0.0.1 port \(proxy.port): the proxy asks for "
                + "a name and password, or does not accept those it was given"
        )
        #expect(!error.description.contains("wrongpass"))
    }

    @Test("A proxy that is not there is named as such")
    func proxyDown() async throws {
        let settings = NetworkSettings(environment: ["HTTPS_PROXY": "http://proxy.invalid:3128"])

        let error = try await #require(throws: ServerError.self) {
            try await Self.get("https://registry.invalid/", settings)
        }

        #expect(error.message == "the proxy \"proxy.invalid\" (HTTPS_PROXY) has no address in the DNS")
    }
}

/// What connections within this machine may hold.
enum Sockets {
    /// The bytes that are sent and not read yet, at most.
    static func held() throws -> Int {
        try ["rmem", "wmem"]
            .map { kind in
                let sizes = try String(contentsOfFile: "/proc/sys/net/ipv4/tcp_\(kind)", encoding: .utf8)
                return try #require(sizes.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) })
            }
            .reduce(0, +)
    }
}

/// Keeps an event loop busy in the middle of a body.
private final class LateLoop: Sendable {
    private enum State { case held, over }

    private let state = Mutex<State?>(nil)
    private let count = Mutex(0)
    private let number: Int

    init(_ number: Int) { self.number = number }

    /// How many chunks of 1 MiB are read while the loop is held, with those on their way before.
    func bodyRead(chunks: Int) async throws -> Int {
        let server = try FaultyServer { _ in .answer(200) }
        let body = HTTPBody(size: Int64(chunks) << 20) { [self] in
            HTTPChunks { [self] in
                let before = count.withLock { count in
                    defer { count += 1 }
                    return count
                }
                if before == 8 { try await hold() }
                return before == chunks ? nil : [UInt8](repeating: 7, count: 1 << 20)
            }
        }
        let url = try HTTPURL("http://127.0.0.1:\(server.port)/")
        let transport = NetworkTransport()
        let sending = Task { try await transport.send(HTTPRequest(.put, url, body: body)).status }
        try await Waiting.until("the loop") { state.withLock { $0 == .held } }
        for _ in 0..<100 where count.withLock({ $0 }) < 16 { try await Task.sleep(for: .milliseconds(2)) }
        let read = count.withLock { $0 } - 8
        state.withLock { $0 = .over }
        #expect(try await sending.value == 200)
        try await Waiting.until("the end of the body") { count.withLock { $0 } == chunks + 1 }
        return read
    }

    private func hold() async throws {
        var loops = EventLoops.group.makeIterator()
        for _ in 0..<number { _ = loops.next() }
        loops.next()?
            .execute { [self] in
                state.withLock { $0 = .held }
                while state.withLock({ $0 == .held }) { Thread.sleep(forTimeInterval: 0.001) }
            }
        try await Waiting.until("the loop") { state.withLock { $0 != nil } }
    }
}
