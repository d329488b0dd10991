// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Where an image is or goes, as people write it.
enum ImagePlace: Hashable {
    /// A repository of a registry: `docker://REFERENCE`, or the reference alone.
    case registry(ImageReference)
    /// The store: `store:REFERENCE`, or `store:sha256:DIGEST`.
    case store(String)
    /// An image layout in a folder: `oci:FOLDER[:TAG]`.
    case layout(folder: String, tag: String?)
    /// An image layout in an archive: `oci-archive:FILE[:TAG]`.
    case archive(file: String, tag: String?)
    /// What `docker save` writes: `docker-archive:FILE[:REFERENCE]`.
    case dockerArchive(file: String, name: String?)

    static let forms = """
        expected REFERENCE or docker://REFERENCE (a registry), store:NAME, oci:FOLDER[:TAG], oci-archive:FILE[:TAG] or \
        docker-archive:FILE[:NAME]
        """

    /// Reads a place.
    init(_ text: String) throws(ExitReason) {
        if let rest = text.suffix(after: "docker://") {
            self = .registry(try ImagePlace.reference(rest, in: text))
        } else if let rest = text.suffix(after: "store:") {
            guard !rest.isEmpty else { throw ExitReason(.usage, "\"\(text)\" names no image; \(ImagePlace.forms)") }
            self = .store(rest)
        } else if let rest = text.suffix(after: "oci-archive:") {
            let (file, tag) = try ImagePlace.split(rest, in: text)
            self = .archive(file: file, tag: tag)
        } else if let rest = text.suffix(after: "docker-archive:") {
            let (file, name) = try ImagePlace.split(rest, in: text)
            self = .dockerArchive(file: file, name: name)
        } else if let rest = text.suffix(after: "oci-layout://") ?? text.suffix(after: "oci:") {
            let (folder, tag) = try ImagePlace.split(rest, in: text)
            self = .layout(folder: folder, tag: tag)
        } else if let transport = ImagePlace.unknownTransport(text) {
            throw ExitReason(.usage, "\"\(text)\": coracle knows no place \(transport):; \(ImagePlace.forms)")
        } else {
            self = .registry(try ImagePlace.reference(text, in: text))
        }
    }

    /// Places of other tools, which would be taken for a registry or an image of that name.
    private static let foreign: Set<String> = ["containers-storage", "docker-daemon"]

    /// The word before the colon where it is a place that is not known here.
    private static func unknownTransport(_ text: String) -> String? {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let (word, rest) = (String(text[..<colon]), text[text.index(after: colon)...])
        // No tag and no port begins like a path.
        return foreign.contains(word) || rest.hasPrefix("/") || rest.hasPrefix(".") ? word : nil
    }

    private static func reference(_ name: String, in text: String) throws(ExitReason) -> ImageReference {
        do {
            return try ImageReference(name)
        } catch {
            throw ExitReason(.usage, error.message, hint: forms)
        }
    }

    /// A path up to its first colon, and what follows.
    private static func split(_ rest: String, in text: String) throws(ExitReason) -> (String, String?) {
        let colon = rest.firstIndex(of: ":") ?? rest.endIndex
        let (path, name) = (String(rest[..<colon]), String(rest[colon...].dropFirst()))
        guard !path.isEmpty else { throw ExitReason(.usage, "\"\(text)\" names no file; \(forms)") }
        return (path, name.isEmpty ? nil : name)
    }

    /// The registry's host; `nil` for other places.
    var registry: String? { if case .registry(let reference) = self { reference.domain } else { nil } }

    /// What messages call it.
    var text: String {
        switch self {
        case .registry(let reference): reference.familiar
        case .store(let name): "store:\(name)"
        case .layout(let folder, let tag): "oci:\(folder)" + (tag.map { ":\($0)" } ?? "")
        case .archive(let file, let tag): "oci-archive:\(file)" + (tag.map { ":\($0)" } ?? "")
        case .dockerArchive(let file, let name): "docker-archive:\(file)" + (name.map { ":\($0)" } ?? "")
        }
    }
}
