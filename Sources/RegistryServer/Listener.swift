// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPTypes
package import HummingbirdCore
internal import HummingbirdTLS
package import Logging
package import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Store

/// One address that is listened on.
package enum Listener {
    /// What a server is to the code that starts and stops it.
    private struct Running: Sendable {
        let run: @Sendable () async throws -> Void
        let stop: @Sendable () async throws -> Void
    }

    /// What came to its end.
    private enum Ended: Sendable {
        case server, patience
    }

    /// How long requests may take to end once the server should.
    private static let patience = Duration.seconds(10)

    /// Listens while a function runs, which is given the port.
    package static func run<Value: Sendable>(
        _ options: RegistryOptions,
        _ logger: Logger,
        _ respond: @escaping @Sendable (Request, consuming ResponseWriter, any Channel) async throws -> Void,
        _ body: @Sendable (Int) async throws -> Value
    ) async throws -> Value {
        let (ports, port) = AsyncStream.makeStream(of: Int.self, bufferingPolicy: .bufferingNewest(1))
        let server = try make(options, logger, respond) { port.yield($0) }
        return try await withThrowingTaskGroup(of: Ended.self) { group in
            group.addTask {
                defer { port.finish() }
                do {
                    try await server.run()
                    return .server
                } catch {
                    let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
                    throw RegistryServerError(message: "listening on \(options.host):\(options.port): \(reason)")
                }
            }
            var waiting = ports.makeAsyncIterator()
            guard let port = await waiting.next() else {
                try await group.waitForAll()
                throw RegistryServerError(message: "listening on \(options.host):\(options.port): it ended at once")
            }
            let result = await Listener.result { try await body(port) }
            group.addTask {
                try await server.stop()
                return .server
            }
            group.addTask {
                try? await Task.sleep(for: patience)
                return .patience
            }
            // The server stops once its requests have ended; those that do not are cut.
            var left = 2
            while left > 0, let ended = await group.nextResult() {
                left = if case .success(.patience) = ended { 0 } else { left - 1 }
            }
            group.cancelAll()
            while await group.nextResult() != nil {}
            return try result.get()
        }
    }

    private static func result<Value>(_ body: () async throws -> Value) async -> Result<Value, any Error> {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    private static func make(
        _ options: RegistryOptions,
        _ logger: Logger,
        _ respond: @escaping HTTPChannelHandler.Responder,
        _ onPort: @escaping @Sendable (Int) -> Void
    ) throws -> Running {
        let channel = HTTP1Channel(
            responder: respond,
            configuration: .init(
                additionalChannelHandlers: [ConnectionSetup(isEncrypted: options.certificate != nil)],
                idleTimeout: TimeAmount(options.idleTime)
            )
        )
        guard let certificate = options.certificate else { return running(channel, options, logger, onPort) }
        return running(try TLSChannel(channel, tlsConfiguration: tls(certificate)), options, logger, onPort)
    }

    private static func tls(_ files: (chain: String, key: String)) throws -> TLSConfiguration {
        let fault = { (reason: String) in RegistryServerError(message: reason, isAboutOptions: true) }
        let (chainText, keyText) = (try pem(files.chain, "certificate"), try pem(files.key, "key"))
        guard let chain = try? NIOSSLCertificate.fromPEMBytes(chainText), !chain.isEmpty else {
            throw fault("\(files.chain) holds no certificate in PEM")
        }
        guard let key = try? NIOSSLPrivateKey(bytes: keyText, format: .pem) else {
            throw fault("\(files.key) holds no key in PEM, or one with a password")
        }
        let configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        // Whether they belong together is found out before anybody connects.
        guard (try? NIOSSLContext(configuration: configuration)) != nil else {
            throw fault("\(files.key) is not the key of the certificate \(files.chain)")
        }
        return configuration
    }

    private static func pem(_ path: String, _ what: String) throws -> [UInt8] {
        let fault = { (reason: String) in
            RegistryServerError(message: "reading the \(what) \(path): \(reason)", isAboutOptions: true)
        }
        let bytes: [UInt8]?
        do {
            bytes = try DiskFile.read(path, limit: 1 << 20)
        } catch {
            throw RegistryServerError(message: "the \(what): \(error.message)", isAboutOptions: true)
        }
        guard let bytes else { throw fault("there is no such file") }
        return bytes
    }

    private static func running<Channel: ServerChildChannel>(
        _ channel: Channel,
        _ options: RegistryOptions,
        _ logger: Logger,
        _ onPort: @escaping @Sendable (Int) -> Void
    ) -> Running {
        let server = Server(
            childChannelSetup: channel,
            configuration: ServerConfiguration(address: .hostname(options.host, port: options.port), backlog: 1024),
            onServerRunning: { onPort($0.localAddress?.port ?? options.port) },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        return Running(run: { try await server.run() }, stop: { try await server.shutdownGracefully() })
    }
}
