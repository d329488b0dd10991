// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// A request as it was answered; without credentials.
public struct RequestRecord: Hashable, Sendable {
    /// `GET`, `HEAD`, `POST`, `PATCH`, `PUT` or `DELETE`.
    public var method: String
    /// The path with its query, as it was sent; the values of secrets in a query are left out.
    public var path: String
    /// The status of the answer; 0 where the connection was cut before one.
    public var status = 0
    /// Bytes of the request's body that arrived.
    public var bytesIn: Int64 = 0
    /// Bytes of the answer's body that were sent; 0 until the answer's end, and where it was cut.
    public var bytesOut: Int64 = 0
    /// Who asked; `nil` where nobody said so.
    public var user: String?
    /// Whether the request had an `Authorization` header.
    public var isAuthorized = false
    /// What the registry could not do, with files of this machine that clients do not hear of; `nil` where nothing was its own fault.
    public var problem: String?
    /// From the request's head to the answer's end, in microseconds; 0 until then.
    public var microseconds: Int64 = 0
}

/// The latest requests; a lock guards the list.
final class RequestLog: Sendable {
    private let records = Mutex<(forgotten: Int, list: [RequestRecord])>((0, []))
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    /// Adds a record, or puts it in the place of the one with a number.
    ///
    /// - Returns: The record's number.
    @discardableResult func note(_ record: RequestRecord, as number: Int?) -> Int? {
        guard limit > 0 else { return nil }
        return records.withLock { records in
            if let number {
                // It may have been forgotten meanwhile.
                if number >= records.forgotten { records.list[number - records.forgotten] = record }
                return number
            }
            records.list.append(record)
            if records.list.count > 2 * limit { RequestLog.forget(records.list.count - limit, &records) }
            return records.forgotten + records.list.count - 1
        }
    }

    var all: [RequestRecord] { records.withLock { Array($0.list.suffix(limit)) } }

    func clear() { records.withLock { RequestLog.forget($0.list.count, &$0) } }

    private static func forget(_ count: Int, _ records: inout (forgotten: Int, list: [RequestRecord])) {
        records.list.removeFirst(count)
        records.forgotten += count
    }
}
