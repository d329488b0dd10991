// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
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

    /// The port that it listens on.
    public let port: Int
    private let listener: Int32
    private let upstream: Int
    private let deed: @Sendable (Head) -> Deed
    private let seen = Mutex<[Head]>([])
    private let stalled = Mutex<[Int32]>([])

    /// The requests so far.
    public var requests: [Head] { seen.withLock { $0 } }

    /// Starts listening.
    ///
    /// - Parameters:
    ///   - upstream: The port of the real server on this machine; 0 for none.
    ///   - deed: Says what becomes of a request; its body is not read yet.
    /// - Throws: Where there is no port to be had.
    public init(upstream: Int = 0, _ deed: @escaping @Sendable (Head) -> Deed) throws {
        (self.upstream, self.deed) = (upstream, deed)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = FaultyServer.address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, pointer, &length) == 0
            }
        }
        guard bound else { throw ServerFault(message: "no port: \(String(cString: strerror(errno)))") }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                guard let self else {
                    _ = close(connection)
                    return
                }
                Thread.detachNewThread { self.serve(connection) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        for connection in stalled.withLock({ $0 }) { close(connection) }
    }

    private static func address(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        address.sin_port = UInt16(port).bigEndian
        return address
    }

    private func serve(_ connection: Int32) {
        guard let (head, rest) = readHead(connection) else {
            _ = close(connection)
            return
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
            send(connection, Array(text.utf8))
            finish(connection)
        case .stall: stalled.withLock { $0.append(connection) }
        case .forward: forward(connection, head, rest, size)
        case .forwardWithout(let names): forward(connection, head, rest, size, without: names)
        case .cutBody(let count): forward(connection, head, rest, size, bodyLimit: count)
        case .cutAnswer(let count): forward(connection, head, rest, size, answerLimit: count)
        case .spoilAnswer: forward(connection, head, rest, size, isSpoilt: true)
        case .tunnel: tunnel(connection)
        }
    }

    private func readHead(_ connection: Int32) -> (Head, [UInt8])? {
        var bytes: [UInt8] = []
        let end: [UInt8] = [13, 10, 13, 10]
        while true {
            guard let more = receive(connection, 64 << 10) else { return nil }
            bytes += more
            // A greeting of TLS is answered as servers of plain HTTP answer it.
            guard bytes[0] != 0x16 else {
                send(connection, Array("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".utf8))
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
            let head = Head(method: words[0], target: words[1], fields: fields, index: requests.count, text: text)
            return (head, Array(bytes[found.upperBound...]))
        }
    }

    private func forward(
        _ connection: Int32,
        _ head: Head,
        _ rest: [UInt8],
        _ size: Int,
        without: [String] = [],
        bodyLimit: Int = .max,
        answerLimit: Int = .max,
        isSpoilt: Bool = false
    ) {
        let real = connected()
        defer { close(real) }
        let dropped = ["connection"] + without
        let lines = head.text.components(separatedBy: "\r\n")
            .filter { line in !dropped.contains { line.lowercased().hasPrefix($0 + ":") } }
        send(real, Array((lines.joined(separator: "\r\n") + "\r\nConnection: close\r\n\r\n").utf8))
        var (left, budget) = (size, bodyLimit)
        var piece: [UInt8]? = rest
        while left > 0, budget > 0, let bytes = piece {
            send(real, Array(bytes.prefix(budget)))
            (left, budget) = (left - bytes.count, budget - bytes.count)
            if left > 0, budget > 0 { piece = receive(connection, min(left, 64 << 10)) }
        }
        guard budget > 0 else { return reset(connection) }
        relay(real, to: connection, limit: answerLimit, isSpoilt: isSpoilt)
    }

    private func relay(_ real: Int32, to connection: Int32, limit: Int, isSpoilt: Bool) {
        var left = limit
        var isFirst = true
        while left > 0, var bytes = receive(real, min(left, 64 << 10)) {
            if isSpoilt, let last = bytes.indices.last, !isFirst || bytes.count > 2000 { bytes[last] ^= 1 }
            isFirst = false
            send(connection, bytes)
            left -= bytes.count
        }
        if left == 0 { reset(connection) } else { finish(connection) }
    }

    private func tunnel(_ connection: Int32) {
        let real = connected()
        send(connection, Array("HTTP/1.1 200 OK\r\n\r\n".utf8))
        Thread.detachNewThread { [self] in
            while let bytes = receive(connection, 64 << 10) { send(real, bytes) }
            shutdown(real, Int32(SHUT_WR))
        }
        while let bytes = receive(real, 64 << 10) { send(connection, bytes) }
        close(real)
        finish(connection)
    }

    private func connected() -> Int32 {
        let real = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = FaultyServer.address(upstream)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(real, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return real
    }

    /// Ends a connection so that the other side gets what was sent.
    private func finish(_ connection: Int32) {
        shutdown(connection, Int32(SHUT_WR))
        while receive(connection, 64 << 10) != nil {}
        close(connection)
    }

    /// Breaks a connection.
    private func reset(_ connection: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close(connection)
    }

    private func swallow(_ connection: Int32, _ count: Int) {
        var left = count
        while left > 0, let bytes = receive(connection, 64 << 10) { left -= bytes.count }
    }

    private func receive(_ connection: Int32, _ limit: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(connection, &bytes, limit, 0)
        return count > 0 ? Array(bytes.prefix(count)) : nil
    }

    private func send(_ connection: Int32, _ bytes: [UInt8]) {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.send(
                    connection,
                    buffer.baseAddress?.advanced(by: offset),
                    bytes.count - offset,
                    Int32(MSG_NOSIGNAL)
                )
            }
            guard count > 0 else { return }
            offset += count
        }
    }
}
