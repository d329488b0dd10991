// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

extension ARMClient {
    /// Sends a request, and waits for the operation that it began.
    func run(
        _ request: ARMRequest,
        _ progress: @escaping @Sendable (ARMProgress) -> Void
    ) async throws -> JSONValue {
        let (answer, isRunning) = try await begin(request, progress)
        guard isRunning else { return answer.body ?? .null }
        return try await finish(answer, request, progress)
    }

    /// Sends a request; again where the resource is busy with something else.
    func begin(
        _ request: ARMRequest,
        _ progress: @escaping @Sendable (ARMProgress) -> Void
    ) async throws -> (answer: ARMAnswer, isRunning: Bool) {
        let end = ContinuousClock.now + patience.longestBusy
        while true {
            do {
                let answer = try await send(request)
                let isRunning = isRunning(answer, request)
                if isRunning { progress(.accepted) }
                return (answer, isRunning)
            } catch let error as ARMError where error.isBusy && .now < end {
                let delay = interval(error.retryAfter.map { .seconds($0) })
                progress(.busy(reason: error.message, delay: delay))
                try await Task.sleep(for: delay)
            }
        }
    }

    private func isRunning(_ answer: ARMAnswer, _ request: ARMRequest) -> Bool {
        if answer.headers["Azure-AsyncOperation"] != nil { return true }
        if answer.headers["Location"] != nil, answer.status == 202 { return true }
        guard request.method == .put || request.method == .patch else { return answer.status == 202 }
        return answer.body?.provisioningState.map { !ARMClient.isTerminal($0) } ?? false
    }

    /// Waits for an operation.
    func finish(
        _ answer: ARMAnswer,
        _ request: ARMRequest,
        _ progress: @escaping @Sendable (ARMProgress) -> Void
    ) async throws -> JSONValue {
        let end = ContinuousClock.now + patience.longest
        if let status = answer.headers["Azure-AsyncOperation"] {
            let last = try await watch(try ours(status, request), answer, request, end, progress)
            switch request.method {
            case .put, .patch: return try await send(ARMRequest(.get, request.id, request.apiVersion)).body ?? .null
            case .post:
                if let location = answer.headers["Location"] {
                    return try await follow(try ours(location, request), answer, request, end, progress)
                }
                return last["properties"]?["output"] ?? answer.body ?? .null
            default: return .null
            }
        }
        if let location = answer.headers["Location"], answer.status == 202 || request.method != .put {
            let last = try await follow(try ours(location, request), answer, request, end, progress)
            guard request.method == .put || request.method == .patch else { return last }
            return try await send(ARMRequest(.get, request.id, request.apiVersion)).body ?? last
        }
        guard request.method == .put || request.method == .patch else { return answer.body ?? .null }
        return try await settle(answer, request, end, progress)
    }

    /// Looks at an operation's status until it has ended.
    private func watch(
        _ url: HTTPURL,
        _ first: ARMAnswer,
        _ request: ARMRequest,
        _ end: ContinuousClock.Instant,
        _ progress: @Sendable (ARMProgress) -> Void
    ) async throws -> JSONValue {
        var wait = first.retryAfter
        while true {
            try await pause(wait, request, end)
            var look = ARMRequest(.get, request.id, request.apiVersion)
            look.url = url
            let answer = try await send(look)
            let status = answer.body?["status"]?.string ?? answer.body?.provisioningState ?? ""
            // Operations of some services have no words for their end but an answer other than 202.
            let isOver = ARMClient.isTerminal(status) || (status.isEmpty && answer.status != 202)
            guard isOver else {
                progress(.running(status: status, answer.body ?? .null))
                wait = answer.retryAfter
                continue
            }
            try check(status, answer, request)
            return answer.body ?? .null
        }
    }

    /// Looks where the result will be until it is there.
    private func follow(
        _ url: HTTPURL,
        _ first: ARMAnswer,
        _ request: ARMRequest,
        _ end: ContinuousClock.Instant,
        _ progress: @Sendable (ARMProgress) -> Void
    ) async throws -> JSONValue {
        var (wait, url) = (first.retryAfter, url)
        while true {
            try await pause(wait, request, end)
            var look = ARMRequest(.get, request.id, request.apiVersion)
            look.url = url
            let answer = try await send(look)
            guard answer.status == 202 else {
                let status = answer.body?["status"]?.string ?? answer.body?.provisioningState ?? ""
                if ARMClient.isTerminal(status) { try check(status, answer, request) }
                return answer.body ?? .null
            }
            if let next = answer.headers["Location"] { url = try ours(next, request) }
            progress(.running(status: answer.body?["status"]?.string ?? "Running", answer.body ?? .null))
            wait = answer.retryAfter
        }
    }

    /// Looks at a resource until it says that it is made.
    private func settle(
        _ first: ARMAnswer,
        _ request: ARMRequest,
        _ end: ContinuousClock.Instant,
        _ progress: @Sendable (ARMProgress) -> Void
    ) async throws -> JSONValue {
        var answer = first
        while let state = answer.body?.provisioningState, !ARMClient.isTerminal(state) {
            progress(.running(status: state, answer.body ?? .null))
            try await pause(answer.retryAfter, request, end)
            answer = try await send(ARMRequest(.get, request.id, request.apiVersion))
        }
        try check(answer.body?.provisioningState ?? "Succeeded", answer, request)
        return answer.body ?? .null
    }

    private func check(_ status: String, _ answer: ARMAnswer, _ request: ARMRequest) throws {
        guard ["failed", "canceled", "cancelled"].contains(status.lowercased()) else { return }
        var body = answer.body
        if body?["error"]?.object == nil, let inner = body?["properties"]?["error"] { body = ["error": inner] }
        let says = body?["error"]?.object != nil
        if !says {
            body = ["error": ["code": .string(status), "message": .string("the operation ended as \(status)")]]
        }
        throw refusal(
            request,
            ARMAnswer(status: answer.status, headers: answer.headers, url: answer.url, body: body)
        )
    }

    private func pause(_ asked: Duration?, _ request: ARMRequest, _ end: ContinuousClock.Instant) async throws {
        guard .now < end else {
            throw ServerError(
                .timedOut,
                "\(request.words): the operation has not ended in \(patience.longest.components.seconds) s",
                hint: "it goes on without us: az resource show --ids \(request.id)",
                url: cloud.resourceManager
            )
        }
        try await Task.sleep(for: interval(asked))
    }

    private func interval(_ asked: Duration?) -> Duration { min(asked ?? patience.interval, patience.longestInterval) }

    /// Whether a status means that an operation has ended; every other word means that it runs.
    static func isTerminal(_ status: String) -> Bool {
        ["succeeded", "failed", "canceled", "cancelled"].contains(status.lowercased())
    }
}

extension ARMError {
    /// Whether the resource is busy with something else, and the same request may do in a while.
    public var isBusy: Bool {
        guard status == 409 || status == 429 || status == 503 else { return false }
        if ["ContainerGroupTransitioning", "AnotherOperationInProgress", "OperationInProgress"]
            .contains(where: { has($0) })
        {
            return true
        }
        let words = message.lowercased()
        return status == 409
            && (words.contains("still transitioning") || words.contains("another operation is in progress"))
    }
}

extension JSONValue {
    /// How far a resource is made.
    fileprivate var provisioningState: String? { self["properties"]?["provisioningState"]?.string }
}
