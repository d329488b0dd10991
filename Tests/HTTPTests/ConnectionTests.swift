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
        (settings.idleTimeout, settings.connectTimeout) = (.milliseconds(200), .milliseconds(300))

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
        let held = try ["rmem", "wmem"]
            .map { kind in
                let sizes = try String(contentsOfFile: "/proc/sys/net/ipv4/tcp_\(kind)", encoding: .utf8)
                return try #require(sizes.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) })
            }
        #expect(count.withLock { $0 } < (held[0] + held[1]) >> 20 + 8)
    }

    @Test("A body is not read ahead of event loops that are late")
    func lateLoops() async throws {
        let server = try FaultyServer { _ in .answer(200) }
        let count = Mutex(0)
        let loops = LateLoops()
        defer { loops.letGo() }
        let body = HTTPBody(size: 32 << 20) {
            HTTPChunks {
                let before = count.withLock { count in
                    defer { count += 1 }
                    return count
                }
                // Nothing was sent yet, so that the client asks for as much as it can get.
                if before == 0 { try await loops.hold() }
                return before == 32 ? nil : [UInt8](repeating: 7, count: 1 << 20)
            }
        }
        let url = try HTTPURL("http://127.0.0.1:\(server.port)/")

        let sending = Task { try await NetworkTransport().send(HTTPRequest(.put, url, body: body)) }
        try await Waiting.until("the first piece") { loops.areHeld }
        for _ in 0..<100 where count.withLock({ $0 }) < 3 { try await Task.sleep(for: .milliseconds(2)) }
        let read = count.withLock { $0 }
        loops.letGo()

        #expect(read <= 2)
        #expect(try await sending.value.status == 200)
        #expect(count.withLock { $0 } == 33)
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

/// Keeps all event loops busy for a while.
private final class LateLoops: Sendable {
    private struct State {
        var held = 0
        var isOver = false
    }

    private let state = Mutex(State())

    var areHeld: Bool {
        state.withLock { $0.held } == EventLoops.group.makeIterator().reduce(0) { count, _ in count + 1 }
    }

    func hold() async throws {
        for loop in EventLoops.group.makeIterator() {
            loop.execute { [self] in
                state.withLock { $0.held += 1 }
                while !state.withLock({ $0.isOver }) { Thread.sleep(forTimeInterval: 0.001) }
            }
        }
        try await Waiting.until("the event loops") { areHeld }
    }

    func letGo() {
        state.withLock { $0.isOver = true }
    }
}
