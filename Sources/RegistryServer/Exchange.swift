// SPDX-License-Identifier: Apache-2.0
package import HTTPTypes
package import HummingbirdCore
internal import NIOCore
internal import OCI
internal import Store

/// A request, taken apart.
package struct Exchange {
    package let method: HTTPRequest.Method
    /// As it was sent.
    package let target: String
    /// The path, its escapes resolved.
    package let path: String
    /// Its parts; an escaped slash does not divide them.
    package let segments: [String]
    /// Names and values in order, their escapes resolved.
    package let query: [(name: String, value: String)]
    package let headers: HTTPFields
    /// The host that the client named; `nil` where it named none.
    package let authority: String?
    package let body: RequestBytes

    package init(_ request: Request) {
        method = request.method
        headers = request.headers
        authority = request.head.authority
        target = request.head.path ?? "/"
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = Exchange.decode(parts[0], plusIsSpace: false)
        segments = parts[0].split(separator: "/", omittingEmptySubsequences: false)
            .map { Exchange.decode($0, plusIsSpace: false) }
        query = parts.count > 1 ? Exchange.form(parts[1]) : []
        let length = headers[.contentLength].flatMap { Int64($0) }
        let isChunked = headers[.transferEncoding] != nil
        body = RequestBytes(request.body, length: length ?? (isChunked ? nil : 0))
    }

    /// The first value of a name in the query; `nil` where there is none.
    package func query(_ name: String) -> String? { query.first { $0.name == name }?.value }

    private static let secrets: Set<String> = ["sig", "password", "refresh_token", "access_token", "token"]

    /// The target without values that open doors.
    var loggable: String {
        guard query.contains(where: { Exchange.secrets.contains($0.name) }) else { return target }
        let path = target.prefix { $0 != "?" }
        let items = query.map { $0.name + "=" + (Exchange.secrets.contains($0.name) ? "…" : $0.value) }
        return "\(path)?\(items.joined(separator: "&"))"
    }

    /// Names and values of a query or a form.
    package static func form(_ text: some StringProtocol) -> [(name: String, value: String)] {
        text.split(separator: "&")
            .map { item in
                let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let value = parts.count > 1 ? decode(parts[1], plusIsSpace: true) : ""
                return (decode(parts[0], plusIsSpace: true), value)
            }
    }

    /// Resolves `%3A`; what is no escape stays.
    package static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x25, index + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                out.append(value)
                index += 3
                continue
            }
            out.append(plusIsSpace && bytes[index] == 0x2B ? 0x20 : bytes[index])
            index += 1
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// The body of a request, read once; one task at a time.
package final class RequestBytes {
    /// How long it should be; `nil` where the request does not say.
    let length: Int64?
    /// How many bytes came.
    private(set) var received: Int64 = 0
    /// Whether all came.
    package private(set) var isDone: Bool
    /// After how many bytes the connection is cut on purpose; `nil` where it is not.
    var cut: Int64?
    /// How many bytes a second are taken on purpose; `nil` where it is as fast as can be.
    var speed: Int?
    private var iterator: RequestBody.AsyncIterator

    init(_ body: RequestBody, length: Int64?) {
        self.length = length
        isDone = length == 0
        iterator = body.makeAsyncIterator()
    }

    /// The next bytes; `nil` after the last.
    func next() async throws -> ByteBuffer? {
        guard !isDone else { return nil }
        if isCut { throw CutConnection() }
        let next: ByteBuffer?
        do {
            next = try await iterator.next()
        } catch {
            throw CutConnection()
        }
        guard let buffer = next else {
            isDone = true
            if let length, received < length { throw CutConnection() }
            return nil
        }
        received += Int64(buffer.readableBytes)
        if let speed { try await Task.sleep(for: .seconds(1) * buffer.readableBytes / max(speed, 1)) }
        return buffer
    }

    /// Whether the connection is to be cut now.
    var isCut: Bool { cut.map { received >= $0 } ?? false }

    /// The whole body; `nil` where it is longer than the limit.
    package func collect(limit: Int) async throws -> [UInt8]? {
        if let length, length > limit { return nil }
        var bytes: [UInt8] = []
        while let buffer = try await next() {
            bytes.append(contentsOf: buffer.readableBytesView)
            if bytes.count > limit { return nil }
        }
        return bytes
    }

    /// Reads what nobody wants, so that the client reads the answer; gives up on much.
    package func drain(limit: Int64) async throws {
        let start = received
        while try await next() != nil, received - start < limit {}
    }
}

/// The client went away in the middle.
struct CutConnection: Error {}
