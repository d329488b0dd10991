// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Dispatch
internal import Glibc
public import OCI
internal import Synchronization

/// Turns the bytes of a tar archive into a layer, in one pass: hashed, compressed on all cores, hashed again, written.
///
/// Blocks are compressed side by side and written in order; memory is bounded by their number, whatever the size of
/// the layer. The bytes do not depend on the number of cores.
public final class LayerWriter: ByteSink {
    /// What was written.
    public struct Result: Sendable {
        /// The compressed bytes.
        public let descriptor: Descriptor
        /// The bytes before compression.
        public let diffID: Digest
        /// How many bytes there were before compression.
        public let size: Int64
    }

    private let pipeline: Pipeline
    private var block: Block?
    private var size: Int64 = 0

    /// Starts a layer.
    ///
    /// A writer that is given up before ``finish()`` writes to a duplicate of its own, never to another file.
    ///
    /// - Parameters:
    ///   - descriptor: An open file, which stays open.
    ///   - name: Its name for messages.
    ///   - compression: How blocks are compressed.
    ///   - cores: How many blocks are compressed at the same time; at least 1.
    public init(descriptor: Int32, name: String, compression: Compression, cores: Int) {
        pipeline = Pipeline(descriptor, name, compression, cores: max(1, cores))
    }

    /// Takes bytes of the archive.
    ///
    /// - Parameter bytes: May be empty.
    /// - Throws: ``ArchiveError`` where an earlier block could not be written.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        var offset = 0
        while offset < bytes.count {
            let current = block ?? pipeline.emptyBlock()
            block = current
            let count = min(bytes.count - offset, Compression.blockSize - current.count)
            current.input.baseAddress?.advanced(by: current.count)
                .copyMemory(from: bytes.baseAddress.unsafelyUnwrapped + offset, byteCount: count)
            current.count += count
            offset += count
            if current.count == Compression.blockSize { try submit() }
        }
        size += Int64(bytes.count)
    }

    private func submit() throws(ArchiveError) {
        guard let full = block else { return }
        block = nil
        pipeline.submit(full)
        if let error = pipeline.failure { throw error }
    }

    /// Writes what is left and waits until all is written.
    ///
    /// - Returns: The layer's names.
    /// - Throws: ``ArchiveError`` where a block could not be written.
    public func finish() throws(ArchiveError) -> Result {
        // A layer has at least one block: no bytes at all are no gzip file.
        if block == nil, size == 0 { block = pipeline.emptyBlock() }
        try submit()
        let (digest, compressed, diffID) = try pipeline.finish()
        let descriptor = Descriptor(mediaType: pipeline.compression.mediaType, digest: digest, size: compressed)
        return Result(descriptor: descriptor, diffID: diffID, size: size)
    }
}

/// A block on its way through the pipeline.
// SAFETY: a block belongs to one stage at a time: the writer fills it, then hashing and compressing only read
// `input`, and writing waits for both.
private final class Block: @unchecked Sendable {
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: Compression.blockSize, alignment: 4096)
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: BlockCompressor.bound, alignment: 4096)
    let hashed = DispatchSemaphore(value: 0)
    var count = 0
    var compressed = 0
    var number = 0

    deinit {
        input.deallocate()
        output.deallocate()
    }

    var content: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: input[..<count]) }
}

/// The threads behind a layer.
// SAFETY: `hash` is used on `hashing` only, `digest`, `written` and `begun` on `writing` only; the rest is behind the
// lock.
private final class Pipeline: @unchecked Sendable {
    private struct State {
        var free: [Block] = []
        var compressors: [BlockCompressor] = []
        /// Compressed blocks that wait for one before them.
        var done: [Int: Block] = [:]
        var next = 0
        var submitted = 0
        var failure: ArchiveError?
    }

    /// As many bytes are brought to the disk at once.
    private static let writeback: Int64 = 8 << 20

    let compression: Compression
    /// Our own, as blocks may still be on their way when the caller closes the file.
    private let descriptor: Int32
    private let sink: FileSink
    private let state = Mutex(State())
    private let available = DispatchSemaphore(value: 0)
    private let hashing = DispatchQueue(label: "coracle.layer.hash")
    private let writing = DispatchQueue(label: "coracle.layer.write")
    private let compressing = DispatchQueue(label: "coracle.layer.compress", attributes: .concurrent)
    private let limit = DispatchSemaphore(value: 0)
    private var hash = SHA256()
    private var digest = SHA256()
    private var written: Int64 = 0
    /// How much of it the kernel was told to bring to the disk.
    private var begun: Int64 = 0

    init(_ file: Int32, _ name: String, _ compression: Compression, cores: Int) {
        self.compression = compression
        descriptor = fcntl(file, F_DUPFD_CLOEXEC, 0)
        let code = errno
        sink = FileSink(descriptor: descriptor, name: name)
        if descriptor < 0 { state.withLock { $0.failure = ArchiveError("writing \(name)", errno: code) } }
        // One block is filled, as many as there are cores are compressed, one waits to be written, and two make up for
        // blocks that take longer than others. Counted up from 0: a semaphore below its first value must not be
        // released, as when a layer is given up half-way.
        for _ in 0..<(cores + 4) { available.signal() }
        for _ in 0..<cores { limit.signal() }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    var failure: ArchiveError? { state.withLock { $0.failure } }

    /// A block to fill; waits while all are on their way.
    func emptyBlock() -> Block {
        available.wait()
        let block = state.withLock { $0.free.popLast() } ?? Block()
        block.count = 0
        return block
    }

    func submit(_ block: Block) {
        block.number = state.withLock { state in
            state.submitted += 1
            return state.submitted - 1
        }
        hashing.async {
            self.hash.update(block.content)
            block.hashed.signal()
        }
        compressing.async {
            self.limit.wait()
            self.compress(block)
            self.limit.signal()
        }
    }

    private func compress(_ block: Block) {
        let compressor = state.withLock { $0.compressors.popLast() } ?? BlockCompressor(compression)
        block.compressed = compressor.compress(block.content, into: block.output)
        state.withLock { state in
            state.compressors.append(compressor)
            state.done[block.number] = block
            while let ready = state.done.removeValue(forKey: state.next) {
                state.next += 1
                writing.async { self.write(ready) }
            }
        }
    }

    private func write(_ block: Block) {
        let bytes = UnsafeRawBufferPointer(rebasing: block.output[..<block.compressed])
        digest.update(bytes)
        written += Int64(bytes.count)
        do throws(ArchiveError) {
            guard block.compressed > 0 else { throw ArchiveError("compressing a block: not enough memory") }
            if failure == nil { try sink.write(bytes) }
            // Whoever waits for the disk at the end has less to wait for.
            if written - begun >= Pipeline.writeback {
                clinux_start_writeback(descriptor, off_t(begun), off_t(written - begun))
                begun = written
            }
        } catch {
            state.withLock { $0.failure = error }
        }
        block.hashed.wait()
        state.withLock { $0.free.append(block) }
        available.signal()
    }

    /// Waits for everything; the digests and the size of what was written.
    func finish() throws(ArchiveError) -> (digest: Digest, size: Int64, diffID: Digest) {
        // Each queue is empty once a job put behind all others has run.
        compressing.sync(flags: .barrier) {}
        let diffID = hashing.sync { Digest(sha256: self.hash.finish()) }
        let (digest, size) = writing.sync { (Digest(sha256: self.digest.finish()), self.written) }
        if let failure { throw failure }
        return (digest, size, diffID)
    }
}
