// SPDX-License-Identifier: Apache-2.0

/// The name of an image: a registry, a repository in it, and a tag, a digest, or both.
///
/// Short names are completed as Docker completes them: `busybox` is `docker.io/library/busybox:latest`.
///
/// Specification: OCI distribution-spec 1.1, "Pulling manifests"; the grammar of Docker references.
public struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// The registry's host, with its port where it has one: `docker.io`, `myacr.azurecr.io`, `localhost:5000`.
    public let domain: String
    /// The repository in the registry: `library/busybox`.
    public let repository: String
    /// The tag; `nil` where only a digest was written.
    public let tag: String?
    /// The digest, algorithm included; `nil` where none was written.
    public let digest: String?

    /// Creates a reference from parts that were checked before.
    private init(domain: String, repository: String, tag: String?, digest: String?) {
        (self.domain, self.repository, self.tag, self.digest) = (domain, repository, tag, digest)
    }

    /// Reads a reference.
    ///
    /// - Parameter text: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
    /// - Throws: ``ContentError`` that says which part has the wrong form.
    public init(_ text: String) throws(ContentError) {
        if text.utf8.count == 64, text.utf8.allSatisfy(ImageReference.isHexDigit) {
            throw ImageReference.fault(text, "64 hexadecimal digits are an image's id, which no registry knows")
        }
        var rest = text[...]
        var digest: String?
        if let at = rest.lastIndex(of: "@") {
            digest = String(rest[rest.index(after: at)...])
            rest = rest[..<at]
            guard let digest, ImageReference.isDigest(digest) else {
                throw ImageReference.fault(text, "what follows \"@\" is not a digest")
            }
        }
        var tag: String?
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/") {
            tag = String(rest[rest.index(after: colon)...])
            rest = rest[..<colon]
            guard let tag, ImageReference.isTag(tag) else {
                throw ImageReference.fault(text, "what follows the last \":\" is not a tag")
            }
        }
        let (domain, path) = ImageReference.split(rest)
        if path != path.lowercased() { throw ImageReference.fault(text, "a repository's name is in lower case") }
        guard ImageReference.isDomain(domain), ImageReference.isPath(path) else {
            throw ImageReference.fault(text, "a repository's name has lower-case letters, digits and . _ - / only")
        }
        guard domain.utf8.count + path.utf8.count < 255 else { throw ImageReference.fault(text, "it is too long") }
        self.init(domain: domain, repository: path, tag: tag ?? (digest == nil ? "latest" : nil), digest: digest)
    }

    /// The whole name: `docker.io/library/busybox:latest`.
    public var description: String {
        "\(domain)/\(repository)" + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }

    /// The name as people write it: without `docker.io/library/`.
    public var familiar: String {
        var name = "\(domain)/\(repository)"
        if domain == "docker.io" {
            name = repository.hasPrefix("library/") ? String(repository.dropFirst(8)) : repository
        }
        return name + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }

    /// The same image by a digest.
    ///
    /// - Parameter digest: `sha256:` and 64 hexadecimal digits.
    /// - Returns: A reference with tag and digest.
    public func pinned(to digest: String) -> ImageReference {
        ImageReference(domain: domain, repository: repository, tag: tag, digest: digest)
    }

    private static func fault(_ text: String, _ reason: String) -> ContentError {
        ContentError(message: "\"\(text)\" is not an image reference: \(reason)")
    }

    /// The part before the first slash is a host if it has a dot or a port, or is `localhost`.
    private static func split(_ name: Substring) -> (domain: String, path: String) {
        let slash = name.firstIndex(of: "/")
        let first = slash.map { name[..<$0] } ?? ""
        let isHost = first.contains(".") || first.contains(":") || first == "localhost" || first != first.lowercased()
        guard let slash, isHost else {
            return ("docker.io", name.contains("/") ? String(name) : "library/\(name)")
        }
        let path = String(name[name.index(after: slash)...])
        if first == "docker.io" || first == "index.docker.io" {
            return ("docker.io", path.contains("/") ? path : "library/\(path)")
        }
        return (String(first), path)
    }

    private static func isDigest(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && parts[1].utf8.count >= 32
            && parts[1].utf8.allSatisfy(isHexDigit)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    private static func isTag(_ text: String) -> Bool {
        guard let first = text.utf8.first, (1...128).contains(text.utf8.count) else { return false }
        return isWordByte(first) && text.utf8.allSatisfy { isWordByte($0) || $0 == 0x2D || $0 == 0x2E }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        byte == 0x5F || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private static func isDomain(_ text: String) -> Bool {
        guard !text.hasPrefix("[") else { return text.contains("]") }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.count == 1 || UInt16(parts[1]) != nil else { return false }
        return parts[0].split(separator: ".", omittingEmptySubsequences: false)
            .allSatisfy { label in
                !label.isEmpty && !label.hasPrefix("-") && !label.hasSuffix("-")
                    && label.utf8.allSatisfy { (isWordByte($0) && $0 != 0x5F) || $0 == 0x2D }
            }
    }

    /// Components of letters and digits, joined by one dot, one or two underscores, or any number of dashes.
    private static func isPath(_ text: String) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false)
            .allSatisfy { component in
                guard let first = component.utf8.first, let last = component.utf8.last, isAlphanumeric(first),
                    isAlphanumeric(last)
                else { return false }
                let separators = component.utf8.split(omittingEmptySubsequences: true, whereSeparator: isAlphanumeric)
                return separators.allSatisfy { run in
                    run.elementsEqual(".".utf8) || run.elementsEqual("_".utf8) || run.elementsEqual("__".utf8)
                        || run.allSatisfy { $0 == 0x2D }
                }
            }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
