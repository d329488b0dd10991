// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore

/// How an answer goes out, with what is planned to go wrong on the way.
struct SendPlan {
    /// Whether the connection is cut instead.
    let isCut: Bool
    private let isHead: Bool
    /// Whether the bytes go through TLS.
    private let isEncrypted: Bool
    private var cut: Int64?
    private var speed: Int?
    private var isWrong = false

    /// How many bytes are read and sent at once.
    private static let chunk = 256 << 10
    /// How many bytes are sent before the event loop is waited for.
    private static let stretch: Int64 = 1 << 20

    init(_ exchange: Exchange, _ answer: Answer, _ faults: Faults, _ options: RegistryOptions) {
        isEncrypted = options.certificate != nil
        isHead = exchange.method == .head
        isCut = faults.take(exchange) { $0 == .cutAfterWork ? true : nil } ?? false
        guard !isHead, case .file = answer.body,
            exchange.path.contains("/blobs/") || exchange.path.hasPrefix("/storage/")
        else { return }
        cut = faults.take(exchange) { effect in
            if case .cutDownload(let bytes) = effect { bytes } else { nil }
        }
        speed = faults.take(exchange) { effect in
            if case .slow(let rate) = effect { rate } else { nil }
        }
        isWrong = faults.take(exchange) { $0 == .wrongContent ? true : nil } ?? false
    }

    /// Sends an answer.
    ///
    /// - Returns: How many bytes of body were sent.
    func send(
        _ answer: Answer,
        _ writer: consuming ResponseWriter,
        _ channel: any Channel,
        _ watch: DeliveryWatch
    ) async throws -> Int64 {
        let head = HTTPResponse(status: answer.status, headerFields: answer.headers)
        guard !isHead, answer.length > 0 else {
            try await writer.writeResponse(head)
            return 0
        }
        switch answer.body {
        case .none: return 0
        case .bytes(let bytes):
            try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
            try await SendPlan.catchUp(channel)
            return Int64(bytes.count)
        case .file(let file, let range):
            let body: any ResponseBodyWriter = try await writer.writeHead(head)
            let end = cut.map { min(range.upperBound, range.lowerBound + $0) } ?? range.upperBound
            let sent = try await send(file, range.lowerBound..<end, body, channel, watch)
            guard sent == Int64(range.count) else {
                try await channel.close()
                throw CutConnection()
            }
            try await body.finish(nil)
            return sent
        }
    }

    /// Sends a part of a file: by the system alone where nothing is done to the bytes, else in pieces.
    private func send(
        _ file: OpenFile,
        _ range: Range<Int64>,
        _ writer: any ResponseBodyWriter,
        _ channel: any Channel,
        _ watch: DeliveryWatch
    ) async throws -> Int64 {
        if speed == nil, !isWrong, !isEncrypted, range.count > 0 {
            try await FileSender.send(file, range, by: SendPlan.chunk, on: channel) { watch.moves() }
            return Int64(range.count)
        }
        var writer = writer
        var sent: Int64 = 0
        let step = Int64(speed.map { max(1, min(SendPlan.chunk, $0 / 10)) } ?? SendPlan.chunk)
        var next = try await SendPlan.read(file, range.lowerBound, min(range.upperBound, range.lowerBound + step))
        while var buffer = next {
            let place = range.lowerBound + sent + Int64(buffer.readableBytes)
            // The next bytes are read while these are sent.
            async let following = SendPlan.read(file, place, min(range.upperBound, place + step))
            if isWrong, sent == 0 { SendPlan.damage(&buffer) }
            let before = sent
            sent += Int64(buffer.readableBytes)
            try await writer.write(buffer)
            if sent / SendPlan.stretch > before / SendPlan.stretch { try await SendPlan.catchUp(channel) }
            watch.moves()
            if speed != nil { try await Task.sleep(for: .milliseconds(100)) }
            next = try await following
        }
        return sent
    }

    /// Waits until the connection's event loop did what it was given: until then it does not say that the client takes no
    /// more.
    private static func catchUp(_ channel: any Channel) async throws {
        try await channel.eventLoop.submit {}.get()
    }

    /// Reads a part of a file; `nil` where there is nothing more.
    private static func read(_ file: OpenFile, _ from: Int64, _ to: Int64) async throws -> ByteBuffer? {
        guard from < to else { return nil }
        return await DiskExecutor.run {
            let count = Int(to - from)
            var buffer = ByteBufferAllocator().buffer(capacity: count)
            let read = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
                file.read(into: UnsafeMutableRawBufferPointer(rebasing: space[..<count]), at: from)
            }
            return read > 0 ? buffer : nil
        }
    }

    private static func damage(_ buffer: inout ByteBuffer) {
        let place = buffer.readerIndex + buffer.readableBytes / 2
        guard let byte = buffer.getInteger(at: place, as: UInt8.self) else { return }
        buffer.setInteger(byte ^ 0x20, at: place)
    }
}

/// The time as header fields have it.
///
/// Specification: RFC 9110, section 5.6.7.
enum HTTPDate {
    static var now: String {
        var (seconds, parts) = (time(nil), tm())
        gmtime_r(&seconds, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = "\(days[Int(parts.tm_wday) % 7]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon) % 12])"
        return "\(day) \(parts.tm_year + 1900) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}
