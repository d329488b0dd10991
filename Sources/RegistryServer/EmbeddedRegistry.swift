// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import HummingbirdCore
internal import HummingbirdTLS
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
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
        return try await Listener.run(options, logger, { try await responder.respond($0, $1, $2) }) { port in
            let host = options.host.contains(":") ? "[\(options.host)]" : options.host
            let name = "\(host):\(port)"
            let registry = EmbeddedRegistry(
                store: store,
                url: (options.certificate == nil ? "http://" : "https://") + name,
                host: name,
                port: port,
                faults: faults,
                log: responder.log
            )
            return try await body(registry)
        }
    }
}

/// Why a registry does not serve.
public struct RegistryServerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being done, to what, and what was found: one line, no full stop.
    public let message: String

    /// The message.
    public var description: String { message }
}
