// SPDX-License-Identifier: Apache-2.0
internal import RegistryServer
internal import Store

/// `coracle registry serve`: a registry over the store, until somebody ends it.
public struct ServeRegistry: Sendable {
    /// `--listen`: the address and the port, `127.0.0.1:5000`.
    public var listen = "127.0.0.1:5000"
    private let workspace: Workspace

    /// Serves a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// Serves until it is told to stop.
    ///
    /// - Parameters:
    ///   - announce: Is given the address, `http://127.0.0.1:5000`, once connections are accepted.
    ///   - stop: Returns when serving should end.
    /// - Throws: ``ExitReason`` where it cannot listen, or the store cannot be used.
    public func run(
        announce: @escaping @Sendable (String) throws -> Void,
        until stop: @escaping @Sendable () async -> Void
    ) async throws {
        var options = RegistryOptions()
        let parts = listen.split(separator: ":")
        options.host = String(parts[0])
        options.port = Int(parts[1]) ?? 0
        let store = try workspace.store()
        try await EmbeddedRegistry.run(store, options) { registry in
            try announce(registry.url)
            await stop()
        }
    }
}
