// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Synchronization
import TestSupport

@testable import Azure

/// A server on a free port of this machine that remembers what it was asked, bodies included.
final class Peer: Sendable {
    /// A request.
    struct Request: Sendable {
        let method: String
        let target: String
        /// By name in lower case.
        let fields: [String: String]
        let body: [UInt8]

        var path: String { String(target.prefix { $0 != "?" }) }
        /// The parameters of the query.
        var query: [String: String] {
            Request.parameters(target.split(separator: "?", maxSplits: 1).dropFirst().first ?? "")
        }
        /// The fields of a form.
        var form: [String: String] { Request.parameters(String(decoding: body, as: UTF8.self)) }
        var json: JSONValue? { try? JSONValue(parsing: body) }

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
    struct Reply: Sendable {
        var status = 200
        var fields: [String: String] = [:]
        var body = ""

        static func json(_ value: JSONValue, status: Int = 200, _ fields: [String: String] = [:]) -> Reply {
            var fields = fields
            fields["Content-Type"] = "application/json"
            return Reply(status: status, fields: fields, body: value.canonical)
        }

        static func status(_ status: Int, _ fields: [String: String] = [:], _ body: String = "") -> Reply {
            Reply(status: status, fields: fields, body: body)
        }
    }

    let port: Int
    private let listener: Int32
    private let answer: @Sendable (Request, Int) -> Reply
    private let seen = Mutex<[Request]>([])

    /// What it was asked so far.
    var requests: [Request] { seen.withLock { $0 } }
    var host: String { "127.0.0.1:\(port)" }
    var url: HTTPURL {
        get throws { try HTTPURL("http://\(host)/") }
    }

    /// Starts listening; `answer` is given each request, and how many came before it.
    init(_ answer: @escaping @Sendable (Request, Int) -> Reply) throws {
        self.answer = answer
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, pointer, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                guard let self else {
                    close(connection)
                    return
                }
                Thread.detachNewThread { self.serve(connection) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        var bytes: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        while bytes.firstRange(of: end) == nil { guard receive(connection, &bytes) else { return } }
        guard let mark = bytes.firstRange(of: end) else { return }
        let lines = String(decoding: bytes[..<mark.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ").map { String($0) }
        guard words.count == 3 else { return }
        let fields = lines.dropFirst()
            .compactMap { line -> (String, String)? in
                guard let colon = line.firstIndex(of: ":") else { return nil }
                let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
                return (line[..<colon].lowercased(), value)
            }
        let named = Dictionary(fields) { $1 }
        bytes.removeFirst(mark.upperBound)
        while bytes.count < Int(named["content-length"] ?? "0") ?? 0 {
            guard receive(connection, &bytes) else { return }
        }
        let request = Request(method: words[0], target: words[1], fields: named, body: bytes)
        let index = seen.withLock { seen in
            seen.append(request)
            return seen.count - 1
        }
        let reply = answer(request, index)
        var head = "HTTP/1.1 \(reply.status) Test\r\n"
        for (name, value) in reply.fields { head += "\(name): \(value)\r\n" }
        let text = head + "Content-Length: \(reply.body.utf8.count)\r\nConnection: close\r\n\r\n"
        send(connection, Array((text + (request.method == "HEAD" ? "" : reply.body)).utf8))
    }

    private func receive(_ connection: Int32, _ bytes: inout [UInt8]) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(connection, &buffer, buffer.count, 0)
        if count > 0 { bytes += buffer[..<count] }
        return count > 0
    }

    private func send(_ connection: Int32, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
        shutdown(connection, Int32(SHUT_WR))
        var buffer = [UInt8](repeating: 0, count: 1024)
        while recv(connection, &buffer, buffer.count, 0) > 0 {}
    }
}

/// A policy that does not make tests wait.
var hasty: RetryPolicy {
    var policy = RetryPolicy()
    (policy.firstDelay, policy.longestDelay) = (.milliseconds(1), .milliseconds(5))
    return policy
}

/// A session without patience.
func session() -> HTTPSession { HTTPSession(NetworkTransport(), policy: hasty) }

extension AzureCloud {
    /// A cloud whose services are at a server of this machine.
    static func local(_ peer: Peer, like cloud: AzureCloud = .public) throws -> AzureCloud {
        var local = cloud
        (local.authority, local.resourceManager) = (try peer.url, try peer.url)
        return local
    }
}

/// A web token without a signature.
func webToken(_ claims: JSONValue) -> String {
    [#"{"alg":"none"}"#, claims.canonical, "x"]
        .map {
            Data($0.utf8).base64EncodedString().replacing("=", with: "").replacing("+", with: "-")
                .replacing("/", with: "_")
        }
        .joined(separator: ".")
}

/// An identity that always has a token.
struct Somebody: AzureIdentity {
    var value = "token-of-somebody"
    var summary: String { "somebody" }
    func token(for resource: String) async throws -> AzureToken { AzureToken(value, expires: Clock.now + 3600) }
}

extension Peer.Reply {
    /// What Entra ID answers with.
    static func token(_ value: String, seconds: Int64 = 3599) -> Peer.Reply {
        .json(["token_type": "Bearer", "expires_in": .int(seconds), "access_token": .string(value)])
    }
}
