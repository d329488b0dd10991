// SPDX-License-Identifier: Apache-2.0
public import OCI

/// What a repository knows of a manifest without reading it.
public struct ManifestRecord: Hashable, Sendable {
    /// Its media type as it was pushed, its SHA-256 and its size.
    public var descriptor: Descriptor
    /// The manifest that it says something about, which need not be there; `nil` where it says nothing of one.
    public var subject: BlobName?
    /// What kind of thing it is, as lists of referrers have it; `nil` where nothing says so.
    public var artifactType: String?
    /// The annotations of the manifest; may be empty.
    public var annotations: [String: String] = [:]

    /// Records a manifest.
    ///
    /// - Parameter descriptor: Its media type, its SHA-256 and its size.
    public init(_ descriptor: Descriptor) {
        self.descriptor = descriptor
    }

    /// Reads a record.
    ///
    /// - Parameter json: The record as ``json`` wrote it.
    /// - Throws: ``ContentError`` where it is none.
    init(json: JSONValue) throws(ContentError) {
        descriptor = try Descriptor(json: json)
        descriptor.annotations = [:]
        annotations = json["annotations"]?.strings ?? [:]
        artifactType = json["artifactType"]?.string
        if let text = json["subject"]?.string { subject = try BlobName(text) }
    }

    /// The record: a descriptor, with the subject's digest.
    var json: JSONValue {
        guard case .object(var members) = listing else { return listing }
        members["subject"] = subject.map { .string($0.description) }
        return .object(members)
    }

    /// The record as a list of referrers holds it.
    public var listing: JSONValue {
        var described = descriptor
        described.annotations = annotations
        guard case .object(var members) = described.json else { return described.json }
        members["artifactType"] = artifactType.map { .string($0) }
        return .object(members)
    }
}
