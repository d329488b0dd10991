// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOWebSocket
internal import Synchronization

/// A websocket: messages to a server and back, for as long as a function runs.
///
/// Memory is bounded: what comes in is read only as fast as it is taken, in messages of at most 1 MiB; what goes out is
/// waited for. One task may receive while others send. Pings are answered.
///
/// Specification: RFC 6455, client side, without extensions.
public final class WebSocket: Sendable {
    /// A message.
    public enum Message: Hashable, Sendable {
        /// UTF-8 text.
        case text(String)
        /// Bytes.
        case binary([UInt8])

        /// The message's bytes.
        public var bytes: [UInt8] {
            switch self {
            case .text(let text): Array(text.utf8)
            case .binary(let bytes): bytes
            }
        }
    }

    private let channel: any Channel
    private let inbox: WebSocketInbox
    private let fault: NetworkFault

    private init(_ channel: any Channel, _ inbox: WebSocketInbox, _ fault: NetworkFault) {
        (self.channel, self.inbox, self.fault) = (channel, inbox, fault)
    }

    /// Opens a websocket while a function runs, and closes it.
    ///
    /// - Parameters:
    ///   - address: `wss://HOST…`, or `ws://HOST…`, which only a host of this machine may be.
    ///   - headers: Sent with the request that opens it.
    ///   - settings: How servers are reached.
    ///   - refusal: Makes an error of a refusal: of the answer's status, and the first 64 KiB of its body; `nil` for a
    ///     ``ServerError`` that names the status.
    ///   - body: What to do with it; the websocket is closed when it returns.
    /// - Returns: What the function returns.
    /// - Throws: ``ServerError`` where it cannot be opened; what `refusal` makes; what the function throws.
    public static func open<Value: Sendable>(
        _ address: String,
        headers: HTTPFields = [:],
        settings: NetworkSettings = NetworkSettings(),
        refusal: (@Sendable (Int, [UInt8]) -> any Error)? = nil,
        _ body: (WebSocket) async throws -> Value
    ) async throws -> Value {
        let url = try url(address)
        let proxy = try settings.proxy.proxy(for: url)
        let fault = NetworkFault(url: url, proxy: proxy, settings: settings)
        let inbox = WebSocketInbox()
        let socket: WebSocket
        do {
            let dialer = WebSocketDialer(
                url: url,
                proxy: proxy,
                settings: settings,
                headers: headers,
                inbox: inbox,
                refusal: refusal
            )
            socket = WebSocket(try await dialer.dial(), inbox, fault)
        } catch {
            if Task.isCancelled || error is CancellationError { throw CancellationError() }
            if let refused = error as? RefusedUpgrade { throw refused.error }
            throw fault.error(for: error)
        }
        do {
            let value = try await withTaskCancellationHandler {
                try await body(socket)
            } onCancel: {
                socket.channel.close(promise: nil)
            }
            await socket.close()
            return value
        } catch {
            await socket.close()
            throw error
        }
    }

    /// Reads an address; secrets may be in its query, so that the text is in no message.
    private static func url(_ address: String) throws -> HTTPURL {
        guard let colon = address.firstRange(of: "://"),
            ["ws", "wss"].contains(address[..<colon.lowerBound].lowercased())
        else { throw ServerError(.badAddress, "the address of a websocket does not begin with wss://") }
        let isSecure = address.lowercased().hasPrefix("wss")
        let url = try HTTPURL((isSecure ? "https" : "http") + address[colon.lowerBound...])
        guard isSecure || url.isLoopback else {
            throw ServerError(.badAddress, "\(url.authority) wants a websocket that is not encrypted", url: url)
        }
        return url
    }

    /// The protocol that the server chose of those in `Sec-WebSocket-Protocol`; `nil` where it chose none.
    public var subprotocol: String? { inbox.subprotocol }

    /// Sends a message, and waits until it has gone out; a task that is cancelled meanwhile ends the websocket.
    ///
    /// - Parameter message: The message; of any length.
    /// - Throws: ``ServerError`` where the websocket is closed; `CancellationError`.
    public func send(_ message: Message) async throws {
        let opcode: WebSocketOpcode = if case .text = message { .text } else { .binary }
        let data = channel.allocator.buffer(bytes: message.bytes)
        let frame = WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
        do {
            // Half a message cannot be taken back.
            try await withTaskCancellationHandler {
                try await channel.writeAndFlush(frame)
            } onCancel: {
                channel.close(promise: nil)
            }
        } catch {
            try Task.checkCancellation()
            throw fault.error(for: error)
        }
    }

    /// The next message.
    ///
    /// - Returns: The message; `nil` once the server has closed the websocket.
    /// - Throws: ``ServerError`` where the connection breaks or what comes is no message; `CancellationError`.
    public func receive() async throws -> Message? {
        do {
            return try await inbox.next { [channel] in channel.read() }
        } catch {
            try Task.checkCancellation()
            throw fault.error(for: error)
        }
    }

    /// How long a server may take to read that the websocket ends.
    private static let patience = TimeAmount.seconds(2)

    private func close() async {
        let giveUp = channel.eventLoop.scheduleTask(in: WebSocket.patience) { [channel] in channel.close(promise: nil) }
        defer { giveUp.cancel() }
        var data = channel.allocator.buffer(capacity: 2)
        data.write(webSocketErrorCode: .normalClosure)
        let frame = WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: data)
        try? await channel.writeAndFlush(frame)
        try? await channel.close()
    }
}

/// Messages that have come in and are not taken yet; the lock protects them, and who waits for them.
final class WebSocketInbox: Sendable {
    private struct State {
        var messages = CircularBuffer<WebSocket.Message>()
        var waiter: CheckedContinuation<WebSocket.Message?, any Error>?
        var end: Result<Void, any Error>?
        var subprotocol: String?
    }

    private let state = Mutex(State())

    /// Whether nobody would have to wait for a message: nothing more needs to be read then.
    var isFull: Bool { state.withLock { !$0.messages.isEmpty } }

    var subprotocol: String? {
        get { state.withLock { $0.subprotocol } }
        set { state.withLock { $0.subprotocol = newValue } }
    }

    func add(_ message: WebSocket.Message) {
        let waiter = state.withLock { state in
            guard let waiter = state.waiter else {
                state.messages.append(message)
                return CheckedContinuation<WebSocket.Message?, any Error>?.none
            }
            state.waiter = nil
            return waiter
        }
        waiter?.resume(returning: message)
    }

    /// Says that nothing more comes; the first end counts.
    func end(_ result: Result<Void, any Error>) {
        let waiter = state.withLock { state in
            if state.end == nil { state.end = result }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(with: result.map { nil })
    }

    /// The next message, for one task at a time; `more` has the connection read on.
    func next(_ more: () -> Void) async throws -> WebSocket.Message? {
        more()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let ready: Result<WebSocket.Message?, any Error>? = state.withLock { state in
                    if !state.messages.isEmpty { return .success(state.messages.removeFirst()) }
                    if let end = state.end { return end.map { nil } }
                    state.waiter = continuation
                    return nil
                }
                if let ready { continuation.resume(with: ready) }
            }
        } onCancel: {
            end(.failure(CancellationError()))
        }
    }
}
