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
        /// The store alone.
        case image
    }

    let kind: Kind
    /// A file or folder; `-` for standard output; empty for the store.
    let destination: String
    /// Whether a layout is written as one archive.
    let isArchive: Bool
    /// Whether manifests are in OCI's words, not Docker's.
    let usesOCITypes: Bool

    static let forms = """
        expected type=oci|docker|tar|local|image[,dest=PATH][,tar=false][,oci-mediatypes=false], \
        a folder for its files, or - for an archive of them
        """

    /// Reads a value of `--output`.
    init(_ text: String) throws(ExitReason) {
        if !text.contains("=") {
            self.init(kind: text == "-" ? .tar : .local, destination: text, isArchive: true, usesOCITypes: true)
            return
        }
        var values: [String: String] = [:]
        guard let fields = CSVFields.read(text) else {
            throw ExitReason(.usage, "--output \"\(text)\" has a quote inside a field, or one that is not closed")
        }
        for field in fields {
            guard let equals = field.firstIndex(of: "=") else {
                throw ExitReason(.usage, "--output \"\(text)\": \"\(field)\" has no value; \(ImageOutput.forms)")
            }
            values[field[..<equals].lowercased()] = String(field[field.index(after: equals)...])
        }
        guard let kind = values["type"].flatMap({ Kind(rawValue: $0) }) else {
            throw ExitReason(.usage, "--output \"\(text)\" has no type that is known; \(ImageOutput.forms)")
        }
        let known: Set<String> = ["type", "dest", "tar", "oci-mediatypes", "name"]
        if let other = values.keys.sorted().first(where: { !known.contains($0) }) {
            throw ExitReason(.usage, "--output \"\(text)\": \"\(other)\" is not known; \(ImageOutput.forms)")
        }
        let destination = values["dest"] ?? ""
        if destination.isEmpty, kind != .image {
            throw ExitReason(.usage, "--output \"\(text)\" has no dest; \(ImageOutput.forms)")
        }
        self.init(
            kind: kind,
            destination: destination,
            isArchive: try ImageOutput.flag("tar", in: values) ?? true,
            usesOCITypes: try ImageOutput.flag("oci-mediatypes", in: values) ?? (kind != .docker)
        )
    }

    /// A boolean, in the words of Go's `strconv.ParseBool`.
    private static func flag(_ name: String, in values: [String: String]) throws(ExitReason) -> Bool? {
        switch values[name] {
        case nil: return nil
        case "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False": return false
        case let value?: throw ExitReason(.usage, "--output: \(name)=\(value) is neither true nor false")
        }
    }

    init(kind: Kind, destination: String, isArchive: Bool, usesOCITypes: Bool) {
        (self.kind, self.destination) = (kind, destination)
        (self.isArchive, self.usesOCITypes) = (isArchive, usesOCITypes)
    }

    /// Whether an archive goes to standard output.
    var takesStandardOutput: Bool {
        switch kind {
        case .image, .local: false
        case .tar: destination == "-"
        case .oci, .docker: isArchive && destination == "-"
        }
    }

    /// Writes an image.
    func write(_ image: Descriptor, _ names: [ImageReference], from store: ImageStore) throws {
        switch kind {
        case .image: return
        case .oci, .docker: try writeLayout(image, names, store)
        case .tar: try writeFiles(image, store) { files in try withSink { try files.write(to: $0) } }
        case .local: try writeFiles(image, store) { try $0.extract(to: destination, keepsOwners: UserRights.isRoot) }
        }
    }

    private func writeFiles(_ image: Descriptor, _ store: ImageStore, _ body: (ImageFiles) throws -> Void) throws {
        guard !image.mediaType.isIndex else {
            throw ExitReason(.usage, "--output type=\(kind.rawValue) is for one platform, and the image is for several")
        }
        let manifest = try Manifest(parsing: store.read(image.digest))
        try body(ImageFiles(layers: manifest.layers, in: store))
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
            let path = store.path(of: blob.digest)
            let file = open(path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw StoreError("opening \(path)", errno: errno) }
            defer { close(file) }
            try writer.write(entry) { (sink) throws(ArchiveError) in
                try sink.copy(descriptor: file, size: blob.size, name: path)
            }
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
    private func docker(_ image: Descriptor, _ store: ImageStore) throws -> Descriptor {
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
            throw ExitReason(.usage, "--output type=docker is for one platform, and the image is for several")
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
