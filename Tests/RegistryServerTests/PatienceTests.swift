// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import HTTP
import NIOCore
import NIOPosix
import OCI
import RegistryServer
import Store
import Synchronization
import TestSupport
import Testing

/// Clients, and event loops, that are slow: what is held meanwhile does not grow, and nobody is waited for without end.
///
/// What is held is measured in a process of its own, which no other test fills.
@Suite(.inTurns) struct PatienceTests {
    @Test func aClientThatReadsNothingIsGivenUp() async throws {
        // More than the sockets of a client that reads nothing hold.
        let bytes = [UInt8](repeating: 7, count: 24 << 20)
        let (folder, digest) = (try TemporaryFolder(), SHA256.digest(bytes))
        try await Serving.run(folder: folder) { try await $0.push(bytes) }
        var options = RegistryOptions()
        options.idleTime = .seconds(3)
        try await Serving.run(options, folder: folder) { serving in
            let isCut = try await offPool {
                let wire = try Wire(port: serving.registry.port)
                try wire.sendHead("GET", "/v2/team/app/blobs/\(digest)", [])
                // What the server wrote down at last is how long the request took.
                try Waiting.blocking(until: "the end of the request") {
                    (serving.registry.requests.last?.microseconds ?? 0) > 0
                }
                return try wire.receive("GET").isCut
            }
            #expect(isCut)

            // Who reads, if slowly, gets it all, however long that takes.
            let count = try await offPool {
                let wire = try Wire(port: serving.registry.port)
                try wire.sendHead("GET", "/v2/team/app/blobs/\(digest)", [])
                return try wire.receive("GET") { Thread.sleep(forTimeInterval: 0.1) }.body.count
            }
            #expect(count == bytes.count)
            try await Waiting.until("the end of the request") {
                (serving.registry.requests.last?.microseconds ?? 0) > 0
            }
            let time = serving.registry.requests.last?.microseconds ?? 0
            #expect(time > 3_750_000, "longer than one who reads nothing has: \(time) µs")
        }
    }

    @Test func anUploadInTinyPiecesHoldsItsBytesAndLittleMore() async throws {
        await #expect(processExitsWith: .success) {
            try await Serving.run { serving in
                let location = try await serving.start()
                let before = try Memory.writable()
                let count = 200_000
                let most = try await offPool {
                    let wire = try Wire(port: serving.registry.port)
                    try wire.sendHead(
                        "PATCH",
                        location,
                        [("Content-Type", "application/octet-stream"), ("Content-Length", "\(count)")]
                    )
                    wire.sendsAtOnce()
                    for _ in 0..<count - 1 { try wire.send([7]) }
                    Thread.sleep(forTimeInterval: 0.5)
                    let most = try Memory.writable()
                    try wire.send([7])
                    #expect(try wire.receive("PATCH").status == 202)
                    return most
                }

                #expect(most - before < 256 << 20, "\((most - before) >> 20) MiB for \(count) bytes")
            }
        }
    }

    @Test func aLateEventLoopHasNoFileReadAhead() async throws {
        await #expect(processExitsWith: .success) {
            let files = try TestAuthority()
            let pair = try files.issue()
            var options = RegistryOptions()
            options.certificate = (pair.certificate.path, pair.key.path)
            var settings = NetworkSettings()
            settings.authorityFiles = [files.certificate.path]
            try await Serving.run(options) { [settings] serving in
                let transport = NetworkTransport(settings)
                let url = { (path: String) in try HTTPURL("https://127.0.0.1:\(serving.registry.port)\(path)") }
                let bytes = [UInt8](repeating: 7, count: 64 << 20)
                let digest = SHA256.digest(bytes)
                let place = "/v2/team/app/blobs/"
                let push = HTTPRequest(.post, try url("\(place)uploads/?digest=\(digest)"), body: HTTPBody(bytes))
                #expect(try await transport.send(push).status == 201)
                let count = Mutex(0)
                let reading = Task {
                    while !Task.isCancelled {
                        let response = try await transport.send(HTTPRequest(.get, url("\(place)\(digest)")))
                        for try await chunk in response.body { count.withLock { $0 += chunk.count } }
                    }
                }
                var (most, rounds) = (0, 0)
                // More than once the file, however little of the time the loops are given.
                while rounds < 40 || count.withLock({ $0 }) <= bytes.count {
                    rounds += 1
                    try #require(rounds < 2_000, "\(count.withLock { $0 }) bytes were read")
                    try await Task.sleep(for: .milliseconds(7))
                    let before = try Memory.resident()
                    try await HeldLoops.hold { most = max(most, try Memory.resident() - before) }
                }
                reading.cancel()
                await #expect(throws: CancellationError.self) { try await reading.value }
                #expect(most < 16 << 20, "\(most >> 20) MiB")
            }
        }
    }
}

/// What this process has of the machine's memory, in bytes.
private enum Memory {
    /// What it may write to, used or not; what the C library keeps the addresses of is none of it.
    static func writable() throws -> Int { try number(5) }
    static func resident() throws -> Int { try number(1) }

    private static func number(_ index: Int) throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return try #require(Int(text.split(separator: " ")[index])) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}

/// Keeps the event loops of servers busy.
private final class HeldLoops: Sendable {
    private let held = Mutex(0)
    private let isOver = Mutex(false)

    /// Calls a function when all have been held for a while.
    static func hold(_ body: () throws -> Void) async throws {
        let loops = HeldLoops()
        var count = 0
        for loop in MultiThreadedEventLoopGroup.singleton.makeIterator() {
            count += 1
            loop.execute { loops.keep() }
        }
        defer { loops.isOver.withLock { $0 = true } }
        try await Waiting.until("the event loops") { loops.held.withLock { $0 } == count }
        try await Task.sleep(for: .milliseconds(40))
        try body()
    }

    private func keep() {
        held.withLock { $0 += 1 }
        while !isOver.withLock({ $0 }) { Thread.sleep(forTimeInterval: 0.001) }
    }
}
