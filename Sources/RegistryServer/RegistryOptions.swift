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
    /// What clients should tell people, such as that this registry is to go: with every answer, each in a header.
    public private(set) var warnings: [String] = []
    /// The largest manifest that is taken, in bytes.
    public var manifestLimit = 4 << 20
    /// A connection on which nothing moves for so long is closed.
    public var idleTime = Duration.seconds(180)
    /// How many requests ``EmbeddedRegistry/requests`` remembers, the latest; 0 for none.
    public var rememberedRequests = 0
    /// Is told of each request when it is answered; on any thread.
    public var onRequest: (@Sendable (RequestRecord) -> Void)?

    /// A registry for this machine alone: loopback, a free port, no credentials.
    public init() {}

    /// Adds a warning.
    ///
    /// - Parameter text: What to tell people, on one line.
    /// - Throws: ``RegistryServerError`` where it cannot stand in a header, or the warnings have more than 4,096 bytes
    ///   together, which the specification allows (OCI distribution-spec 1.1, "Warnings").
    public mutating func warn(_ text: String) throws(RegistryServerError) {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw RegistryServerError(message: "a warning is a line of text, without control characters")
        }
        let all = warnings + [text]
        let size = all.reduce(0) { $0 + RegistryOptions.header($1).utf8.count }
        guard size <= 4096 else {
            throw RegistryServerError(message: "the warnings have \(size) bytes, and 4,096 are allowed together")
        }
        warnings = all
    }

    /// A warning as a header has it: code and agent are what the specification asks for.
    static func header(_ warning: String) -> String {
        let escaped = warning.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
        return "299 - \"\(String(escaped))\""
    }
}
