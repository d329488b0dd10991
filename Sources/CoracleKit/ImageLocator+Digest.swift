// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

extension ImageLocator {
    /// The fewest digits that stand for a digest: as many as `coracle images` shows.
    private static let fewestDigits = 12

    /// The digits of a digest or of its beginning; `nil` for what is none.
    static func digestStart(_ text: String) -> String? {
        let digits = text.suffix(after: "sha256:") ?? text
        let isHex = digits.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        return isHex && (fewestDigits...64).contains(digits.utf8.count) ? digits : nil
    }

    /// Finds an image by the beginning of its digest: of the list, or one that has no name and that nobody pruned yet.
    func find(digest start: String) throws(ExitReason) -> Found? {
        let listed = images.filter { $0.digest.hex.hasPrefix(start) }
        var found: [Digest: Descriptor] = [:]
        for image in listed.reversed() { found[image.digest] = image }
        for name in DiskFile.names(in: layout.root + "/blobs/sha256") where name.hasPrefix(start) {
            guard let digest = try? Digest("sha256:" + name), found[digest] == nil, let image = document(digest) else {
                continue
            }
            found[digest] = image
        }
        guard found.count < 2 else {
            let list = found.keys.map(\.description).sorted().prefix(4).joined(separator: ", ")
            throw ExitReason(.usage, "\"\(start)\" begins the digests of \(found.count) images: \(list)")
        }
        guard let image = found.values.first else { return nil }
        return Found(name: ImageLocator.name(of: image), image: image, layout: layout, isByDigest: true)
    }

    /// A manifest or index among the blobs; `nil` where the blob is something else, or damaged.
    private func document(_ digest: Digest) -> Descriptor? {
        // Larger ones are layers: no registry takes such manifests.
        guard let size = try? DiskFile.read(layout.path(of: digest), limit: 4 << 20)?.count,
            let bytes = try? layout.read(digest), let json = try? JSONValue(parsing: bytes)
        else { return nil }
        let said = json["mediaType"]?.string.map { MediaType($0) }
        if let said, said.isIndex || said.isManifest {
            return Descriptor(mediaType: said, digest: digest, size: Int64(size))
        }
        guard said == nil, json["schemaVersion"] != nil else { return nil }
        if json["layers"] != nil { return Descriptor(mediaType: .manifest, digest: digest, size: Int64(size)) }
        return json["manifests"] == nil ? nil : Descriptor(mediaType: .index, digest: digest, size: Int64(size))
    }
}
