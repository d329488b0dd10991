// SPDX-License-Identifier: Apache-2.0
public import BuildPlan
public import OCI
public import Rootfs
public import Store

/// The layers of an image that a build starts from, or copies from.
public struct BaseLayers: Sendable {
    /// The layers in the store, the lowest first.
    public let layers: [Descriptor]
    /// The same layers before compression.
    public let diffIDs: [Digest]

    /// Describes an image.
    ///
    /// - Parameters:
    ///   - layers: The layers in the store, the lowest first.
    ///   - diffIDs: The same layers before compression.
    public init(layers: [Descriptor], diffIDs: [Digest]) {
        (self.layers, self.diffIDs) = (layers, diffIDs)
    }
}

/// Fetches git repositories.
public protocol GitFetching: Sendable {
    /// The commit that a source means now.
    ///
    /// - Parameter source: The repository and what of it.
    /// - Returns: The commit's 40 or 64 hexadecimal digits.
    /// - Throws: Where the repository cannot be reached, or has no such ref.
    func commit(of source: GitSource) throws -> String

    /// Fetches the files of a commit.
    ///
    /// - Parameters:
    ///   - source: The repository and what of it.
    ///   - commit: The commit.
    ///   - keepsGitDirectory: Whether `.git` stays.
    /// - Returns: A folder on disk that stays until the build is over.
    /// - Throws: Where it cannot be fetched.
    func fetch(_ source: GitSource, commit: String, keepsGitDirectory: Bool) throws -> DiskTree
}

/// A file that was downloaded for ADD.
public struct DownloadedFile: Hashable, Sendable {
    /// Where it lies, in the store; it stays until the build is over.
    public let path: String
    /// Its digest and size.
    public let blob: Descriptor
    /// When the server says that it changed, in seconds since 1970; 0 where it does not.
    public let mtime: Int64

    /// Describes a file.
    ///
    /// - Parameters:
    ///   - path: Where it lies, in the store.
    ///   - blob: Its digest and size.
    ///   - mtime: When it changed, in seconds since 1970.
    public init(path: String, blob: Descriptor, mtime: Int64) {
        (self.path, self.blob, self.mtime) = (path, blob, mtime)
    }
}

/// Where a build's files come from.
public struct BuildSources: Sendable {
    /// The build context; `nil` where there is none.
    public var context: DiskTree?
    /// Contexts given by name that are folders.
    public var namedContexts: [String: DiskTree] = [:]
    /// Images, those that are contexts given by name among them.
    public var bases: [BaseAction: BaseLayers] = [:]
    /// Names the context's folder in the index of files.
    public var folder = "none"
    /// Why a path of the context cannot be found: the rule that hides it, or names that are near.
    public var explain: @Sendable (String) -> [String] = { _ in [] }

    /// Fetches repositories for ADD.
    public var git: (any GitFetching)?

    /// The files that ADD takes from URLs, by the URL as the plan has it.
    public var downloads: [String: DownloadedFile] = [:]

    /// Brings a layer into the store that is somewhere else, which may take its time; nothing happens where it is here.
    public var bring: @Sendable (Descriptor) throws -> Void = { _ in }
    /// Brings layers into the store as ``bring`` does, several at once and not looked into: unpacking them verifies them.
    public var fetch: @Sendable ([Descriptor]) throws -> Void = { _ in }
    /// Brings layers again whose bytes in the store are not those of their digests, and says whether there were any.
    ///
    /// It throws where they cannot be had.
    public var mend: @Sendable ([Descriptor]) throws -> Bool = { _ in false }
    /// Whether a layer that is not in the store can be brought there.
    public var isElsewhere: @Sendable (Descriptor) -> Bool = { _ in false }
    /// Is told of every record of the step cache that the build finds or makes.
    public var recorded: @Sendable (StepCache.Entry) -> Void = { _ in }

    /// No files at all.
    public init() {}
}
