// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Foundation
import Synchronization

/// A server on a free port of this machine that answers as a test has it, or spoils what a real server is asked.
///
/// HTTP/1.1, one request per connection.
public final class FaultyServer: Sendable {
    /// The head of a request.
    public struct Head: Sendable {
        /// The method.
        public let method: String
        /// Path and query; of CONNECT, host and port.
        public let target: String
        /// The fields by name in lower case.
        public let fields: [String: String]
        /// How many requests came before it.
        public let index: Int
        let text: String
    }

    /// What becomes of a request.
    public enum Deed: Sendable {
        /// It is answered.
        case answer(Int, [String: String] = [:], String = "")
        /// It is answered before its body comes.
        case refuse(Int)
        /// It is handed on to the real server.
        case forward
        /// It is handed on without some fields.
        case forwardWithout([String])
        /// So much of its body is handed on, then all connections break.
        case cutBody(Int)
        /// It is handed on, and so much of the answer is given back, head included, then the connection breaks.
        case cutAnswer(Int)
        /// It is handed on, and a byte of the answer's body is changed.
        case spoilAnswer
        /// Nothing comes back until the server ends.
        case stall
        /// The connection becomes a way to the real server.
        case tunnel
    }

    private let listener: LoopbackListener
    private let work: FaultyConnections

    /// The port that it listens on.
    public var port: Int { listener.port }
    /// The requests so far.
    public var requests: [Head] { work.requests }

    /// Starts listening.
    ///
    /// - Parameters:
    ///   - upstream: The port of the real server on this machine; 0 for none.
    ///   - deed: Says what becomes of a request; its body is not read yet.
    /// - Throws: Where there is no port to be had.
    public init(upstream: Int = 0, _ deed: @escaping @Sendable (Head) -> Deed) throws {
        let work = FaultyConnections(upstream, deed)
        self.work = work
        listener = try LoopbackListener { work.serve($0) }
    }
}

/// The connections of a server, whose threads outlive it.
private final class FaultyConnections: Sendable {
    private let upstream: Int
    private let deed: @Sendable (FaultyServer.Head) -> FaultyServer.Deed
    private let seen = Mutex<[FaultyServer.Head]>([])
    private let stalled = Mutex<[LoopbackConnection]>([])

    var requests: [FaultyServer.Head] { seen.withLock { $0 } }

    init(_ upstream: Int, _ deed: @escaping @Sendable (FaultyServer.Head) -> FaultyServer.Deed) {
        (self.upstream, self.deed) = (upstream, deed)
    }

    deinit {
        for connection in stalled.withLock({ $0 }) { connection.end() }
    }

    func serve(_ connection: LoopbackConnection) {
        guard let (head, rest) = readHead(connection) else {
            return connection.end()
        }
        seen.withLock { $0.append(head) }
        let size = Int(head.fields["content-length"] ?? "0") ?? 0
        switch deed(head) {
        case .answer(let status, let fields, let body):
            swallow(connection, size - rest.count)
            let lines = fields.map { "\($0.key): \($0.value)\r\n" }.joined()
            let length = fields["Content-Length"] == nil ? "Content-Length: \(body.utf8.count)\r\n" : ""
            let content = head.method == "HEAD" ? "" : body
            let text = "HTTP/1.1 \(status) Test\r\n\(lines)\(length)Connection: close\r\n\r\n\(content)"
            connection.send(Array(text.utf8))
            connection.finish()
        case .refuse(let status):
            let text = "HTTP/1.1 \(status) Test\r\nContent-Length: 7\r\nConnection: close\r\n\r\nrefused"
            connection.send(Array(text.utf8))
            connection.finish()
        case .stall: stalled.withLock { $0.append(connection) }
        case .forward: forward(connection, head, rest, size)
        case .forwardWithout(let names): forward(connection, head, rest, size, without: names)
        case .cutBody(let count): forward(connection, head, rest, size, bodyLimit: count)
        case .cutAnswer(let count): forward(connection, head, rest, size, answerLimit: count)
        case .spoilAnswer: forward(connection, head, rest, size, isSpoilt: true)
        case .tunnel: tunnel(connection)
        }
    }

