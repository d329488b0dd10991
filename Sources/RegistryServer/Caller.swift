// SPDX-License-Identifier: Apache-2.0
internal import Store

/// What may be done to a repository.
enum Action: String, Hashable, Sendable {
    case pull, push, delete
}

/// Who asks, and what they may do.
struct Caller: Sendable {
    enum Rights: Sendable {
        case all
        case pullOnly
        /// As a token has them: actions by repository.
        case some([String: Set<Action>], catalog: Bool)
    }

    var user: String?
    var rights: Rights

    /// Of requests that look after themselves.
    static let nobody = Caller(user: nil, rights: .pullOnly)

    func may(_ action: Action, _ repository: RepositoryName) -> Bool {
        switch rights {
        case .all: true
        case .pullOnly: action == .pull
        case .some(let granted, _): granted[repository.description]?.contains(action) ?? false
        }
    }

    /// Whether a list of repositories that is theirs to read names one.
    func maySee(_ repository: RepositoryName) -> Bool {
        if case .some(let granted, false) = rights { return granted[repository.description] != nil }
        return true
    }

    /// Whether the list of repositories is theirs to read.
    var mayList: Bool {
        if case .some(_, let catalog) = rights { return catalog }
        return true
    }
}

/// What a request takes.
enum Need: Hashable {
    /// That somebody is known, or nobody need be.
    case presence
    /// The list of repositories.
    case catalog
    /// Something done to a repository.
    case action(Action, RepositoryName)

    /// As challenges and tokens have it; `nil` where no scope is needed.
    var scope: String? {
        switch self {
        case .presence: nil
        case .catalog: "registry:catalog:*"
        case .action(.push, let name): "repository:\(name):pull,push"
        case .action(let action, let name): "repository:\(name):\(action.rawValue)"
        }
    }

    /// Whether somebody may.
    func isMet(by caller: Caller) -> Bool {
        switch self {
        case .presence: true
        case .catalog: caller.mayList
        case .action(let action, let name): caller.may(action, name)
        }
    }
}
