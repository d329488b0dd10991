// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Rootfs
internal import Sandbox
internal import Store
internal import Synchronization

/// An image that a container can be made of: where its layers are.
struct GroupImage: Sendable {
    /// As the group names it.
    let name: String
    let store: ImageStore
    let digest: Digest
    let config: ImageConfig
    let layers: [Snapshots.Layer]
}

/// Finds the images of container groups: in registries of this Azure with the credentials of the group, and among the
/// public ones that the emulator was given.
struct ImageSource: Sendable {
    let world: World
    /// Whether an index may have entries for no platform, which Kubernetes passes over.
    var takesAttestations = false

    /// Finds an image, or throws what Container Instances would answer.
    func find(_ text: String, for group: String, body: JSONValue) throws(ARMFault) -> GroupImage {
        let name = ImageName(text)
        let registry = world.state.withLock { state in
            state.registries.values.first { $0.host.lowercased() == name.server }
        }
        guard let registry else {
            let known = world.options.images.contains { ImageName($0.name).server == name.server }
            guard known, let store = try? PublicImages.store(of: name.server, world.options) else {
                throw inaccessible(text, group)
            }
            return try image(text, name, store, group)
        }
        let credential = (body[path: "properties", "imageRegistryCredentials"]?.array ?? [])
            .first { $0.member("server")?.string?.lowercased() == name.server }
        guard registry.mayPull(name.repository, credential, world) else { throw inaccessible(text, group) }
        return try image(text, name, registry.store, group)
    }

    private func image(_ text: String, _ name: ImageName, _ store: ImageStore, _ group: String) throws(ARMFault)
        -> GroupImage
    {
        do {
            let repositories = Repositories(store)
            let repository = try RepositoryName(name.repository)
            let record: ManifestRecord?
            if let digest = try? BlobName(name.reference) {
                record = try repositories.manifest(digest, in: repository)
            } else {
                record = try repositories.manifest(tagged: TagName(name.reference), in: repository)
            }
            guard var descriptor = record?.descriptor else { throw inaccessible(text, group) }
            if descriptor.mediaType.isIndex {
                let index = try ImageIndex(parsing: store.read(descriptor.digest))
                // What Container Instances does with an index that has entries for no platform: it finds no image.
                if !takesAttestations, index.manifests.contains(where: { $0.platform?.os == "unknown" }) {
                    throw inaccessible(text, group)
                }
                guard let match = index.manifests.first(where: { $0.platform?.satisfies(.host) ?? false }) else {
                    throw unsupported(text, group)
                }
                descriptor = match
            }
            let manifest = try Manifest(parsing: store.read(descriptor.digest))
            let config = try ImageConfig(parsing: store.read(manifest.config.digest))
            guard config.platform.os == "linux", config.platform.architecture == Platform.host.architecture,
                config.diffIDs.count == manifest.layers.count, !manifest.layers.isEmpty
            else { throw unsupported(text, group) }
            return GroupImage(
                name: text,
                store: store,
                digest: descriptor.digest,
                config: config,
                layers: zip(manifest.layers, config.diffIDs).map { Snapshots.Layer($0, diffID: $1) }
            )
        } catch let fault as ARMFault {
            throw fault
        } catch {
            throw inaccessible(text, group)
        }
    }

    /// In the words of Container Instances.
    func inaccessible(_ text: String, _ group: String) -> ARMFault {
        ARMFault(
            400,
            "InaccessibleImage",
            "The image '\(text)' in container group '\(group)' is not accessible. Please check the image and registry "
                + "credential."
        )
    }

    private func unsupported(_ text: String, _ group: String) -> ARMFault {
        ARMFault(
            400,
            "ImageOsTypeNotMatchContainerGroup",
            "The OS type 'Linux' (\(Platform.host.architecture)) of the container group '\(group)' doesn't match the "
                + "platform of the image '\(text)'."
        )
    }
}

/// Images of registries that are not of this Azure, each registry in a store of its own.
enum PublicImages {
    static func store(of server: String, _ options: EmulatorOptions) throws -> ImageStore {
        let name = server.map { $0.isLetter || $0.isNumber || $0 == "." || $0 == "-" ? $0 : "_" }
        return try ImageStore("\(options.folder)/public/\(String(name))")
    }

    /// Takes in the images that the options name.
    static func fill(_ options: EmulatorOptions) throws {
        for image in options.images {
            let name = ImageName(image.name)
            let store = try store(of: name.server, options)
            do {
                try LayoutImage(image.layout).copy(to: store, name)
            } catch let error as EmulatorError {
                throw error
            } catch {
                throw EmulatorError(message: "the image \(image.name) of \(image.layout): \(error)")
            }
        }
    }
}

/// An image of an OCI layout, `FOLDER[:TAG]`.
struct LayoutImage {
    private let layout: ImageLayout
    private let root: Descriptor

    init(_ text: String) throws {
        var (folder, tag): (String, String?) = (text, nil)
        if let colon = text.lastIndex(of: ":"), !text[colon...].contains("/") {
            (folder, tag) = (String(text[..<colon]), String(text[text.index(after: colon)...]))
        }
        layout = try ImageLayout(folder)
        let images = try layout.index().manifests
        let named = images.filter { image in
            let name = image.annotations[ImageStore.nameAnnotation] ?? ""
            return tag == nil || name == tag || name.hasSuffix(":\(tag ?? "")")
        }
        guard named.count == 1 || (tag != nil && !named.isEmpty), let found = named.first else {
            let names = images.compactMap { $0.annotations[ImageStore.nameAnnotation] }.joined(separator: ", ")
            throw EmulatorError(message: "\(text) names \(named.count) images; the layout has: \(names)")
        }
        root = found
    }

    /// Copies it to a repository.
    func copy(to store: ImageStore, _ name: ImageName) throws {
        let repository = try RepositoryName(name.repository)
        try copy(root, to: store, repository, tag: try? TagName(name.reference))
    }

    private func copy(_ image: Descriptor, to store: ImageStore, _ repository: RepositoryName, tag: TagName?) throws {
        let bytes = try layout.read(image.digest)
        if image.mediaType.isIndex {
            for part in try ImageIndex(parsing: bytes).manifests { try copy(part, to: store, repository, tag: nil) }
        } else {
            let manifest = try Manifest(parsing: bytes)
            for blob in manifest.layers + [manifest.config] { try copy(blob, to: store, repository) }
        }
        let kept = try store.put(bytes, image.mediaType)
        try Repositories(store)
            .add(ManifestRecord(kept), as: BlobName(kept.digest), tags: tag.map { [$0] } ?? [], in: repository)
    }

    private func copy(_ blob: Descriptor, to store: ImageStore, _ repository: RepositoryName) throws {
        if !store.has(blob) {
            let ingest = try store.ingest()
            let source = Glibc.open(layout.path(of: blob.digest), O_RDONLY | O_CLOEXEC)
            guard source >= 0 else {
                throw EmulatorError(message: "the layout \(layout.root) lacks the blob \(blob.digest)")
            }
            defer { close(source) }
            guard Descriptors.copy(from: source, to: ingest.descriptor) else {
                throw EmulatorError(message: "copying the blob \(blob.digest): \(Descriptors.reason)")
            }
            try ingest.commit(blob.digest)
        }
        try Repositories(store).link(blob.digest, as: BlobName(blob.digest), in: repository)
    }
}
