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
        case .gzip(let level): "gzip:\(level) libdeflate \(LIBDEFLATE_VERSION_STRING)"
        case .zstd(let level): "zstd:\(level) libzstd \(ZSTD_versionNumber())"
        }
    }

    /// What a layer so compressed is.
    public var mediaType: MediaType {
        if case .gzip = self { .layerGzip } else { .layerZstd }
    }
}

/// Compresses one block at a time; one for each thread.
// SAFETY: a compressor is taken from a list by one thread, and put back when that is done with it.
final class BlockCompressor: @unchecked Sendable {
    private let deflate: OpaquePointer?
    /// Makes members that only store, for what does not become smaller.
    private let store: OpaquePointer?
    private let zstd: OpaquePointer?
    private let level: Int32

    init(_ compression: Compression) {
        switch compression {
        case .gzip(let level):
            (deflate, store, zstd) = (libdeflate_alloc_compressor(Int32(level)), libdeflate_alloc_compressor(0), nil)
            self.level = Int32(level)
        case .zstd(let level):
            (deflate, store, zstd) = (nil, nil, ZSTD_createCCtx())
            self.level = Int32(level)
        }
    }

    deinit {
        libdeflate_free_compressor(deflate)
        libdeflate_free_compressor(store)
        ZSTD_freeCCtx(zstd)
    }

    /// The most bytes that a block can become.
    static let bound = max(
        ZSTD_compressBound(Compression.blockSize),
        libdeflate_gzip_compress_bound(nil, Compression.blockSize)
    )

    /// Compresses a block; 0 where it fails, which `bound` rules out.
    func compress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int {
        if let zstd {
            let size = ZSTD_compressCCtx(zstd, output.baseAddress, output.count, input.baseAddress, input.count, level)
            return ZSTD_isError(size) == 0 ? size : 0
        }
        let compressor = looksRandom(input, output) ? store : deflate
        return libdeflate_gzip_compress(compressor, input.baseAddress, input.count, output.baseAddress, output.count)
    }

    /// Whether pieces of a block do not become smaller: then the whole would cost time for nothing.
    private func looksRandom(_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) -> Bool {
        let piece = 4096
        guard input.count >= 16 * piece else { return false }
        var (read, made) = (0, 0)
        for part in 0..<4 {
            let start = part * (input.count - piece) / 3
            let slice = UnsafeRawBufferPointer(rebasing: input[start..<(start + piece)])
            made += libdeflate_deflate_compress(deflate, slice.baseAddress, piece, output.baseAddress, output.count)
            read += piece
            // One piece that becomes smaller is enough to squeeze the block.
            if made * 100 < read * 97 { return false }
        }
        return true
    }
}
