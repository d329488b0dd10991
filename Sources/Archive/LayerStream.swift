// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
public import OCI
internal import Synchronization

/// The bytes of a layer before compression, made ahead of the reader on a thread of its own, and hashed on another.
///
/// At most 2 MiB are ahead. The thread ends with the stream.
public final class LayerStream {
    private let ahead: ReadAhead
    private let thread: pthread_t?
    private var current: ReadAhead.Block?

    /// Starts to decompress.
    ///
    /// - Parameters:
    ///   - descriptor: An open file, read from where it stands; stays open, and must until the stream is gone.
    ///   - name: Its name for messages.
    ///   - isHashed: Whether the digest is wanted; hashing takes longer than all else.
    /// - Throws: ``ArchiveError`` where no thread can be had.
    public init(descriptor: Int32, name: String, isHashed: Bool = true) throws(ArchiveError) {
        ahead = ReadAhead(descriptor, name, isHashed: isHashed)
        let context = Unmanaged.passRetained(ahead)
        var thread = pthread_t()
        let code = pthread_create(
            &thread,
            nil,
            { context in
                // SAFETY: retained by whoever started the thread.
                if let context { Unmanaged<ReadAhead>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            },
            context.toOpaque()
        )
        self.thread = code == 0 ? thread : nil
        guard code == 0 else {
            context.release()
            throw ArchiveError("starting a thread to read \(name)", errno: code)
        }
    }

    deinit {
        ahead.cancel()
        if let thread { pthread_join(thread, nil) }
    }

    /// The next bytes, valid until the next call; none at the end.
    func next() throws(ArchiveError) -> UnsafeRawBufferPointer {
        if let current { ahead.giveBack(current) }
        current = nil
        guard let block = try ahead.take() else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        current = block
        return UnsafeRawBufferPointer(rebasing: block.bytes[..<block.count])
    }

    /// Writes what is left, as it is before compression.
    ///
    /// - Parameter sink: Takes it.
    /// - Throws: ``ArchiveError`` where the file is damaged, or the sink takes no more.
    public func copy(to sink: any ByteSink) throws(ArchiveError) {
        while true {
            let bytes = try next()
            if bytes.isEmpty { return }
            try sink.write(bytes)
        }
    }

    /// Reads what is left.
    ///
    /// - Returns: The digest of all bytes: the diff ID; that of no bytes for a stream that is not hashed.
    /// - Throws: ``ArchiveError`` where the file is damaged.
    public func finish() throws(ArchiveError) -> Digest {
        while try !next().isEmpty {}
        return ahead.digest
    }
}

/// Blocks on their way from the thread that makes them to the one that reads them.
// SAFETY: `filling` belongs to the thread that makes blocks, `hash` to its queue; the rest is behind the lock.
private final class ReadAhead: @unchecked Sendable, ByteSink {
    // SAFETY: a block belongs to the thread that took it.
    final class Block: @unchecked Sendable {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        let hashed = DispatchSemaphore(value: 0)
        var count = 0

        deinit { bytes.deallocate() }
    }

    private struct State {
        var free: [Block] = []
        var full: [Block] = []
        var isDone = false
        var isCancelled = false
        var failure: ArchiveError?
        var digest: Digest?
    }

    private let descriptor: Int32
    private let name: String
    private let state = Mutex(State())
    private let empty = DispatchSemaphore(value: 0)
    private let ready = DispatchSemaphore(value: 0)
    /// Of the making thread only.
    private var filling: Block?
    private let hashing = DispatchQueue(label: "coracle.layer.read.hash")
    /// Used on `hashing` only.
    private var hash = SHA256()

    private let isHashed: Bool

    init(_ descriptor: Int32, _ name: String, isHashed: Bool) {
        (self.descriptor, self.name, self.isHashed) = (descriptor, name, isHashed)
        for _ in 0..<8 { empty.signal() }
    }

    var digest: Digest { state.withLock { $0.digest } ?? SHA256.digest([]) }

    func cancel() {
        state.withLock { $0.isCancelled = true }
        empty.signal()
    }

    func giveBack(_ block: Block) {
        block.hashed.wait()
        state.withLock { $0.free.append(block) }
        empty.signal()
    }

    /// The next full block; `nil` at the end, however often it is asked for.
    func take() throws(ArchiveError) -> Block? {
        ready.wait()
        let (block, failure) = state.withLock { state -> (Block?, ArchiveError?) in
            state.full.isEmpty ? (nil, state.failure) : (state.full.removeFirst(), nil)
        }
        if block == nil { ready.signal() }
        if let failure { throw failure }
        return block
    }

    func run() {
        var failure: ArchiveError?
        do throws(ArchiveError) {
            if try !GzipMembers().copy(descriptor, to: self) {
                try ArchiveReader.decompress(descriptor: descriptor, name: name, to: self)
            }
            submit()
        } catch {
            failure = error
        }
        let digest = hashing.sync { Digest(sha256: self.hash.finish()) }
        state.withLock { state in
            (state.isDone, state.failure, state.digest) = (true, failure, digest)
        }
        ready.signal()
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        var rest = bytes
        while !rest.isEmpty {
            let block: Block
            if let filling { block = filling } else { block = try emptyBlock() }
            filling = block
            let count = min(rest.count, block.bytes.count - block.count)
            UnsafeMutableRawBufferPointer(rebasing: block.bytes[block.count...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
            block.count += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            if block.count == block.bytes.count { submit() }
        }
    }

    private func emptyBlock() throws(ArchiveError) -> Block {
        empty.wait()
        let (block, isCancelled) = state.withLock { ($0.free.popLast(), $0.isCancelled) }
        // Nobody reads this: it ends the thread.
        guard !isCancelled else { throw ArchiveError("reading \(name) was given up") }
        let empty = block ?? Block()
        empty.count = 0
        return empty
    }

    private func submit() {
        guard let block = filling, block.count > 0 else { return }
        filling = nil
        if isHashed {
            hashing.async {
                self.hash.update(UnsafeRawBufferPointer(rebasing: block.bytes[..<block.count]))
                block.hashed.signal()
            }
        } else {
            block.hashed.signal()
        }
        state.withLock { $0.full.append(block) }
        ready.signal()
    }
}
