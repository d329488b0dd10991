// SPDX-License-Identifier: Apache-2.0
internal import Store

/// `coracle prune`: removes what no image needs.
public struct PruneStore: Sendable {
    /// `--max-size`: unpacked layers, records of steps and cache folders go, those out of use for longest first, until
    /// the store is no larger.
    public var maxSize: DataSize?
    /// `--older-than`: what was of no use for longer goes.
    public var olderThan: TimeSpan?
    /// `--all`: every record of a step, unpacked layer and cache folder goes.
    public var all = false
    private let workspace: Workspace

    /// Prunes a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// What is done about what was found.
    public enum Effect: Sendable {
        /// It is removed.
        case remove
        /// It is only counted.
        case preview
    }

    /// Removes what no image needs.
    ///
    /// - Parameter effect: Whether it is removed, or only counted.
    /// - Returns: What was removed, in lines.
    /// - Throws: ``ExitReason`` where a build is using the store, or the store is damaged.
    public func run(_ effect: Effect) throws(ExitReason) -> String {
        guard let store = try workspace.storeIfAny() else { return "there is no store at \(workspace.path)\n" }
        var policy = Collector.Policy()
        (policy.maxSize, policy.olderThan) = (maxSize?.bytes, olderThan?.seconds)
        policy.records = all ? .all : .none
        let outcome: Collector.Outcome
        do {
            switch effect {
            case .remove: outcome = try Collector(store).prune(policy)
            case .preview: outcome = try Collector(store).preview(policy)
            }
        } catch {
            throw ExitReason(error)
        }
        return text(outcome, effect)
    }

    private func text(_ outcome: Collector.Outcome, _ effect: Effect) -> String {
        let counts = [
            (outcome.steps, "cached step"), (outcome.blobs, "blob"), (outcome.indexes, "index"),
            (outcome.snapshots, "unpacked layer"), (outcome.containers, "ended container"),
            (outcome.folders, "cache folder"), (outcome.logs, "log"),
            (outcome.leftovers, "leftover"),
        ]
        let list = counts.filter { $0.0 > 0 }
            .map { count, noun in "\(count) \(count == 1 ? noun : noun == "index" ? "indexes" : noun + "s")" }
        let (did, free, left) =
            effect == .remove ? ("removed", "freed", "left") : ("would remove", "to free", "left then")
        var text = "\(did) \(list.isEmpty ? "nothing" : list.joined(separator: ", ")); "
        text += "\(DataSize(outcome.freed)) \(free), \(DataSize(outcome.left)) \(left)\n"
        if let maxSize, outcome.left > maxSize.bytes {
            text += "what is left is over \(maxSize) and needed by images: coracle rm NAME, then prune again\n"
        }
        return text
    }
}
