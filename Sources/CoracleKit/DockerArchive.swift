// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import OCI
internal import Registry
internal import Store

/// An unpacked archive of `docker save`, made into an image.
///
/// Layers that are compressed stay as they are. Plain ones are compressed, as every registry wants them.
///
/// Specification: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".
struct DockerArchive {
    /// Where it was unpacked.
    let folder: String
    /// What messages call it.
    let file: String

    /// The image of a name, or the only one; its blobs go to the store, without a name there.
    func image(_ name: String?, in store: ImageStore) throws -> OpenedImage {
        let entry = try choose(name)
        guard let config = entry["Config"]?.string, let layers = entry["Layers"]?.texts else {
            throw fault("manifest.json lacks Config or Layers")
        }
        let bytes = try read(config)
        let image = try parse { () throws(ContentError) in try ImageConfig(parsing: bytes) }
        guard image.diffIDs.count == layers.count else {
            throw fault("its configuration tells of \(image.diffIDs.count) layers, and there are \(layers.count)")
        }
        let blobs = try zip(layers, image.diffIDs).map { try layer($0, $1, store) }
        let manifest = Manifest(config: try store.put(bytes, .config), layers: blobs)
        let root = try store.put(manifest.document, .manifest)
        let local = LayoutBlobs(layout: store.layout)
        var opened = OpenedImage(root: root, blobs: local, document: local.document)
        opened.name = try? (name ?? entry["RepoTags"]?.texts?.first).map { try ImageReference($0) }
        opened.layout = store.layout
        return opened
    }

    private func choose(_ name: String?) throws -> JSONValue {
        let bytes = try read("manifest.json")
        let list = try parse { () throws(ContentError) in try JSONValue(parsing: bytes) }.array ?? []
        guard let name else {
            if list.count == 1 { return list[0] }
            throw fault("it holds \(list.count) images; name one: docker-archive:\(file):NAME")
        }
        let wanted = try ImageLocator.reference(name)
        let names = list.flatMap { $0["RepoTags"]?.texts ?? [] }.compactMap { try? ImageReference($0).familiar }
        let found = list.first { entry in
            (entry["RepoTags"]?.texts ?? []).contains { (try? ImageReference($0)) == wanted }
        }
        guard let found else {
            throw fault("no image is called \(wanted.familiar)\(Near.phrase(for: wanted.familiar, among: names))")
        }
        return found
    }

    private func layer(_ path: String, _ diffID: Digest, _ store: ImageStore) throws -> Descriptor {
        let full = try inside(path)
        let source = open(full, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw fault("\(path): \(String(cString: strerror(errno)).lowercased())") }
        defer { close(source) }
        var head = [UInt8](repeating: 0, count: 4)
        let count = pread(source, &head, head.count, 0)
        var status = stat()
        guard count >= 0, fstat(source, &status) == 0 else { throw StoreError("reading \(full)", errno: errno) }
        let ingest = try store.ingest()
        let size = Int64(status.st_size)
        let (blob, found): (Descriptor, Digest)
        if head.starts(with: [0x1F, 0x8B]) || head.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) {
            let sink = VerifyingSink(FileSink(descriptor: ingest.descriptor, name: ingest.path))
            try sink.copy(descriptor: source, size: size, name: path)
            let type = head[0] == 0x1F ? MediaType.layerGzip : .layerZstd
            blob = Descriptor(mediaType: type, digest: sink.digest(), size: size)
            lseek(source, 0, SEEK_SET)
            found = try ArchiveReader.contentDigest(descriptor: source, name: path)
        } else {
            let writer = LayerWriter(
                descriptor: ingest.descriptor,
                name: ingest.path,
                compression: .standard,
                cores: Build.cores
            )
            try writer.copy(descriptor: source, size: size, name: path)
            let result = try writer.finish()
            (blob, found) = (result.descriptor, result.diffID)
        }
        guard found == diffID else { throw fault("the layer \(path) is damaged: its digest is another") }
        if !store.has(blob) { try ingest.commit(blob.digest) }
        return blob
    }

    /// A path of the archive; links in it lead nowhere.
    private func inside(_ path: String) throws -> String {
        guard !path.isEmpty, !path.hasPrefix("/"), !path.split(separator: "/").contains("..") else {
            throw fault("\"\(path)\" is no path in it")
        }
        guard let root = realpath(folder, nil), let target = realpath(folder + "/" + path, nil) else {
            throw fault("\(path) is not in it")
        }
        defer {
            free(root)
            free(target)
        }
        let (base, found) = (String(cString: root), String(cString: target))
        guard found.hasPrefix(base + "/"), TextFile.isFile(found) else { throw fault("\(path) is no file in it") }
        return found
    }

    private func read(_ path: String) throws -> [UInt8] {
        try DiskFile.read(inside(path), limit: 32 << 20) ?? []
    }

    private func parse<Result>(_ body: () throws(ContentError) -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            throw fault(error.message)
        }
    }

    private func fault(_ reason: String) -> ExitReason { ExitReason(.usage, "\(file) is no docker-archive: \(reason)") }
}
