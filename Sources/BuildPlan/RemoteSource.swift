// SPDX-License-Identifier: Apache-2.0

/// A git repository as a source of ADD, or as a build context.
///
/// Specification: Dockerfile reference, "ADD", "Adding files from a Git repository".
public struct GitSource: Hashable, Sendable {
    /// What `git` is given: a URL without password, fragment and query, or `user@host:path`.
    public let remote: String
    /// User and password of an `http` or `https` URL that has them.
    public let login: RemoteLogin?
    /// A branch, tag or commit; empty for the default branch.
    public var ref = ""
    /// The folder in the repository; empty for all of it.
    public var subfolder = ""
    /// The commit that must be found; `nil` where any will do.
    public var commit: String?
    /// Whether `.git` is kept; `nil` where the URL does not say.
    public var keepsGitDirectory: Bool?
    /// Whether submodules are left out.
    public var skipsSubmodules = false
    /// Whether `commit` is fetched by its own name, without asking what `ref` is.
    public var fetchesByCommit = false

    /// Reads a source; `nil` where it is no git repository.
    ///
    /// - Parameter text: A URL with scheme `git`, `ssh`, `http` or `https` (of these with a path that ends in `.git`),
    ///   or `user@host:path`.
    /// - Throws: ``RemoteSourceError`` for a query that is not known, is given twice, has a value that means nothing,
    ///   or contradicts the fragment.
    public init?(_ text: String) throws(RemoteSourceError) {
        // Both forms have a colon, and most sources have none.
        guard text.utf8.contains(UInt8(ascii: ":")) else { return nil }
        if text.hasPrefix("./") || text.hasPrefix("../") { return nil }
        let (withoutFragment, fragment) = GitSource.cut(text, "#")
        let (location, query) = GitSource.cut(withoutFragment, "?")
        guard GitSource.isRemote(location) else { return nil }
        (remote, login) = RemoteLogin.split(location)
        if let fragment {
            let (ref, folder) = GitSource.cut(PercentEncoding.decoded(fragment) ?? fragment, ":")
            self.ref = ref
            subfolder = folder.map { String(ImagePath.cleaned("/" + $0).dropFirst()) } ?? ""
        }
        guard let query else { return }
        do throws(QueryFault) {
            try read(query)
        } catch {
            throw RemoteSourceError(message: "\"\(RemoteLogin.masked(text))\": \(error.message)")
        }
    }

    private static func isRemote(_ text: String) -> Bool {
        if let end = text.firstRange(of: "://") {
            switch text[..<end.lowerBound].lowercased() {
            case "git", "ssh": return true
            case "http", "https": return text.hasSuffix(".git")
            default: return false
            }
        }
        // user@host:path
        guard let at = text.firstIndex(of: "@"), let colon = text[at...].firstIndex(of: ":") else { return false }
        let (user, host) = (text[..<at], text[text.index(after: at)..<colon])
        let isName = { (part: Substring) in
            !part.isEmpty && part.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || ".-_".contains($0)) }
        }
        return isName(user) && isName(host) && text.index(after: colon) != text.endIndex
    }

    private static func cut(_ text: String, _ separator: Character) -> (String, String?) {
        guard let index = text.firstIndex(of: separator) else { return (text, nil) }
        return (String(text[..<index]), String(text[text.index(after: index)...]))
    }
}

/// A source of ADD that looks like a remote one and is malformed.
public struct RemoteSourceError: Error, Sendable {
    /// One line, no full stop.
    public let message: String
}

/// Whether a source of ADD is downloaded.
enum URLSource {
    static func matches(_ text: String) -> Bool {
        text.hasPrefix("http://") || text.hasPrefix("https://")
    }
}

extension CopyAction.Source {
    /// What a download is called where the destination is a folder: the last part of the URL's path, as BuildKit has it;
    /// `nil` for other sources.
    public var downloadName: String? {
        guard case .url(let url) = self, let scheme = url.firstRange(of: "://") else { return nil }
        let rest = url[scheme.upperBound...].prefix { $0 != "?" && $0 != "#" }
        let path = rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? ""
        let name = ImagePath.cleaned(PercentEncoding.decoded(path) ?? path).split(separator: "/").last
        return name.map(String.init) ?? "__unnamed__"
    }
}
