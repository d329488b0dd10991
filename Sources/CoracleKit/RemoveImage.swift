// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// `coracle rm`: takes images off the list; their blobs go with the next `coracle prune`.
public struct RemoveImage: Sendable {
    private let workspace: Workspace

    /// Removes from a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// Removes images; none where one of the names is wrong.
    ///
    /// - Parameter names: Names, or `sha256:` and digests, which remove every name of an image.
    /// - Returns: The names that were removed, in order, `sha256:…` for images without a name.
    /// - Throws: ``ExitReason`` where there is no such image.
    public func run(_ names: [String]) throws(ExitReason) -> [String] {
        var removed: [Descriptor] = []
        for name in names {
            let found = try ImageLocator.find(name, in: workspace)
            guard found.layout.root == workspace.path else {
                throw ExitReason(.usage, "\"\(name)\" is not in the store")
            }
            let listed = try ImageLocator(found.layout).images
            guard listed.contains(where: { $0.digest == found.image.digest }) else {
                throw ExitReason(
                    .usage,
                    "\(found.image.digest) has no name that could be removed",
                    hint: "coracle prune removes images without a name"
                )
            }
            let all = found.isByDigest ? listed : [found.image]
            for image in all where image.digest == found.image.digest && !removed.contains(image) {
                removed.append(image)
            }
        }
        let store = try workspace.store()
        do {
            // A name that meanwhile went to another image is no longer the one that was meant.
            try store.update { images in images.removeAll { removed.contains($0) } }
        } catch {
            throw ExitReason(error)
        }
        return removed.map { ImageLocator.name(of: $0) ?? $0.digest.description }
    }
}
