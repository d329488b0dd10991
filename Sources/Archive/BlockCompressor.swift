// SPDX-License-Identifier: Apache-2.0
internal import CDeflate
internal import CZstd

/// Compresses one block at a time; one for each thread.
///
/// With gzip, what looks random in a block is stored in members of its own: to squeeze it takes longer than the rest.
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

    /// How much of a block is looked at as one.
    private static let part = 1 << 16

    /// The most bytes that a block can become: each part a member.
    static let bound = max(
        ZSTD_compressBound(Compression.blockSize),
        Compression.blockSize / part * libdeflate_gzip_compress_bound(nil, part)
    )

    /// Compresses a block; 0 where it fails, which `bound` rules out.
    func compress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int {
        if let zstd {
            let size = ZSTD_compressCCtx(zstd, output.baseAddress, output.count, input.baseAddress, input.count, level)
            return ZSTD_isError(size) == 0 ? size : 0
        }
        var (start, written) = (0, 0)
        repeat {
            let (end, isRandom) = run(of: input, from: start)
            let run = UnsafeRawBufferPointer(rebasing: input[start..<end])
            let rest = UnsafeMutableRawBufferPointer(rebasing: output[written...])
            let compressor = isRandom && !becomesSmaller(run, rest) ? store : deflate
            let made = libdeflate_gzip_compress(compressor, run.baseAddress, run.count, rest.baseAddress, rest.count)
            guard made > 0 else { return 0 }
            written += made
            start = end
        } while start < input.count
        return written
    }

    /// The parts from `start` on that look alike: where they end, and whether they look random.
    private func run(of input: UnsafeRawBufferPointer, from start: Int) -> (end: Int, isRandom: Bool) {
        // What is less than a part belongs to the run before it.
        func end(of part: Int) -> Int {
            input.count - part < 2 * BlockCompressor.part ? input.count : part + BlockCompressor.part
        }
        var limit = end(of: start)
        let isRandom = BlockCompressor.looksRandom(UnsafeRawBufferPointer(rebasing: input[start..<limit]))
        while limit < input.count {
            let next = end(of: limit)
            let part = UnsafeRawBufferPointer(rebasing: input[limit..<next])
            guard BlockCompressor.looksRandom(part) == isRandom else { break }
            limit = next
        }
        return (limit, isRandom)
    }

    /// Whether all values are about as frequent as each other in pieces of a part, as in what is compressed already.
    private static func looksRandom(_ part: UnsafeRawBufferPointer) -> Bool {
        let (pieces, piece) = (4, 1024)
        guard part.count >= BlockCompressor.part / 2 else { return false }
        return withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 256) { counts in
            for number in 0..<pieces {
                counts.update(repeating: 0)
                let start = number * (part.count - piece) / (pieces - 1)
                for byte in part[start..<(start + piece)] { counts[Int(byte)] += 1 }
                let squares = counts.reduce(0) { $0 + Int($1) * Int($1) }
                // Random bytes give 5,116 and seldom 200 more; English text ten times that.
                if squares > 5750 { return false }
            }
            return true
        }
    }

    /// Whether pieces become smaller all the same, as counters do, whose values are all as frequent.
    private func becomesSmaller(_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) -> Bool {
        let (pieces, piece) = (4, 4096)
        for number in 0..<pieces {
            let start = number * (input.count - piece) / (pieces - 1)
            let slice = UnsafeRawBufferPointer(rebasing: input[start..<(start + piece)])
            let made = libdeflate_deflate_compress(deflate, slice.baseAddress, piece, output.baseAddress, output.count)
            if made * 100 < piece * 97 { return true }
        }
        return false
    }
}
