// SPDX-License-Identifier: Apache-2.0

/// Which configuration and layers make an image.
///
/// Specification: OCI image-spec 1.1, `manifest.md`.
public struct Manifest: Hashable, Sendable {
    /// OCI's or Docker's.
    public var mediaType = MediaType.manifest
    /// The image's configuration.
    public var config: Descriptor
    /// The layers, the lowest first; may be empty.
    public var layers: [Descriptor]
    /// Free text about the image; may be empty.
    public var annotations: [String: String] = [:]

    /// Describes an image.
    ///
    /// - Parameters:
    ///   - config: The image's configuration.
    ///   - layers: The layers, the lowest first.
    public init(config: Descriptor, layers: [Descriptor]) {
        (self.config, self.layers) = (config, layers)
    }

    /// Reads a manifest.
    ///
    /// - Parameter bytes: The document.
    /// - Throws: ``ContentError`` where it is none.
    public init(parsing bytes: [UInt8]) throws(ContentError) {
        let json = try JSONValue(parsing: bytes)
        guard json["schemaVersion"]?.int == 2, let config = json["config"] else {
            throw ContentError(message: "not an image manifest: schemaVersion 2 and config are missing")
        }
        self.config = try Descriptor(json: config)
        layers = []
        for layer in json["layers"]?.array ?? [] {
            layers.append(try Descriptor(json: layer))
        }
        mediaType = json["mediaType"]?.string.map { MediaType($0) } ?? .manifest
        annotations = json["annotations"]?.strings ?? [:]
    }

    /// The document, the same bytes every time.
    public var document: [UInt8] {
        var members: [String: JSONValue] = [
            "schemaVersion": 2, "mediaType": .string(mediaType.description), "config": config.json,
            "layers": .array(layers.map(\.json)),
        ]
        if !annotations.isEmpty { members["annotations"] = JSONValue(annotations) }
        return Array(JSONValue.object(members).canonical.utf8)
    }
}

/// Images under one name: one for each platform, or all of an image layout.
///
/// Specification: OCI image-spec 1.1, `image-index.md`.
public struct ImageIndex: Hashable, Sendable {
    /// OCI's or Docker's.
    public var mediaType = MediaType.index
    /// The images, in the order in which they are looked at.
    public var manifests: [Descriptor]
    /// Free text about the index; may be empty.
    public var annotations: [String: String] = [:]

    /// Lists images.
    ///
    /// - Parameter manifests: The images.
    public init(manifests: [Descriptor] = []) {
        self.manifests = manifests
    }

    /// Reads an index.
    ///
    /// - Parameter bytes: The document.
    /// - Throws: ``ContentError`` where it is none.
    public init(parsing bytes: [UInt8]) throws(ContentError) {
        let json = try JSONValue(parsing: bytes)
        guard json["schemaVersion"]?.int == 2, let list = json["manifests"]?.array else {
            throw ContentError(message: "not an image index: schemaVersion 2 and manifests are missing")
        }
        manifests = []
        for manifest in list {
            manifests.append(try Descriptor(json: manifest))
        }
        mediaType = json["mediaType"]?.string.map { MediaType($0) } ?? .index
        annotations = json["annotations"]?.strings ?? [:]
    }

    /// The document, the same bytes every time.
    public var document: [UInt8] {
        var members: [String: JSONValue] = [
            "schemaVersion": 2, "mediaType": .string(mediaType.description),
            "manifests": .array(manifests.map(\.json)),
        ]
        if !annotations.isEmpty { members["annotations"] = JSONValue(annotations) }
        return Array(JSONValue.object(members).canonical.utf8)
    }
}
