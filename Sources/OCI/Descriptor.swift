// SPDX-License-Identifier: Apache-2.0

/// A blob as others refer to it: what it is, its digest, and how many bytes it has.
///
/// Specification: OCI image-spec 1.1, `descriptor.md`.
public struct Descriptor: Hashable, Sendable {
    /// What the bytes are.
    public var mediaType: MediaType
    /// The name of the bytes.
    public var digest: Digest
    /// How many bytes there are.
    public var size: Int64
    /// Free text about the blob; may be empty.
    public var annotations: [String: String] = [:]
    /// What an image runs on, in an index; `nil` elsewhere.
    public var platform: Platform?

    /// Describes a blob.
    ///
    /// - Parameters:
    ///   - mediaType: What the bytes are.
    ///   - digest: The name of the bytes.
    ///   - size: How many bytes there are.
    public init(mediaType: MediaType, digest: Digest, size: Int64) {
        (self.mediaType, self.digest, self.size) = (mediaType, digest, size)
    }

    /// Reads a descriptor.
    ///
    /// - Parameter json: The object.
    /// - Throws: ``ContentError`` where a member is missing or malformed.
    public init(json: JSONValue) throws(ContentError) {
        guard let type = json["mediaType"]?.string, let digest = json["digest"]?.string,
            let size = json["size"]?.int, size >= 0
        else { throw ContentError(message: "a descriptor lacks mediaType, digest or size") }
        self.init(mediaType: MediaType(type), digest: try Digest(digest), size: size)
        annotations = json["annotations"]?.strings ?? [:]
        if let platform = json["platform"], let os = platform["os"]?.string,
            let architecture = platform["architecture"]?.string
        {
            self.platform = Platform(
                os: os,
                architecture: architecture,
                variant: platform["variant"]?.string,
                osVersion: platform["os.version"]?.string
            )
        }
    }

    /// The descriptor as manifests and indexes hold it.
    public var json: JSONValue {
        var members: [String: JSONValue] = [
            "mediaType": .string(mediaType.description), "digest": .string(digest.description), "size": .int(size),
        ]
        if !annotations.isEmpty { members["annotations"] = JSONValue(annotations) }
        members["platform"] = platform?.json
        return .object(members)
    }
}

extension Platform {
    /// The platform as indexes hold it.
    var json: JSONValue {
        var members: [String: JSONValue] = ["os": .string(os), "architecture": .string(architecture)]
        members["variant"] = variant.map { .string($0) }
        members["os.version"] = osVersion.map { .string($0) }
        return .object(members)
    }

    /// Whether an image for this platform is what somebody asks for.
    ///
    /// - Parameter wanted: What is asked for; without a variant, any will do.
    /// - Returns: Whether system and architecture are the same, and the variant too where both have one.
    public func satisfies(_ wanted: Platform) -> Bool {
        guard os == wanted.os, architecture == wanted.architecture else { return false }
        guard let variant, let other = wanted.variant else { return true }
        return variant == other
    }
}
