// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Builder
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
        for field in text.split(separator: ",") {
            guard let equals = field.firstIndex(of: "=") else {
                throw ExitReason(.usage, "--output \"\(text)\": \"\(field)\" has no value; \(ImageOutput.forms)")
            }
            values[String(field[..<equals])] = String(field[field.index(after: equals)...])
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
        let usesOCITypes = values["oci-mediatypes"].map { $0 == "true" } ?? (kind != .docker)
        self.init(kind: kind, destination: destination, isArchive: values["tar"] != "false", usesOCITypes: usesOCITypes)
    }

    private init(kind: Kind, destination: String, isArchive: Bool, usesOCITypes: Bool) {
        (self.kind, self.destination) = (kind, destination)
        (self.isArchive, self.usesOCITypes) = (isArchive, usesOCITypes)
    }

    /// Writes an image.
    func write(_ image: Descriptor, _ names: [ImageReference], from store: ImageStore) throws {
        switch kind {
        case .image: return
        case .oci, .docker: try writeLayout(image, names, store)
        case .tar: try writeFiles(image, store) { files in try withSink { try files.write(to: $0) } }
        case .local: try writeFiles(image, store) { try $0.extract(to: destination) }
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
            entry.annotations = [
                ImageStore.nameAnnotation: name.tag ?? "latest", "io.containerd.image.name": name.description,
            ]
            return entry
        }
        let index = ImageIndex(manifests: entries.isEmpty ? [image] : entries)
        documents.append(("index.json", index.document))
        if kind == .docker { documents.append(("manifest.json", try dockerList(image, names, store))) }
        if isArchive {
            try withSink { try ImageOutput.archive(documents, blobs, store, to: $0) }
        } else {
            try ImageOutput.folder(documents, blobs, store, destination)
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

    private static func folder(
        _ documents: [(String, [UInt8])],
        _ blobs: [Descriptor],
        _ store: ImageStore,
        _ destination: String
    ) throws {
        try DiskFile.makeFolder(destination + "/blobs/sha256")
        for blob in blobs {
            let target = "\(destination)/blobs/sha256/\(blob.digest.hex)"
            var status = stat()
            if stat(target, &status) == 0, Int64(status.st_size) == blob.size { continue }
            let file = open(store.path(of: blob.digest), O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw StoreError("opening \(store.path(of: blob.digest))", errno: errno) }
            defer { close(file) }
            let partial = "\(target).\(getpid()).part"
            let copy = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            guard copy >= 0 else { throw StoreError("creating \(partial)", errno: errno) }
            defer { close(copy) }
            try FileSink(descriptor: copy, name: partial).copy(descriptor: file, size: blob.size, name: partial)
            guard rename(partial, target) == 0 else { throw StoreError("renaming \(partial)", errno: errno) }
        }
        // The list comes last: until then the folder is no layout of the new image.
        for (name, bytes) in documents { try DiskFile.write(bytes, to: "\(destination)/\(name)", isSynced: false) }
    }

    // MARK: Docker

    /// The same image in Docker's words.
    private func docker(_ image: Descriptor, _ store: ImageStore) throws -> Descriptor {
        if image.mediaType.isIndex {
            var index = try ImageIndex(parsing: store.read(image.digest))
            index.mediaType = .dockerIndex
            index.manifests = try index.manifests.map { try docker($0, store) }
            return try store.put(index.document, .dockerIndex)
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
        result.platform = image.platform
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
        if stat(destination, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            return try writeInto(status, body)
        }
        let partial = "\(destination).\(getpid()).part"
        let file = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw StoreError("creating \(partial)", errno: errno) }
        defer { close(file) }
        do {
            try body(FileSink(descriptor: file, name: partial))
            guard rename(partial, destination) == 0 else { throw StoreError("writing \(destination)", errno: errno) }
        } catch {
            unlink(partial)
            throw error
        }
    }

    /// Writes into a pipe or device, which must stay what it is.
    private func writeInto(_ status: stat, _ body: (any ByteSink) throws -> Void) throws {
        if status.st_mode & S_IFMT == S_IFDIR {
            throw ExitReason(
                .usage,
                "--output: \(destination) is a folder",
                hint: "name a file in it, or add tar=false"
            )
        }
        let file = open(destination, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw StoreError("opening \(destination)", errno: errno) }
        defer { close(file) }
        try body(FileSink(descriptor: file, name: destination))
    }
}
