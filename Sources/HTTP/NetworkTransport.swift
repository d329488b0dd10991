// SPDX-License-Identifier: Apache-2.0
internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// The network: one attempt at a request, over connections that are kept and used again.
///
/// HTTP/1.1 only: one connection per request in flight is what uploads are fastest on, and no registry needs more.
/// Memory does not grow with what is sent or received: both sides are read only as fast as the other takes it. The lock
/// protects one client per proxy; connections end with the transport and the answers that it gave.
public final class NetworkTransport: HTTPTransport {
    /// How servers are reached.
    public let settings: NetworkSettings
    private let clients = Mutex<[ProxySettings.Proxy?: HTTPClient]>([:])
    private let trust: TrustSettings

    /// Makes a transport; nothing is read or connected before the first request.
    ///
    /// - Parameter settings: How servers are reached.
    public init(_ settings: NetworkSettings = NetworkSettings()) {
        self.settings = settings
        trust = TrustSettings(settings)
    }

    deinit {
        for client in clients.withLock({ Array($0.values) }) { client.shutdown { _ in } }
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// - Parameter request: What to send, and where.
    /// - Returns: The answer, whatever its status.
    /// - Throws: ``ServerError`` where there is no answer; the body's error where it cannot be read;
    ///   `CancellationError`.
    public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        try Task.checkCancellation()
        let proxy = try settings.proxy.proxy(for: request.url)
        let bodyFault = FirstError()
        var message = HTTPClientRequest(url: address(request.url))
        message.method = NIOHTTP1.HTTPMethod(rawValue: request.method.rawValue)
        for (name, value) in request.headers.all { message.headers.add(name: name, value: value) }
        if request.headers["User-Agent"] == nil { message.headers.add(name: "User-Agent", value: settings.userAgent) }
        if settings.serverNames[request.url.host] != nil {
            message.headers.add(name: "Host", value: request.url.authority)
        }
        if request.url.isSecure { message.tlsConfiguration = try trust.configuration(for: request.url) }
        let watch = SendingWatch()
        var outgoing: OutgoingBytes?
        if let body = request.body {
            let bytes = OutgoingBytes(try await body.open(), size: body.size, bodyFault, watch)
            message.body = .stream(bytes, length: .known(body.size))
            outgoing = bytes
        }
        do {
            let response = try await execute(message, client(for: proxy), outgoing == nil ? nil : watch)
            if response.status.code >= 300 { outgoing?.giveUp() }
            return HTTPResponse(
                status: Int(response.status.code),
                headers: HTTPFields(response.headers.lazy.map { (name: $0.name, value: $0.value) }),
                url: request.url,
                body: chunks(response, request.url)
            )
        } catch {
            outgoing?.giveUp()
            if let fault = bodyFault.value { throw fault }
            throw await explain(error, request.url, proxy)
        }
    }

    /// The address; under another name, which the client looks up as the host, where the certificate has that one.
    private func address(_ url: HTTPURL) -> String {
        guard url.isSecure, let name = settings.serverNames[url.host] else { return url.text }
        return "https://\(name):\(url.port)\(url.target)"
    }

    /// Sends a request, and gives it up when its body is not taken.
    private func execute(
        _ message: HTTPClientRequest,
        _ client: HTTPClient,
        _ watch: SendingWatch?
    ) async throws -> HTTPClientResponse {
        guard let watch else { return try await client.execute(message, deadline: .distantFuture) }
        let limit = settings.idleTimeout
        return try await withThrowingTaskGroup(of: HTTPClientResponse?.self) { group in
            group.addTask { try await client.execute(message, deadline: .distantFuture) }
            group.addTask {
                try await watch.wait(limit)
                return nil
            }
            defer { group.cancelAll() }
            while let answer = try await group.next() {
                if let answer { return answer }
            }
            throw CancellationError()
        }
    }

    /// Our words for an error, after another look at a certificate that was not accepted.
    private func explain(_ error: any Error, _ url: HTTPURL, _ proxy: ProxySettings.Proxy?) async -> any Error {
        if Task.isCancelled || error is CancellationError { return CancellationError() }
        let text = NetworkFault(url: url, proxy: proxy, settings: settings)
        guard NetworkFault.isCertificateRefused(error), proxy == nil else { return text.error(for: error) }
        let seen = await PeerCertificate.seen(at: url, timeout: settings.connectTimeout)
        return text.certificate(error, seen: seen)
    }

    private func client(for proxy: ProxySettings.Proxy?) -> HTTPClient {
        clients.withLock { clients in
            if let client = clients[proxy] { return client }
            var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow, decompression: .disabled)
            configuration.httpVersion = .http1Only
            configuration.timeout.connect = TimeAmount(settings.connectTimeout)
            configuration.timeout.read = TimeAmount(settings.idleTimeout)
            configuration.timeout.write = TimeAmount(settings.idleTimeout)
            // What fails is tried again by HTTPSession, which knows why; the pool would hide the reason behind a timeout.
            configuration.connectionPool.retryConnectionEstablishment = false
            // HTTPSession bounds requests. A bound here would have an upload wait for the download that it reads from.
            configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 256
            configuration.connectionPool.idleTimeout = .seconds(30)
            configuration.dnsOverride = Dictionary(settings.serverNames.map { ($0.value, $0.key) }) { $1 }
            if let proxy {
                configuration.proxy = .server(
                    host: proxy.url.host,
                    port: proxy.url.port,
                    authorization: proxy.user.map { .basic(username: $0, password: proxy.password ?? "") }
                )
            }
            let client = HTTPClient(eventLoopGroupProvider: .shared(EventLoops.group), configuration: configuration)
            clients[proxy] = client
            return client
        }
    }

    private func chunks(_ response: HTTPClientResponse, _ url: HTTPURL) -> HTTPChunks {
        let incoming = IncomingBytes(response.body)
        let text = NetworkFault(url: url, proxy: nil, settings: settings)
        // Connections end with the transport, and its user may want nothing else of it.
        return HTTPChunks { [self] in
            defer { withExtendedLifetime(self) {} }
            do {
                return try await incoming.next()
            } catch {
                if Task.isCancelled || error is CancellationError { throw CancellationError() }
                throw text.error(for: error)
            }
        }
    }
}

/// An answer's content as it comes in, in chunks of at most 1 MiB.
private final class IncomingBytes: @unchecked Sendable {
    // SAFETY: HTTPChunks is a single pass and read by one task at a time, as its documentation asks.
    private var iterator: HTTPClientResponse.Body.AsyncIterator
    private var rest = ByteBuffer()

    init(_ body: HTTPClientResponse.Body) {
        iterator = body.makeAsyncIterator()
    }

    func next() async throws -> [UInt8]? {
        while rest.readableBytes == 0 {
            guard let buffer = try await iterator.next() else { return nil }
            rest = buffer
        }
        return rest.readBytes(length: min(rest.readableBytes, 1 << 20))
    }
}
