// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOWebSocket
internal import OCI
internal import Sandbox
internal import Synchronization

/// The other side of `exec` and `attach`: a host of websockets, where the first message of a client is a password.
///
/// A lock guards the sessions that wait for their clients.
final class TerminalBridge: Sendable {
    enum Session: Sendable {
        case exec(ContainerExec, command: String, rows: UInt16, columns: UInt16)
        case attach(ContainerOutput)
    }

    private struct State {
        var url = ""
        var sessions: [String: (session: Session, password: String)] = [:]
        var open: [ObjectIdentifier: any Channel] = [:]
    }

    private let state = Mutex(State())
    private let certificate: EmulatorCertificate?

    init(_ certificate: EmulatorCertificate?) { self.certificate = certificate }

    /// Makes a session, and says where it is: once, for one client.
    func add(_ session: Session) -> JSONValue {
        let (id, password) = (Identifier.random(), Identifier.random() + Identifier.random())
        let url = state.withLock { state in
            state.sessions[id] = (session, password)
            return "\(state.url)/exec/caas-\(id)?rows=24&cols=80"
        }
        return ["webSocketUri": .string(url), "password": .string(password)]
    }

    /// Takes a session that somebody knows the name of.
    private func take(_ target: String) -> (session: Session, password: String)? {
        guard let start = target.range(of: "/exec/caas-")?.upperBound else { return nil }
        let id = String(target[start...].prefix { $0 != "?" && $0 != "/" })
        return state.withLock { $0.sessions.removeValue(forKey: id) }
    }

    /// Ends all that is open.
    func end() {
        let open = state.withLock { Array($0.open.values) }
        for channel in open { channel.close(promise: nil) }
    }

    /// Listens while a function runs.
    func run<Value: Sendable>(_ host: String, _ body: () async throws -> Value) async throws -> Value {
        let context = try certificate.map { files in
            try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: NIOSSLCertificate.fromPEMFile(files.chain).map { .certificate($0) },
                    privateKey: .privateKey(NIOSSLPrivateKey(file: files.key, format: .pem))
                )
            )
        }
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in self.setUp(channel, context) }
            .bind(host: host, port: 0).get()
        let scheme = context == nil ? "ws" : "wss"
        state.withLock { $0.url = "\(scheme)://\(host):\(server.localAddress?.port ?? 0)" }
        do {
            let value = try await body()
            try? await server.close()
            return value
        } catch {
            try? await server.close()
            throw error
        }
    }

    private func setUp(_ channel: any Channel, _ context: NIOSSLContext?) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            if let context { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context)) }
            let upgrader = NIOWebSocketServerUpgrader(
                shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
                upgradePipelineHandler: { channel, head in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = TerminalHandler(self.take(head.uri)) { open in
                            self.state.withLock { $0.open[ObjectIdentifier(channel)] = open ? channel : nil }
                        }
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
            )
            try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in })
            )
        }
    }
}

extension String {
    /// Where a text is in this one.
    fileprivate func range(of text: String) -> Range<String.Index>? { ranges(of: text).first }
}

/// One client of a session; touched on its event loop only.
private final class TerminalHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let session: (session: TerminalBridge.Session, password: String)?
    private let note: (Bool) -> Void
    private var isKnown = false
    private var keys: Int32 = -1
    private var process: SandboxedProcess?
    private var unfollow: (() -> Void)?
    private var message: [UInt8] = []

    init(_ session: (session: TerminalBridge.Session, password: String)?, _ note: @escaping (Bool) -> Void) {
        (self.session, self.note) = (session, note)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        note(true)
        if session == nil { close(context, .policyViolation) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        note(false)
        unfollow?()
        process?.terminate(grace: 0)
        if keys >= 0 { Glibc.close(keys) }
        keys = -1
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text, .binary, .continuation:
            message += Array(frame.unmaskedData.readableBytesView)
            guard frame.fin || isKnown else { return }
            let bytes = message
            message = []
            if isKnown { type(bytes) } else { begin(bytes, context) }
        case .ping:
            let frame = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        case .connectionClose: close(context, .normalClosure)
        default: break
        }
    }

    private func type(_ bytes: [UInt8]) {
        guard keys >= 0 else { return }
        bytes.withUnsafeBytes { _ = Descriptors.write($0, to: keys) }
    }

    private func begin(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        guard let session, String(decoding: bytes, as: UTF8.self) == session.password else {
            return close(context, .policyViolation)
        }
        isKnown = true
        let channel = context.channel
        let send: @Sendable ([UInt8]) -> Void = { bytes in
            let frame = WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(bytes: bytes))
            channel.writeAndFlush(frame, promise: nil)
        }
        switch session.session {
        case .attach(let output):
            let number = output.follow(send)
            unfollow = { output.unfollow(number) }
        case .exec(let exec, let command, let rows, let columns): start(exec, command, rows, columns, send, channel)
        }
    }

    private func start(
        _ exec: ContainerExec,
        _ command: String,
        _ rows: UInt16,
        _ columns: UInt16,
        _ send: @escaping @Sendable ([UInt8]) -> Void,
        _ channel: any Channel
    ) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // What a program does not read must not hold up the others.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        defer { Glibc.close(ends[0]) }
        do {
            let process = try exec.open(command, rows: rows, columns: columns, keys: ends[0]) { send(Array($0)) }
            (self.process, keys) = (process, ends[1])
            Thread.start {
                _ = try? process.wait()
                TerminalHandler.end(channel)
            }
        } catch {
            Glibc.close(ends[1])
            let text = (error as? SandboxError)?.message ?? "\(error)"
            send(Array("\(text)\r\n".utf8))
            TerminalHandler.end(channel)
        }
    }

    /// Says that nothing more comes.
    private static func end(_ channel: any Channel) {
        var data = ByteBuffer()
        data.write(webSocketErrorCode: .normalClosure)
        channel.writeAndFlush(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))
            .whenComplete { _ in channel.close(promise: nil) }
    }

    private func close(_ context: ChannelHandlerContext, _ code: WebSocketErrorCode) {
        var data = context.channel.allocator.buffer(capacity: 2)
        data.write(webSocketErrorCode: code)
        let frame = WebSocketFrame(fin: true, opcode: .connectionClose, data: data)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(frame)).whenComplete { _ in channel.close(promise: nil) }
    }
}
