// SPDX-License-Identifier: Apache-2.0
internal import Archive
public import OCI

/// A repository in a registry: where the manifests and blobs of an image are.
public struct Repository: Hashable, Sendable, CustomStringConvertible {
    /// The registry as references name it: `docker.io`, `myacr.azurecr.io`, `localhost:5000`.
    public let registry: String
    /// The repository's name in the registry: `library/busybox`.
    public let name: String

    /// The repository of an image.
    ///
    /// - Parameter reference: The image's name; tag and digest are left out.
    public init(_ reference: ImageReference) {
        (registry, name) = (reference.domain, reference.repository)
    }

    /// Names a repository.
    ///
    /// - Parameters:
    ///   - registry: `HOST` or `HOST:PORT`.
    ///   - name: The repository's name in it.
    /// - Throws: `ContentError` where one of them is malformed.
    public init(registry: String, name: String) throws(ContentError) {
        self.init(try ImageReference("\(registry)/\(name)"))
    }

    /// A repository whose name comes from parts that were checked before.
    init(unchecked registry: String, _ name: String) {
        (self.registry, self.name) = (registry, name)
    }

    /// `myacr.azurecr.io/team/app`.
    public var description: String { "\(registry)/\(name)" }
}

/// How a manifest is named in its repository.
public enum ManifestName: Hashable, Sendable, CustomStringConvertible {
    /// By a name that may come to mean another image.
    case tag(String)
    /// By its content.
    case digest(Digest)

    /// What a reference names: its digest where it has one, else its tag.
    ///
    /// - Parameter reference: The image's name.
    /// - Throws: `ContentError` where its digest is not SHA-256.
    public init(_ reference: ImageReference) throws(ContentError) {
        if let digest = reference.digest {
            self = .digest(try Digest(digest))
        } else {
            self = .tag(reference.tag ?? "latest")
        }
    }

    /// The tag or digest.
    public var description: String {
        switch self {
        case .tag(let tag): tag
        case .digest(let digest): digest.description
        }
    }

    /// As it follows a repository's name: `:1.4` or `@sha256:…`.
    var suffix: String {
        switch self {
        case .tag(let tag): ":\(tag)"
        case .digest(let digest): "@\(digest)"
        }
    }
}

/// A manifest or index with the very bytes that its digest is of.
public struct ManifestDocument: Hashable, Sendable {
    /// Its type, digest and size.
    public let descriptor: Descriptor
    /// The document.
    public let bytes: [UInt8]

    /// Joins a document and its description, which the caller knows to be right.
    ///
    /// - Parameters:
    ///   - descriptor: Type, digest and size.
    ///   - bytes: The document.
    public init(descriptor: Descriptor, bytes: [UInt8]) {
        (self.descriptor, self.bytes) = (descriptor, bytes)
    }

    /// A manifest or index with its digest computed.
    ///
    /// - Parameters:
    ///   - bytes: The document.
    ///   - mediaType: What it is.
    public init(_ bytes: [UInt8], _ mediaType: MediaType) {
        let digest = SHA256.digest(bytes)
        self.init(
            descriptor: Descriptor(mediaType: mediaType, digest: digest, size: Int64(bytes.count)),
            bytes: bytes
        )
    }
}

/// What is to be done in a repository; a token is asked for with the rights for it.
public enum Access: Int, Hashable, Sendable, Comparable {
    /// Reading.
    case pull
    /// Reading and writing.
    case push
    /// Removing.
    case delete

    /// The actions, as scopes have them.
    var actions: [String] {
        switch self {
        case .pull: ["pull"]
        case .push: ["pull", "push"]
        case .delete: ["pull", "push", "delete"]
        }
    }

    /// Whether one needs fewer rights than another.
    ///
    /// - Parameters:
    ///   - one: An access.
    ///   - other: Another.
    /// - Returns: Whether the other has more rights.
    public static func < (one: Access, other: Access) -> Bool { one.rawValue < other.rawValue }
}
