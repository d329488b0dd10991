// SPDX-License-Identifier: Apache-2.0
internal import CDeflate
internal import Glibc

/// Decompresses gzip members as ``LayerWriter`` makes them, whole ones at a time: three times as fast as a stream.
struct GzipMembers: ~Copyable {
    private let decompressor: OpaquePointer?
    private let input: UnsafeMutableRawBufferPointer
    private let output: UnsafeMutableRawBufferPointer

    init() {
        decompressor = libdeflate_alloc_decompressor()
        input = .allocate(byteCount: BlockCompressor.bound + 64, alignment: 4096)
        output = .allocate(byteCount: Compression.blockSize, alignment: 4096)
    }

    deinit {
        libdeflate_free_decompressor(decompressor)
        input.deallocate()
        output.deallocate()
    }

    /// Copies what members hold, from where a file stands.
    ///
    /// - Parameters:
    ///   - descriptor: An open file; stands before the first member that was not copied afterwards.
    ///   - sink: Takes the bytes.
    /// - Returns: Whether that was all; `false` where what is left is larger than a block, damaged, or no member.
    /// - Throws: ``ArchiveError`` of the sink.
    func copy(_ descriptor: Int32, to sink: any ByteSink) throws(ArchiveError) -> Bool {
        // What cannot be read twice is left alone.
        var place = lseek(descriptor, 0, SEEK_CUR)
        guard place >= 0, decompressor != nil else { return false }
        var filled = 0
        while true {
            while filled < input.count {
                let count = pread(
                    descriptor,
                    input.baseAddress?.advanced(by: filled),
                    input.count - filled,
                    place + filled
                )
                if count < 0, errno == EINTR { continue }
                if count <= 0 { break }
                filled += count
            }
            if filled == 0 { return place > 0 }
            var used = 0
            while filled - used > 0 {
                var (read, made) = (0, 0)
                let start = input.baseAddress?.advanced(by: used)
                let result = libdeflate_gzip_decompress_ex(
                    decompressor,
                    start,
                    filled - used,
                    output.baseAddress,
                    output.count,
                    &read,
                    &made
                )
                guard result == LIBDEFLATE_SUCCESS, read > 0 else { break }
                try sink.write(UnsafeRawBufferPointer(rebasing: output[..<made]))
                used += read
            }
            place += used
            lseek(descriptor, place, SEEK_SET)
            // What follows the last member and is none is left out, as gzip does.
            guard used > 0 else { return place > 0 && !input[..<filled].starts(with: [0x1F, 0x8B]) }
            // The rest may be a member cut by the end of the buffer.
            if filled > used, let base = input.baseAddress { memmove(base, base + used, filled - used) }
            filled -= used
        }
    }
}
