// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Builder
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Store

/// Where an image goes besides the store: a value of `--output`.
struct ImageOutput {
    enum Kind: String, CaseIterable {
        /// An OCI image layout.
        case oci
        /// What `docker load` takes.
        case docker
        /// The files of the image as an archive.
        case tar
        /// The files of the image in a folder.
        case local
        /// The store, and registries where it is pushed.
        case image
        /// The step cache alone: the image gets no name.
        case cacheonly
    }

    let kind: Kind
    /// A file or folder; `-` for standard output; empty for the store.
    let destination: String
    /// Whether a layout is written as one archive.
    let isArchive: Bool
    /// Whether manifests are in OCI's words, not Docker's.
    let usesOCITypes: Bool
    /// Whether the files of each platform have a folder of their own; `nil` for where there are several.
    private var splitsPlatforms: Bool?
    /// What it says of the image itself.
    private(set) var image = OutputFields.Image()

    static let forms = """
        expected type=oci|docker|tar|local|image|registry|cacheonly[,dest=PATH][,tar=false][,oci-mediatypes=false]\
        [,name=NAME][,push=true][,compression=gzip|zstd][,annotation.NAME=value], \
        a folder for its files, or - for an archive of them
        """

    /// Reads a value of `--output`.
    init(_ text: String) throws(ExitReason) {
        guard !text.isEmpty else { throw ExitReason(.usage, "--output is empty; \(ImageOutput.forms)") }
        if !text.contains("=") {
            self.init(kind: text == "-" ? .tar : .local, destination: text, isArchive: true, usesOCITypes: true)
            return
        }
        let fields = try OutputFields(text)
        let name = fields["type"] == "registry" ? "image" : fields["type"]
        guard let kind = name.flatMap({ Kind(rawValue: $0) }) else {
            throw ExitReason(.usage, "--output \"\(text)\" has no type that is known; \(ImageOutput.forms)")
        }
        try fields.check(kind)
        let destination = fields["dest"] ?? ""
        if destination.isEmpty, kind != .image, kind != .cacheonly {
            throw ExitReason(.usage, "--output \"\(text)\" has no dest; \(ImageOutput.forms)")
        }
        self.init(
            kind: kind,
            destination: destination,
            isArchive: try fields.flag("tar") ?? true,
            usesOCITypes: try fields.flag("oci-mediatypes") ?? (kind != .docker)
        )
        splitsPlatforms = try fields.flag("platform-split")
        image = try fields.image(kind)
    }

    init(kind: Kind, destination: String, isArchive: Bool, usesOCITypes: Bool) {
        (self.kind, self.destination) = (kind, destination)
        (self.isArchive, self.usesOCITypes) = (isArchive, usesOCITypes)
    }

    /// Whether an archive goes to standard output.
    var takesStandardOutput: Bool {
        switch kind {
        case .image, .local, .cacheonly: false
        case .tar: destination == "-"
        case .oci, .docker: isArchive && destination == "-"
        }
    }

    /// Refuses a file that could not be made, before hours of work are done for it.
    func checkPlace() throws(ExitReason) {
        guard [.tar, .oci, .docker].contains(kind), kind == .tar || isArchive, destination != "-" else { return }
        try OutputFile(destination).checkFolder("--output")
    }

    /// Writes an image.
    func write(_ image: Descriptor, _ names: [ImageReference], from store: ImageStore) throws {
        switch kind {
        case .image, .cacheonly: return
        case .oci, .docker: try writeLayout(image, names, store)
        case .tar:
            let parts = try files(image, store)
            try withSink { try ImageFiles.write(parts, to: $0) }
        case .local:
            for part in try files(image, store) {
                let folder = part.folder.isEmpty ? destination : DockerfileInput.join(destination, part.folder)
                try part.files.extract(to: folder, keepsOwners: UserRights.isRoot)
            }
        }
    }

    /// The files of an image: of several platforms each in a folder that is called after its platform, as BuildKit
    /// calls it.
    private func files(_ image: Descriptor, _ store: ImageStore) throws -> [(folder: String, files: ImageFiles)] {
        let isForSeveral = image.mediaType.isIndex
        let manifests = isForSeveral ? try ImageIndex(parsing: store.read(image.digest)).manifests : [image]
        let splits = splitsPlatforms ?? isForSeveral
        guard splits || manifests.count == 1 else {
            throw ExitReason(
                .usage,
                "--output type=\(kind.rawValue): platform-split=false, and the image is for several platforms",
                hint: "leave platform-split out: each platform gets a folder of its own"
            )
        }
        return try manifests.map { descriptor in
            let manifest = try Manifest(parsing: store.read(descriptor.digest))
            // The file names come from an index, and decompressing finds few faults.
            if let layer = ExitReason.firstDamaged(manifest.layers, in: store) {
                throw ExitReason.damaged(layer, in: store)
            }
            let platform = try descriptor.platform ?? ImageConfig(parsing: store.read(manifest.config.digest)).platform
            let folder = splits ? platform.description.replacing("/", with: "_") : ""
            return (folder, try ImageFiles(layers: manifest.layers, in: store))
        }
    }

    // MARK: Layouts

