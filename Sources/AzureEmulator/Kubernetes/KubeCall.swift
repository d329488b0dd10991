// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOHTTP1
internal import OCI
internal import RegistryServer
internal import Synchronization

/// A request to a cluster's API server, its body read and its sender known.
struct KubeCall: Sendable {
    let method: String
    /// As it was sent.
    let target: String
    /// The parts of the path, escapes resolved, empty ones left out.
    let segments: [String]
    let query: [(name: String, value: String)]
    let headers: HTTPHeaders
    let body: [UInt8]

    init(_ head: HTTPRequestHead, _ body: [UInt8]) {
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        (method, target, headers, self.body) = (head.method.rawValue, head.uri, head.headers, body)
        segments = (parts.first ?? "").split(separator: "/").map { Exchange.decode($0, plusIsSpace: false) }
        query = parts.count > 1 ? Exchange.form(parts[1]) : []
    }

    func query(_ name: String) -> String? { query.first { $0.name == name }?.value }

    func all(_ name: String) -> [String] { query.filter { $0.name == name }.map(\.value) }

    func flag(_ name: String) -> Bool { ["true", "1"].contains(query(name) ?? "") }

    /// The body as JSON.
    func json() throws(KubeFault) -> JSONValue {
        do {
            return try JSONValue(parsing: body)
        } catch {
            let kind = headers.first(name: "Content-Type") ?? ""
            if kind.contains("protobuf") {
                throw KubeFault(
                    415,
                    "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media types include: application/json"
                )
            }
            throw .badRequest("the body is not JSON, which is what the emulator reads: \(error.message)")
        }
    }

    /// Who manages the fields that are set.
    var manager: String {
        if let name = query("fieldManager"), !name.isEmpty { return name }
        let agent = headers.first(name: "User-Agent") ?? "unknown"
        return String(agent.prefix { $0 != "/" })
    }

    var accepts: String { headers.first(name: "Accept") ?? "" }
}

/// What a request gets.
enum KubeReply: Sendable {
    case json(Int, JSONValue, warnings: [String] = [])
    case bytes(Int, type: String, [UInt8])
    /// What comes as long as somebody listens.
    case stream(type: String, @Sendable (KubeStream) -> Void)

    init(_ fault: KubeFault) { self = .json(fault.code, fault.json) }

    var status: Int {
        switch self {
        case .json(let status, _, _): status
        case .bytes(let status, _, _): status
        case .stream: 200
        }
    }
}

/// An answer that goes on; a lock guards whether it has ended.
///
/// What is not taken in holds memory up to ``limit``; then the connection is closed, as its reader has stopped reading.
final class KubeStream: Sendable {
    private struct State {
        var isOver = false
        var waiting = 0
        var atEnd: [@Sendable () -> Void] = []
    }

    private let channel: any Channel
    private let isKeptAlive: Bool
    private let state = Mutex(State())
    private static let limit = 16 << 20

    init(_ channel: any Channel, isKeptAlive: Bool) { (self.channel, self.isKeptAlive) = (channel, isKeptAlive) }

    /// Sends bytes; nothing after the end.
    func send(_ bytes: [UInt8]) {
        let isTooMuch = state.withLock { state -> Bool? in
            guard !state.isOver else { return nil }
            state.waiting += bytes.count
            return state.waiting > KubeStream.limit
        }
        guard let isTooMuch else { return }
        if isTooMuch {
            channel.close(promise: nil)
            return
        }
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes))))
            .whenComplete { [self] _ in state.withLock { $0.waiting -= bytes.count } }
    }

    /// Sends a line of JSON.
    func send(_ value: JSONValue) { send(Array((value.canonical + "\n").utf8)) }

    /// Does something once nobody listens any more, or nothing more comes.
    func atEnd(_ body: @escaping @Sendable () -> Void) {
        let isOver = state.withLock { state in
            if !state.isOver { state.atEnd.append(body) }
            return state.isOver
        }
        if isOver { body() }
    }

    /// Ends the answer.
    func end() {
        guard finish() else { return }
        let written = channel.writeAndFlush(HTTPServerResponsePart.end(nil))
        if !isKeptAlive { written.whenComplete { [channel] _ in channel.close(promise: nil) } }
    }

    /// Takes note that the connection is gone, or that the answer is.
    @discardableResult
    func finish() -> Bool {
        let bodies = state.withLock { state -> [@Sendable () -> Void]? in
            guard !state.isOver else { return nil }
            state.isOver = true
            defer { state.atEnd = [] }
            return state.atEnd
        }
        for body in bodies ?? [] { body() }
        return bodies != nil
    }
}
