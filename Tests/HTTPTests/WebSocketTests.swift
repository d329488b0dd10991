// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import Synchronization
import TestSupport
import Testing

@Suite("Websockets", .inTurns)
struct WebSocketTests {
    @Test("What is sent comes back, as it was", arguments: [false, true])
    func echo(isSecure: Bool) async throws {
        let authority = try TestAuthority()
        let files = try authority.issue()
        var settings = NetworkSettings()
        settings.authorityFiles = [authority.certificate.path]

        try await EchoServer.run(isSecure ? files : nil) { address in
            let messages: [WebSocket.Message] = [
                .text("grüße"), .binary([0, 255, 7]), .binary([]), .binary([UInt8](repeating: 3, count: 900_000)),
            ]
            let back = try await WebSocket.open(address, settings: settings) { socket in
                var back: [WebSocket.Message?] = []
                for message in messages {
                    try await socket.send(message)
                    back.append(try await socket.receive())
                }
                return back
            }
            #expect(back == messages)
        }
    }

    @Test("Fragments are put together, and pings do not get between")
    func fragments() async throws {
        try await EchoServer.run(nil) { address in
            let got = try await WebSocket.open(address) { socket in
                try await socket.send(.text("fragments"))
                return try await socket.receive()
            }
            #expect(got == .text("one two three"))
        }
    }

    @Test("A server that closes ends the messages; one that refuses, or breaks off, is an error")
    func ends() async throws {
        try await EchoServer.run(nil) { address in
            let end = try await WebSocket.open(address) { socket in
                try await socket.send(.text("close"))
                return try await socket.receive()
            }
            #expect(end == nil)
            let refused = try await #require(throws: ServerError.self) {
                try await WebSocket.open(address) { socket in
                    try await socket.send(.text("refuse"))
                    return try await socket.receive()
                }
            }
            #expect(refused.message == "the server closed the websocket: it refuses what it was sent")
            let cut = try await #require(throws: ServerError.self) {
                try await WebSocket.open(address) { socket in
                    try await socket.send(.text("cut"))
                    return try await socket.receive()
                }
            }
            #expect(cut.code == .cut)
        }
    }

    @Test("A message that is too long is an error")
    func long() async throws {
        try await EchoServer.run(nil) { address in
            await #expect(throws: ServerError.self) {
                try await WebSocket.open(address) { socket in
                    try await socket.send(.text("flood"))
                    while try await socket.receive() != nil {}
                }
            }
        }
    }

    @Test("A server without websockets is told with its status")
    func refused() async throws {
        let server = try FaultyServer { _ in .answer(403, [:], "no") }

        let error = try await #require(throws: ServerError.self) {
            try await WebSocket.open("ws://127.0.0.1:\(server.port)/exec?secret=hidden") { try await $0.receive() }
        }

        #expect(error.message == "127.0.0.1:\(server.port) opens no websocket: it answered 403")
        #expect(server.requests.first?.fields["upgrade"] == "websocket")
    }

    @Test(
        "Only this machine is spoken to in the clear, and only websockets",
        arguments: [
            "ws://example.com/x?s=hidden", "https://example.com/hidden", "hidden", "wss://",
        ]
    )
    func addresses(address: String) async throws {
        let error = try await #require(throws: ServerError.self) {
            try await WebSocket.open(address) { try await $0.receive() }
        }

        #expect(error.code == .badAddress)
        #expect(!"\(error)".contains("hidden"))
    }

    @Test("A proxy is asked for the way, and one that refuses is named")
    func proxy() async throws {
        let proxy = try FaultyServer { _ in .answer(407) }
        var settings = NetworkSettings()
        settings.proxy.secure = "http://me:pw@127.0.0.1:\(proxy.port)"

        let error = try await #require(throws: ServerError.self) {
            try await WebSocket.open("wss://bridge.example.com/x", settings: settings) { try await $0.receive() }
        }

        #expect(error.message == "the proxy 127.0.0.1:\(proxy.port) refused: it answered 407")
        #expect(proxy.requests.first?.target == "bridge.example.com:443")
        #expect(proxy.requests.first?.fields["proxy-authorization"] == "Basic bWU6cHc=")
    }

    @Test("A server that sends pings and reads nothing is not read from without end")
    func pings() async throws {
        try await EchoServer.run(nil) { address in
            let sent = try await WebSocket.open(address) { socket in
                try await socket.send(.text("pings"))
                return try await WebSocketTests.still(upTo: 64 << 20) { Echo.pings.withLock { $0 } }
            }
            // What the client's socket may hold on this machine, and what is on its way to it.
            let held = try Sockets.held()
            #expect(sent < held + 8 << 20)
        }
    }

    @Test("A message that nobody reads ends with its task")
    func stuck() async throws {
        try await EchoServer.run(nil) { address in
            let sent = StuckMessage()
            let task = Task {
                try await WebSocket.open(address) { socket in
                    try await socket.send(.text("deaf"))
                    await withTaskGroup { group in
                        group.addTask { await sent.flood(socket) }
                        _ = try? await WebSocketTests.still(upTo: 512 << 20) { sent.count }
                        group.cancelAll()
                    }
                }
                sent.end()
            }
            try await Waiting.until("the end of the message", upTo: 60) { sent.isOver }
            try await task.value
        }
    }

    /// A number that grows, once it has not for a second and a half, or is over a limit.
    private static func still(upTo limit: Int, _ number: () -> Int) async throws -> Int {
        var (last, times) = (-1, 0)
        while times < 30, last < limit {
            try await Task.sleep(for: .milliseconds(50))
            let now = number()
            (last, times) = (now, now == last && now > 0 ? times + 1 : 0)
        }
        return last
    }

    @Test("Cancelling ends the wait for a message")
    func cancelled() async throws {
        try await EchoServer.run(nil) { address in
            let task = Task {
                try await WebSocket.open(address) { socket in
                    try await socket.send(.text("hello"))
                    _ = try await socket.receive()
                    return try await socket.receive()
                }
            }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }
}

