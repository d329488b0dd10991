// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Registry
internal import Synchronization

/// One thing a transfer tells while it runs, in words.
public struct TransferProgress: Sendable {
    /// What happened.
    public enum Kind: String, Sendable {
        /// Something is done: a line that stays.
        case done
        /// More bytes were moved.
        case moved
        /// Something is tried again, or is probably not what was meant.
        case warning
    }

    /// What happened.
    public let kind: Kind
    /// One line; empty for bytes.
    public let line: String
    /// Bytes that are where they should be.
    public let moved: Int64
    /// Bytes of all blobs; 0 as long as they are not known.
    public let total: Int64
    /// The same as one line of JSON, which docs/formats.md describes.
    public let json: String
}

/// Puts the events of a transfer into words; the lock holds its sums.
final class TransferTeller: Sendable {
    private struct Sums {
        var moved: Int64 = 0
        var total: Int64 = 0
        var blobs: [Digest: Int64] = [:]
    }

    private let sums = Mutex(Sums())
    private let tell: @Sendable (TransferProgress) -> Void
    /// What is done: `pushed`, `pulled`, `copied`.
    private let verb: String

    init(_ verb: String, _ tell: @escaping @Sendable (TransferProgress) -> Void) {
        (self.verb, self.tell) = (verb, tell)
    }

    /// Bytes that went over the wire.
    var moved: Int64 { sums.withLock { $0.moved } }

    func take(_ event: TransferEvent) {
        switch event {
        case .planned(_, let bytes): sums.withLock { $0.total += bytes }
        case .moved(let blob, let bytes): tell(.moved, "moved", blob, adding: bytes)
        case .present(let blob): tell(.done, "present", blob, "\(blob.digest.short) is there already")
        case .mounted(let blob, let place):
            tell(.done, "mounted", blob, "\(blob.digest.short) mounted from \(place)")
        case .finished(let blob):
            tell(.done, verb, blob, "\(verb) \(blob.digest.short) (\(ByteCount.text(blob.size)))")
        case .document(let blob):
            tell(
                .done,
                "document",
                blob,
                "\(verb) \(blob.mediaType.isIndex ? "index" : "manifest") \(blob.digest.short)"
            )
        case .note(let text): tell(.done, "note", nil, text)
        case .retrying(let reason): tell(.warning, "retrying", nil, reason)
        case .warning(let text): tell(.warning, "warning", nil, text)
        }
    }

    private func tell(
        _ kind: TransferProgress.Kind,
        _ event: String,
        _ blob: Descriptor?,
        _ line: String = "",
        adding bytes: Int64 = 0
    ) {
        let (moved, total) = sums.withLock { sums in
            sums.moved += bytes
            return (sums.moved, sums.total)
        }
        var members: [String: JSONValue] = ["event": .string(event)]
        members["blob"] = blob.map { .string($0.digest.description) }
        members["size"] = blob.map { .int($0.size) }
        if bytes != 0 { members["bytes"] = .int(bytes) }
        if blob == nil { members["message"] = .string(line) }
        let json = JSONValue.object(members).canonical
        tell(TransferProgress(kind: kind, line: line, moved: moved, total: total, json: json))
    }
}
