// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

extension ClusterClient {
    /// What is wanted of what a container writes.
    public struct LogWish: Hashable, Sendable {
        /// The pod.
        public var pod: String
        /// The container; `nil` where the pod has one only, or says which it means.
        public var container: String?
        /// Where the pod is; `nil` for the client's own namespace.
        public var namespace: String?
        /// How many lines, from the last; `nil` for all that there are.
        public var tail: Int?
        /// Whether to go on until the container ends.
        public var follows = false
        /// Whether that of the container before its last start is wanted.
        public var isPrevious = false
        /// How many seconds it may be old; `nil` for any age.
        public var since: Int?
        /// Whether each line begins with its time.
        public var hasTimes = false

        /// What a container writes.
        ///
        /// - Parameters:
        ///   - pod: The pod.
        ///   - container: The container.
        public init(_ pod: String, container: String? = nil) { (self.pod, self.container) = (pod, container) }
    }

    /// Reads what a container writes.
    ///
    /// Where it is followed and the connection breaks, as balancers between us and the cluster do to silent ones, it goes on
    /// where it was.
    ///
    /// - Parameters:
    ///   - wish: What is wanted.
    ///   - take: Is given the bytes as they come, whole lines at a time but for the last.
    /// - Throws: ``KubernetesError``, of code `.invalid` where the container has not begun; what `take` throws;
    ///   `CancellationError`.
    public func logs(_ wish: LogWish, _ take: ([UInt8]) async throws -> Void) async throws {
        var place = LogPlace(isShown: wish.hasTimes)
        var failures = 0
        while true {
            let before = place.count
            do {
                if try await read(wish, &place, take) { return }
                failures = 0
            } catch let error as KubernetesError where error.isTransient && wish.follows && failures < 6 {
                failures = place.count > before ? 1 : failures + 1
                try await Task.sleep(for: .milliseconds(100 << failures))
            }
        }
    }

    /// The last lines of what a container wrote.
    ///
    /// - Parameters:
    ///   - wish: What is wanted.
    ///   - limit: The most bytes; what is more is dropped from the beginning.
    /// - Returns: The text; may be empty.
    /// - Throws: As ``logs(_:_:)`` does.
    public func log(_ wish: LogWish, limit: Int = 64 << 10) async throws -> String {
        var bytes: [UInt8] = []
        try await logs(wish) { chunk in
            bytes += chunk
            if bytes.count > 2 * limit { bytes.removeFirst(bytes.count - limit) }
        }
        return String(decoding: bytes.suffix(limit), as: UTF8.self)
    }

    /// One connection; whether the container has ended, or there is nothing more to come.
    private func read(
        _ wish: LogWish,
        _ place: inout LogPlace,
        _ take: ([UInt8]) async throws -> Void
    ) async throws -> Bool {
        let namespace = wish.namespace ?? self.namespace
        var query = [("container", wish.container)]
        if wish.isPrevious { query.append(("previous", "true")) }
        if wish.follows || wish.hasTimes { query.append(("timestamps", "true")) }
        if wish.follows { query.append(("follow", "true")) }
        if let last = place.last {
            query.append(("sinceTime", last))
        } else {
            query += [("tailLines", wish.tail.map { "\($0)" }), ("sinceSeconds", wish.since.map { "\($0)" })]
        }
        let path = ResourceKind.pod.path(namespace: namespace, name: wish.pod) + "/log"
        var message = ClusterLink.Message(target: path + self.query(Selection(), query))
        message.accept = "*/*"
        let response = try await link.send(message)
        guard response.isSuccess else {
            let what = wish.pod + (wish.container.map { ", container \($0)" } ?? "")
            let operation = Operation("read the log of", ResourceKind.pod, what, namespace)
            throw StatusText(access).error(operation, response.status, try await response.bytes(limit: 1 << 20))
        }
        do {
            while let chunk = try await response.body.next() {
                if wish.follows || wish.hasTimes {
                    let lines = place.lines(chunk)
                    if !lines.isEmpty { try await take(lines) }
                } else {
                    try await take(chunk)
                }
            }
            let rest = place.rest()
            if !rest.isEmpty { try await take(rest) }
            return true
        } catch let error as ServerError {
            place.forgetRest()
            // One that has nothing to say is no fault.
            if wish.follows, error.code == .timedOut { return false }
            throw KubernetesError(.network, "the log of \(wish.pod): \(error.message)", hint: error.hint)
        }
    }
}

/// How far a log was read: lines come with their times, so that it can go on after the last.
struct LogPlace {
    /// Whether lines keep their times.
    let isShown: Bool
    /// The time of the last line.
    private(set) var last: String?
    /// How many lines there were.
    private(set) var count = 0
    /// The lines of that time: what begins at a time has them again.
    private var seen: Set<Int> = []
    private var line: [UInt8] = []

    init(isShown: Bool) { self.isShown = isShown }

    /// Whole lines of what came, without those that came before.
    mutating func lines(_ chunk: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        line += chunk
        var start = 0
        while let end = line[start...].firstIndex(of: 0x0A) {
            take(line[start...end], &result)
            start = end + 1
        }
        line.removeFirst(start)
        // A line without an end is handed on before it fills memory.
        if line.count > 1 << 20 { result += rest() }
        return result
    }

    /// What came after the last whole line.
    mutating func rest() -> [UInt8] {
        var result: [UInt8] = []
        if !line.isEmpty { take(line[...], &result) }
        line = []
        return result
    }

    /// A line that broke off comes whole again.
    mutating func forgetRest() { line = [] }

    private mutating func take(_ line: ArraySlice<UInt8>, _ result: inout [UInt8]) {
        let time = line.prefix { $0 != 0x20 && $0 != 0x0A }
        guard (20...40).contains(time.count), time.last == 0x5A || time.contains(0x3A), time.dropFirst(4).first == 0x2D
        else {
            result += line
            return
        }
        let text = String(decoding: time, as: UTF8.self)
        let key = line.hashValue
        if text == last {
            guard seen.insert(key).inserted else { return }
        } else {
            // Times of a log grow; what is older was there before the connection broke.
            if let last, text < last { return }
            (last, seen) = (text, [key])
        }
        count += 1
        let words = line.dropFirst(time.count)
        result += isShown ? line : words.first == 0x20 ? words.dropFirst() : words
    }
}
