// SPDX-License-Identifier: Apache-2.0

/// Paths inside images: absolute, with slashes, and no part of any file system here.
enum ImagePath {
    /// The shortest path that means the same: no `.`, no `..` where a folder stands before it, no double slashes.
    static func cleaned(_ path: String) -> String {
        let isAbsolute = path.hasPrefix("/")
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part != ".." {
                parts.append(part)
            } else if let last = parts.last, last != ".." {
                parts.removeLast()
            } else if !isAbsolute {
                parts.append(part)
            }
        }
        let joined = parts.joined(separator: "/")
        return isAbsolute ? "/" + joined : joined.isEmpty ? "." : joined
    }

    /// A path as WORKDIR and COPY understand it: relative ones start in a directory.
    ///
    /// - Parameters:
    ///   - path: As written; empty for the directory itself.
    ///   - directory: Absolute, or empty for `/`.
    ///   - keepsSlash: Whether a slash or `/.` at the end stays.
    /// - Returns: An absolute path.
    static func absolute(_ path: String, in directory: String, keepsSlash: Bool) -> String {
        var parent = directory.isEmpty ? "/" : directory
        if !parent.hasPrefix("/") { parent = cleaned("/" + parent) }
        var result = path.isEmpty ? parent : path
        if !result.hasPrefix("/") { result = cleaned(parent + "/" + result) }
        guard keepsSlash else { return result }
        if path.hasSuffix("/") {
            if !result.hasSuffix("/") { result += "/" }
        } else if path.hasSuffix("/.") {
            result += result == "/" ? "." : "/."
        }
        return result
    }

    /// The last part of a path.
    static func base(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? "/"
    }
}
