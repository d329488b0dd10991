// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import OCI
internal import Store

/// Answers requests; what each endpoint does is in files of its own.
struct Responder: Sendable {
    let options: RegistryOptions
    let store: ImageStore
    let repositories: Repositories
    let uploads: UploadTable
    let listed: ListedImages
    let faults: Faults
    let gate: Gate
    let log: RequestLog
    let logger: Logger
    /// Signs where blobs are, for the host that has them.
    let storageKey = (0..<32).map { _ in UInt8.random(in: 0...255) }
    /// The host that blobs are fetched from, `http://localhost:5001`; `nil` where that is this one.
    var storage: String?
    /// Whether this is that host.
    var isStorage = false

    init(_ store: ImageStore, _ options: RegistryOptions, _ faults: Faults, _ logger: Logger) {
        (self.store, self.options, self.faults, self.logger) = (store, options, faults, logger)
        repositories = Repositories(store)
        uploads = UploadTable(repositories)
        listed = ListedImages(store, isOn: options.servesListedImages)
        gate = Gate(options.access, isReadOnly: options.isReadOnly, faults)
        log = RequestLog(limit: options.rememberedRequests)
    }

    /// A body that nobody wanted is read up to so many bytes, so that the client gets to the answer.
    private static let drainLimit: Int64 = 8 << 20

    /// Takes a request, and gives it an answer.
    func respond(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let start = ContinuousClock.now
        let exchange = Exchange(request)
        var record = RequestRecord(method: exchange.method.rawValue, path: exchange.loggable)
        record.isAuthorized = exchange.headers[.authorization] != nil
        var number: Int?
        defer {
            record.bytesIn = exchange.body.received
            record.microseconds = (ContinuousClock.now - start).microseconds
            log.note(record, as: number)
            options.onRequest?(record)
        }
        if faults.take(exchange, { $0 == .cutBeforeAnswer ? true : nil }) != nil { return try await cut(channel) }
        var answer: Answer
        switch await attempt({ try await DiskExecutor.run { try admit(exchange) } }) {
        case .failure(let other): answer = other
        case .fault(let problem): answer = fail(problem, &record)
        case .success(let admitted):
            record.user = admitted.caller.user
            if exchange.headers[.expect]?.lowercased() == "100-continue" {
                try await writer.writeInformationalHead(HTTPResponse(status: .continue))
            }
            (exchange.body.cut, exchange.body.speed) = (plannedCut(exchange), plannedSpeed(exchange))
            switch await attempt({ try await DiskExecutor.run { try await perform(admitted, exchange) } }) {
            case .success(let done): answer = done
            case .failure(let other): answer = other
            case .fault(let problem): answer = fail(problem, &record)
            }
        }
        // The registry stops, and the client may hold the connection for ever.
        if Task.isCancelled { return try await cut(channel) }
        complete(&answer, exchange)
        let plan = SendPlan(exchange, answer, faults, options)
        guard !plan.isCut, !exchange.body.isCut else { return try await cut(channel) }
        try await exchange.body.drain(limit: Responder.drainLimit)
        record.status = answer.status.code
        if record.status >= 500, record.problem == nil, case .bytes(let text) = answer.body {
            record.problem = String(decoding: text, as: UTF8.self)
        }
        // Who has an answer finds it noted.
        record.bytesIn = exchange.body.received
        number = log.note(record, as: nil)
        let watch = DeliveryWatch(channel, limit: options.idleTime)
        defer { watch.end() }
        record.bytesOut = try await plan.send(answer, writer, channel, watch)
        if !exchange.body.isDone { try await channel.close() }
    }

    /// Ends a connection without a word.
    private func cut(_ channel: any Channel) async throws {
        try await channel.close()
        throw CutConnection()
    }

    /// What came of some work: an answer either way.
    private enum Attempt<Value> {
        case success(Value)
        case failure(Answer)
        /// What is wrong with this machine, which names its files.
        case fault(String)
    }

    /// What a client hears of a fault of this machine; the log has the rest.
    private func fail(_ problem: String, _ record: inout RequestRecord) -> Answer {
        record.problem = problem
        return Refusal(.internalServerError, .unknown, "this registry cannot do that now; its log says why").answer
    }

    private func attempt<Value>(_ work: () async throws -> Value) async -> Attempt<Value> {
        do {
            return .success(try await work())
        } catch let refusal as Refusal {
            return .failure(refusal.answer)
        } catch let error as StoreError {
            return .fault(error.message)
        } catch is CutConnection {
            // The client is gone, so nobody reads this.
            return .failure(Refusal(.badRequest, .unknown, "the request ended early").answer)
        } catch {
            return .fault("\(error)")
        }
    }

    private struct Admitted {
        let route: Route
        let caller: Caller
    }