/// Messages to a server that reads nothing.
private final class StuckMessage: Sendable {
    private let state = Mutex((count: 0, isOver: false))

    /// The bytes that went out.
    var count: Int { state.withLock { $0.count } }
    var isOver: Bool { state.withLock { $0.isOver } }

    func end() { state.withLock { $0.isOver = true } }

    func flood(_ socket: WebSocket) async {
        let message = [UInt8](repeating: 1, count: 900_000)
        while (try? await socket.send(.binary(message))) != nil { state.withLock { $0.count += message.count } }
    }
}

/// A websocket server that sends back what it gets, but for some words.
private enum EchoServer {
    static func run(_ files: (certificate: URL, key: URL)?, _ body: (String) async throws -> Void) async throws {
        let context = try files.map { files in
            try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: NIOSSLCertificate.fromPEMFile(files.certificate.path).map { .certificate($0) },
                    privateKey: .privateKey(NIOSSLPrivateKey(file: files.key.path, format: .pem))
                )
            )
        }
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            // Little is on its way, so that a side that waits for the other is soon seen to.
            .childChannelOption(.socketOption(.so_sndbuf), value: 128 << 10)
            .childChannelOption(.socketOption(.so_rcvbuf), value: 128 << 10)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    }
                    let upgrader = NIOWebSocketServerUpgrader(
                        maxFrameSize: 4 << 20,
                        shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
                        upgradePipelineHandler: { channel, _ in
                            channel.eventLoop.makeCompletedFuture {
                                try channel.pipeline.syncOperations.addHandler(Echo())
                            }
                        }
                    )
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                        withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in })
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = server.localAddress?.port ?? 0
        do {
            try await body("\(context == nil ? "ws" : "wss")://127.0.0.1:\(port)/x?y=1")
        } catch {
            try? await server.close()
            throw error
        }
        try await server.close()
    }
}

private final class Echo: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame
    /// Bytes of pings.
    static let pings = Mutex(0)
    private var isFlooding = false

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard isFlooding else { return }
        while context.channel.isWritable {
            for _ in 0..<512 {
                let frame = WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer(repeating: 7, count: 125))
                context.write(wrapOutboundOut(frame), promise: nil)
                Echo.pings.withLock { $0 += 127 }
            }
            context.flush()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        guard frame.opcode == .text || frame.opcode == .binary else { return }
        // A client must mask what it sends.
        guard frame.maskKey != nil else { return context.close(promise: nil) }
        switch String(buffer: frame.unmaskedData) {
        case "fragments":
            send(context, .text, "one ", isLast: false)
            send(context, .ping, "p")
            send(context, .continuation, "two ", isLast: false)
            send(context, .continuation, "three")
        case "close", "refuse":
            var code = context.channel.allocator.buffer(capacity: 2)
            code.write(
                webSocketErrorCode: String(buffer: frame.unmaskedData) == "close" ? .normalClosure : .policyViolation
            )
            context.writeAndFlush(
                wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: code)),
                promise: nil
            )
        case "deaf", "pings":
            isFlooding = String(buffer: frame.unmaskedData) == "pings"
            context.channel.setOption(.autoRead, value: false)
                .assumeIsolated().whenSuccess { self.channelWritabilityChanged(context: context) }
        case "cut": context.close(promise: nil)
        case "flood": for _ in 0..<8 { send(context, .text, String(repeating: "x", count: 2 << 20)) }
        default:
            context.writeAndFlush(
                wrapOutboundOut(WebSocketFrame(fin: true, opcode: frame.opcode, data: frame.unmaskedData)),
                promise: nil
            )
        }
    }

    private func send(_ context: ChannelHandlerContext, _ opcode: WebSocketOpcode, _ text: String, isLast: Bool = true)
    {
        let frame = WebSocketFrame(fin: isLast, opcode: opcode, data: ByteBuffer(string: text))
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }
}
