// SPDX-License-Identifier: Apache-2.0

/// Decides who may do what at a registry, for emulators of registries that know more than users and passwords.
package struct RegistryAuthority: Sendable {
    /// How somebody says who they are.
    package enum Credentials: Sendable {
        case nobody
        case password(user: String, password: String)
        case token(String)
    }

    /// What somebody may do.
    package struct Grant: Sendable {
        /// Who it is; `nil` for somebody unknown.
        package var user: String?
        /// `pull`, `push` and `delete` by repository; `nil` for everything.
        package var actions: [String: [String]]?
        /// Whether the list of repositories may be read.
        package var mayList: Bool

        package init(user: String?, actions: [String: [String]]?, mayList: Bool) {
            (self.user, self.actions, self.mayList) = (user, actions, mayList)
        }
    }

    /// Why somebody is not let in: the words, and the error of RFC 6750 where there is one.
    package struct Refusal: Error, Sendable {
        package let message: String
        package var error: String?

        package init(_ message: String, error: String? = nil) { (self.message, self.error) = (message, error) }
    }

    /// Where tokens are fetched, a path of the registry.
    package let tokenPath: String
    /// What somebody may do; throws ``Refusal``.
    package let admit: @Sendable (Credentials) throws -> Grant
    /// Answers a request to a path that is not below `/v2/`; the host is the one that the client named.
    package let answer: @Sendable (_ exchange: Exchange, _ host: String) async throws -> Answer

    package init(
        tokenPath: String,
        admit: @escaping @Sendable (Credentials) throws -> Grant,
        answer: @escaping @Sendable (_ exchange: Exchange, _ host: String) async throws -> Answer
    ) {
        (self.tokenPath, self.admit, self.answer) = (tokenPath, admit, answer)
    }
}

extension Gate {
    /// What an authority lets somebody do.
    func delegated(
        _ exchange: Exchange,
        _ authority: RegistryAuthority,
        _ refuse: (_ error: String?, _ message: String) -> Refusal
    ) throws -> Caller {
        var credentials = RegistryAuthority.Credentials.nobody
        if let (user, password) = Gate.password(exchange) {
            credentials = .password(user: user, password: password)
        } else if let text = Gate.credentials(exchange, "bearer") {
            credentials = .token(text)
        }
        do {
            let grant = try authority.admit(credentials)
            guard let actions = grant.actions else { return Caller(user: grant.user, rights: .all) }
            let known = actions.mapValues { Set($0.compactMap(Action.init)) }
            return Caller(user: grant.user, rights: .some(known, catalog: grant.mayList))
        } catch let refusal as RegistryAuthority.Refusal {
            throw refuse(refusal.error, refusal.message)
        }
    }
}
