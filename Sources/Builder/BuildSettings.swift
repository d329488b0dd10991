// SPDX-License-Identifier: Apache-2.0
public import Archive

/// What a build depends on besides the plan and the files.
public struct BuildSettings: Sendable {
    /// How layers are compressed.
    public var compression = Compression.standard
    /// How many blocks are compressed at the same time; the bytes do not depend on it.
    public var cores = 1
    /// Seconds since 1970 that no time in the image is after; `nil` to keep the times of files.
    public var epoch: Int64?
    /// Whether steps are done again though they were done before.
    public var ignoresCache = false
    /// Stages whose steps are done again, by name or number.
    public var ignoredStages: Set<String> = []
    /// Bytes that archives may unpack to in all.
    public var unpackLimit: Int64 = 64 << 30

    /// What commands are given, and what they are allowed.
    public var run = RunSettings()

    /// The settings of a plain build.
    public init() {}

    /// An entry whose time is not after the epoch.
    func clamped(_ entry: TarEntry) -> TarEntry {
        guard let epoch, entry.mtime > epoch else { return entry }
        var entry = entry
        entry.mtime = epoch
        return entry
    }
}
