// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

extension ClusterClient {
    /// A program to run in a container that runs.
    public struct ExecWish: Hashable, Sendable {
        /// The pod.
        public var pod: String
        /// The container; `nil` where the pod has one only, or says which it means.
        public var container: String?
        /// Where the pod is; `nil` for the client's own namespace.
        public var namespace: String?
        /// The program and what it is told.
        public var command: [String]
        /// Whether it has a terminal; standard error is part of standard output then.
        public var hasTerminal = false
        /// Whether it reads anything.
        public var hasInput = false

        /// A program.
        ///
        /// - Parameters:
        ///   - pod: The pod.
        ///   - command: The program and what it is told.
        public init(_ pod: String, _ command: [String]) { (self.pod, self.command) = (pod, command) }
    }

    /// What goes to a program that runs in a container.
    public struct ExecInput: Sendable {
        let socket: WebSocket
        let endsInput: Bool

        /// Writes to its standard input.
        ///
        /// - Parameter bytes: The bytes.
        /// - Throws: `ServerError` where the connection is closed.
        public func write(_ bytes: [UInt8]) async throws {
            // Messages are at most 1 MiB long, and small ones have others wait less.
            for start in stride(from: 0, to: bytes.count, by: 32 << 10) {
                try await socket.send(.binary([0] + bytes[start..<min(start + (32 << 10), bytes.count)]))
            }
        }

        /// Ends its standard input, where the cluster can: from 1.30 on.
        ///
        /// - Returns: Whether it could.
        /// - Throws: `ServerError` where the connection is closed.
        @discardableResult
        public func end() async throws -> Bool {
            guard endsInput else { return false }
            try await socket.send(.binary([255, 0]))
            return true
        }

        /// Says how large the terminal is.
        ///
        /// - Parameters:
        ///   - columns: How wide.
        ///   - rows: How high.
        /// - Throws: `ServerError` where the connection is closed.
        public func resize(columns: Int, rows: Int) async throws {
            let size: JSONValue = ["Width": .int(Int64(columns)), "Height": .int(Int64(rows))]
            try await socket.send(.binary([4] + Array(size.canonical.utf8)))
        }
    }

    /// What a program that runs in a container writes.
    public enum ExecOutput: Hashable, Sendable {
        /// To standard output.
        case output([UInt8])
        /// To standard error.
        case errors([UInt8])
    }

    /// Runs a program in a container that runs, and waits until it ends.
    ///
    /// Specification: `v5.channel.k8s.io`, `v4.channel.k8s.io`.
    ///
    /// - Parameters:
    ///   - wish: The program.
    ///   - feed: Writes to it, in a task of its own that is cancelled when the program ends.
    ///   - take: Is given what it writes, as it comes.
    /// - Returns: Its exit code.
    /// - Throws: ``KubernetesError`` where it cannot be run, or the connection breaks; what `take` throws;
    ///   `CancellationError`.
    public func exec(
        _ wish: ExecWish,
        feed: @escaping @Sendable (ExecInput) async throws -> Void = { _ in },
        _ take: @escaping @Sendable (ExecOutput) async throws -> Void
    ) async throws -> Int {
        let namespace = wish.namespace ?? self.namespace
        let operation = Operation("run \(wish.command.first ?? "a program") in", .pod, wish.pod, namespace)
        var query: [(String, String?)] = wish.command.map { ("command", $0) }
        query += [("container", wish.container), ("stdout", "true"), ("stdin", wish.hasInput ? "true" : nil)]
        query.append(wish.hasTerminal ? ("tty", "true") : ("stderr", "true"))
        let path = ResourceKind.pod.path(namespace: namespace, name: wish.pod) + "/exec"
        var (address, settings, headers) = try await link.websocket(path + self.query(Selection(), query))
        headers.append("Sec-WebSocket-Protocol", "v5.channel.k8s.io, v4.channel.k8s.io")
        let words = StatusText(access)
        do {
            return try await WebSocket.open(
                address,
                headers: headers,
                settings: settings,
                refusal: { words.error(operation, $0, $1) },
                { socket in
                    let input = ExecInput(socket: socket, endsInput: socket.subprotocol == "v5.channel.k8s.io")
                    return try await ClusterClient.converse(socket, input, feed, take, operation, words)
                }
            )
        } catch let error as ServerError {
            throw KubernetesError(.network, "\(operation.text): \(error.message)", hint: error.hint)
        }
    }

    private static func converse(
        _ socket: WebSocket,
        _ input: ExecInput,
        _ feed: @escaping @Sendable (ExecInput) async throws -> Void,
        _ take: @escaping @Sendable (ExecOutput) async throws -> Void,
        _ operation: Operation,
        _ words: StatusText
    ) async throws -> Int {
        try await withThrowingTaskGroup(of: Int?.self) { group in
            group.addTask {
                // Who writes to a program that has ended is told by how it ended.
                do { try await feed(input) } catch is ServerError {}
                return nil
            }
            group.addTask {
                while let message = try await socket.receive() {
                    let bytes = message.bytes
                    guard let channel = bytes.first, bytes.count > 1 else { continue }
                    switch channel {
                    case 1: try await take(.output(Array(bytes.dropFirst())))
                    case 2: try await take(.errors(Array(bytes.dropFirst())))
                    case 3: return try ClusterClient.code(Array(bytes.dropFirst()), operation, words)
                    default: continue
                    }
                }
                throw KubernetesError(.network, "\(operation.text): the connection ended before the program did")
            }
            defer { group.cancelAll() }
            while let code = try await group.next() { if let code { return code } }
            throw CancellationError()
        }
    }

    /// The exit code in the status that ends it all.
    private static func code(_ bytes: [UInt8], _ operation: Operation, _ words: StatusText) throws -> Int {
        guard let status = try? JSONValue(parsing: bytes) else {
            let text = String(decoding: bytes.prefix(400), as: UTF8.self)
            throw KubernetesError(.server, "\(operation.text): \(Redaction.text(text))")
        }
        if status["status"]?.string == "Success" { return 0 }
        if status["reason"]?.string == "NonZeroExitCode",
            let cause = status["details"]?["causes"]?.array?.first(where: { $0["reason"]?.string == "ExitCode" }),
            let code = cause["message"]?.string.flatMap({ Int($0) })
        {
            return code
        }
        throw words.error(operation, status: status)
    }
}
