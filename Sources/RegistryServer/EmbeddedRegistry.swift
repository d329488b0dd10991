// SPDX-License-Identifier: Apache-2.0
internal import Logging
public import Store

/// A registry that runs while a function does: the server side of the distribution specification over a store.
///
/// Several may serve one store, in one process or in many. Memory is bounded by the number of connections, whatever the
/// size of blobs.
///
/// Specification: OCI distribution-spec 1.1.1.
public struct EmbeddedRegistry: Sendable {
    /// Where blobs and repositories are.
    public let store: ImageStore
    /// How clients reach it: `http://127.0.0.1:5000`.
    public let url: String
    /// How references name it: `127.0.0.1:5000`.
    public let host: String
    /// The port that it listens on.
    public let port: Int
    /// What goes wrong on purpose.
    public let faults: Faults
    private let log: RequestLog

    /// The latest requests, as many as ``RegistryOptions/rememberedRequests`` says, in the order of their answers.
    ///
    /// A client that has an answer finds its request here; ``RequestRecord/bytesOut`` is counted when all was sent.
    public var requests: [RequestRecord] { log.all }

    /// Forgets ``requests``.
    public func clearRequests() { log.clear() }

    /// Serves while a function runs.
    ///
    /// Requests that are under way when it returns have ten seconds to end.
    ///
    /// - Parameters:
    ///   - store: Where blobs and repositories are.
    ///   - options: How to serve.
    ///   - faults: What goes wrong on purpose.
    ///   - body: Runs once connections are accepted.
    /// - Returns: What the function returned.
    /// - Throws: ``RegistryServerError`` where it cannot listen, and what the function throws.
    public static func run<Value: Sendable>(
        _ store: ImageStore,
        _ options: RegistryOptions = RegistryOptions(),
        faults: Faults = Faults(),
        _ body: @Sendable (EmbeddedRegistry) async throws -> Value
    ) async throws -> Value {
        let logger = Logger(label: "coracle.registry") { _ in SwiftLogNoOpLogHandler() }
        let responder = Responder(store, options, faults, logger)
        guard options.redirectsBlobs else { return try await serve(responder, body) }
        var elsewhere = options
        elsewhere.port = 0
        var storage = responder
        storage.isStorage = true
        return try await Listener.run(elsewhere, logger, storage.respond) { port in
            var responder = responder
            // Another name of this machine, so that it is another host to clients.
            responder.storage = "\(options.scheme)://localhost:\(port)"
            return try await serve(responder, body)
        }
    }

    private static func serve<Value: Sendable>(
        _ responder: Responder,
        _ body: @Sendable (EmbeddedRegistry) async throws -> Value
    ) async throws -> Value {
        let options = responder.options
        return try await Listener.run(options, responder.logger, responder.respond) { port in
            let name = "\(options.host.contains(":") ? "[\(options.host)]" : options.host):\(port)"
            let registry = EmbeddedRegistry(
                store: responder.store,
                url: "\(options.scheme)://\(name)",
                host: name,
                port: port,
                faults: responder.faults,
                log: responder.log
            )
            return try await body(registry)
        }
    }
}

extension RegistryOptions {
    /// `http` or `https`.
    var scheme: String { certificate == nil ? "http" : "https" }
}

/// Why a registry does not serve.
public struct RegistryServerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being done, to what, and what was found: one line, no full stop.
    public let message: String
    /// Whether it is about what the registry was told, and not about the network.
    public var isAboutOptions = false

    /// The message.
    public var description: String { message }
}
