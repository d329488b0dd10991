// SPDX-License-Identifier: Apache-2.0
public import OCI

/// An image with all that it is made of: manifests, and the blobs that they name.
public struct ImageGraph: Sendable {
    /// Which parts of an index are wanted.
    public enum Choice: Hashable, Sendable {
        /// All of them, the index itself too.
        case everything
        /// The image for one platform.
        case platform(Platform)
    }

    /// The image: a manifest, or an index where everything was wanted.
    public let root: Descriptor
    /// Manifests and indexes, each after those that it names, the root last.
    public let documents: [ManifestDocument]
    /// Configurations and layers, each once, in the order they are named.
    public let blobs: [Descriptor]

    /// No document is longer; registries allow 4 MiB.
    private static let largest: Int64 = 4 << 20

    /// Reads an image.
    ///
    /// - Parameters:
    ///   - root: A manifest or index.
    ///   - choice: Which parts of an index are wanted.
    ///   - name: What messages call the image.
    ///   - read: Gives the bytes of a manifest or index, verified.
    /// - Throws: ``ContentError`` where a document is malformed, or no part is for the platform; what `read` throws.
    public init(
        _ root: Descriptor,
        _ choice: Choice,
        name: String,
        read: @escaping @Sendable (Descriptor) async throws -> [UInt8]
    ) async throws {
        var root = root
        if case .platform(let platform) = choice {
            root = try await ImageGraph.choose(root, platform, name, read)
        }
        var (levels, seen): ([[ManifestDocument]], Set<Digest>) = ([], [root.digest])
        var open = [root]
        var blobs: [Descriptor] = []
        while !open.isEmpty {
            guard levels.count < 8 else { throw ContentError(message: "\(name): indexes are nested more than 8 deep") }
            let level = try await ImageGraph.read(open, name, read)
            levels.append(level)
            open = []
            for document in level {
                let (documents, content) = try ImageGraph.parts(of: document, name)
                open += documents.filter { seen.insert($0.digest).inserted }
                blobs += content.filter { seen.insert($0.digest).inserted }
            }
        }
        self.root = root
        self.blobs = blobs
        documents = levels.reversed().flatMap { $0 }
    }

    /// Bytes of all blobs.
    public var size: Int64 { blobs.reduce(0) { $0 + $1.size } }

    /// The manifest of an image for one platform.
    ///
    /// - Parameters:
    ///   - root: A manifest or index.
    ///   - platform: What the image must run on.
    ///   - name: What messages call the image.
    ///   - read: Gives the bytes of a manifest or index, verified.
    /// - Returns: The manifest; the root itself where it is no index.
    /// - Throws: ``RegistryError`` of kind `.wrongPlatform` where no part is for the platform; what `read` throws.
    public static func choose(
        _ root: Descriptor,
        _ platform: Platform,
        _ name: String,
        _ read: @Sendable (Descriptor) async throws -> [UInt8]
    ) async throws -> Descriptor {
        var (root, depth) = (root, 0)
        while root.mediaType.isIndex {
            depth += 1
            guard depth <= 8 else { throw ContentError(message: "\(name): indexes are nested more than 8 deep") }
            let index = try ImageIndex(parsing: try await read(root))
            root = try choose(in: index, platform, name)
        }
        return root
    }

    /// The part of an index for a platform: the same variant first, then any that will do.
    ///
    /// - Parameters:
    ///   - index: The index.
    ///   - platform: What the image must run on.
    ///   - name: What messages call the image.
    /// - Returns: The part.
    /// - Throws: ``RegistryError`` of kind `.wrongPlatform`, with the platforms that there are.
    public static func choose(in index: ImageIndex, _ platform: Platform, _ name: String) throws(RegistryError)
        -> Descriptor
    {
        if let same = index.manifests.first(where: { $0.platform == platform }) { return same }
        if let fits = index.manifests.first(where: { $0.platform?.satisfies(platform) ?? false }) { return fits }
        if index.manifests.count == 1, let only = index.manifests.first, only.platform == nil { return only }
        // Attestations are listed as for an unknown platform.
        let list = index.manifests.compactMap { $0.platform?.description }.filter { !$0.hasPrefix("unknown") }
        throw RegistryError(
            .wrongPlatform,
            "the image \(name) is not made for \(platform); it is for "
                + (list.isEmpty ? "no platform that it names" : list.joined(separator: ", "))
        )
    }

    private static func read(
        _ level: [Descriptor],
        _ name: String,
        _ read: @escaping @Sendable (Descriptor) async throws -> [UInt8]
    ) async throws -> [ManifestDocument] {
        for descriptor in level where descriptor.size > largest {
            throw ContentError(message: "\(name): the manifest \(descriptor.digest) is over 4 MiB")
        }
        return try await withThrowingTaskGroup(of: (Int, ManifestDocument).self) { group in
            var result = [ManifestDocument?](repeating: nil, count: level.count)
            var next = 0
            func start() {
                guard next < level.count else { return }
                let (index, descriptor) = (next, level[next])
                next += 1
                group.addTask { (index, ManifestDocument(descriptor: descriptor, bytes: try await read(descriptor))) }
            }
            for _ in 0..<8 { start() }
            while let (index, document) = try await group.next() {
                result[index] = document
                start()
            }
            return result.compactMap(\.self)
        }
    }

    private static func parts(of document: ManifestDocument, _ name: String) throws -> ([Descriptor], [Descriptor]) {
        do {
            if document.descriptor.mediaType.isIndex {
                let index = try ImageIndex(parsing: document.bytes)
                // An index may name things that are neither manifests nor indexes.
                let isDocument = { (part: Descriptor) in part.mediaType.isIndex || part.mediaType.isManifest }
                return (index.manifests.filter(isDocument), index.manifests.filter { !isDocument($0) })
            }
            let manifest = try Manifest(parsing: document.bytes)
            return ([], [manifest.config] + manifest.layers.filter { !$0.mediaType.isForeign })
        } catch {
            throw ContentError(message: "\(name): \(document.descriptor.digest): \(error)")
        }
    }
}

extension MediaType {
    /// Whether the bytes are to be had elsewhere and not from registries: base layers of Windows.
    var isForeign: Bool {
        description.contains(".foreign.") || description.contains(".nondistributable.")
    }
}
