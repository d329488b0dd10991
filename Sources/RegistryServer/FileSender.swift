// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import NIOCore

/// Sends files by sendfile(2), past what makes bytes of answers: the head of the answer says how many come.
///
/// Of connections without TLS only, as it stands next to the socket.
final class FileSender: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Sends a part of a file, behind all that was written to the connection before: so many bytes at once, and says so.
    static func send(
        _ file: OpenFile,
        _ range: Range<Int64>,
        by step: Int,
        on channel: any Channel,
        _ moves: () -> Void
    ) async throws {
        let copy = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw CutConnection() }
        let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: copy)
        defer { try? handle.close() }
        for start in stride(from: Int(range.lowerBound), to: Int(range.upperBound), by: step) {
            let end = min(Int(range.upperBound), start + step)
            try await send(FileRegion(fileHandle: handle, readerIndex: start, endIndex: end), on: channel)
            moves()
        }
    }

    /// Returns when the region was sent, or the connection has ended: nothing uses the file then.
    private static func send(_ region: FileRegion, on channel: any Channel) async throws {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        channel.eventLoop.execute {
            guard let sender = try? channel.pipeline.syncOperations.handler(type: FileSender.self),
                let context = sender.context
            else { return promise.fail(CutConnection()) }
            context.writeAndFlush(sender.wrapOutboundOut(.fileRegion(region)), promise: promise)
        }
        try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }
}

/// Makes a connection fit for large bodies.
final class ConnectionSetup: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Never

    private static let readSize = 128 << 10
    private let isEncrypted: Bool

    init(isEncrypted: Bool) {
        self.isEncrypted = isEncrypted
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let buffers = FixedSizeRecvByteBufferAllocator(capacity: ConnectionSetup.readSize)
        _ = context.channel.setOption(ChannelOptions.recvAllocator, value: buffers)
        if !isEncrypted { try? context.pipeline.syncOperations.addHandler(FileSender(), position: .first) }
    }
}
