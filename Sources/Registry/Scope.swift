// SPDX-License-Identifier: Apache-2.0

/// What a token is good for: `repository:team/app:pull,push`.
///
/// Specification: Docker's token authentication, "Token Scope Documentation".
struct Scope: Hashable, Sendable, CustomStringConvertible {
    let type: String
    let name: String
    var actions: [String]

    init(type: String, name: String, actions: [String]) {
        (self.type, self.name, self.actions) = (type, name, actions)
    }

    /// The rights for a kind of access to a repository.
    init(_ repository: Repository, _ access: Access) {
        self.init(type: "repository", name: repository.name, actions: access.actions)
    }

    /// The right to list repositories.
    static let catalog = Scope(type: "registry", name: "catalog", actions: ["*"])

    /// Reads the scopes of a challenge; the name itself may contain colons.
    static func parse(_ text: String) -> [Scope] {
        text.split(separator: " ")
            .compactMap { part in
                guard let first = part.firstIndex(of: ":"), let last = part.lastIndex(of: ":"), first < last else {
                    return nil
                }
                return Scope(
                    type: String(part[..<first]),
                    name: String(part[part.index(after: first)..<last]),
                    actions: part[part.index(after: last)...].split(separator: ",").map { String($0) }
                )
            }
    }

    /// Both lists as one, with one entry for each thing.
    static func union(_ one: [Scope], _ other: [Scope]) -> [Scope] {
        var result = one
        for scope in other {
            if let index = result.firstIndex(where: { $0.type == scope.type && $0.name == scope.name }) {
                result[index].actions += scope.actions.filter { !result[index].actions.contains($0) }
            } else {
                result.append(scope)
            }
        }
        return result
    }

    /// Whether a token for some scopes does for this one.
    func isCovered(by others: [Scope]) -> Bool {
        others.contains { other in
            other.type == type && other.name == name
                && (other.actions.contains("*") || actions.allSatisfy { other.actions.contains($0) })
        }
    }

    var description: String { "\(type):\(name):\(actions.joined(separator: ","))" }
}
