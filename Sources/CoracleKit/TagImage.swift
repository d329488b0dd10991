// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// `coracle tag`: gives an image another name.
public struct TagImage: Sendable {
    private let workspace: Workspace

    /// Names an image of a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// Whether a name is of an image that only its registry has, so that the registry gives the new name.
    ///
    /// - Parameters:
    ///   - source: The image: `HOST/PATH[:TAG]`, or `docker://` and that.
    ///   - target: The name.
    /// - Returns: Whether both names have the same host, and the store has no such image; always for `docker://`.
    /// - Throws: ``ExitReason`` where a name is none, or the store cannot be used.
    public func isRemote(_ source: String, _ target: String) throws(ExitReason) -> Bool {
        if source.hasPrefix("docker://") { return true }
        guard let from = try? ImageReference(source), let to = try? ImageReference(target), from.domain == to.domain,
            source.hasPrefix(from.domain + "/"), target.hasPrefix(to.domain + "/")
        else { return false }
        guard let store = try workspace.storeIfAny() else { return true }
        return (try? ImageLocator(store.layout).find(source)) == nil
    }

    /// Gives the name; an image that had it has it no longer.
    ///
    /// - Parameters:
    ///   - source: The image: a name, or `sha256:` and its digest.
    ///   - target: The name.
    /// - Returns: The name as it is listed.
    /// - Throws: ``ExitReason`` where there is no such image, or the name is none.
    public func run(_ source: String, as target: String) throws(ExitReason) -> String {
        let name = try ImageLocator.reference(target)
        guard name.digest == nil else {
            throw ExitReason(.usage, "\"\(target)\" has a digest: an image is given a name and a tag")
        }
        let found: ImageLocator.Found
        do {
            found = try ImageLocator.find(source, in: workspace)
        } catch {
            guard let other = TagImage.copy(source, target) else { throw error }
            throw ExitReason(error.code, error.message, hint: other)
        }
        let store = try workspace.store()
        guard found.layout.root == store.root else {
            throw ExitReason(.usage, "\"\(source)\" is not in the store: only what is there has a name")
        }
        do {
            try store.tag(found.image, as: name)
        } catch {
            throw ExitReason(error)
        }
        return name.familiar
    }

    /// What gives an image of one registry a name in another; `nil` where the names are not of two registries.
    private static func copy(_ source: String, _ target: String) -> String? {
        guard let from = try? ImageReference(source), let to = try? ImageReference(target), from.domain != to.domain,
            source.hasPrefix(from.domain + "/"), target.hasPrefix(to.domain + "/")
        else { return nil }
        return "coracle copy --all-platforms \(source) \(target) brings it from one registry to the other"
    }
}
