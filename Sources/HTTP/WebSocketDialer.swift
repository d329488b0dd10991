// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS
internal import NIOWebSocket

/// Makes the connection of a websocket: through a proxy where there is one, encrypted, then upgraded from HTTP.
struct WebSocketDialer {
    let url: HTTPURL
    let proxy: ProxySettings.Proxy?
    let settings: NetworkSettings
    let headers: HTTPFields
    let inbox: WebSocketInbox
    /// Makes an error of the status and body of a refusal.
    let refusal: (@Sendable (Int, [UInt8]) -> any Error)?

    func dial() async throws -> any Channel {
        let first = proxy?.url ?? url
        let tls = url.isSecure ? try TrustSettings(settings).configuration(for: url) : nil
        let timeout = TimeAmount(settings.connectTimeout)
        let channel = try await ClientBootstrap(group: EventLoops.group)
            .connectTimeout(timeout)
            .connect(host: first.host, port: first.port).get()
        do {
            if let proxy { try await tunnel(channel, proxy) }
            let done = channel.eventLoop.makePromise(of: Void.self)
            // A server that accepts and says nothing must not be waited for without end.
            channel.eventLoop.scheduleTask(in: timeout) { done.fail(ChannelError.connectTimeout(timeout)) }
            try await channel.eventLoop.submit { try upgrade(channel, tls, done) }.get()
            try await done.futureResult.get()
            return channel
        } catch {
            try? await channel.close()
            throw error
        }
    }

    /// Asks the proxy for a way to the server.
    private func tunnel(_ channel: any Channel, _ proxy: ProxySettings.Proxy) async throws {
        let done = channel.eventLoop.makePromise(of: Void.self)
        var head = "CONNECT \(url.host):\(url.port) HTTP/1.1\r\nHost: \(url.host):\(url.port)\r\n"
        if let user = proxy.user {
            head += "Proxy-Authorization: Basic \(Base64Text.encode(Array("\(user):\(proxy.password ?? "")".utf8)))\r\n"
        }
        channel.eventLoop.scheduleTask(in: TimeAmount(settings.connectTimeout)) {
            done.fail(ChannelError.connectTimeout(TimeAmount(settings.connectTimeout)))
        }
        let place = proxy.url.authority
        try await channel.eventLoop
            .submit {
                try channel.pipeline.syncOperations.addHandler(TunnelAnswer(done, place), name: "tunnel")
            }
            .get()
        try await channel.writeAndFlush(channel.allocator.buffer(string: head + "\r\n"))
        try await done.futureResult.get()
        try? await channel.pipeline.removeHandler(name: "tunnel").get()
    }

    /// Puts TLS and HTTP on the connection, asks for a websocket, and takes HTTP off again; on its event loop.
    private func upgrade(_ channel: any Channel, _ tls: TLSConfiguration?, _ done: EventLoopPromise<Void>) throws {
        let pipeline = channel.pipeline.syncOperations
        if let tls {
            let name = settings.serverNames[url.host] ?? url.host
            let isAddress = IPAddress(name) != nil
            let context = try NIOSSLContext(configuration: tls)
            try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : name))
        }
        let inbox = inbox
        let upgrader = NIOWebSocketClientUpgrader(
            requestKey: NIOWebSocketClientUpgrader.randomRequestKey(),
            maxFrameSize: 1 << 20,
            upgradePipelineHandler: { channel, head in
                inbox.subprotocol = head.headers.first(name: "Sec-WebSocket-Protocol")
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(WebSocketReader(inbox))
                    done.succeed()
                }
            }
        )
        let refusal = UpgradeRefusal(done, url, refusal)
        try pipeline.addHTTPClientHandlers(
            // A server's first message may come with its answer, and would be dropped.
            leftOverBytesStrategy: .forwardBytes,
            withClientUpgrade: (
                upgraders: [upgrader],
                completionHandler: { context in context.pipeline.removeHandler(refusal, promise: nil) }
            )
        )
        try pipeline.addHandler(refusal)
        var fields = HTTPHeaders([("Host", url.authority), ("User-Agent", settings.userAgent)])
        for (name, value) in headers.all { fields.add(name: name, value: value) }
        fields.add(name: "Content-Length", value: "0")
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: url.target, headers: fields)
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }
}

