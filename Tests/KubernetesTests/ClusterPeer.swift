// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import Kubernetes
import OCI
import Synchronization
import TestSupport

/// A server on a free port of this machine that answers as a test has it, in as many pieces as that wants.
final class ClusterPeer: Sendable {
    /// A request.
    struct Request: Sendable {
        let method: String
        let target: String
        /// By name in lower case.
        let fields: [String: String]
        let body: [UInt8]

        var path: String { String(target.prefix { $0 != "?" }) }
        var query: [String: String] {
            let text = target.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
            let pairs = text.split(separator: "&")
                .map { pair in
                    let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    return (String(parts[0]), parts.count > 1 ? parts[1].removingPercentEncoding ?? "" : "")
                }
            return Dictionary(pairs) { $1 }
        }
        var json: JSONValue? { try? JSONValue(parsing: body) }
    }

    /// An answer: at once, or piece by piece until the function returns.
    enum Reply: Sendable {
        case json(JSONValue, status: Int = 200)
        case text(String, status: Int = 200)
        /// Each piece is written; the answer ends where the function returns, and breaks off where it says so.
        case pieces(@Sendable (_ write: (String) -> Void) -> Bool)

        /// A refusal as clusters have it.
        static func status(_ code: Int, _ reason: String, _ message: String, details: JSONValue? = nil) -> Reply {
            var json: JSONValue = [
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": .string(reason),
                "message": .string(message), "code": .int(Int64(code)),
            ]
            json["details"] = details
            return .json(json, status: code)
        }
    }

    let port: Int
    private let listener: Int32
    private let answer: @Sendable (Request, Int) -> Reply
    private let seen = Mutex<[Request]>([])

    /// What it was asked so far.
    var requests: [Request] { seen.withLock { $0 } }

    func access(_ credentials: ClusterAccess.Credentials = .token("t0ken")) throws -> ClusterAccess {
        var access = ClusterAccess(server: try HTTPURL("http://127.0.0.1:\(port)/"), namespace: "shop")
        (access.credentials, access.userName, access.contextName) = (credentials, "anna", "test")
        return access
    }

    func client(
        _ credentials: ClusterAccess.Credentials = .token("t0ken"),
        network: NetworkSettings = NetworkSettings()
    ) throws -> ClusterClient {
        ClusterClient(try access(credentials), network: network)
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
        guard let request = read(connection) else { return }
        let index = seen.withLock { seen in
            seen.append(request)
            return seen.count - 1
        }
        switch answer(request, index) {
        case .json(let value, let status):
            write(connection, head(status, "application/json", value.canonical.utf8.count) + value.canonical)
        case .text(let text, let status): write(connection, head(status, "text/plain", text.utf8.count) + text)
        case .pieces(let pieces):
            write(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
            let isWhole = pieces { text in
                self.write(connection, "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n")
            }
            if isWhole { write(connection, "0\r\n\r\n") }
        }
    }

    private func head(_ status: Int, _ type: String, _ size: Int) -> String {
        "HTTP/1.1 \(status) X\r\nContent-Type: \(type)\r\nContent-Length: \(size)\r\nConnection: close\r\n\r\n"
    }

    private func write(_ connection: Int32, _ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    private func read(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        while bytes.firstRange(of: end) == nil { guard receive(connection, &bytes) else { return nil } }
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
            guard receive(connection, &bytes) else { return nil }
        }
        return Request(method: words[0], target: words[1], fields: named, body: bytes)
    }

    private func receive(_ connection: Int32, _ bytes: inout [UInt8]) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(connection, &buffer, buffer.count, 0)
        if count > 0 { bytes += buffer[..<count] }
        return count > 0
    }
}

extension JSONValue {
    /// Reads a document that a test is sure of.
    static func of(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }
}
