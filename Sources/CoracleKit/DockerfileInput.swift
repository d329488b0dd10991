// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax
internal import Glibc
internal import OCI

/// Where a Dockerfile and its context are, as `docker build` finds them.
public struct DockerfileInput: Sendable {
    /// The value of `--file`: a path, `-`, or for a build the URL of a Dockerfile; `nil` where not given.
    public var file: String?
    /// A context folder, a Dockerfile, or `-` for a Dockerfile on standard input.
    public var path: String
    /// What messages call the Dockerfile; `nil` for its path.
    var shownName: String?
    /// What `--file` names, where it is a URL and was downloaded.
    var downloaded: SourceText?
    /// Whether the context was fetched or unpacked, so that its links are not the user's and must not leave it.
    var isForeign = false

    /// Describes an input.
    ///
    /// - Parameters:
    ///   - file: The value of `--file`: a path, `-`, or for a build the URL of a Dockerfile.
    ///   - path: A context folder, a Dockerfile, or `-`.
    public init(file: String?, path: String) {
        (self.file, self.path) = (file, path)
    }

    /// What was read.
    public struct Files: Sendable {
        /// The Dockerfile.
        public let dockerfile: SourceText
        /// The ignore file; `nil` where there is none.
        public let ignoreFile: SourceText?
    }

    /// Reads the Dockerfile and the ignore file that goes with it.
    ///
    /// - Returns: Both texts, named as messages show them.
    /// - Throws: ``ExitReason`` where there is no Dockerfile, with the names that are near.
    public func read() throws(ExitReason) -> Files {
        let isFolder = path != "-" && TextFile.isFolder(path)
        var name = path
        if let file {
            guard isFolder || path == "-" else {
                throw ExitReason(.usage, "\(path): not a folder; with --file, the argument is the build context")
            }
            if let downloaded {
                return Files(dockerfile: downloaded, ignoreFile: try ignoreFile("-", isFolder ? path : nil))
            }
            guard !DockerfileInput.isURL(file) else {
                throw ExitReason(
                    .usage,
                    "--file \(Downloads.shown(file)): only builds fetch Dockerfiles",
                    hint: "download it, and name the file"
                )
            }
            name = file
        } else if isFolder {
            name = DockerfileInput.join(path, "Dockerfile")
        }
        guard let bytes = try dockerfile(&name, isFolder: isFolder) else { throw missing(name, isFolder: isFolder) }
        let context = isFolder ? path : name == "-" ? nil : DockerfileInput.folder(of: name)
        let dockerfile = SourceText(bytes, name: name == "-" ? "<stdin>" : shown(name))
        return Files(dockerfile: dockerfile, ignoreFile: try ignoreFile(name, context))
    }

    /// Reads the Dockerfile, below the context where it is not found from here.
    private func dockerfile(_ name: inout String, isFolder: Bool) throws(ExitReason) -> [UInt8]? {
        if let bytes = try text(name) { return bytes }
        guard file != nil, isFolder, !isForeign, !name.hasPrefix("/") else { return nil }
        let inContext = DockerfileInput.join(path, name)
        guard let bytes = try TextFile.read(inContext) else { return nil }
        name = inContext
        return bytes
    }

    private func ignoreFile(_ name: String, _ context: String?) throws(ExitReason) -> SourceText? {
        guard let context else { return nil }
        // What comes from standard input or a URL has nothing beside it.
        let own = name == "-" ? [] : [name + ".dockerignore"]
        for candidate in own + [DockerfileInput.join(context, ".dockerignore")] {
            if let bytes = try text(candidate) { return SourceText(bytes, name: shown(candidate)) }
        }
        return nil
    }

    /// Reads a file; one of a foreign context only where no link leads out of it.
    private func text(_ name: String) throws(ExitReason) -> [UInt8]? {
        guard isForeign, name != "-" else { return try TextFile.read(name) }
        guard let root = DockerfileInput.resolved(path), let target = DockerfileInput.resolved(name) else { return nil }
        guard target.hasPrefix(root + "/") else {
            throw ExitReason(.usage, "\(shown(name)): leads out of the build context, which is not followed")
        }
        // A pipe would be waited for.
        guard TextFile.isFile(target) else { throw ExitReason(.usage, "\(shown(name)): is no file") }
        return try TextFile.read(target)
    }

    /// What messages call a file; the user knows no folder of a foreign context.
    private func shown(_ name: String) -> String {
        if let shownName { return shownName }
        guard isForeign, name.hasPrefix(path + "/") else { return name }
        return String(name.dropFirst(path.count + 1))
    }

    /// Whether a folder is in the context, links followed.
    private func isInside(_ folder: String) -> Bool {
        guard let root = DockerfileInput.resolved(path), let target = DockerfileInput.resolved(folder) else {
            return false
        }
        return target == root || target.hasPrefix(root + "/")
    }

    private static func resolved(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private func missing(_ name: String, isFolder: Bool) -> ExitReason {
        let folder = DockerfileInput.folder(of: name)
        let isHidden = isForeign && !isInside(folder)
        let names = isHidden ? [] : TextFile.names(in: folder).filter { !$0.hasSuffix(".dockerignore") }
        let wanted = String(name.split(separator: "/").last ?? "")
        let near =
            Suggestion.nearest(to: wanted, among: names) ?? names.first { $0.lowercased().contains("dockerfile") }
        return ExitReason(
            .usage,
            "\(name.isEmpty ? "\"\"" : shown(name)): there is no such file"
                + (isForeign ? " in the build context" : "")
                + (near.map { ", did you mean \"\(shown(DockerfileInput.join(folder, $0)))\"?" } ?? ""),
            hint: "name the Dockerfile with --file, and the build context as the argument"
        )
    }

    /// Whether `--file` is the URL of a Dockerfile, as buildx has it.
    static func isURL(_ text: String) -> Bool { text.hasPrefix("http://") || text.hasPrefix("https://") }

    static func join(_ folder: String, _ name: String) -> String {
        folder == "." ? name : folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
