// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import OCI
import Synchronization
import TestSupport
import Testing

@testable import Kubernetes

@Suite("Connections to a cluster", .inTurns)
struct ConnectionTests {
    @Test("Only the cluster's own authority is trusted, our certificate is shown, and the name may be another")
    func certificates() async throws {
        let authority = try TestAuthority()
        let server = try authority.issue("DNS:kube.internal")
        let own = try authority.issue("DNS:anna")
        try await APIServer.run(server, asking: authority.certificate) { port in
            var access = ClusterAccess(server: try HTTPURL("https://127.0.0.1:\(port)/"))
            access.authority = try [UInt8](Data(contentsOf: authority.certificate))
            access.serverName = "kube.internal"
            access.certificate = .init(
                certificate: try [UInt8](Data(contentsOf: own.certificate)),
                key: try [UInt8](Data(contentsOf: own.key))
            )

            #expect(try await ClusterClient(access).version() == "v1.33.0 for 127.0.0.1:\(port)")

            access.serverName = nil
            let named = try await #require(throws: KubernetesError.self) { try await ClusterClient(access).version() }
            #expect(named.message.contains("the certificate is not for this host"))
            #expect(named.hint?.contains("tls-server-name") == true)

            (access.serverName, access.authority) = ("kube.internal", nil)
            let trust = try await #require(throws: KubernetesError.self) { try await ClusterClient(access).version() }
            #expect(trust.message.contains("not signed by anyone this machine trusts"))

            access.isInsecure = true
            #expect(try await ClusterClient(access).version().hasPrefix("v1.33.0"))
        }
    }

    @Test("A certificate that a plug-in gives is shown")
    func pluginCertificate() async throws {
        let authority = try TestAuthority()
        let own = try authority.issue("DNS:anna")
        try await APIServer.run(try authority.issue(), asking: authority.certificate) { port in
            var access = ClusterAccess(server: try HTTPURL("https://127.0.0.1:\(port)/"))
            access.authority = try [UInt8](Data(contentsOf: authority.certificate))
            access.credentials = .plugin(ExecPlugin("x"))
            let certificate = ExecCredential.Certificate(
                certificate: try [UInt8](Data(contentsOf: own.certificate)),
                key: try [UInt8](Data(contentsOf: own.key))
            )
            let client = ClusterClient(
                access,
                answer: { _ in ExecCredential(token: nil, certificate: certificate, expires: nil) }
            )

            #expect(try await client.version().hasPrefix("v1.33.0"))
        }
    }

    private func exec(_ wish: ClusterClient.ExecWish, version: String? = nil) async throws -> (Int, String) {
        try await APIServer.run(nil, asking: nil, protocol: version ?? "v5.channel.k8s.io") { port in
            let access = ClusterAccess(server: try HTTPURL("http://127.0.0.1:\(port)/"))
            let seen = Mutex("")
            let code = try await ClusterClient(access)
                .exec(
                    wish,
                    feed: { input in
                        try await input.resize(columns: 80, rows: 24)
                        try await input.write(Array("hello".utf8))
                        try await input.end()
                    }
                ) { output in
                    switch output {
                    case .output(let bytes):
                        seen.withLock { $0 += "out:" + String(decoding: bytes, as: UTF8.self) + " " }
                    case .errors(let bytes):
                        seen.withLock { $0 += "err:" + String(decoding: bytes, as: UTF8.self) + " " }
                    }
                }
            return (code, seen.withLock { $0 })
        }
    }

    @Test("A program's input goes in, its output comes out, and its exit code is known", arguments: ["v5", "v4"])
    func exec(version: String) async throws {
        var wish = ClusterClient.ExecWish("web-1", ["sh", "-c", "exit 7"])
        (wish.container, wish.hasInput) = ("app", true)

        let (code, text) = try await exec(wish, version: version + ".channel.k8s.io")

        #expect(code == 7)
        let target = "/api/v1/namespaces/default/pods/web-1/exec?command=sh&command=-c&command=exit%207&container=app"
        #expect(text.hasPrefix("out:\(target)&stdout=true&stdin=true&stderr=true "))
        #expect(text.contains("err:{\"Height\":24,\"Width\":80} "))
        #expect(text.contains("out:hello "))
        #expect(text.contains("err:ended ") == (version == "v5"))
    }

