// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Builder
internal import Glibc
internal import OCI
internal import Registry
internal import Store

/// An image that can be read, wherever it is.
struct OpenedImage: Sendable {
    /// A manifest or index.
    let root: Descriptor
    /// Where its blobs are.
    let blobs: any BlobSource
    /// Gives the bytes of a manifest or index, verified.
    let document: @Sendable (Descriptor) async throws -> [UInt8]
    /// The name it has there; `nil` where it has none.
    var name: ImageReference?
    /// The repository it is in; `nil` for one that is in none.
    var repository: Repository?
    /// The layout it is in; `nil` for one that is in none.
    var layout: ImageLayout?
    /// Goes away with the image.
    var scratch: ScratchFolder?

    /// Reads what the image is made of.
    func graph(_ choice: ImageGraph.Choice, _ name: String) async throws -> ImageGraph {
        try await ImageGraph(root, choice, name: name, read: document)
    }
}

/// A folder that is removed with the last reference to it.
final class ScratchFolder: Sendable {
    let path: String

    init(_ store: ImageStore) throws {
        path = try store.temporaryFolder()
    }

    deinit { DiskFile.remove(path) }
}

/// Opens images.
struct ImageOpener: Sendable {
    /// Where the store is; `nil` to open images of registries only.
    let workspace: Workspace?
    let registries: Registries

    func open(_ place: ImagePlace) async throws -> OpenedImage {
        if case .registry(let reference) = place { return try await open(reference) }
        guard let workspace else { throw ExitReason(.internalFault, "\(place.text) is looked for without a store") }
        switch place {
        case .registry(let reference): return try await open(reference)
        case .store(let name): return try stored(ImageLocator.find(name, in: workspace), workspace)
        case .layout(let folder, let tag):
            let mark = tag.map { $0.hasPrefix("sha256:") ? "@\($0)" : ":\($0)" } ?? ""
            return try stored(ImageLocator.find("oci-layout://\(folder)\(mark)", in: workspace), workspace)
        case .archive(let file, let tag):
            let scratch = try unpack(file, workspace.store())
            let mark = tag.map { $0.hasPrefix("sha256:") ? "@\($0)" : ":\($0)" } ?? ""
            guard TextFile.isFile(scratch.path + "/index.json") else {
                throw ExitReason(.usage, "\(file): there is no index.json in it, so that it is no oci-archive")
            }
            var image = try stored(ImageLocator.find("oci-layout://\(scratch.path)\(mark)", in: workspace), workspace)
            image.scratch = scratch
            return image
        case .dockerArchive(let file, let name):
            let scratch = try unpack(file, workspace.store())
            var image = try DockerArchive(folder: scratch.path, file: file).image(name, in: workspace.store())
            image.scratch = scratch
            return image
        }
    }

    /// An image of a registry.
    func open(_ reference: ImageReference) async throws -> OpenedImage {
        let repository = Repository(reference)
        let client = registries.client
        guard let root = try await client.manifest(ManifestName(reference), in: repository) else {
            throw ExitReason(
                .registry,
                "\(repository.registry) has no image \(reference.familiar)",
                hint: "coracle registry tags \(repository)"
            )
        }
        var image = OpenedImage(root: root.descriptor, blobs: client.source(repository)) { descriptor in
            if descriptor.digest == root.descriptor.digest { return root.bytes }
            guard let document = try await client.manifest(.digest(descriptor.digest), in: repository) else {
                throw ExitReason(
                    .registry,
                    "\(repository) lacks the manifest \(descriptor.digest) of \(reference.familiar)"
                )
            }
            return document.bytes
        }
        (image.name, image.repository) = (reference, repository)
        return image
    }

    private func stored(_ found: ImageLocator.Found, _ workspace: Workspace) -> OpenedImage {
        let local = LayoutBlobs(layout: found.layout)
        var root = found.image
        root.annotations = [:]
        let blobs = StoreOrRegistry(local: local, client: registries.client, store: try? workspace.storeIfAny())
        var image = OpenedImage(root: root, blobs: blobs, document: local.document)
        image.name = found.name.flatMap { try? ImageReference($0) }
        image.layout = found.layout
        return image
    }

    /// Unpacks an archive into a folder of its own.
    private func unpack(_ file: String, _ store: ImageStore) throws -> ScratchFolder {
        let descriptor = file == "-" ? fcntl(0, F_DUPFD_CLOEXEC, 3) : Glibc.open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ExitReason(.usage, "\(file): \(String(cString: strerror(errno)).lowercased())")
        }
        defer { close(descriptor) }
        let scratch = try ScratchFolder(store)
        do {
            try ImageFiles(archive: descriptor, name: file, in: store, limit: .max).extract(to: scratch.path)
        } catch let error as BuildError {
            throw ExitReason(.usage, error.message)
        }
        return scratch
    }
}

/// Blobs of a layout, and those of bases that were never brought here from where they are.
struct StoreOrRegistry: BlobSource {
    let local: LayoutBlobs
    let client: RegistryClient
    let store: ImageStore?

    func open(_ blob: Descriptor, from offset: Int64) async throws -> BlobChunks {
        guard let store, !local.layout.has(blob), !BlobOrigins(store).all(blob.digest).isEmpty else {
            return try await local.open(blob, from: offset)
        }
        return try await OriginBlobs(client: client, store: store).open(blob, from: offset)
    }
}
