// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import Synchronization

/// Something that goes wrong on purpose, so that clients can be tested.
public struct Fault: Hashable, Sendable {
    /// What goes wrong.
    public enum Effect: Hashable, Sendable {
        /// The connection is cut after so many bytes of a blob.
        case cutDownload(after: Int64)
        /// The connection is cut after so many bytes of a request's body arrived.
        case cutUpload(after: Int64)
        /// The connection is cut before anything is done or answered.
        case cutBeforeAnswer
        /// The connection is cut after all was done, before it is answered.
        case cutAfterWork
        /// The request is answered with this status; with `Retry-After`, in seconds, where it is given.
        case status(Int, retryAfter: Int? = nil)
        /// A blob is sent at most so fast.
        case slow(bytesPerSecond: Int)
        /// The body of a request is taken at most so fast.
        case slowUpload(bytesPerSecond: Int)
        /// One byte in the middle of a blob is another.
        case wrongContent
        /// The token, however new, counts as expired (401, `invalid_token`).
        case expiredToken
        /// PATCH is answered with this status: 404, 405 or 416.
        case noChunks(status: Int)
        /// A mount becomes an upload (202).
        case noMount
        /// A range is ignored (200 with the whole blob).
        case noRange
        /// The upload is gone (404 `BLOB_UPLOAD_UNKNOWN`), as at registries that forget one that was cut.
        case forgottenUpload
        /// A body of more bytes is refused (413).
        case tooLarge(over: Int64)
    }

    /// What goes wrong.
    public var effect: Effect
    /// How many requests it happens to.
    public var times = 1
    /// How many requests that it could happen to are spared first.
    public var skipped = 0
    /// Only requests of this method; `nil` for any.
    public var method: String?
    /// Only paths with this text in them; `nil` for any.
    public var path: String?

    /// Creates a fault.
    ///
    /// - Parameters:
    ///   - effect: What goes wrong.
    ///   - times: How many requests it happens to.
    ///   - skipped: How many requests that it could happen to are spared first.
    ///   - method: Only requests of this method.
    ///   - path: Only paths with this text in them.
    public init(
        _ effect: Effect,
        times: Int = 1,
        skipped: Int = 0,
        method: String? = nil,
        path: String? = nil
    ) {
        (self.effect, self.times, self.skipped) = (effect, times, skipped)
        (self.method, self.path) = (method, path)
    }
}

/// The faults that are still to come; a lock guards the list.
public final class Faults: Sendable {
    private struct State {
        var waiting: [Fault] = []
        var happened: [Fault.Effect] = []
    }

    private let state: Mutex<State>

    /// Plans faults.
    ///
    /// - Parameter faults: In order: of two that fit one request, the first happens.
    public init(_ faults: [Fault] = []) {
        state = Mutex(State(waiting: faults))
    }

    /// Adds a fault behind the others.
    ///
    /// - Parameter fault: The fault.
    public func add(_ fault: Fault) {
        state.withLock { $0.waiting.append(fault) }
    }

    /// Forgets all faults that did not happen yet, and those that did.
    public func clear() {
        state.withLock { $0 = State() }
    }

    /// What happened so far, in order.
    public var happened: [Fault.Effect] { state.withLock { $0.happened } }

    /// The faults that did not happen as often as they should.
    public var waiting: [Fault] { state.withLock { $0.waiting } }

    /// The first fault that fits a request and that the caller can make happen; it is then used up by one.
    func take<Value>(_ exchange: Exchange, _ match: (Fault.Effect) -> Value?) -> Value? {
        state.withLock { state in
            for (index, fault) in state.waiting.enumerated() {
                guard fault.method == nil || fault.method == exchange.method.rawValue,
                    fault.path.map({ exchange.target.contains($0) }) ?? true, let value = match(fault.effect)
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
