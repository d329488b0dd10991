// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// Something that goes wrong on purpose, as it does at Azure.
public struct AzureFault: Sendable, Hashable {
    /// What goes wrong.
    public enum Effect: Sendable, Hashable {
        /// 429 `TooManyRequests` with `Retry-After`, in seconds.
        case throttled(retryAfter: Int)
        /// 409 `ContainerGroupTransitioning`, at any change of a container group.
        case transitioning
        /// 400 `InaccessibleImage`, when a container group is put.
        case inaccessibleImage
        /// 409 `ContainerGroupQuotaReached`, when a container group is put.
        case quota
        /// 409 `ServiceUnavailable`: the region has no room.
        case noCapacity
        /// 409 `RegistryErrorResponse`: the registry of an image has trouble.
        case registryTrouble
        /// 403 `AuthorizationFailed`, whatever roles the caller has.
        case denied
        /// 401 `AADSTS700024`: the assertion is outside of its time.
        case expiredAssertion
        /// The directory gives no token: an error of this AADSTS number.
        case signIn(number: Int, message: String)
        /// The token service of a registry answers with another status; with `Retry-After`, in seconds, where that is not 0.
        case registryStatus(Int, code: String, message: String, retryAfter: Int = 0)
        /// 401 `ExpiredAuthenticationToken`, however new the token is.
        case expiredToken
        /// 409 `MissingSubscriptionRegistration`.
        case unregisteredProvider
        /// Another status with a code and a message; with `Retry-After`, in seconds, where that is not 0.
        case status(Int, code: String, message: String, retryAfter: Int = 0)
        /// The operation that a request started ends as `Failed`, with a code and a message.
        case failedOperation(code: String, message: String)
        /// Tokens of a registry lack these actions, whatever roles the caller has.
        case lackingActions([String])
    }

    /// What goes wrong.
    public var effect: Effect
    /// How many requests it happens to.
    public var times = 1
    /// How many requests that it could happen to are spared first.
    public var skipped = 0
    /// Only requests of this method; `nil` for any.
    public var method: String?
    /// Only paths with this text in them, whatever its case; `nil` for any.
    public var path: String?

    /// Creates a fault.
    ///
    /// - Parameters:
    ///   - effect: What goes wrong.
    ///   - times: How many requests it happens to.
    ///   - skipped: How many requests that it could happen to are spared first.
    ///   - method: Only requests of this method.
    ///   - path: Only paths with this text in them.
    public init(_ effect: Effect, times: Int = 1, skipped: Int = 0, method: String? = nil, path: String? = nil) {
        (self.effect, self.times, self.skipped) = (effect, times, skipped)
        (self.method, self.path) = (method, path)
    }
}

/// The faults that are still to come; a lock guards the list.
public final class AzureFaults: Sendable {
    private let state: Mutex<(waiting: [AzureFault], happened: [AzureFault.Effect])>

    /// Plans faults.
    ///
    /// - Parameter faults: In order: of two that fit one request, the first happens.
    public init(_ faults: [AzureFault] = []) { state = Mutex((faults, [])) }

    /// Adds a fault behind the others.
    ///
    /// - Parameter fault: The fault.
    public func add(_ fault: AzureFault) { state.withLock { $0.waiting.append(fault) } }

    /// Forgets all faults that did not happen yet, and those that did.
    public func clear() { state.withLock { $0 = ([], []) } }

    /// What happened so far, in order.
    public var happened: [AzureFault.Effect] { state.withLock { $0.happened } }

    /// The faults that did not happen as often as they should.
    public var waiting: [AzureFault] { state.withLock { $0.waiting } }

    /// The first fault that fits a request and that the caller can make happen; it is then used up by one.
    func take<Value>(_ method: String, _ path: String, _ match: (AzureFault.Effect) -> Value?) -> Value? {
        state.withLock { state in
            for (index, fault) in state.waiting.enumerated() {
                guard fault.method == nil || fault.method == method,
                    fault.path.map({ path.lowercased().contains($0.lowercased()) }) ?? true,
                    let value = match(fault.effect)
                else { continue }
                if fault.skipped > 0 {
                    state.waiting[index].skipped -= 1
                    continue
                }
                state.waiting[index].times -= 1
                if state.waiting[index].times <= 0 { state.waiting.remove(at: index) }
                state.happened.append(fault.effect)
                return value
            }
            return nil
        }
    }
}

/// An error in the form that the resource manager has.
struct ARMFault: Error {
    var status: Int
    var code: String
    var message: String
    var target: String?
    var details: [ARMFault] = []
    var headers: [(String, String)] = []

    init(_ status: Int, _ code: String, _ message: String, target: String? = nil, details: [ARMFault] = []) {
        (self.status, self.code, self.message, self.target, self.details) = (status, code, message, target, details)
    }

    /// `{"code", "message", "target"?, "details"?}`.
    var json: JSONValue {
        var members: [String: JSONValue] = ["code": .string(code), "message": .string(message)]
        members["target"] = target.map { .string($0) }
        if !details.isEmpty { members["details"] = .array(details.map(\.json)) }
        return .object(members)
    }
}
