// SPDX-License-Identifier: Apache-2.0
internal import CDeflate
internal import CZstd
public import OCI

/// How layers are compressed: block by block, each on its own, so that any number of cores gives the same bytes.
public enum Compression: Hashable, Sendable {
    /// One gzip member for each block; levels 1 to 12.
    case gzip(level: Int)
    /// One zstd frame for each block; levels 1 to 19.
    case zstd(level: Int)

    /// What is used when nobody asks: a sixth of the time of zlib's level 6, for layers 8 percent larger.
    public static let standard = Compression.gzip(level: 1)

    /// Uncompressed bytes in a block.
    public static let blockSize = 1 << 20

    /// Reads `gzip`, `zstd`, or one of them with a colon and a level.
    ///
    /// - Parameter text: The text.
    /// - Throws: ``ContentError`` that says what forms there are.
    public init(_ text: String) throws(ContentError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let level = parts.count == 2 ? Int(parts[1]) : nil
        switch (parts[0], parts.count, level) {
        case ("gzip", 1, _): self = .standard
        case ("zstd", 1, _): self = .zstd(level: 3)
        case ("gzip", 2, .some(1...12)): self = .gzip(level: level ?? 1)
        case ("zstd", 2, .some(1...19)): self = .zstd(level: level ?? 3)
        default:
            throw ContentError(
                message: "\"\(text)\" is no compression: expected gzip, gzip:1 to gzip:12, zstd, or zstd:1 to zstd:19"
            )
        }
    }

    /// Names the compressor and its settings; part of the key of a cached layer.
    public var identity: String {
        switch self {
        case .gzip(let level): "gzip:\(level) runs libdeflate \(LIBDEFLATE_VERSION_STRING)"
        case .zstd(let level): "zstd:\(level) libzstd \(ZSTD_versionNumber())"
        }
    }

    /// What a layer so compressed is.
    public var mediaType: MediaType {
        if case .gzip = self { .layerGzip } else { .layerZstd }
    }
}
