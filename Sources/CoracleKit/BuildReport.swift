// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import OCI
internal import Store

/// What a build tells other programs: the files that `--iidfile` and `--metadata-file` name.
public struct BuildReport: Sendable {
    private let image: Descriptor
    private let config: Descriptor?
    /// The image's names, as `--tag` gave them.
    public let names: [String]
    /// Whether `--output` took standard output for an archive, which nothing else may then be written into.
    public let isStandardOutputTaken: Bool
    /// The digest of the manifest or index, algorithm included.
    public var digest: String { image.digest.description }
    /// The end of a build as an event, one line of JSON: `{"event":"built","digest":…,"names":[…]}`.
    public var json: String {
        JSONValue.object(["event": "built", "digest": .string(digest), "names": .array(names.map { .string($0) })])
            .canonical
    }

    /// Describes what was built.
    init(image: Descriptor, config: Descriptor?, names: [String], isStandardOutputTaken: Bool) {
        (self.image, self.config, self.names) = (image, config, names)
        self.isStandardOutputTaken = isStandardOutputTaken
    }

    /// Sees that the files can be written, before anything is built; an old one of a digest goes, so that nobody takes it
    /// for the new one where the build fails.
    ///
    /// - Parameters:
    ///   - iidfile: The file for the digest.
    ///   - metadata: The file for everything.
    /// - Throws: ``ExitReason`` where one cannot be written.
    public static func prepare(iidfile: String?, metadata: String?) throws(ExitReason) {
        if let iidfile { try OutputFile(iidfile).checkFolder("--iidfile") }
        if let metadata { try OutputFile(metadata).checkFolder("--metadata-file") }
        // Links and pipes stay what they are.
        var status = stat()
        if let iidfile, lstat(iidfile, &status) == 0, status.st_mode & S_IFMT == S_IFREG { unlink(iidfile) }
    }

    /// Writes the files that are asked for.
    ///
    /// - Parameters:
    ///   - iidfile: The file for the digest.
    ///   - metadata: The file for everything, as JSON with the members that buildx writes.
    /// - Throws: ``ExitReason`` where one cannot be written.
    public func write(iidfile: String?, metadata: String?) throws(ExitReason) {
        var members: [String: JSONValue] = [
            "containerimage.digest": .string(image.digest.description), "containerimage.descriptor": image.json,
        ]
        members["containerimage.config.digest"] = config.map { .string($0.digest.description) }
        if !names.isEmpty { members["image.name"] = .string(names.joined(separator: ",")) }
        do {
            if let iidfile {
                try OutputFile(iidfile).write(Array(image.digest.description.utf8))
            }
            if let metadata {
                let text = JSONValue.object(members).pretty + "\n"
                try OutputFile(metadata).write(Array(text.utf8))
            }
        } catch let error as StoreError {
            throw ExitReason(.usage, error.message)
        } catch let error as ArchiveError {
            throw ExitReason(.usage, error.message)
        } catch {
            throw ExitReason(.usage, "\(error)")
        }
    }
}
