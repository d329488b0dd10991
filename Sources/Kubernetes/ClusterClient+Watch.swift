// SPDX-License-Identifier: Apache-2.0
internal import HTTP
public import OCI

extension ClusterClient {
    /// What happened to objects that are watched.
    public enum WatchEvent: Hashable, Sendable {
        /// These are all that there are: at first, and again where the cluster has forgotten what came between.
        case all([JSONValue])
        /// One was made or changed: this is what it is.
        case changed(JSONValue)
        /// One is gone: this is what it was.
        case deleted(JSONValue)
    }

    /// Watches objects: first all that there are, then each change, for as long as it is wanted.
    ///
    /// Connections that end or break are made anew where they ended; where the cluster has forgotten that place (410), all
    /// objects are listed again.
    ///
    /// - Parameters:
    ///   - kind: Their kind.
    ///   - selection: Which of them.
    ///   - take: Is given what happened, in order; says whether it wants to know more.
    /// - Throws: ``KubernetesError`` where the cluster refuses, or is away for longer than a minute or so; what `take`
    ///   throws; `CancellationError`.
    public func watch(
        _ kind: ResourceKind,
        _ selection: Selection = Selection(),
        _ take: (WatchEvent) async throws -> Bool
    ) async throws {
        try await watch(kind, selection, listing: true, take)
    }

    /// Watches what comes from now on; what there is, which may be much, is not listed.
    func watchNew(
        _ kind: ResourceKind,
        _ selection: Selection,
        _ take: (WatchEvent) async throws -> Bool
    ) async throws {
        try await watch(kind, selection, listing: false, take)
    }

    private func watch(
        _ kind: ResourceKind,
        _ selection: Selection,
        listing: Bool,
        _ take: (WatchEvent) async throws -> Bool
    ) async throws {
        var version: String?
        var failures = 0
        while true {
            try Task.checkCancellation()
            do {
                if version == nil {
                    let (items, start) = try await snapshot(kind, selection, isHead: !listing)
                    if listing { guard try await take(.all(items)) else { return } }
                    version = start
                }
                let end = try await follow(kind, selection, from: version ?? "", take)
                failures = 0
                guard let end else { return }
                version = end
            } catch let error as KubernetesError where error.code == .expired {
                version = nil
                // A cluster that forgets at once must not be asked without end.
                try await Task.sleep(for: .milliseconds(100))
            } catch let error as KubernetesError where error.isTransient && failures < 6 {
                failures += 1
                try await Task.sleep(for: .milliseconds(250 << failures))
            }
        }
    }

    /// One connection; where it ended, or `nil` where nobody wants to know more.
    private func follow(
        _ kind: ResourceKind,
        _ selection: Selection,
        from version: String,
        _ take: (WatchEvent) async throws -> Bool
    ) async throws -> String? {
        // The cluster ends it in time, so that one that is dead is told from one where nothing happens.
        let seconds = max(1, Int(link.idleTimeout.components.seconds) * 3 / 4)
        let query = query(
            selection,
            [
                ("watch", "1"), ("allowWatchBookmarks", "true"), ("resourceVersion", version),
                ("timeoutSeconds", "\(seconds)"),
            ]
        )
        let place = place(kind, selection)
        let operation = Operation("watch", kind.qualified, place)
        let response = try await link.send(.init(target: kind.path(namespace: place) + query))
        guard response.isSuccess else {
            throw StatusText(access).error(operation, response.status, try await response.bytes(limit: 1 << 20))
        }
        var version = version
        var lines = JSONLines(response.body)
        while let json = try await next(&lines) {
            guard var object = json["object"] else { continue }
            if let new = object["metadata"]?["resourceVersion"]?.string { version = new }
            let event: WatchEvent
            switch json["type"]?.string {
            case "ADDED", "MODIFIED": event = .changed(complete(&object, kind))
            case "DELETED": event = .deleted(complete(&object, kind))
            case "ERROR": throw StatusText(access).error(operation, status: object)
            default: continue
            }
            guard try await take(event) else {
                // The connection is not used again, since more may come.
                return nil
            }
        }
        return version
    }

    private func complete(_ object: inout JSONValue, _ kind: ResourceKind) -> JSONValue {
        if object["kind"] == nil {
            (object["apiVersion"], object["kind"]) = (.string(kind.apiVersion), .string(kind.kind))
        }
        return object
    }

    /// The next line; none where the connection broke, which is the same as if it had ended.
    private func next(_ lines: inout JSONLines) async throws -> JSONValue? {
        do {
            return try await lines.next()
        } catch let error as ServerError where error.isTransient {
            return nil
        } catch let error as ServerError {
            throw KubernetesError(.server, "watch: \(error.message)", hint: error.hint)
        }
    }
}

/// Values of JSON, each on a line, as watches have them; one of at most 16 MiB is held at a time.
struct JSONLines {
    private let chunks: HTTPChunks
    private var rest: [UInt8] = []
    private var scanned = 0

    init(_ chunks: HTTPChunks) { self.chunks = chunks }

    mutating func next() async throws -> JSONValue? {
        while true {
            if let end = rest[scanned...].firstIndex(of: 0x0A) {
                let line = Array(rest[..<end])
                rest.removeFirst(end + 1)
                scanned = 0
                if line.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { continue }
                do {
                    return try JSONValue(parsing: line)
                } catch {
                    throw ServerError(.malformed, "what came is no JSON: \(error.message)")
                }
            }
            scanned = rest.count
            guard rest.count <= 16 << 20 else { throw ServerError(.tooLarge, "an object is longer than 16 MiB") }
            guard let chunk = try await chunks.next() else { return nil }
            rest += chunk
        }
    }
}
