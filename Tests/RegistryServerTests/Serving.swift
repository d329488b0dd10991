// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import RegistryServer
import Store
import TestSupport

/// A registry of a test's own, and what tests ask of it.
struct Serving: Sendable {
    let registry: EmbeddedRegistry
    let folder: TemporaryFolder
    /// Is sent with every request.
    var headers: [(String, String)] = []

    /// Serves while a function runs.
    static func run(
        _ options: RegistryOptions = RegistryOptions(),
        faults: [Fault] = [],
        folder: TemporaryFolder? = nil,
        _ body: @Sendable (Serving) async throws -> Void
    ) async throws {
        let folder = try folder ?? TemporaryFolder()
        let store = try ImageStore(folder.url.path + "/store")
        var options = options
        options.rememberedRequests = 1000
        try await EmbeddedRegistry.run(store, options, faults: Faults(faults)) { registry in
            try await body(Serving(registry: registry, folder: folder))
        }
    }

    func ask(
        _ method: String,
        _ path: String,
        _ headers: [(String, String)] = [],
        body: [UInt8]? = nil
    ) async throws -> Wire.Reply {
        try await Wire.ask(method, path, port: registry.port, headers: self.headers + headers, body: body)
    }

    /// Pushes a blob in one request.
    @discardableResult
    func push(_ bytes: [UInt8], to repository: String = "team/app") async throws -> Digest {
        let digest = SHA256.digest(bytes)
        let path = "/v2/\(repository)/blobs/uploads/?digest=\(digest)"
        let reply = try await ask("POST", path, [("Content-Type", "application/octet-stream")], body: bytes)
        guard reply.status == 201 else { throw Unexpected(reply) }
        return digest
    }

    /// Starts an upload, and says where it goes on.
    func start(_ repository: String = "team/app") async throws -> String {
        let reply = try await ask("POST", "/v2/\(repository)/blobs/uploads/", body: [])
        guard reply.status == 202, let location = reply["Location"] else { throw Unexpected(reply) }
        return location
    }

    /// Pushes a manifest with blobs of its own.
    @discardableResult
    func pushImage(
        _ reference: String,
        to repository: String = "team/app",
        salt: String = "",
        subject: Digest? = nil,
        more: [String: JSONValue] = [:]
    ) async throws -> (digest: Digest, bytes: [UInt8], reply: Wire.Reply) {
        let config = Array("{\"salt\":\"\(salt)\"}".utf8)
        let layer = Array("layer \(salt)".utf8)
        for blob in [config, layer] { try await push(blob, to: repository) }
        var members = Serving.manifest(config: config, layers: [layer]).merging(more) { $1 }
        members["subject"] = subject.map { Serving.descriptor(MediaType.manifest.description, $0, 2) }
        let bytes = Array(JSONValue.object(members).canonical.utf8)
        let reply = try await put(bytes, reference, to: repository)
        return (SHA256.digest(bytes), bytes, reply)
    }

    func put(
        _ bytes: [UInt8],
        _ reference: String,
        to repository: String = "team/app",
        type: String = MediaType.manifest.description
    ) async throws -> Wire.Reply {
        try await ask("PUT", "/v2/\(repository)/manifests/\(reference)", [("Content-Type", type)], body: bytes)
    }

    static func manifest(config: [UInt8], layers: [[UInt8]]) -> [String: JSONValue] {
        [
            "schemaVersion": 2, "mediaType": .string(MediaType.manifest.description),
            "config": descriptor(MediaType.config.description, SHA256.digest(config), config.count),
            "layers": .array(
                layers.map { descriptor(MediaType.layerGzip.description, SHA256.digest($0), $0.count) }
            ),
        ]
    }

    static func descriptor(_ type: String, _ digest: Digest, _ size: Int) -> JSONValue {
        ["mediaType": .string(type), "digest": .string(digest.description), "size": .int(Int64(size))]
    }
}

/// An answer that a helper did not count on.
struct Unexpected: Error, CustomStringConvertible {
    let description: String

    init(_ reply: Wire.Reply) {
        description = "\(reply.status) \(reply.text)"
    }
}