/// Waits for a proxy's answer to CONNECT.
private final class TunnelAnswer: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    // SAFETY: used on the channel's event loop only.
    typealias InboundIn = ByteBuffer
    private let done: EventLoopPromise<Void>
    private let place: String
    private var text: [UInt8] = []

    init(_ done: EventLoopPromise<Void>, _ place: String) { (self.done, self.place) = (done, place) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        text += unwrapInboundIn(data).readableBytesView
        guard text.firstRange(of: Array("\r\n\r\n".utf8)) != nil || text.count > 16 << 10 else { return }
        let status = String(decoding: text.prefix(64), as: UTF8.self).split(separator: " ").dropFirst().first ?? ""
        if status.hasPrefix("2") { return done.succeed() }
        done.fail(ServerError(.proxy, "the proxy \(place) refused: it answered \(Redaction.text(String(status)))"))
    }

    func channelInactive(context: ChannelHandlerContext) { done.fail(ChannelError.eof) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { done.fail(error) }
}

/// What the caller makes of a refusal.
struct RefusedUpgrade: Error {
    let error: any Error
}

/// Says why a server does not open a websocket.
private final class UpgradeRefusal: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    // SAFETY: used on the channel's event loop only.
    typealias InboundIn = HTTPClientResponsePart
    private let done: EventLoopPromise<Void>
    private let url: HTTPURL
    private let explain: (@Sendable (Int, [UInt8]) -> any Error)?
    private var status: Int?
    private var body: [UInt8] = []

    init(
        _ done: EventLoopPromise<Void>,
        _ url: HTTPURL,
        _ explain: (@Sendable (Int, [UInt8]) -> any Error)?
    ) {
        (self.done, self.url, self.explain) = (done, url, explain)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            status = Int(head.status.code)
            if explain == nil { end() }
        case .body(let bytes):
            if body.count < 64 << 10 { body += bytes.readableBytesView }
        case .end: end()
        }
    }

    private func end() {
        guard let status else { return done.fail(ChannelError.eof) }
        if let explain { return done.fail(RefusedUpgrade(error: explain(status, body))) }
        done.fail(ServerError(.malformed, "\(url.authority) opens no websocket: it answered \(status)", url: url))
    }

    func channelInactive(context: ChannelHandlerContext) { end() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { done.fail(error) }
}

/// Puts frames together into messages, and reads on only when there is room.
private final class WebSocketReader: ChannelDuplexHandler, @unchecked Sendable {
    // SAFETY: used on the channel's event loop only.
    typealias InboundIn = WebSocketFrame
    typealias OutboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame
    private let inbox: WebSocketInbox
    private var parts: [UInt8] = []
    private var isText = false
    private var mayBeClosed = false
    /// Bytes of answers to pings that the server has not taken, and how many there may be.
    private var pongs = 0
    private static let mostPongs = 64 << 10

    init(_ inbox: WebSocketInbox) { self.inbox = inbox }

    func read(context: ChannelHandlerContext) {
        // A message that waits to be taken has the server wait too; answers to pings that nobody reads do as well.
        if !inbox.isFull, pongs < WebSocketReader.mostPongs { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text, .binary, .continuation:
            if frame.opcode != .continuation { (parts, isText) = ([], frame.opcode == .text) }
            parts += frame.unmaskedData.readableBytesView
            guard parts.count <= 1 << 20 else {
                return fail(context, ServerError(.tooLarge, "a message of the websocket is longer than 1 MiB"))
            }
            guard frame.fin else { return }
            inbox.add(isText ? .text(String(decoding: parts, as: UTF8.self)) : .binary(parts))
            parts = []
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData)
            let size = frame.unmaskedData.readableBytes + 16
            pongs += size
            context.writeAndFlush(wrapOutboundOut(pong)).assumeIsolated()
                .whenComplete { [self] _ in
                    let wasFull = pongs >= WebSocketReader.mostPongs
                    pongs -= size
                    if wasFull, pongs < WebSocketReader.mostPongs { context.channel.read() }
                }
        case .connectionClose:
            mayBeClosed = true
            var data = frame.unmaskedData
            let code = data.readWebSocketErrorCode()
            // The terminal bridge of Container Instances closes so when the password is wrong.
            if code == .policyViolation {
                return fail(
                    context,
                    ServerError(.malformed, "the server closed the websocket: it refuses what it was sent")
                )
            }
            inbox.end(.success(()))
            context.close(promise: nil)
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        inbox.end(mayBeClosed ? .success(()) : .failure(ChannelError.eof))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(context, error) }

    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        mayBeClosed = true
        inbox.end(.failure(error))
        context.close(promise: nil)
    }
}

/// Bytes as text of 64 characters, for proxies that ask for a name and password.
///
/// Specification: RFC 4648, section 4.
private enum Base64Text {
    static func encode(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = (0..<3).reduce(0) { $0 << 8 | ($1 < group.count ? Int(group[start + $1]) : 0) }
            for place in 0..<4 { text.append(place <= group.count ? letters[bits >> (18 - 6 * place) & 63] : 0x3D) }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
