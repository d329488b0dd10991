// SPDX-License-Identifier: Apache-2.0
internal import Deploy
internal import HTTP
internal import OCI
internal import Registry

/// Looks at images with the credentials that will pull them.
struct ImageLook {
    let registries: Registries
    let access: RegistryAccess
    let environment: [String: String]
    /// What the image has to run on.
    var platform = Platform(os: "linux", architecture: "amd64")
    /// Whether an index of several images is taken as it is, each node choosing its own.
    var takesIndexes = false

    /// A client that shows one thing to everybody, and nothing else.
    func client(_ shown: Credentials) -> RegistryClient {
        let network = access.network(environment)
        var settings = RegistryClient.Settings()
        settings.insecureHosts = network.insecureHosts
        return RegistryClient(
            transport: NetworkTransport(network),
            credentials: Shown(credentials: shown),
            settings: settings
        )
    }

    /// Shows one thing to everybody it is made for.
    private struct Shown: CredentialProvider {
        let credentials: Credentials

        func credentials(for registry: String) -> Credentials { credentials }
    }

    /// Whether everybody may pull an image.
    func isPublic(_ reference: ImageReference) async throws -> Bool {
        do {
            return try await client(.anonymous).manifest(ManifestName(reference), in: Repository(reference)) != nil
        } catch let error as RegistryError where error.kind == .auth || error.kind == .denied {
            return false
        }
    }

    /// Whether everybody may ask for an image, be it there or not.
    func isOpen(_ reference: ImageReference) async throws -> Bool {
        do {
            _ = try await client(.anonymous).manifest(ManifestName(reference), in: Repository(reference))
            return true
        } catch let error as RegistryError where error.kind == .auth || error.kind == .denied {
            return false
        }
    }

    /// Looks at an image: its manifest for the platform, and its configuration.
    ///
    /// `shown` is what `puller` will show; `nil` where that cannot be shown from here, so that we look as ourselves.
    func look(at reference: ImageReference, shown: Credentials?, puller: String) async throws -> ImageFacts {
        let client = shown.map { self.client($0) } ?? registries.client
        let repository = Repository(reference)
        do {
            guard let root = try await client.manifest(ManifestName(reference), in: repository) else {
                throw ExitReason(
                    .registry,
                    "\(reference.domain) has no image \(reference.familiar)",
                    hint: "coracle registry tags \(repository), or coracle push \(reference.familiar)"
                )
            }
            let document = { @Sendable (blob: Descriptor) async throws -> [UInt8] in
                if blob.digest == root.descriptor.digest { return root.bytes }
                return try await client.manifest(.digest(blob.digest), in: repository)?.bytes ?? []
            }
            let source = client.source(repository)
            if takesIndexes, root.descriptor.mediaType.isIndex,
                let whole = try await whole(root.descriptor, reference, source, document)
            {
                return whole
            }
            return try await ImageFacts.read(root.descriptor, called: reference, for: platform, from: source, document)
        } catch let error as RegistryError where shown != nil && (error.kind == .auth || error.kind == .denied) {
            let who = shown.map { "\($0)" } ?? ""
            throw ExitReason(
                .credentials,
                "\(puller) would pull \(reference.familiar) with \(who), which may not: \(error.message)",
                hint: error.hint
            )
        }
    }

    /// An index by its own digest, with what its image for the platform says; `nil` where it is for one platform only.
    private func whole(
        _ root: Descriptor,
        _ reference: ImageReference,
        _ blobs: some BlobSource,
        _ document: @Sendable (Descriptor) async throws -> [UInt8]
    ) async throws -> ImageFacts? {
        let index = try ImageIndex(parsing: try await document(root))
        let platforms = Set(index.manifests.compactMap(\.platform).filter { $0.os == "linux" })
        guard platforms.count > 1, platforms.contains(where: { $0.satisfies(platform) }) else { return nil }
        let facts = try await ImageFacts.read(root, called: reference, for: platform, from: blobs, document)
        let pinned = try ImageReference("\(reference.domain)/\(reference.repository)@\(root.digest)")
        var all = ImageFacts(pinned, mediaType: root.mediaType, layers: facts.layers, config: facts.config)
        all.content = facts.content
        return all
    }
}

extension ImageFacts {
    /// Reads what there is to know of an image.
    static func read(
        _ root: Descriptor,
        called reference: ImageReference,
        for platform: Platform = Platform(os: "linux", architecture: "amd64"),
        from blobs: some BlobSource,
        _ document: @Sendable (Descriptor) async throws -> [UInt8]
    ) async throws -> ImageFacts {
        let part = try await ImageGraph.choose(root, platform, reference.familiar, document)
        let manifest = try Manifest(parsing: try await document(part))
        let config = try ImageConfig(parsing: try await blobs.bytes(of: manifest.config))
        let pinned = try ImageReference("\(reference.domain)/\(reference.repository)@\(part.digest)")
        let types = manifest.layers.map(\.mediaType)
        var facts = ImageFacts(pinned, mediaType: part.mediaType, layers: types, config: config)
        facts.content = manifest.layers
        return facts
    }
}
