// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import Kubernetes
internal import OCI
internal import Registry

/// Chooses what a cluster pulls images with.
struct ClusterPull {
    let registries: Registries
    let look: ImageLook
    let environment: [String: String]
    /// `--pull-with`; `nil` for whatever there is.
    let wish: String?
    /// What Secrets are called: the workload's name.
    let name: String
    /// The cluster as Azure knows it; `nil` where it does not, or where nothing is deployed.
    let cluster: AKSCluster?
    let account: LazyAccount
    /// Whether passwords are looked for; else it is said who pulls, and each password is empty.
    var readsSecrets = true

    /// What was chosen.
    struct Choice {
        /// The Secret that pods name; `nil` where they need none.
        var name: String?
        /// The Secret that is made; `nil` where it is there already.
        var secret: Workload.SecretFiles?
        /// How a person makes it, for manifests that are written; `nil` where nothing is to be made.
        var remark: String?
        /// What can be shown to the registry in its place; `nil` where only the cluster can.
        var shown: Credentials?
        /// What is worth saying about it.
        var finding: DeployFinding?
    }

    /// Chooses for an image that is not pushed yet, so that what nothing could pull is not built.
    func foresee(_ reference: ImageReference) async throws {
        do {
            _ = try await choose(for: reference)
        } catch let reason as ExitReason where reason.code == .credentials && (wish == nil || wish == "auto") {
            // New repositories of Docker Hub are public.
            if reference.domain == "docker.io" { return }
            guard try await look.isOpen(reference) else { throw reason }
        }
    }

    /// Chooses for an image.
    func choose(for reference: ImageReference) async throws -> Choice {
        guard let wish, wish != "auto" else { return try await automatic(reference) }
        let server = reference.domain
        if let existing = wish.suffix(after: "secret=") { return Choice(name: existing) }
        if let user = wish.suffix(after: "user=") {
            guard readsSecrets else { return basic(server, user, nil) }
            guard let password = try await password(of: user, reference) else {
                throw ExitReason(
                    .usage,
                    "--pull-with user=\(user): there is no password for it",
                    hint: "CORACLE_PULL_PASSWORD in the environment, or coracle login -u \(user) \(server)"
                )
            }
            return basic(server, user, password)
        }
        switch wish {
        case "anonymous": return Choice(shown: .anonymous)
        case "kubelet": return kubelet(server)
        case "service-principal":
            guard readsSecrets else { return basic(server, environment["AZURE_CLIENT_ID"] ?? "$AZURE_CLIENT_ID", nil) }
            let settings = try await account.open().settings
            guard let client = settings.client, let secret = settings.secret else {
                throw ExitReason(
                    .usage,
                    "--pull-with service-principal needs one with a secret",
                    hint: "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET in the environment"
                )
            }
            return basic(server, client, secret)
        case "admin":
            // The admin user has the registry's name.
            guard readsSecrets else { return basic(server, String(server.prefix { $0 != "." && $0 != ":" }), nil) }
            let azure = try await account.open()
            guard let known = try await azure.manager.registry(server, in: azure.subscriptions()), known.isAdminEnabled,
                case .basic(let user, let password) = try await azure.manager.adminCredentials(of: known)
            else {
                throw ExitReason(
                    .credentials,
                    "the registry \(server) has no admin user, or is not to be seen",
                    hint: "--pull-with kubelet, the cluster's own identity with AcrPull, needs no password"
                )
            }
            return basic(server, user, password)
        default:
            throw ExitReason(
                .usage,
                "--pull-with \"\(wish)\" is nothing that a cluster pulls with",
                hint: "auto, kubelet, anonymous, admin, service-principal, secret=NAME or user=NAME"
            )
        }
    }

    /// Nothing where the image is public; at Azure's registries the cluster's own identity; else what is kept here.
    private func automatic(_ reference: ImageReference) async throws -> Choice {
        let server = reference.domain
        if try await look.isPublic(reference) { return Choice(shown: .anonymous) }
        if isAzure(server) { return kubelet(server) }
        if case .basic(let user, let password)? = try? await registries.credentials
            .credentials(for: server, repository: reference.repository),
            user != "00000000-0000-0000-0000-000000000000"
        {
            return basic(server, user, password)
        }
        // A registry of Azure under a name of its own, where the cluster is Azure's.
        if cluster != nil { return kubelet(server) }
        throw ExitReason(
            .credentials,
            "there is nothing that the cluster could pull \(reference.familiar) with",
            hint: "coracle login \(server), or --pull-with kubelet, secret=NAME or user=NAME"
        )
    }

    /// Whether a registry is Azure's by its name.
    private func isAzure(_ server: String) -> Bool { AzureCloud(ofRegistry: server) != nil }

    /// The identity of the cluster's nodes.
    private func kubelet(_ server: String) -> Choice {
        let about = "\(server) is pulled from with the identity of the cluster's nodes, which needs AcrPull there"
        // Of a cluster that Azure knows, its roles are looked at with everything else.
        guard cluster == nil else { return Choice() }
        // Only of a registry's own host the first label is its name.
        let registry = isAzure(server) ? String(server.prefix { $0 != "." }) : "REGISTRY"
        let attach = "az aks update --name CLUSTER --resource-group GROUP --attach-acr \(registry)"
        return Choice(remark: about + ": " + attach, finding: .init("pull", .doubtful, about, hint: attach))
    }

    /// A Secret with a name and a password.
    private func basic(_ server: String, _ user: String, _ password: String?) -> Choice {
        let secret = name + "-pull"
        // Clusters know Docker Hub by the name that docker login keeps.
        let registry = server == "docker.io" ? "https://index.docker.io/v1/" : server
        return Choice(
            name: secret,
            secret: .init(pulling: secret, from: registry, user: user, password: password ?? ""),
            remark: "kubectl create secret docker-registry \(secret) --docker-server=\(registry) "
                + "--docker-username=\(user) --docker-password=\"$PASSWORD\"",
            shown: password.map { .basic(user: user, password: $0) }
        )
    }

    private func password(of user: String, _ reference: ImageReference) async throws -> String? {
        if let given = environment["CORACLE_PULL_PASSWORD"], !given.isEmpty { return given }
        if case .basic(user, let password) = try? await registries.credentials
            .credentials(for: reference.domain, repository: reference.repository)
        {
            return password
        }
        return nil
    }
}
