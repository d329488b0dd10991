// SPDX-License-Identifier: Apache-2.0

/// How a registry serves.
public struct RegistryOptions: Sendable {
    /// The address to listen on: an IP address or a host name.
    public var host = "127.0.0.1"
    /// The port to listen on; 0 for any that is free.
    public var port = 0
    /// Who may do what.
    public var access = RegistryAccess.anonymous
    /// Whether every change is refused (405 `UNSUPPORTED`).
    public var isReadOnly = false
    /// The server's certificate chain and its key, PEM files; `nil` for plain HTTP.
    public var certificate: (chain: String, key: String)?
    /// Whether the images of the store's own list are served too, under their names without the host.
    public var servesListedImages = true
    /// Whether a GET of a blob is answered with 307 to another host and port, as registries before a cloud's storage do.
    ///
    /// That host answers 400 to a request with `Authorization`, as Azure Storage does.
    public var redirectsBlobs = false
    /// The largest manifest that is taken, in bytes.
    public var manifestLimit = 4 << 20
    /// How many requests ``EmbeddedRegistry/requests`` remembers, the latest; 0 for none.
    public var rememberedRequests = 0
    /// Is told of each request when it is answered; on any thread.
    public var onRequest: (@Sendable (RequestRecord) -> Void)?

    /// A registry for this machine alone: loopback, a free port, no credentials.
    public init() {}
}
