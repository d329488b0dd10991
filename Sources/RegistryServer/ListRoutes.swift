// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import OCI
internal import Store

/// Lists of tags, repositories and referrers.
///
/// Specification: OCI distribution-spec 1.1, "Content Discovery".
extension Responder {
    /// end-8: the tags of a repository, in the order of their letters whatever the case.
    func listTags(of repository: RepositoryName, _ exchange: Exchange) throws -> Answer {
        guard repositories.exists(repository) || listed.has(repository) else {
            throw Refusal(
                .notFound,
                .nameUnknown,
                "there is no repository \(repository)",
                detail: ["name": .string(repository.description)]
            )
        }
        let tags = Set(repositories.tags(in: repository).map(\.description)).union(try listed.tags(of: repository))
        let page = try Page(exchange, tags.map { ListKey($0, ignoresCase: true) })
        var answer = Answer(.ok, json: ["name": .string(repository.description), "tags": JSONValue(page.items)])
        answer.headers[.link] = page.link("/v2/\(repository)/tags/list")
        return answer
    }

    /// The repositories, in the order of their bytes; those that the caller may see.
    func listRepositories(_ exchange: Exchange, _ caller: Caller) throws -> Answer {
        let names = Set(repositories.names()).union(try listed.names()).filter { caller.maySee($0) }
        let page = try Page(exchange, names.map { ListKey($0.description, ignoresCase: false) })
        var answer = Answer(.ok, json: ["repositories": JSONValue(page.items)])
        answer.headers[.link] = page.link("/v2/_catalog")
        return answer
    }

    /// end-12: the manifests that say something about another.
    func listReferrers(to text: String, in repository: RepositoryName, _ exchange: Exchange) throws -> Answer {
        let subject = try Route.digest(text)
        var records = try repositories.referrers(to: subject, in: repository)
        var answer = Answer(.ok)
        if let type = exchange.query("artifactType"), !type.isEmpty {
            records.removeAll { $0.artifactType != type }
            answer.headers[.filters] = "artifactType"
        }
        let index: JSONValue = [
            "schemaVersion": 2, "mediaType": .string(MediaType.index.description),
            "manifests": .array(records.map(\.listing)),
        ]
        answer.body = .bytes(Array(index.canonical.utf8))
        answer.headers[.contentType] = MediaType.index.description
        return answer
    }
}

/// A text with its place in a list.
private struct ListKey: Comparable {
    let text: String
    private let order: String

    init(_ text: String, ignoresCase: Bool) {
        self.text = text
        order = ignoresCase ? text.lowercased() : text
    }

    static func < (left: ListKey, right: ListKey) -> Bool {
        (left.order, left.text) < (right.order, right.text)
    }
}

/// A part of a list, as `n` and `last` ask for it.
private struct Page {
    let items: [String]
    private let count: Int?
    private let hasMore: Bool

    init(_ exchange: Exchange, _ keys: [ListKey]) throws(Refusal) {
        var keys = keys.sorted()
        if let last = exchange.query("last") {
            let isTagList = exchange.path.hasSuffix("/tags/list")
            let key = ListKey(last, ignoresCase: isTagList)
            keys.removeAll { $0 <= key }
        }
        var count: Int?
        if let text = exchange.query("n") {
            guard let number = Int(text), number >= 0 else {
                throw Refusal(.badRequest, .unsupported, "n=\"\(text)\" is not a number of names: 0 or more")
            }
            count = number
        }
        self.count = count
        hasMore = count.map { $0 > 0 && keys.count > $0 } ?? false
        items = keys.prefix(count ?? keys.count).map(\.text)
    }

    /// Where the next page is; `nil` where there is none.
    func link(_ path: String) -> String? {
        guard hasMore, let count, let last = items.last else { return nil }
        // Names and tags need no escapes but for the slash, which a query may hold.
        return "<\(path)?n=\(count)&last=\(last)>; rel=\"next\""
    }
}