    private func writeLayout(_ image: Descriptor, _ names: [ImageReference], _ store: ImageStore) throws {
        var image = image
        if !usesOCITypes { image = try docker(image, store) }
        let blobs = try ImageOutput.blobs(of: image, in: store)
        var documents: [(String, [UInt8])] = [("oci-layout", Array("{\"imageLayoutVersion\":\"1.0.0\"}".utf8))]
        let entries = names.map { name in
            var entry = image
            entry.annotations[ImageStore.nameAnnotation] = name.tag ?? "latest"
            entry.annotations[LayoutFolder.wholeNameAnnotation] = name.description
            return entry
        }
        let list = entries.isEmpty ? [image] : entries
        let dockerList: [(String, [UInt8])] =
            kind == .docker ? [("manifest.json", try dockerList(image, names, store))] : []
        if isArchive {
            documents.append(("index.json", ImageIndex(manifests: list).document))
            try withSink { try ImageOutput.archive(documents + dockerList, blobs, store, to: $0) }
        } else {
            try LayoutFolder(destination).add(list, blobs, documents + dockerList, from: store)
        }
    }

    /// Every blob of an image, itself included, each once.
    static func blobs(of image: Descriptor, in store: ImageStore) throws -> [Descriptor] {
        var (found, seen, open): ([Descriptor], Set<Digest>, [Descriptor]) = ([], [], [image])
        while let blob = open.popLast() {
            guard seen.insert(blob.digest).inserted else { continue }
            found.append(blob)
            if blob.mediaType.isIndex {
                open += try ImageIndex(parsing: store.read(blob.digest)).manifests
            } else if blob.mediaType.isManifest {
                let manifest = try Manifest(parsing: store.read(blob.digest))
                open += [manifest.config] + manifest.layers
            }
        }
        return found.sorted { $0.digest.hex < $1.digest.hex }
    }

    private static func archive(
        _ documents: [(String, [UInt8])],
        _ blobs: [Descriptor],
        _ store: ImageStore,
        to sink: any ByteSink
    ) throws {
        let writer = TarWriter(sink)
        for folder in ["blobs", "blobs/sha256"] {
            var entry = TarEntry(path: Array(folder.utf8), kind: .directory)
            entry.mode = 0o755
            try writer.write(entry)
        }
        for blob in blobs {
            var entry = TarEntry(path: Array("blobs/sha256/\(blob.digest.hex)".utf8), kind: .file)
            (entry.mode, entry.size) = (0o644, blob.size)
            let copy = try BlobCopy(blob, from: store)
            try writer.write(entry) { (sink) throws(ArchiveError) in try copy.write(to: sink) }
            try copy.check()
        }
        for (name, bytes) in documents {
            var entry = TarEntry(path: Array(name.utf8), kind: .file)
            (entry.mode, entry.size) = (0o644, Int64(bytes.count))
            try writer.write(entry) { (sink) throws(ArchiveError) in try sink.write(bytes) }
        }
        try writer.finish()
    }

    // MARK: Docker

    /// The same image in Docker's words.
    func docker(_ image: Descriptor, _ store: ImageStore) throws -> Descriptor {
        if image.mediaType.isIndex {
            var index = try ImageIndex(parsing: store.read(image.digest))
            index.mediaType = .dockerIndex
            index.manifests = try index.manifests.map { try docker($0, store) }
            var result = try store.put(index.document, .dockerIndex)
            result.annotations = image.annotations
            return result
        }
        var manifest = try Manifest(parsing: store.read(image.digest))
        manifest.mediaType = .dockerManifest
        manifest.annotations = [:]
        manifest.config.mediaType = manifest.config.mediaType.docker
        for index in manifest.layers.indices {
            guard manifest.layers[index].mediaType != .layerZstd else {
                throw ExitReason(.usage, "Docker's manifests have no word for zstd: use --compression gzip")
            }
            manifest.layers[index].mediaType = manifest.layers[index].mediaType.docker
        }
        var result = try store.put(manifest.document, .dockerManifest)
        (result.platform, result.annotations) = (image.platform, image.annotations)
        return result
    }

    /// `manifest.json`, which `docker load` reads.
    private func dockerList(_ image: Descriptor, _ names: [ImageReference], _ store: ImageStore) throws -> [UInt8] {
        guard !image.mediaType.isIndex else {
            throw ExitReason(
                .usage,
                "an archive of docker save holds an image for one platform, and this image is for several",
                hint: "--platform takes one of them; an oci-archive holds all"
            )
        }
        let manifest = try Manifest(parsing: store.read(image.digest))
        let path = { (digest: Digest) in JSONValue.string("blobs/sha256/\(digest.hex)") }
        let list: JSONValue = [
            .object([
                "Config": path(manifest.config.digest), "RepoTags": JSONValue(names.map(\.familiar)),
                "Layers": .array(manifest.layers.map { path($0.digest) }),
            ])
        ]
        return Array(list.canonical.utf8)
    }

    private func withSink(_ body: (any ByteSink) throws -> Void) throws {
        if destination == "-" {
            guard isatty(1) == 0 else {
                throw ExitReason(.usage, "the archive would go to the terminal", hint: "redirect standard output")
            }
            try body(FileSink(descriptor: 1, name: "standard output"))
            return
        }
        var status = stat()
        if stat(destination, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            throw ExitReason(
                .usage,
                "--output: \(destination) is a folder",
                hint: "name a file in it, or add tar=false"
            )
        }
        try OutputFile(destination).write(body)
    }
}
