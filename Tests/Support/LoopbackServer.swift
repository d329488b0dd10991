// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// A server on a free port of this machine that answers as a test has it, and remembers what it was asked.
///
/// HTTP/1.1, one request per connection.
public final class LoopbackServer: Sendable {
    /// A request.
    public struct Request: Sendable {
        /// The method.
        public let method: String
        /// Path and query.
        public let target: String
        /// By name in lower case; several of one name have `|` between them.
        public let fields: [String: String]
        /// The body.
        public let body: [UInt8]

        /// The target without the query.
        public var path: String { String(target.prefix { $0 != "?" }) }
        /// The parameters of the query.
        public var query: [String: String] {
            Request.parameters(target.split(separator: "?", maxSplits: 1).dropFirst().first ?? "")
        }
        /// The fields of a form.
        public var form: [String: String] { Request.parameters(String(decoding: body, as: UTF8.self)) }

        private static func parameters(_ text: some StringProtocol) -> [String: String] {
            let pairs = text.split(separator: "&")
                .map { pair in
                    let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    return (String(parts[0]), parts.count > 1 ? parts[1].removingPercentEncoding ?? "" : "")
                }
            return Dictionary(pairs) { $1 }
        }
    }

    /// An answer.
    public struct Reply: Sendable {
        /// The status.
        public var status: Int
        /// Header fields; `Content-Length` is added.
        public var fields: [String: String]
        /// The body.
        public var body: String
        /// Writes the body piece by piece in place of ``body``; gives whether it ends as it should, or breaks off.
        public var pieces: (@Sendable (_ write: (String) -> Void) -> Bool)?

        /// An answer.
        ///
        /// - Parameters:
        ///   - status: The status.
        ///   - fields: Header fields.
        ///   - body: The body.
        public init(status: Int = 200, fields: [String: String] = [:], body: String = "") {
            (self.status, self.fields, self.body) = (status, fields, body)
        }

        /// An answer that comes piece by piece until the function returns.
        ///
        /// - Parameter write: Writes it; gives whether it ends as it should, or breaks off.
        /// - Returns: The answer.
        public static func pieces(_ write: @escaping @Sendable (_ write: (String) -> Void) -> Bool) -> Reply {
            var reply = Reply()
            reply.pieces = write
            return reply
        }
    }

    private let listener: LoopbackListener
    private let state: State

    /// What the threads of connections share with the server, which ends when nobody else has it.
    private final class State: Sendable {
        let seen = Mutex<[Request]>([])
        let answer: @Sendable (Request, Int) -> Reply

        init(_ answer: @escaping @Sendable (Request, Int) -> Reply) { self.answer = answer }
    }

    /// The port that it listens on.
    public var port: Int { listener.port }
    /// As addresses have it.
    public var host: String { "127.0.0.1:\(port)" }
    /// What it was asked so far.
    public var requests: [Request] { state.seen.withLock { $0 } }

    /// Starts listening.
    ///
    /// - Parameter answer: Is given each request, and how many came before it.
    /// - Throws: ``ServerFault`` where there is no port to be had.
    public init(_ answer: @escaping @Sendable (Request, Int) -> Reply) throws {
        let state = State(answer)
        self.state = state
        listener = try LoopbackListener { LoopbackServer.serve($0, state) }
    }

    private static func serve(_ connection: LoopbackConnection, _ state: State) {
        guard let request = read(connection) else { return connection.end() }
        let index = state.seen.withLock { seen in
            seen.append(request)
            return seen.count - 1
        }
        let reply = state.answer(request, index)
        var head = "HTTP/1.1 \(reply.status) Test\r\n" + reply.fields.map { "\($0): \($1)\r\n" }.joined()
        head += "Connection: close\r\n"
        if let pieces = reply.pieces {
            connection.send(Array((head + "Transfer-Encoding: chunked\r\n\r\n").utf8))
            let isWhole = pieces { text in
                connection.send(Array("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n".utf8))
            }
            if isWhole { connection.send(Array("0\r\n\r\n".utf8)) }
        } else {
            let body = request.method == "HEAD" ? "" : reply.body
            connection.send(Array((head + "Content-Length: \(reply.body.utf8.count)\r\n\r\n" + body).utf8))
        }
        connection.finish()
    }

    private static func read(_ connection: LoopbackConnection) -> Request? {
        var bytes: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        while bytes.firstRange(of: end) == nil {
            guard let more = connection.receive() else { return nil }
            bytes += more
        }
        guard let mark = bytes.firstRange(of: end) else { return nil }
        let lines = String(decoding: bytes[..<mark.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ").map { String($0) }
        guard words.count == 3 else { return nil }
        let fields = lines.dropFirst()
            .compactMap { line -> (String, String)? in
                guard let colon = line.firstIndex(of: ":") else { return nil }
                let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
                return (line[..<colon].lowercased(), value)
            }
        let named = Dictionary(fields) { $0 + "|" + $1 }
        bytes.removeFirst(mark.upperBound)
        while bytes.count < Int(named["content-length"] ?? "0") ?? 0 {
            guard let more = connection.receive() else { return nil }
            bytes += more
        }
        return Request(method: words[0], target: words[1], fields: named, body: bytes)
    }
}
