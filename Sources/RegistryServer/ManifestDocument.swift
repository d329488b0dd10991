internal import Archive
// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import OCI
internal import Store

/// A manifest or an index as a client pushed it: what it needs, and what it says of itself.
struct ManifestDocument {
    /// As it was pushed.
    let mediaType: MediaType
    /// Manifests that an index names.
    private(set) var manifests: [BlobName] = []
    /// The configuration and the layers, those that are fetched from elsewhere left out.
    private(set) var blobs: [BlobName] = []
    private(set) var subject: BlobName?
    private(set) var artifactType: String?
    private(set) var annotations: [String: String] = [:]

    private static let known: [MediaType] = [.manifest, .index, .dockerManifest, .dockerIndex]

    init(_ bytes: [UInt8], type: String?) throws(Refusal) {
        let json: JSONValue
        do throws(ContentError) {
            json = try JSONValue(parsing: bytes)
        } catch {
            throw ManifestDocument.fault("it is not JSON: \(error.message)")
        }
        mediaType = try ManifestDocument.type(json, header: type)
        guard json["schemaVersion"]?.int == 2 else { throw ManifestDocument.fault("its schemaVersion is not 2") }
        annotations = json["annotations"]?.strings ?? [:]
        artifactType = json["artifactType"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        if let value = json["subject"], value != .null {
            subject = try ManifestDocument.descriptor(value, "subject").name
        }
        if mediaType.isIndex {
            try readIndex(json)
        } else {
            try readManifest(json)
        }
    }

    private mutating func readIndex(_ json: JSONValue) throws(Refusal) {
        guard let list = json["manifests"]?.array else { throw ManifestDocument.fault("its manifests are missing") }
        for (index, value) in list.enumerated() {
            manifests.append(try ManifestDocument.descriptor(value, "manifests[\(index)]").name)
        }
    }

    private mutating func readManifest(_ json: JSONValue) throws(Refusal) {
        guard let config = json["config"] else { throw ManifestDocument.fault("its config is missing") }
        let described = try ManifestDocument.descriptor(config, "config")
        blobs.append(described.name)
        // Specification: distribution-spec 1.1, "Listing Referrers".
        artifactType = artifactType ?? described.type
        guard let layers = json["layers"]?.array else { throw ManifestDocument.fault("its layers are missing") }
        for (index, value) in layers.enumerated() {
            let layer = try ManifestDocument.descriptor(value, "layers[\(index)]")
            let isElsewhere =
                !(value["urls"]?.array ?? []).isEmpty || layer.type.contains(".nondistributable.")
                || layer.type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
            if !isElsewhere { blobs.append(layer.name) }
        }
    }

    /// The header decides; the document may not say another.
    private static func type(_ json: JSONValue, header: String?) throws(Refusal) -> MediaType {
        let inside = json["mediaType"]?.string
        let text = header.map { String($0.prefix { $0 != ";" }).trimmed }
        let guess: MediaType = json["manifests"] != nil ? .index : .manifest
        let type = text.map { MediaType($0) } ?? inside.map { MediaType($0) } ?? guess
        guard known.contains(type) else {
            throw fault(
                "its media type \"\(type)\" is none that this registry takes: "
                    + known.map(\.description).joined(separator: ", ")
            )
        }
        if let inside, inside != type.description {
            throw fault("it says mediaType \"\(inside)\", and its Content-Type is \"\(type)\"")
        }
        return type
    }

    private static func descriptor(_ json: JSONValue, _ place: String) throws(Refusal) -> (name: BlobName, type: String)
    {
        guard let type = json["mediaType"]?.string, let size = json["size"]?.int, size >= 0,
            let text = json["digest"]?.string
        else { throw fault("\(place) lacks mediaType, digest or size") }
        do throws(ContentError) {
            return (try BlobName(text), type)
        } catch {
            throw fault("\(place): \(error.message)")
        }
    }

    private static func fault(_ what: String) -> Refusal {
        Refusal(.badRequest, .manifestInvalid, "the manifest is not taken: \(what)")
    }
}

extension String {
    /// Without spaces and tabs on both sides.
    var trimmed: String {
        var rest = self[...]
        while let first = rest.first, first == " " || first == "\t" { rest.removeFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return String(rest)
    }
}

extension BlobName {
    /// The name of some bytes.
    static func of(_ bytes: [UInt8], _ algorithm: Algorithm) -> BlobName {
        guard algorithm == .sha512 else { return BlobName(SHA256.digest(bytes)) }
        var hash = SHA512()
        bytes.withUnsafeBytes { hash.update($0) }
        return (try? BlobName("sha512:" + hash.finish())) ?? BlobName(SHA256.digest(bytes))
    }
}
