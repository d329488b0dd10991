// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS

/// What a certificate that was not accepted says, so that people can be told what is wrong with it.
struct PeerCertificate: Sendable {
    /// Seconds since 1970.
    let notBefore: Int
    let notAfter: Int
    let names: [String]
    /// The issuer's common name, else its organization.
    let issuer: String?
    /// The certificate itself, DER.
    let bytes: [UInt8]

    init(_ certificate: NIOSSLCertificate) {
        (notBefore, notAfter) = (certificate.notValidBefore, certificate.notValidAfter)
        bytes = (try? certificate.toDERBytes()) ?? []
        let facts = DistinguishedNames(certificate: bytes)
        issuer = facts.issuer
        names = facts.alternativeNames.isEmpty ? [facts.subject].compactMap { $0 } : facts.alternativeNames
    }

    /// Connects once more, without verification and without sending anything, and looks at the certificate.
    static func seen(at url: HTTPURL, timeout: Duration) async -> PeerCertificate? {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        guard let context = try? NIOSSLContext(configuration: configuration) else { return nil }
        let isAddress = IPAddress(url.host) != nil
        let bootstrap = ClientBootstrap(group: EventLoops.group)
            .connectTimeout(TimeAmount(timeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = try NIOSSLClientHandler(
                        context: context,
                        serverHostname: isAddress ? nil : url.host
                    )
                    try channel.pipeline.syncOperations.addHandler(handler)
                    try channel.pipeline.syncOperations.addHandler(HandshakeWatcher())
                }
            }
        guard let channel = try? await bootstrap.connect(host: url.host, port: url.port).get() else { return nil }
        let certificate = try? await channel.pipeline.handler(type: HandshakeWatcher.self)
            .flatMap { $0.certificate(timeout: TimeAmount(timeout)) }.get()
        try? await channel.close().get()
        return certificate.flatMap { $0 }
    }
}

extension NetworkTransport {
    /// Looks at a server's certificate, without verifying it and without sending anything.
    ///
    /// - Parameters:
    ///   - url: The server.
    ///   - timeout: The longest to wait for it.
    /// - Returns: The certificate, DER; `nil` where none is to be had.
    public static func certificate(of url: HTTPURL, timeout: Duration) async -> [UInt8]? {
        await PeerCertificate.seen(at: url, timeout: timeout).flatMap { $0.bytes.isEmpty ? nil : $0.bytes }
    }
}

/// Waits for the end of a handshake and takes the other side's certificate.
private final class HandshakeWatcher: ChannelInboundHandler, @unchecked Sendable {
    // SAFETY: used on the channel's event loop only.
    typealias InboundIn = ByteBuffer
    private var promise: EventLoopPromise<PeerCertificate?>?

    func handlerAdded(context: ChannelHandlerContext) {
        promise = context.eventLoop.makePromise()
    }

    func certificate(timeout: TimeAmount) -> EventLoopFuture<PeerCertificate?> {
        guard let promise else { return EventLoops.group.any().makeSucceededFuture(nil) }
        promise.futureResult.eventLoop.scheduleTask(in: timeout) { promise.succeed(nil) }
        return promise.futureResult
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event {
            let found = try? context.channel.pipeline.syncOperations.nioSSL_peerCertificate()
            promise?.succeed(found.flatMap { $0 }.map { PeerCertificate($0) })
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise?.succeed(nil)
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        promise?.succeed(nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise?.succeed(nil)
        context.fireChannelInactive()
    }
}
