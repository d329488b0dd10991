// SPDX-License-Identifier: Apache-2.0

/// What the bytes of a blob are.
///
/// Specification: OCI image-spec 1.1, `media-types.md`; Docker image manifest version 2, schema 2.
public struct MediaType: Hashable, Sendable, CustomStringConvertible {
    /// The type as manifests have it.
    public let description: String

    /// Takes any type; which are understood is a matter of who reads.
    ///
    /// - Parameter text: The type as manifests have it.
    public init(_ text: String) {
        description = text
    }

    /// An image manifest.
    public static let manifest = MediaType("application/vnd.oci.image.manifest.v1+json")
    /// An index of manifests.
    public static let index = MediaType("application/vnd.oci.image.index.v1+json")
    /// An image's configuration.
    public static let config = MediaType("application/vnd.oci.image.config.v1+json")
    /// A layer, compressed with gzip.
    public static let layerGzip = MediaType("application/vnd.oci.image.layer.v1.tar+gzip")
    /// A layer, compressed with zstd.
    public static let layerZstd = MediaType("application/vnd.oci.image.layer.v1.tar+zstd")
    /// Docker's image manifest.
    public static let dockerManifest = MediaType("application/vnd.docker.distribution.manifest.v2+json")
    /// Docker's index of manifests.
    public static let dockerIndex = MediaType("application/vnd.docker.distribution.manifest.list.v2+json")
    /// Docker's image configuration.
    public static let dockerConfig = MediaType("application/vnd.docker.container.image.v1+json")
    /// Docker's layer, compressed with gzip.
    public static let dockerLayer = MediaType("application/vnd.docker.image.rootfs.diff.tar.gzip")

    /// Whether it names an index, OCI's or Docker's.
    public var isIndex: Bool { self == .index || self == .dockerIndex }
    /// Whether it names an image manifest, OCI's or Docker's.
    public var isManifest: Bool { self == .manifest || self == .dockerManifest }

    /// The same kind of thing in Docker's words; itself where Docker has none.
    public var docker: MediaType {
        switch self {
        case .manifest: .dockerManifest
        case .index: .dockerIndex
        case .config: .dockerConfig
        case .layerGzip: .dockerLayer
        default: self
        }
    }
}
