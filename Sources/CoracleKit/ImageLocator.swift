// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI
internal import Store

/// Finds images by what people call them.
struct ImageLocator {
    /// Where the images are.
    let layout: ImageLayout
    /// Every image of the list.
    let images: [Descriptor]

    /// An image that was found.
    struct Found {
        /// Its name; `nil` for one without a name.
        let name: String?
        /// Its manifest or index.
        let image: Descriptor
        /// Where it is.
        let layout: ImageLayout
        /// Whether it was asked for by its digest, or by the beginning of that.
        var isByDigest = false
    }

    /// Reads the list of a layout.
    init(_ layout: ImageLayout) throws(ExitReason) {
        self.layout = layout
        do {
            images = try layout.index().manifests
        } catch {
            throw ExitReason(error)
        }
    }

    /// Finds an image of a store, or of a folder where `name` is `oci-layout://dir[:tag]`.
    static func find(_ name: String, in workspace: Workspace) throws(ExitReason) -> Found {
        let scheme = "oci-layout://"
        if name.hasPrefix(scheme) { return try find(layout: String(name.dropFirst(scheme.count))) }
        guard let store = try workspace.storeIfAny() else {
            // A name that is none is a fault of its own.
            _ = try reference(name)
            throw ExitReason(.usage, "no image is called \"\(name)\": there is no store at \(workspace.path)")
        }
        return try ImageLocator(store.layout).find(name)
    }

    /// The name of an image in the list.
    static func name(of image: Descriptor) -> String? { image.annotations[ImageStore.nameAnnotation] }

    private static func reference(of image: Descriptor) -> ImageReference? {
        name(of: image).flatMap { try? ImageReference($0) }
    }

    /// Whether two names are of one repository.
    private static func isSame(_ one: ImageReference, _ other: ImageReference) -> Bool {
        one.domain == other.domain && one.repository == other.repository
    }

    /// Reads a name.
    static func reference(_ text: String) throws(ExitReason) -> ImageReference {
        do {
            return try ImageReference(text)
        } catch {
            throw ExitReason(.usage, error.message)
        }
    }

    /// Finds an image by its name, or by its digest: with or without `sha256:`, whole or its first twelve digits or more.
    func find(_ text: String) throws(ExitReason) -> Found {
        if let start = ImageLocator.digestStart(text) {
            // A name may look like the beginning of a digest, and goes first.
            let isWhole = start.utf8.count == 64
            if !isWhole, let named = find(named: text) { return named }
            if let found = try find(digest: start) { return found }
            if isWhole || text.hasPrefix("sha256:") {
                let phrase = isWhole ? "has the digest" : "has a digest that begins with"
                throw ExitReason(.usage, "no image \(phrase) sha256:\(start)", hint: "coracle images --digests")
            }
        }
        let wanted = try ImageLocator.reference(text)
        let found = images.first { image in
            guard let digest = wanted.digest else { return ImageLocator.name(of: image) == wanted.familiar }
            // With a digest, the name says which image, and the digest that it is still that one.
            guard image.digest.description == digest, let called = ImageLocator.reference(of: image) else {
                return false
            }
            return ImageLocator.isSame(called, wanted) && (wanted.tag == nil || wanted.tag == called.tag)
        }
        guard let found else { throw missing(wanted) }
        return Found(name: ImageLocator.name(of: found), image: found, layout: layout)
    }

    private func find(named text: String) -> Found? {
        guard let name = try? ImageReference(text).familiar,
            let image = images.first(where: { ImageLocator.name(of: $0) == name })
        else { return nil }
        return Found(name: name, image: image, layout: layout)
    }

    /// The error for a name that is not in the list, with those that are near.
    private func missing(_ wanted: ImageReference) -> ExitReason {
        let references = images.compactMap { ImageLocator.reference(of: $0) }
        var near = references.filter { ImageLocator.isSame($0, wanted) }.map(\.familiar).sorted()
        var rest = references.map(\.familiar).filter { !near.contains($0) }.sorted()
        while near.count < 3, let next = Suggestion.nearest(to: wanted.familiar, among: rest) {
            near.append(next)
            rest.removeAll { $0 == next }
        }
        let list = near.prefix(3).map { "\"\($0)\"" }.joined(separator: ", ")
        let similar = near.isEmpty ? "" : "; similar: \(list)"
        return ExitReason(
            .usage,
            "no image is called \"\(wanted.familiar)\"\(similar)",
            hint: "coracle images lists all of them"
        )
    }

    // MARK: Layouts of others

    /// Finds an image by `dir`, `dir:tag` or `dir@digest`.
    private static func find(layout text: String) throws(ExitReason) -> Found {
        if TextFile.isFolder(text) { return try open(text).only() }
        if let at = text.lastIndex(of: "@"), let digest = try? Digest(text[text.index(after: at)...]) {
            return try open(String(text[..<at])).find(digest.description)
        }
        if let colon = text.lastIndex(of: ":"), !text[colon...].contains("/") {
            return try open(String(text[..<colon])).find(tag: String(text[text.index(after: colon)...]))
        }
        throw ExitReason(.usage, "oci-layout://\(text): there is no such folder")
    }

    private static func open(_ folder: String) throws(ExitReason) -> ImageLocator {
        guard TextFile.isFolder(folder) else {
            throw ExitReason(.usage, "oci-layout://\(folder): there is no such folder")
        }
        let layout: ImageLayout
        do {
            layout = try ImageLayout(folder)
        } catch {
            throw ExitReason(.usage, error.message)
        }
        return try ImageLocator(layout)
    }

    private func only() throws(ExitReason) -> Found {
        if images.count == 1 { return Found(name: ImageLocator.name(of: images[0]), image: images[0], layout: layout) }
        if images.isEmpty { throw ExitReason(.usage, "\(layout.root) has no image") }
        return try find(tag: "latest")
    }

    private func find(tag: String) throws(ExitReason) -> Found {
        let named = images.filter { ImageLocator.name(of: $0) == tag }
        // Our own store has whole names, other tools write tags alone.
        let found = named.isEmpty ? images.filter { ImageLocator.name(of: $0)?.hasSuffix(":" + tag) ?? false } : named
        if found.count == 1 { return Found(name: ImageLocator.name(of: found[0]), image: found[0], layout: layout) }
        let names = images.compactMap { ImageLocator.name(of: $0) }.sorted().prefix(10).joined(separator: ", ")
        throw ExitReason(
            .usage,
            "\(layout.root) has \(found.isEmpty ? "no image" : "\(found.count) images") with the tag \"\(tag)\""
                + (names.isEmpty ? "" : "; there are: \(names)")
        )
    }
}
