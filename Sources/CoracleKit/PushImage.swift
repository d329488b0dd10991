// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// `coracle push`: an image of the store goes to a registry.
public struct PushImage: Sendable {
    /// Flags about registries.
    public var access = RegistryAccess()
    /// `--platform`; `nil` for the image as it is.
    public var platform: String?
    /// `--tag`: further tags in the same repository.
    public var tags: [String] = []
    private let workspace: Workspace
    private let environment: [String: String]

    /// Pushes from a store.
    ///
    /// - Parameters:
    ///   - workspace: Where the store is.
    ///   - environment: The environment of the process.
    public init(_ workspace: Workspace, environment: [String: String]) {
        (self.workspace, self.environment) = (workspace, environment)
    }

    /// Pushes.
    ///
    /// - Parameters:
    ///   - image: The image: a name, or `sha256:` and its digest.
    ///   - target: What it is called in the registry; `nil` for its own name.
    ///   - progress: Is told what happens, from any thread.
    /// - Returns: What was pushed.
    /// - Throws: ``ExitReason`` where there is no such image, or the registry cannot be reached or refuses.
    public func run(
        _ image: String,
        to target: String?,
        progress: @escaping @Sendable (TransferProgress) -> Void
    ) async throws -> CopyImage.Report {
        if target == nil, ImageLocator.digestStart(image) != nil, try ImageLocator.find(image, in: workspace).isByDigest
        {
            throw ExitReason(
                .usage,
                "\"\(image)\" says which image, and not what it is called in a registry",
                hint: "coracle push \(image) HOST/PATH:TAG"
            )
        }
        let name = (target ?? image).suffix(after: "docker://") ?? target ?? image
        let reference = try ImageLocator.reference(name)
        for tag in tags { try PushImage.check(tag, reference) }
        var copy = CopyImage(workspace, environment: environment)
        (copy.access, copy.platform, copy.takesAllPlatforms, copy.verb) = (access, platform, platform == nil, "pushed")
        // A name that is no image here is a fault of its own, and no reason to speak with anyone.
        let found = try ImageLocator.find(image, in: workspace)
        if let platform { try PushImage.check(found, has: PlanSettings.platform(platform)) }
        return try await copy.run(from: .store(image), to: .registry(reference), more: tags, progress)
    }

    /// Refuses a platform that no part of an image is for.
    private static func check(_ found: ImageLocator.Found, has wanted: Platform) throws(ExitReason) {
        let platforms = ImageContent(found.image, in: found.layout).parts.compactMap(\.platform)
            .filter { $0.os != "unknown" }
        guard !platforms.isEmpty, !platforms.contains(where: { $0 == wanted || $0.satisfies(wanted) }) else { return }
        let name = found.name ?? found.image.digest.short
        throw ExitReason(
            .usage,
            "--platform: the image \(name) is not made for \(wanted); it is for "
                + platforms.map(\.description).joined(separator: ", ")
        )
    }

    private static func check(_ tag: String, _ reference: ImageReference) throws(ExitReason) {
        guard let read = try? ImageReference("\(reference.domain)/\(reference.repository):\(tag)"), read.tag == tag
        else {
            throw ExitReason(.usage, "--tag \"\(tag)\" is no tag: letters, digits and _ . - only, at most 128")
        }
    }
}

/// `coracle pull`: an image of a registry comes into the store.
public struct PullImage: Sendable {
    /// Flags about registries.
    public var access = RegistryAccess()
    /// `--platform`; `nil` for this machine's where the image is for several.
    public var platform: String?
    /// `--all-platforms`.
    public var takesAllPlatforms = false
    private let workspace: Workspace
    private let environment: [String: String]

    /// Pulls into a store.
    ///
    /// - Parameters:
    ///   - workspace: Where the store is.
    ///   - environment: The environment of the process.
    public init(_ workspace: Workspace, environment: [String: String]) {
        (self.workspace, self.environment) = (workspace, environment)
    }

    /// Pulls.
    ///
    /// - Parameters:
    ///   - image: Its name.
    ///   - progress: Is told what happens, from any thread.
    /// - Returns: What was pulled.
    /// - Throws: ``ExitReason`` where there is no such image, or the registry cannot be reached or refuses.
    public func run(
        _ image: String,
        progress: @escaping @Sendable (TransferProgress) -> Void
    ) async throws -> CopyImage.Report {
        let reference = try ImageLocator.reference(image.suffix(after: "docker://") ?? image)
        var copy = CopyImage(workspace, environment: environment)
        (copy.access, copy.platform, copy.takesAllPlatforms, copy.verb) = (
            access, platform, takesAllPlatforms, "pulled"
        )
        let report = try await copy.run(from: .registry(reference), to: .store(reference.familiar), more: [], progress)
        let name = "\(reference.domain)/\(reference.repository)@\(report.digest)"
        return CopyImage.Report(reference: name, digest: report.digest, moved: report.moved, image: report.image)
    }
}