    private func readHead(_ connection: LoopbackConnection) -> (FaultyServer.Head, [UInt8])? {
        var bytes: [UInt8] = []
        let end: [UInt8] = [13, 10, 13, 10]
        while true {
            guard let more = connection.receive() else { return nil }
            bytes += more
            // A greeting of TLS is answered as servers of plain HTTP answer it.
            guard bytes[0] != 0x16 else {
                connection.send(Array("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".utf8))
                return nil
            }
            guard let found = bytes.firstRange(of: end) else { continue }
            let text = String(decoding: bytes[..<found.lowerBound], as: UTF8.self)
            let lines = text.components(separatedBy: "\r\n")
            let words = lines[0].split(separator: " ").map { String($0) }
            guard words.count == 3 else { return nil }
            var fields: [String: String] = [:]
            for line in lines.dropFirst() {
                guard let colon = line.firstIndex(of: ":") else { continue }
                let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
                fields[line[..<colon].lowercased()] = value
            }
            let head = FaultyServer.Head(
                method: words[0],
                target: words[1],
                fields: fields,
                index: requests.count,
                text: text
            )
            return (head, Array(bytes[found.upperBound...]))
        }
    }

    private func forward(
        _ connection: LoopbackConnection,
        _ head: FaultyServer.Head,
        _ rest: [UInt8],
        _ size: Int,
        without: [String] = [],
        bodyLimit: Int = .max,
        answerLimit: Int = .max,
        isSpoilt: Bool = false
    ) {
        let real = LoopbackConnection(to: upstream)
        defer { real.end() }
        let dropped = ["connection"] + without
        let lines = head.text.components(separatedBy: "\r\n")
            .filter { line in !dropped.contains { line.lowercased().hasPrefix($0 + ":") } }
        real.send(Array((lines.joined(separator: "\r\n") + "\r\nConnection: close\r\n\r\n").utf8))
        var (left, budget) = (size, bodyLimit)
        var piece: [UInt8]? = rest
        while left > 0, budget > 0, let bytes = piece {
            real.send(Array(bytes.prefix(budget)))
            (left, budget) = (left - bytes.count, budget - bytes.count)
            if left > 0, budget > 0 { piece = connection.receive(min(left, 64 << 10)) }
        }
        guard budget > 0 else { return connection.reset() }
        relay(real, to: connection, limit: answerLimit, isSpoilt: isSpoilt)
    }

    private func relay(_ real: LoopbackConnection, to connection: LoopbackConnection, limit: Int, isSpoilt: Bool) {
        var left = limit
        var isFirst = true
        while left > 0, var bytes = real.receive(min(left, 64 << 10)) {
            if isSpoilt, let last = bytes.indices.last, !isFirst || bytes.count > 2000 { bytes[last] ^= 1 }
            isFirst = false
            connection.send(bytes)
            left -= bytes.count
        }
        if left == 0 { connection.reset() } else { connection.finish() }
    }

    private func tunnel(_ connection: LoopbackConnection) {
        let real = LoopbackConnection(to: upstream)
        connection.send(Array("HTTP/1.1 200 OK\r\n\r\n".utf8))
        let sent = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            while let bytes = connection.receive() { real.send(bytes) }
            real.endSending()
            sent.signal()
        }
        while let bytes = real.receive() { connection.send(bytes) }
        connection.endSending()
        // A number that is closed too early is soon another connection's, whose bytes the thread would take.
        sent.wait()
        real.end()
        connection.end()
    }

    private func swallow(_ connection: LoopbackConnection, _ count: Int) {
        var left = count
        while left > 0, let bytes = connection.receive() { left -= bytes.count }
    }
}
