// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax
internal import OCI

/// Where a Dockerfile and its context are, as `docker build` finds them.
public struct DockerfileInput: Sendable {
    /// The value of `--file`; `nil` where not given.
    public var file: String?
    /// A context folder, a Dockerfile, or `-` for a Dockerfile on standard input.
    public var path: String
    /// What messages call the Dockerfile; `nil` for its path.
    var shownName: String?

    /// Describes an input.
    ///
    /// - Parameters:
    ///   - file: The value of `--file`.
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
            name = file
        } else if isFolder {
            name = DockerfileInput.join(path, "Dockerfile")
        }
        guard let bytes = try dockerfile(&name, isFolder: isFolder) else { throw missing(name, isFolder: isFolder) }
        let context = isFolder ? path : name == "-" ? nil : DockerfileInput.folder(of: name)
        let dockerfile = SourceText(bytes, name: shownName ?? (name == "-" ? "<stdin>" : name))
        return Files(dockerfile: dockerfile, ignoreFile: try ignoreFile(name, context))
    }

    /// Reads the Dockerfile, below the context where it is not found from here.
    private func dockerfile(_ name: inout String, isFolder: Bool) throws(ExitReason) -> [UInt8]? {
        if let bytes = try TextFile.read(name) { return bytes }
        guard file != nil, isFolder, !name.hasPrefix("/") else { return nil }
        let inContext = DockerfileInput.join(path, name)
        guard let bytes = try TextFile.read(inContext) else { return nil }
        name = inContext
        return bytes
    }

    private func ignoreFile(_ name: String, _ context: String?) throws(ExitReason) -> SourceText? {
        guard let context else { return nil }
        for candidate in [name + ".dockerignore", DockerfileInput.join(context, ".dockerignore")] {
            if let bytes = try TextFile.read(candidate) { return SourceText(bytes, name: candidate) }
        }
        return nil
    }

    private func missing(_ name: String, isFolder: Bool) -> ExitReason {
        let folder = DockerfileInput.folder(of: name)
        let names = TextFile.names(in: folder).filter { !$0.hasSuffix(".dockerignore") }
        let wanted = String(name.split(separator: "/").last ?? "")
        let near =
            Suggestion.nearest(to: wanted, among: names) ?? names.first { $0.lowercased().contains("dockerfile") }
        return ExitReason(
            .usage,
            "\(name.isEmpty ? "\"\"" : name): there is no such file"
                + (near.map { ", did you mean \"\(DockerfileInput.join(folder, $0))\"?" } ?? ""),
            hint: "name the Dockerfile with --file, and the build context as the argument"
        )
    }

    static func join(_ folder: String, _ name: String) -> String {
        folder == "." ? name : folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
