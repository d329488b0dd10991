// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// HTTP/1.1 on a socket, as plain as it gets: what tests send is what goes out.
public final class Wire: @unchecked Sendable {
    // SAFETY: one task at a time uses a connection.
    private let socket: Int32
    private var buffer: [UInt8] = []

    /// An answer.
    public struct Reply: Sendable {
        /// The status.
        public var status: Int
        /// The header fields in order.
        public var headers: [(name: String, value: String)]
        /// The body, as far as it came.
        public var body: [UInt8] = []
        /// Whether the connection ended before the body did.
        public var isCut = false

        /// A header field by its name in any case; `nil` where there is none.
        public subscript(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name.lowercased() }?.value
        }
        /// The body as text.
        public var text: String { String(decoding: body, as: UTF8.self) }
        /// The codes of the errors in the body.
        public var codes: [String] {
            ((try? JSON(parsing: text))?["errors"].array ?? []).compactMap { $0["code"].string }
        }
    }

    /// A connection that ended.
    public struct Ended: Error {
        /// Says so.
        public init() {}
    }

    /// Connects to a port of this machine.
    ///
    /// - Parameter port: The port.
    /// - Throws: ``Ended`` where nobody listens.
    public init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, size) }
        }
        guard result == 0 else { throw Ended() }
        // A server that never answers fails the test instead of holding it up.
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(socket)
    }

    /// Sends bytes as they are.
    ///
    /// - Parameter bytes: The bytes.
    /// - Throws: ``Ended`` where the other side has gone.
    public func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Ended() }
            rest = rest.dropFirst(count)
        }
    }

    /// Sends a request's head.
    ///
    /// - Parameters:
    ///   - method: The method.
    ///   - path: The path with its query.
    ///   - headers: Header fields; `Host` is added.
    /// - Throws: ``Ended`` where the other side has gone.
    public func sendHead(_ method: String, _ path: String, _ headers: [(String, String)]) throws {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        try send(Array((text + "\r\n").utf8))
    }

    /// Has every ``send(_:)`` go out at once, in a packet of its own.
    public func sendsAtOnce() {
        var isOn: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Reads an answer; interim ones are left out.
    ///
    /// - Parameters:
    ///   - method: Of the request: answers to HEAD have no body.
    ///   - pause: Is called before each read of the body.
    /// - Returns: The answer.
    /// - Throws: ``Ended`` where the connection ends before the answer's head did.
    public func receive(_ method: String, pause: () -> Void = {}) throws -> Reply {
        while true {
            let head = try readHead()
            var reply = Reply(status: head.status, headers: head.headers)
            if (100..<200).contains(reply.status) { continue }
            guard method != "HEAD", reply.status != 204, reply.status != 304 else { return reply }
            let length = reply["Content-Length"].flatMap { Int($0) } ?? 0
            while buffer.count < length {
                pause()
                guard try fill() else { break }
            }
            reply.isCut = buffer.count < length
            reply.body = Array(buffer.prefix(length))
            buffer.removeFirst(min(length, buffer.count))
            return reply
        }
    }

    private func readHead() throws -> (status: Int, headers: [(name: String, value: String)]) {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let place = buffer.firstRange(of: end) {
                let lines = String(decoding: buffer[..<place.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
                buffer.removeFirst(place.upperBound)
                let status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
                let headers = lines.dropFirst()
                    .map { line in
                        let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                        return (String(parts[0]), parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : "")
                    }
                return (status, headers)
            }
            guard try fill() else { throw Ended() }
        }
    }

    private func fill() throws -> Bool {
        var space = [UInt8](repeating: 0, count: 256 << 10)
        let count = recv(socket, &space, space.count, 0)
        if count > 0 { buffer += space[..<count] }
        return count > 0
    }

    /// Sends a request on a connection of its own, and reads the answer.
    ///
    /// - Parameters:
    ///   - method: The method.
    ///   - path: The path with its query.
    ///   - port: The port.
    ///   - headers: Header fields; `Host` and `Content-Length` are added.
    ///   - body: The body; `nil` for none.
    /// - Returns: The answer.
    /// - Throws: ``Ended`` where the connection ends before the answer's head did.
    public static func ask(
        _ method: String,
        _ path: String,
        port: Int,
        headers: [(String, String)] = [],
        body: [UInt8]? = nil
    ) async throws -> Reply {
        try await offPool {
            let wire = try Wire(port: port)
            let length = body.map { [("Content-Length", String($0.count))] } ?? []
            try wire.sendHead(method, path, headers + length)
            // A server may answer, and close, before it has all.
            try? wire.send(body ?? [])
            return try wire.receive(method)
        }
    }
}

/// Does what blocks on a thread of its own, as servers of the same process need the shared ones.
///
/// - Parameter work: The work.
/// - Returns: What it returns.
/// - Throws: What it throws.
public func offPool<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try work() }) }
    }
}