    @Test("A program that cannot be run is an error in the cluster's words")
    func refused() async throws {
        let peer = try ClusterPeer { _, _ in .status(404, "NotFound", "pods \"web-1\" not found") }

        let error = try await #require(throws: KubernetesError.self) {
            try await peer.client().exec(.init("web-1", ["ls"])) { _ in }
        }
        #expect(error.code == .notFound)
        #expect(error.message == "run ls in pod/web-1 in the namespace shop: pods \"web-1\" not found")

        var wish = ClusterClient.ExecWish("web-1", ["fail"])
        wish.hasInput = true
        let failed = try await #require(throws: KubernetesError.self) { try await exec(wish) }
        #expect(failed.message.hasSuffix("executable file not found in $PATH"))
    }
}

/// Says what version it is, and runs a program that sends back what it gets.
private enum APIServer {
    static func run<Value: Sendable>(
        _ files: (certificate: URL, key: URL)?,
        asking authority: URL?,
        protocol name: String = "v5.channel.k8s.io",
        _ body: (Int) async throws -> Value
    ) async throws -> Value {
        let context = try files.map { files in
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile(files.certificate.path).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key.path, format: .pem))
            )
            if let authority {
                configuration.trustRoots = .file(authority.path)
                configuration.certificateVerification = .noHostnameVerification
            }
            return try NIOSSLContext(configuration: configuration)
        }
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    }
                    let upgrader = NIOWebSocketServerUpgrader(
                        maxFrameSize: 1 << 20,
                        shouldUpgrade: { channel, _ in
                            channel.eventLoop.makeSucceededFuture(["Sec-WebSocket-Protocol": name])
                        },
                        upgradePipelineHandler: { channel, head in
                            channel.eventLoop.makeCompletedFuture {
                                let runner = Runner(head.uri, tellsEnd: name.hasPrefix("v5"))
                                try channel.pipeline.syncOperations.addHandler(runner)
                            }
                        }
                    )
                    let versions = Versions()
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                        withServerUpgrade: (
                            upgraders: [upgrader],
                            completionHandler: { $0.pipeline.removeHandler(versions, promise: nil) }
                        )
                    )
                    try channel.pipeline.syncOperations.addHandler(versions)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            let value = try await body(server.localAddress?.port ?? 0)
            try await server.close()
            return value
        } catch {
            try? await server.close()
            throw error
        }
    }
}

private final class Versions: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    // SAFETY: used on the channel's event loop only.
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = unwrapInboundIn(data) else { return }
        let text = "{\"gitVersion\":\"v1.33.0 for \(head.headers.first(name: "Host") ?? "")\"}"
        let fields = HTTPHeaders([("Content-Length", "\(text.utf8.count)"), ("Content-Type", "application/json")])
        context.write(wrapOutboundOut(.head(.init(version: .http1_1, status: .ok, headers: fields))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}

private final class Runner: ChannelInboundHandler, @unchecked Sendable {
    // SAFETY: used on the channel's event loop only.
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame
    private let target: String
    /// Whether the end of the input is told; else it ends with its first bytes.
    private let tellsEnd: Bool

    init(_ target: String, tellsEnd: Bool) { (self.target, self.tellsEnd) = (target, tellsEnd) }

    func handlerAdded(context: ChannelHandlerContext) { send(context, 1, target) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data).unmaskedData
        guard let channel: UInt8 = bytes.readInteger() else { return }
        let text = String(buffer: bytes)
        if channel == 4 { return send(context, 2, text) }
        if channel == 255 { send(context, 2, "ended") }
        if channel == 0 { send(context, 1, text) }
        if channel == (tellsEnd ? 255 : 0) { end(context) }
    }

    private func end(_ context: ChannelHandlerContext) {
        let status: JSONValue =
            target.contains("command=fail")
            ? [
                "status": "Failure", "reason": "InternalError", "code": 500,
                "message": "executable file not found in $PATH",
            ]
            : [
                "status": "Failure", "reason": "NonZeroExitCode",
                "details": ["causes": [["reason": "ExitCode", "message": "7"]]],
            ]
        send(context, 3, status.canonical)
    }

    private func send(_ context: ChannelHandlerContext, _ channel: UInt8, _ text: String) {
        let frame = WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(bytes: [channel] + Array(text.utf8)))
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }
}
