// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// `coracle du`: what the store takes on disk.
public struct ShowUsage: Sendable {
    private let workspace: Workspace

    /// Measures a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// Measures the store.
    ///
    /// - Parameter format: For whom.
    /// - Returns: A line for each part, or JSON.
    /// - Throws: ``ExitReason`` where the store cannot be read.
    public func run(_ format: OutputFormat) throws(ExitReason) -> String {
        var report = Report(usage: Collector.Usage(), path: workspace.path)
        if let store = try workspace.storeIfAny() {
            do throws(StoreError) {
                report.usage = try Collector(store).usage()
            } catch {
                throw ExitReason(error)
            }
        }
        return report.formatted(format)
    }

    private struct Report: Writable {
        var usage: Collector.Usage
        let path: String

        private var parts: [(name: String, part: Collector.Usage.Part)] {
            [
                ("images", usage.images), ("layers", usage.layers), ("registry", usage.registry),
                ("cache", usage.cache), ("snapshots", usage.snapshots), ("caches", usage.folders),
                ("containers", usage.containers),
                ("other", usage.other),
            ]
        }

        var text: String {
            let head = ["PART", "COUNT", "SIZE"]
            let lines = parts.map { [$0.name, String($0.part.count), DataSize($0.part.bytes).description] }
            let total = ["total", "", DataSize(usage.total).description]
            return TextTable.write([head] + lines + [total])
                + "\(DataSize(usage.reclaimable)) can be freed with coracle prune --all\n"
        }

        var json: JSONValue {
            var members: [String: JSONValue] = [
                "version": 1, "store": .string(path), "total": .int(usage.total),
                "reclaimable": .int(usage.reclaimable),
            ]
            for (name, part) in parts { members[name] = ["count": .int(Int64(part.count)), "size": .int(part.bytes)] }
            return .object(members)
        }
    }
}
