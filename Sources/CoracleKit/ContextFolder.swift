// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import Glibc
internal import Rootfs

/// A build context that is a folder, seen through its ignore file.
struct ContextFolder {
    let path: String
    let ignoreFile: IgnoreFile?
    let ignoreName: String

    /// The folder as builds see it.
    var tree: DiskTree {
        guard let file = ignoreFile, !file.rules.isEmpty else { return DiskTree(absolute) }
        let hasExceptions = file.rules.contains(where: \.isException)
        return DiskTree(absolute) { path in
            guard file.decision(for: path).isIgnored else { return .visible }
            return hasExceptions && !file.hidesAll(below: path) ? .partial : .hidden
        }
    }

    /// The path from the root of this machine.
    var absolute: String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Why a path is not in the context: the rule that hides it, or names that are near.
    func explain(_ name: String) -> [String] {
        if let file = ignoreFile {
            let decision = file.decision(for: name)
            if decision.isIgnored, let rule = decision.rule {
                return ["\(ignoreName):\(rule.line) (\"\(rule.pattern)\") hides it"]
            }
        }
        let parts = name.split(separator: "/")
        let folder = parts.dropLast().joined(separator: "/")
        let names = TextFile.names(in: folder.isEmpty ? path : DockerfileInput.join(path, folder))
        guard let last = parts.last, let near = Suggestion.nearest(to: String(last), among: names) else {
            return names.isEmpty && !folder.isEmpty ? ["there is no folder \"\(folder)\" in the context either"] : []
        }
        return ["did you mean \"\(DockerfileInput.join(folder.isEmpty ? "." : folder, near))\"?"]
    }
}
