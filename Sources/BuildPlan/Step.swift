// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax
public import OCI

/// One thing a build does: fetch a base, copy files, run a command, make a directory, or set configuration.
///
/// Steps are values: nothing in them depends on this machine, on time, or on files. Their inputs come before them in
/// ``Plan/steps``.
public struct Step: Sendable {
    /// What is done.
    public enum Action: Sendable {
        /// Starts from an image, or from nothing.
        case base(BaseAction)
        /// Copies files (COPY, ADD).
        case copy(CopyAction)
        /// Runs a command (RUN).
        case run(RunAction)
        /// Makes a directory and its parents unless they are there (WORKDIR).
        case directory(DirectoryAction)
        /// Changes the image's configuration only.
        case config
    }

    /// Its place in ``Plan/steps``.
    public let index: Int
    /// The stage it belongs to; `nil` for an image that a COPY or a mount takes files from.
    public let stage: Int?
    /// What is done.
    public let action: Action
    /// The instruction, expanded where its words are: `COPY --chown=1000 app /srv`.
    public let text: String
    /// The steps whose results it needs, the one it builds on first; each comes before it.
    public let inputs: [Int]
    /// The instruction in the Dockerfile; for an ONBUILD trigger of a base, the FROM.
    public let range: SourceRange
    /// Whether it makes a layer, if only an empty one.
    public let makesLayer: Bool
}

/// An image that a stage or a COPY starts from.
public struct BaseAction: Hashable, Sendable {
    /// Where it comes from.
    public enum Origin: Hashable, Sendable {
        /// Nothing: `FROM scratch`.
        case scratch
        /// An image in a registry or the store, with its digest where that is known.
        case image(ImageReference)
        /// A context given by name on the command line.
        case namedContext(String)

        /// Whether it is called as a stage could be: without registry, folder, tag and digest.
        var canBeStage: Bool {
            guard case .image(let reference) = self else { return false }
            return reference.domain == "docker.io" && reference.repository.hasPrefix("library/")
                && reference.digest == nil && reference.tag == "latest"
        }
    }

    /// Where it comes from.
    public let origin: Origin
    /// What it must run on.
    public let platform: Platform

    /// Describes an image.
    ///
    /// - Parameters:
    ///   - origin: Where it comes from.
    ///   - platform: What it must run on.
    public init(origin: Origin, platform: Platform) {
        (self.origin, self.platform) = (origin, platform)
    }
}

/// COPY or ADD with everything expanded.
public struct CopyAction: Hashable, Sendable {
    /// Where local sources are.
    public enum Origin: Hashable, Sendable {
        /// The build context.
        case context
        /// A context given by name on the command line.
        case namedContext(String)
        /// The result of a step: its index in ``Plan/steps``.
        case step(Int)
    }

    /// One source.
    public enum Source: Hashable, Sendable {
        /// A path or pattern beneath the origin, as written.
        case path(String)
        /// A file written in the Dockerfile: its name and content.
        case inline(name: String, content: String)
        /// A file to download (ADD).
        case url(String)
        /// A repository to clone (ADD).
        case git(GitSource)
    }

    /// Where local sources are.
    public let origin: Origin
    /// At least one, in the order they are copied: paths first, then inline files.
    public let sources: [Source]
    /// An absolute path; a slash at the end means a directory.
    public let destination: String
    /// Who owns what is copied, by name or number; `nil` for 0:0, or for what an archive says.
    public let owner: String?
    /// The permissions of what is copied; `nil` to keep those of the source.
    public let mode: FileMode?
    /// Patterns of what is left out.
    public let excludes: [String]
    /// Whether the source's folders are made again below the destination (`--parents`).
    public let keepsParents: Bool
    /// Whether the layer does not depend on what is below it (`--link`).
    public let isLink: Bool
    /// Whether archives are extracted, those of other kinds than tar too; `nil` for the default of the kind of source.
    public let unpacks: Bool?
    /// What a download or a commit must hash to; `nil` where nothing was asked for.
    public let checksum: String?
    /// Whether `.git` of a repository is kept.
    public let keepsGitDirectory: Bool
    /// Whether it is ADD, which extracts local archives.
    public let isAdd: Bool
}

/// A directory to make.
public struct DirectoryAction: Hashable, Sendable {
    /// An absolute path.
    public let path: String
    /// Who owns what is made; empty for root.
    public let owner: String
}

/// RUN with everything but its command expanded.
public struct RunAction: Hashable, Sendable {
    /// The command and its arguments, shell included.
    public let arguments: [String]
    /// The last change of a variable before it; see ``Plan/environment(of:)``.
    let assignment: Int?
    /// Proxies given by build arguments, `NAME=value`; set while running, and no part of the key.
    public let proxies: [String]
    /// An absolute path.
    public let workingDirectory: String
    /// The user as USER has it; empty for root.
    public let user: String
    /// The mounts, in order.
    public let mounts: [RunMount]
    /// `default`, `none` or `host`.
    public let network: String
    /// `sandbox` or `insecure`.
    public let security: String
    /// The devices asked for.
    public let devices: [RunContent.Device]
    /// A script that a heredoc with `#!` holds, to be put at `/dev/pipes/NAME`; `nil` without one.
    public let script: Script?

    /// A script given by a heredoc.
    public struct Script: Hashable, Sendable {
        /// The file's name below `/dev/pipes`.
        public let name: String
        /// What it holds.
        public let content: String
    }
}

/// A mount of RUN, with its source resolved.
public struct RunMount: Hashable, Sendable {
    /// Where its files come from.
    public enum Origin: Hashable, Sendable {
        /// Nowhere: a new directory, a secret, an agent.
        case none
        /// The build context.
        case context
        /// A context given by name on the command line.
        case namedContext(String)
        /// The result of a step: its index in ``Plan/steps``.
        case step(Int)
    }

    /// Type, target and the other keys, expanded.
    public let mount: Mount
    /// Where its files come from.
    public let origin: Origin
    /// An absolute path; empty for a secret that is a variable only, and for an agent's socket at its usual place.
    public let target: String
    /// The id of a cache, secret or agent; empty for other mounts.
    public let id: String
}