    /// Looks at who asks for what, before any of the body.
    private func admit(_ exchange: Exchange) throws -> Admitted {
        if isStorage { return Admitted(route: .storage(try storageDigest(exchange)), caller: .nobody) }
        if let refusal = plannedRefusal(exchange) { throw refusal }
        if gate.isTokenPath(exchange.path) { return Admitted(route: .token, caller: .nobody) }
        guard let route = try Route(exchange.segments) else {
            throw Refusal(.notFound, .unsupported, "there is nothing at \(exchange.path)")
        }
        let caller = try gate.admit(exchange, need(route, exchange.method), origin(exchange))
        let isChange = exchange.method != .get && exchange.method != .head
        if isChange, options.isReadOnly {
            // The specification has no code for it; our client knows it by the detail.
            throw Refusal(.methodNotAllowed, .unsupported, "this registry is read-only", detail: ["readOnly": true])
        }
        return Admitted(route: route, caller: caller)
    }

    /// How clients reach this registry.
    private func origin(_ exchange: Exchange) -> String {
        // A proxy in front of us may speak TLS for us; who lies here gets a wrong address, and nobody else does.
        let scheme = exchange.headers[.forwardedScheme] == "https" ? "https" : options.scheme
        return "\(scheme)://\(exchange.host)"
    }

    private func need(_ route: Route, _ method: HTTPRequest.Method) -> Need {
        guard let repository = route.repository else {
            if case .catalog = route { return .catalog }
            return .presence
        }
        if case .upload = route { return .action(.push, repository) }
        switch method {
        case .get, .head: return .action(.pull, repository)
        case .delete: return .action(.delete, repository)
        default: return .action(.push, repository)
        }
    }

    private func perform(_ admitted: Admitted, _ exchange: Exchange) async throws -> Answer {
        let isRead = exchange.method == .get || exchange.method == .head
        if case .token = admitted.route, let authority = gate.authority {
            return try await authority.answer(exchange, exchange.host)
        }
        switch (admitted.route, exchange.method) {
        case (.token, .get), (.token, .post): return try await gate.token(exchange)
        case (.storage(let digest), _) where isRead: return try getStored(digest, exchange)
        case (.ping, _) where isRead: return Answer(.ok, json: [:])
        case (.catalog, _) where isRead: return try listRepositories(exchange, admitted.caller)
        case (.tags(let name), _) where isRead: return try listTags(of: name, exchange)
        case (.referrers(let name, let digest), _) where isRead:
            return try listReferrers(to: digest, in: name, exchange)
        case (.blob(let name, let digest), _) where isRead: return try getBlob(digest, in: name, exchange)
        case (.blob(let name, let digest), .delete): return try deleteBlob(digest, in: name)
        case (.manifest(let name, let reference), _) where isRead:
            return try getManifest(reference, in: name, exchange)
        case (.manifest(let name, let reference), .put): return try await putManifest(reference, in: name, exchange)
        case (.manifest(let name, let reference), .delete): return try deleteManifest(reference, in: name)
        case (.uploads(let name), .post): return try await startUpload(in: name, exchange, admitted.caller)
        case (.upload(let name, let id), .patch): return try await addToUpload(id, in: name, exchange)
        case (.upload(let name, let id), .put): return try await finishUpload(id, in: name, exchange)
        case (.upload(let name, let id), .delete): return try await cancelUpload(id, in: name)
        case (.upload(let name, let id), _) where isRead: return try await uploadStatus(id, in: name)
        default:
            var refusal = Refusal(
                .methodNotAllowed,
                .unsupported,
                "\(exchange.method.rawValue) does nothing at \(exchange.path)"
            )
            refusal.headers[.allow] = admitted.route.methods
            throw refusal
        }
    }

    /// What every answer has.
    private func complete(_ answer: inout Answer, _ exchange: Exchange) {
        answer.headers[.dockerVersion] = "registry/2.0"
        answer.headers[.date] = HTTPDate.now
        for warning in options.warnings {
            answer.headers.append(HTTPField(name: .warning, value: RegistryOptions.header(warning)))
        }
        let code = answer.status.code
        if code != 204, code != 304 { answer.headers[.contentLength] = String(answer.length) }
    }
}

extension Duration {
    /// Whole microseconds.
    var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}

extension Exchange {
    /// The host that the client thinks it talks to.
    var host: String { authority ?? "localhost" }
}

extension Route {
    /// What can be done there.
    var methods: String {
        switch self {
        case .token: "GET, POST"
        case .storage, .ping, .catalog, .tags, .referrers: "GET, HEAD"
        case .blob: "GET, HEAD, DELETE"
        case .uploads: "POST"
        case .upload: "GET, HEAD, PATCH, PUT, DELETE"
        case .manifest: "GET, HEAD, PUT, DELETE"
        }
    }
}
