// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOWebSocket
internal import OCI
internal import RegistryServer
internal import Synchronization

/// Listens for a cluster's API server: TLS, HTTP/1.1, and websockets for commands in pods.
final class ClusterDoor: Sendable {
    private let cluster: KubernetesCluster
    private let server: any Channel
    private let group: ChannelList

    /// Begins to listen.
    init(_ cluster: KubernetesCluster) async throws {
        let host = cluster.world.options.host
        let files = cluster.certificates
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(files.chain).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem))
        )
        // Who shows a certificate must have it of the cluster; who shows none may have a token.
        configuration.certificateVerification = .optionalVerification
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(files.authority))
        configuration.applicationProtocols = ["http/1.1"]
        let context = try NIOSSLContext(configuration: configuration)
        let open = ChannelList()
        (self.cluster, group) = (cluster, open)
        server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelInitializer { channel in
                open.add(channel)
                return ClusterDoor.setUp(channel, context, cluster)
            }
            .bind(host: host, port: 0).get()
        let port = server.localAddress?.port ?? 0
        cluster.url.withLock { $0 = "https://\(host):\(port)" }
    }

    /// Ends listening, and whatever is open.
    func close() {
        server.close(promise: nil)
        group.close()
    }

    private static func setUp(_ channel: any Channel, _ context: NIOSSLContext, _ cluster: KubernetesCluster)
        -> EventLoopFuture<Void>
    {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(NIOSSLServerHandler(context: context))
            let upgrader = NIOWebSocketServerUpgrader(
                // What kubectl sends at once is more than NIO takes by default.
                maxFrameSize: 1 << 20,
                shouldUpgrade: { channel, head in
                    let protocols = PodExecSession.protocols(head)
                    guard let chosen = protocols, (try? PodExecSession.target(cluster, head)) != nil,
                        ClusterHandler.isKnown(channel, head, cluster)
                    else { return channel.eventLoop.makeSucceededFuture(nil) }
                    return channel.eventLoop.makeSucceededFuture(["Sec-WebSocket-Protocol": chosen])
                },
                upgradePipelineHandler: { channel, head in
                    channel.eventLoop.makeCompletedFuture {
                        let session = try PodExecSession(cluster, head)
                        try channel.pipeline.syncOperations.addHandler(PodExecHandler(session))
                    }
                }
            )
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: true,
                withServerUpgrade: (
                    upgraders: [upgrader],
                    completionHandler: { context in
                        let pipeline = context.pipeline.syncOperations
                        guard let own = try? pipeline.context(handlerType: ClusterHandler.self) else { return }
                        pipeline.removeHandler(context: own, promise: nil)
                    }
                ),
                withErrorHandling: true
            )
            try pipeline.addHandler(ClusterHandler(cluster))
        }
    }
}

/// Connections that are open; a lock guards them.
final class ChannelList: Sendable {
    private let open = Mutex<[ObjectIdentifier: any Channel]>([:])

    func add(_ channel: any Channel) {
        let key = ObjectIdentifier(channel)
        open.withLock { $0[key] = channel }
        channel.closeFuture.whenComplete { [weak self] _ in self?.open.withLock { $0[key] = nil } }
    }

    func close() { for channel in open.withLock({ Array($0.values) }) { channel.close(promise: nil) } }
}

/// One connection to a cluster's API server; touched on its event loop only.
final class ClusterHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let cluster: KubernetesCluster
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var stream: KubeStream?

    /// The most bytes of a request, as etcd takes them.
    private static let limit = 3 << 20

    init(_ cluster: KubernetesCluster) { self.cluster = cluster }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): (self.head, body) = (head, [])
        case .body(let part): if body.count <= Self.limit { body += Array(part.readableBytesView) }
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        stream?.finish()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Whether a request is of somebody whom the cluster knows.
    static func isKnown(_ channel: any Channel, _ head: HTTPRequestHead, _ cluster: KubernetesCluster) -> Bool {
        // The certificate was checked when the connection was made.
        let handler = try? channel.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
        if handler?.peerCertificate != nil { return true }
        let header = head.headers.first(name: "Authorization") ?? ""
        guard header.lowercased().hasPrefix("bearer ") else { return false }
        return cluster.knows(token: String(header.dropFirst("bearer ".count)))
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let call = KubeCall(head, body)
        let isLong = body.count > Self.limit
        body = []
        let isOpen = ["healthz", "livez", "readyz", "version"].contains(call.segments.first ?? "")
        let reply: KubeReply
        if isLong {
            reply = KubeReply(
                KubeFault(413, "RequestEntityTooLarge", "Request entity too large: limit is \(Self.limit)")
            )
        } else if isOpen || Self.isKnown(context.channel, head, cluster) {
            reply = KubeAPI(cluster: cluster).respond(call)
        } else {
            reply = KubeReply(KubeFault.unauthorized)
        }
        var record = AzureRequestRecord(
            service: "kubernetes",
            method: call.method,
            path: call.target,
            status: reply.status
        )
        if case .json(_, let json, _) = reply, reply.status >= 400 { record.code = json["reason"]?.string }
        cluster.world.options.onRequest?(record)
        write(reply, head, context.channel)
    }

    private func write(_ reply: KubeReply, _ request: HTTPRequestHead, _ channel: any Channel) {
        var fields = HTTPHeaders()
        let bytes: [UInt8]
        switch reply {
        case .json(_, let json, let warnings):
            bytes = Array((json.canonical + "\n").utf8)
            fields.add(name: "Content-Type", value: "application/json")
            for warning in warnings {
                let text = warning.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
                fields.add(name: "Warning", value: "299 - \"\(String(text))\"")
            }
        case .bytes(_, let type, let given):
            bytes = given
            fields.add(name: "Content-Type", value: type)
        case .stream(let type, let run):
            fields.add(name: "Content-Type", value: type)
            fields.add(name: "Transfer-Encoding", value: "chunked")
            let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: fields)
            let stream = KubeStream(channel, isKeptAlive: request.isKeepAlive)
            self.stream = stream
            channel.writeAndFlush(HTTPServerResponsePart.head(head), promise: nil)
            run(stream)
            return
        }
        fields.add(name: "Content-Length", value: "\(bytes.count)")
        if reply.status == 429 { fields.add(name: "Retry-After", value: "1") }
        let status = HTTPResponseStatus(statusCode: reply.status)
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: fields)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        if request.method != .HEAD {
            channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes))), promise: nil)
        }
        let written = channel.writeAndFlush(HTTPServerResponsePart.end(nil))
        if !request.isKeepAlive { written.whenComplete { _ in channel.close(promise: nil) } }
    }
}
