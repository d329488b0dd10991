// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import HTTP
internal import OCI
internal import Registry

/// Chooses what a group pulls its images with, and looks at images with just that.
struct PullCredentials {
    let account: AzureAccount
    let registries: Registries
    let access: RegistryAccess
    let environment: [String: String]
    /// `--pull-with`; `nil` for whatever there is.
    let wish: String?
    /// The group that is there; `nil` where there is none.
    let existing: ContainerGroup?

    /// What was chosen, and what was seen with it.
    struct Choice {
        /// What the group is given; `nil` where it needs nothing, or keeps what it has.
        var credential: GroupWish.Credential?
        /// What can be shown to the registry in its place; `nil` where only Azure can.
        var shown: Credentials?
        /// What is worth saying about it.
        var finding: DeployFinding?
    }

    /// Chooses for an image that is not pushed yet, so that what nothing could pull is not built.
    ///
    /// Who may pull it is only known once it is there where the registry lets anybody ask for what it does not have, and
    /// at Docker Hub, where new repositories are public.
    func foresee(_ reference: ImageReference) async throws -> Choice {
        guard wish == nil || wish == "auto", kept(reference.domain) == nil else {
            return try await choose(for: reference)
        }
        do {
            return try await automatic(reference)
        } catch let reason as ExitReason where reason.code == .credentials {
            if reference.domain == "docker.io" { return Choice() }
            guard try await looker.isOpen(reference) else { throw reason }
            return Choice(shown: .anonymous)
        }
    }

    /// What the group that is there has for a registry.
    private func kept(_ server: String) -> JSONValue? {
        (existing?.json["properties"]?["imageRegistryCredentials"]?.array ?? [])
            .first {
                let known = $0["server"]?.string?.lowercased()
                return known == server.lowercased() || (known == "index.docker.io" && server == "docker.io")
            }
    }

    /// Chooses for an image.
    func choose(for reference: ImageReference) async throws -> Choice {
        let server = reference.domain
        guard let wish, wish != "auto" else {
            if let kept = kept(server) { return try await keep(kept, reference) }
            return try await automatic(reference)
        }
        if let id = wish.suffix(after: "identity=") { return await identity(id, server) }
        if let user = wish.suffix(after: "user=") {
            guard let password = try await password(of: user, server, reference.repository) else {
                throw ExitReason(
                    .usage,
                    "--pull-with user=\(user): there is no password for it",
                    hint: "CORACLE_PULL_PASSWORD in the environment, or coracle login -u \(user) \(server)"
                )
            }
            return basic(server, user, password.value)
        }
        switch wish {
        case "anonymous": return Choice(shown: .anonymous)
        case "admin": return try await admin(server)
        case "service-principal":
            guard let found = principal(server) else {
                throw ExitReason(
                    .usage,
                    "--pull-with service-principal needs one with a secret",
                    hint: "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET in the environment"
                )
            }
            return found
        default:
            throw ExitReason(
                .usage,
                "--pull-with \"\(wish)\" is nothing to pull with",
                hint: "auto, anonymous, admin, service-principal, identity=ID or user=NAME"
            )
        }
    }

    private func identity(_ id: String, _ server: String) async -> Choice {
        let credential = GroupWish.Credential.identity(server: server, id: id)
        return Choice(credential: credential, finding: await PullRights(account: account).look(id, server))
    }

    private func basic(_ server: String, _ user: String, _ password: String) -> Choice {
        // Azure knows Docker Hub by the name that docker login keeps.
        let known = server == "docker.io" ? "index.docker.io" : server
        return Choice(
            credential: .password(server: known, user: user, SecureText(password)),
            shown: .basic(user: user, password: password)
        )
    }

    /// What the group has already, with its password asked for again.
    private func keep(_ kept: JSONValue, _ reference: ImageReference) async throws -> Choice {
        let server = reference.domain
        if let id = kept["identity"]?.string { return await identity(id, server) }
        guard let user = kept["username"]?.string else { return Choice() }
        if let password = try await password(of: user, server, reference.repository) {
            return basic(server, user, password.value)
        }
        return Choice()
    }

    /// The password of a user of a registry, wherever there is one: kept for a repository, or for the registry.
    ///
    /// Without a repository, those of the group's images are looked up.
    func password(of user: String, _ server: String, _ repository: String? = nil) async throws -> SecureText? {
        if let given = environment["CORACLE_PULL_PASSWORD"], !given.isEmpty { return SecureText(given) }
        if user == account.settings.client, let secret = account.settings.secret { return SecureText(secret) }
        let images = ((existing?.containers ?? []) + (existing?.initContainers ?? []))
            .compactMap { try? ImageReference($0.image) }
            .filter { $0.domain == server }
        let repositories = repository.map { [$0] } ?? Array(Set(images.map(\.repository))).sorted()
        for repository in repositories.map({ Optional($0) }) + [nil] {
            if case .basic(user, let password) = try? await registries.credentials
                .credentials(for: server, repository: repository)
            {
                return SecureText(password)
            }
        }
        if account.cloud.ownsRegistry(server), case .basic(user, let password)? = try? await adminUser(server) {
            return SecureText(password)
        }
        return nil
    }

    private func principal(_ server: String) -> Choice? {
        guard let client = account.settings.client, let secret = account.settings.secret else { return nil }
        return basic(server, client, secret)
    }

    private func adminUser(_ server: String) async throws -> Credentials? {
        guard let known = try await account.manager.registry(server, in: account.subscriptions()), known.isAdminEnabled
        else { return nil }
        return try await account.manager.adminCredentials(of: known)
    }

    private func admin(_ server: String) async throws -> Choice {
        guard case .basic(let user, let password)? = try await adminUser(server) else {
            let name = server.prefix { $0 != "." && $0 != ":" }
            throw ExitReason(
                .credentials,
                "the registry \(server) has no admin user, or is not to be seen",
                hint:
                    "az acr update --name \(name) --admin-enabled true, or --pull-with service-principal or identity=ID"
            )
        }
        return basic(server, user, password)
    }

    /// Nothing where the image is public; else the service principal; else the admin user; else what is kept here.
    private func automatic(_ reference: ImageReference) async throws -> Choice {
        let server = reference.domain
        do {
            let found = try await client(.anonymous).manifest(ManifestName(reference), in: Repository(reference))
            if found != nil { return Choice(shown: .anonymous) }
        } catch let error as RegistryError {
            // Where it cannot be reached, nobody else gets there either.
            if error.kind == .network { throw error }
        }
        if account.cloud.ownsRegistry(server) {
            if let found = principal(server) { return found }
            if let found = try? await admin(server) { return found }
        }
        if case .basic(let user, let password)? = try? await registries.credentials
            .credentials(for: server, repository: reference.repository),
            user != "00000000-0000-0000-0000-000000000000"
        {
            return basic(server, user, password)
        }
        throw ExitReason(
            .credentials,
            "there is nothing that Container Instances could pull \(reference.familiar) with",
            hint:
                "--pull-with identity=ID (a user-assigned identity with AcrPull), admin, service-principal or user=NAME"
        )
    }

    private func client(_ shown: Credentials) -> RegistryClient { looker.client(shown) }

    private var looker: ImageLook { ImageLook(registries: registries, access: access, environment: environment) }

    /// Looks at an image with what the group will have: its manifest for linux/amd64, and its configuration.
    func look(at reference: ImageReference, with choice: Choice) async throws -> ImageFacts {
        try await looker.look(at: reference, shown: choice.shown, puller: "Container Instances")
    }
}
