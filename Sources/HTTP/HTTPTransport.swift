// SPDX-License-Identifier: Apache-2.0

/// Something that sends requests: the network, or a layer over it that retries, or follows redirects.
///
/// Layers are put together by ``HTTPSession``, so that each does one thing: ``NetworkTransport`` makes one attempt.
public protocol HTTPTransport: Sendable {
    /// Sends a request and waits for the head of the answer.
    ///
    /// - Parameter request: What to send, and where.
    /// - Returns: The answer, whatever its status; its body is read by the caller.
    /// - Throws: ``ServerError`` where there is no answer; `CancellationError`.
    func send(_ request: HTTPRequest) async throws -> HTTPResponse
}

/// A request.
public struct HTTPRequest: Sendable {
    /// What is asked of the server.
    public enum Method: String, Sendable {
        /// Asks for the head of what GET would bring.
        case head = "HEAD"
        /// Asks for content.
        case get = "GET"
        /// Asks for something to be done.
        case post = "POST"
        /// Puts content in a place.
        case put = "PUT"
        /// Adds to what is there.
        case patch = "PATCH"
        /// Removes what is there.
        case delete = "DELETE"
    }

    /// How often a request may be sent.
    public enum Repetition: Sendable {
        /// Again after a failure that may pass.
        case allowed
        /// Once: after a failure nobody knows how much of it was done.
        case never
    }

    /// What is asked.
    public var method: Method
    /// Where.
    public var url: HTTPURL
    /// The header; `Host`, `Content-Length` and `User-Agent` are added.
    public var headers: HTTPFields
    /// The content that goes with it; `nil` where there is none.
    public var body: HTTPBody?
    /// How often it may be sent; by default a PATCH once, all others again.
    public var repetition: Repetition

    /// Makes a request.
    ///
    /// - Parameters:
    ///   - method: What is asked.
    ///   - url: Where.
    ///   - headers: The header.
    ///   - body: The content that goes with it.
    public init(_ method: Method, _ url: HTTPURL, headers: HTTPFields = [:], body: HTTPBody? = nil) {
        (self.method, self.url, self.headers, self.body) = (method, url, headers, body)
        repetition = method == .patch ? .never : .allowed
    }
}

/// The content of a request: so many bytes, opened anew for each attempt, never held at once.
///
/// It is sent with its `Content-Length`, never in chunked transfer encoding, which registries refuse.
public struct HTTPBody: Sendable {
    /// How many bytes there are.
    public let size: Int64
    let open: @Sendable () async throws -> HTTPChunks

    /// Content from anywhere.
    ///
    /// - Parameters:
    ///   - size: How many bytes there are, exactly.
    ///   - open: Begins a pass over them; called once per attempt.
    public init(size: Int64, open: @escaping @Sendable () async throws -> HTTPChunks) {
        (self.size, self.open) = (size, open)
    }

    /// Content in memory.
    ///
    /// - Parameter bytes: The bytes, few.
    public init(_ bytes: [UInt8]) {
        self.init(size: Int64(bytes.count)) {
            let rest = OneChunk(bytes)
            return HTTPChunks { rest.take() }
        }
    }
}

/// The answer to a request.
public struct HTTPResponse: Sendable {
    /// The status, from 200.
    public let status: Int
    /// The header.
    public let headers: HTTPFields
    /// Who answered: after redirects another than was asked.
    public let url: HTTPURL
    /// The content; the connection is used again once it is read to its end.
    public let body: HTTPChunks

    /// Makes an answer.
    ///
    /// - Parameters:
    ///   - status: The status.
    ///   - headers: The header.
    ///   - url: Who answered.
    ///   - body: The content.
    public init(status: Int, headers: HTTPFields, url: HTTPURL, body: HTTPChunks) {
        (self.status, self.headers, self.url, self.body) = (status, headers, url, body)
    }

    /// Whether the server did what was asked.
    public var isSuccess: Bool { (200..<300).contains(status) }

    /// Reads the content whole.
    ///
    /// - Parameter limit: The most bytes to hold.
    /// - Returns: The content.
    /// - Throws: ``ServerError`` where there is more, or the connection breaks.
    public func bytes(limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await chunk in body {
            bytes += chunk
            guard bytes.count <= limit else {
                throw ServerError(.tooLarge, "\(url.authority) answered with more than \(limit) bytes", url: url)
            }
        }
        return bytes
    }

    /// Reads at most so much of the content and forgets it, so that the connection can be used again.
    public func discard() async {
        var left = 64 << 10
        while left > 0, let chunk = try? await body.next() { left -= chunk.count }
    }
}

/// Bytes in order, in chunks of at most 1 MiB, read only as fast as they are consumed; a single pass.
public struct HTTPChunks: AsyncSequence, AsyncIteratorProtocol, Sendable {
    private let read: @Sendable () async throws -> [UInt8]?

    /// Makes a pass over bytes.
    ///
    /// - Parameter read: Gives the next chunk, of 1 to 1,048,576 bytes; `nil` at the end. Called by one task at a time.
    public init(_ read: @escaping @Sendable () async throws -> [UInt8]?) {
        self.read = read
    }

    /// No bytes.
    public static let none = HTTPChunks { nil }

    /// The next chunk.
    ///
    /// - Returns: 1 to 1,048,576 bytes; `nil` at the end.
    /// - Throws: What the origin of the bytes throws.
    public func next() async throws -> [UInt8]? { try await read() }

    /// The pass itself.
    ///
    /// - Returns: This value.
    public func makeAsyncIterator() -> HTTPChunks { self }
}
