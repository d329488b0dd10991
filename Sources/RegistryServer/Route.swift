// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import OCI
internal import Store

/// What a path names.
///
/// Specification: OCI distribution-spec 1.1, "Endpoints".
enum Route {
    /// Where tokens are fetched, which no path below `/v2/` is.
    case token
    /// A blob at the host that blobs are fetched from.
    case storage(Digest)
    case ping
    case catalog
    case blob(RepositoryName, String)
    case uploads(RepositoryName)
    case upload(RepositoryName, String)
    case manifest(RepositoryName, String)
    case tags(RepositoryName)
    case referrers(RepositoryName, String)

    /// The repository; `nil` where it is about all.
    var repository: RepositoryName? {
        switch self {
        case .token, .storage, .ping, .catalog: nil
        case .blob(let name, _), .uploads(let name), .upload(let name, _), .manifest(let name, _), .tags(let name),
            .referrers(let name, _):
            name
        }
    }

    /// Reads a path; `nil` where there is nothing of that form.
    init?(_ segments: [String]) throws(Refusal) {
        var parts = segments
        guard parts.count >= 2, parts[0].isEmpty, parts[1] == "v2" else { return nil }
        parts.removeFirst(2)
        if parts.isEmpty || parts == [""] {
            self = .ping
            return
        }
        if parts == ["_catalog"] {
            self = .catalog
            return
        }
        guard let last = parts.popLast(), let kind = parts.popLast() else { return nil }
        // A name may itself hold any of these words, so the end of the path decides.
        if parts.last == "blobs", kind == "uploads" {
            let name = try Route.name(parts.dropLast())
            self = last.isEmpty ? .uploads(name) : .upload(name, last)
            return
        }
        switch kind {
        case "blobs" where last == "uploads": self = .uploads(try Route.name(parts[...]))
        case "blobs": self = .blob(try Route.name(parts[...]), last)
        case "manifests": self = .manifest(try Route.name(parts[...]), last)
        case "referrers": self = .referrers(try Route.name(parts[...]), last)
        case "tags" where last == "list": self = .tags(try Route.name(parts[...]))
        default: return nil
        }
    }

    private static func name(_ parts: ArraySlice<String>) throws(Refusal) -> RepositoryName {
        // Azure's own clients escape the slashes of a name.
        try name(parts.joined(separator: "/"))
    }

    /// A repository's name, as a client wrote it.
    static func name(_ text: String) throws(Refusal) -> RepositoryName {
        do {
            return try RepositoryName(text)
        } catch {
            throw Refusal(.badRequest, .nameInvalid, error.message)
        }
    }

    /// A digest, as a client wrote it.
    static func digest(_ text: String) throws(Refusal) -> BlobName {
        do {
            return try BlobName(text)
        } catch {
            throw Refusal(.badRequest, .digestInvalid, error.message)
        }
    }
}
