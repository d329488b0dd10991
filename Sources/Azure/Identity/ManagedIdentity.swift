// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

/// An identity that Azure gives to a machine or service, which this program runs on.
///
/// Specification: "Managed identities for Azure resources", "How to use managed identities to acquire an access token".
public struct ManagedIdentity: AzureIdentity {
    /// Which of several identities; the one that the machine itself has where none is named.
    public enum Selection: Hashable, Sendable {
        /// That of the machine or service.
        case system
        /// A user-assigned one by its client id.
        case client(String)
        /// A user-assigned one by its object id.
        case object(String)
        /// A user-assigned one by its resource: `/subscriptions/…/userAssignedIdentities/pull`.
        case resource(String)
    }

    /// How long to try where it is not sure that there is one.
    public enum Patience: Sendable {
        /// There must be one: what fails for a while is tried again.
        case insists
        /// There may be one: nobody should wait long for it.
        case probes
    }

    let place: ManagedPlace
    let selection: Selection
    let patience: Patience
    let network: AzureNetwork
    let environment: [String: String]
    /// Before the second attempt; each further one waits twice as long.
    var firstDelay: Duration = .milliseconds(800)
    /// Where the agent of Azure Arc puts its keys.
    var arcFolder = ArcChallenge.folder

    /// Finds out where this program runs.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - selection: Which of several identities.
    ///   - patience: How long to try.
    ///   - network: Sends requests.
    public init(
        environment: [String: String],
        selection: Selection = .system,
        patience: Patience = .insists,
        network: AzureNetwork
    ) {
        (place, self.environment) = (ManagedPlace(environment), environment)
        (self.selection, self.patience, self.network) = (selection, patience, network)
    }

    /// Where it is, and which.
    public var summary: String {
        switch selection {
        case .system: "managed identity (\(place.name))"
        case .client(let id), .object(let id): "managed identity \(id) (\(place.name))"
        case .resource(let id): "managed identity \(id.split(separator: "/").last ?? "") (\(place.name))"
        }
    }

    /// Gets a token.
    ///
    /// - Parameter resource: Whom it will be shown to.
    /// - Returns: The token.
    /// - Throws: ``AzureError``; of kind `.unavailable` where this is no place with such an identity.
    public func token(for resource: String) async throws -> AzureToken {
        var request = try place.request(resource, selection, environment)
        let session = try await network.session(for: place, request.url, environment)
        if place == .arc {
            request.headers["Authorization"] = try await ArcChallenge.answer(request, session, folder: arcFolder)
        }
        let (status, bytes) = try await ask(request, session)
        let json = try? JSONValue(parsing: bytes)
        if (200..<300).contains(status) {
            try checkEcho(json)
            return try AzureToken(answer: json, from: request.url.authority, who: summary)
        }
        throw refusal(status, json, request)
    }

    /// Asks until there is an answer that is no "later".
    private func ask(_ request: HTTPRequest, _ session: HTTPSession) async throws -> (Int, [UInt8]) {
        let begin = ContinuousClock.now
        var attempt = 1
        while true {
            var failure: ServerError?
            var answer: (Int, [UInt8]) = (0, [])
            do {
                let response = try await session.send(request, policy: .never)
                answer = (response.status, try await response.bytes(limit: 1 << 20))
                // 404: not ready yet; 410: being updated, for 70 s at most.
                let isLater = RetryPolicy.isTransient(answer.0) || [404, 410].contains(answer.0)
                guard isLater, patience == .insists else { return answer }
            } catch let error as ServerError {
                failure = error
            }
            let mayRepeat = attempt < 6 || (answer.0 == 410 && ContinuousClock.now - begin < .seconds(70))
            guard patience == .insists, mayRepeat, failure?.code != .certificate else {
                if let failure { throw unreachable(failure) }
                return answer
            }
            try await Task.sleep(for: min(firstDelay * (1 << min(attempt - 1, 5)), .seconds(20)))
            attempt += 1
        }
    }

    private func unreachable(_ error: ServerError) -> AzureError {
        AzureError(
            place == .machine ? .unavailable : .network,
            "\(summary): \(error.message)",
            hint: place == .machine ? "there is one on Azure only: give another kind of identity" : error.hint
        )
    }

    /// Arc ignores what it does not know, so what it gives must say whose it is.
    private func checkEcho(_ json: JSONValue?) throws(AzureError) {
        guard place == .arc, case .client(let id) = selection else { return }
        guard json?["client_id"]?.string?.lowercased() == id.lowercased() else {
            throw AzureError(
                .refused,
                "\(summary): the machine gave a token of another identity",
                hint: "leave AZURE_CLIENT_ID unset: most machines of Azure Arc have one identity only"
            )
        }
    }

    private func refusal(_ status: Int, _ json: JSONValue?, _ request: HTTPRequest) -> AzureError {
        let words = json?["error_description"]?.string ?? json?["message"]?.string ?? json?["error"]?.string ?? ""
        let text = Redaction.text(String(words.prefix(400)), secrets: request.headers.all.map(\.value)).trimmed
        let message = "\(summary): " + (text.isEmpty ? "\(request.url.authority) answered \(status)" : text)
        switch status {
        // Other clouds have something at this address too, which answers what it likes.
        case _ where patience == .probes && place == .machine: return AzureError(.unavailable, message)
        case 400 where selection == .system:
            return AzureError(
                .refused,
                message,
                hint: "give this machine an identity, or name a user-assigned one with AZURE_CLIENT_ID: "
                    + place.assignment
            )
        case 400, 404:
            return AzureError(.refused, message, hint: "give this machine that identity: \(place.assignment)")
        case 403 where text.lowercased().contains("unreachable"):
            return AzureError(.unavailable, message, hint: nil)
        default:
            return AzureError(RetryPolicy.isTransient(status) ? .network : .refused, message, hint: "try again later")
        }
    }
}
