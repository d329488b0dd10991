// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import RegistryServer
internal import Store
internal import Synchronization

/// Kubernetes clusters as the resource manager has them.
struct ManagedClusters: Sendable {
    let world: World

    static let type = "Microsoft.ContainerService/managedClusters"
    /// The application that tokens for clusters of Entra's are for.
    static let server = "6dae42f8-4368-4678-94ff-3960e28e3630"

    func answer(_ call: ResourceManager.Call) async throws -> AzureAnswer {
        guard call.path.word(0) == "managedclusters" else {
            throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
        guard call.path.parts.count > 1 else {
            let all = world.resources(ofType: Self.type, under: call.path.normalScope)
            return AzureAnswer(200, ["value": .array(all.map(view))])
        }
        let id = call.path.identifier("managedClusters")
        if call.path.parts.count == 2, call.method == "PUT" { return try await put(call, id) }
        guard let resource = world.resource(id), let cluster = world.cluster(id) else {
            if call.method == "DELETE" { return AzureAnswer(204) }
            throw ResourceChecks.missing(call)
        }
        switch (call.method, call.path.word(2)) {
        case ("GET", ""): return AzureAnswer(200, view(resource))
        case ("DELETE", ""):
            remove(resource)
            return AzureAnswer(200)
        case ("POST", "listclusterusercredential"), ("POST", "listclustermonitoringusercredential"):
            let isAdmin = resource.body[path: "properties", "aadProfile"] == nil
            let format = call.request.query("format")?.lowercased() ?? "exec"
            let text = Kubeconfig(cluster: cluster).text(isAdmin ? .certificate : .plugin(format: format))
            return credential("clusterUser", text)
        case ("POST", "listclusteradmincredential"):
            guard resource.body[path: "properties", "disableLocalAccounts"]?.bool != true else {
                throw ARMFault(
                    400,
                    "BadRequest",
                    "Getting static credential is not allowed because this cluster is set to disable local accounts."
                )
            }
            return credential("clusterAdmin", Kubeconfig(cluster: cluster).text(.certificate))
        default: throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
    }

    private func credential(_ name: String, _ text: String) -> AzureAnswer {
        let value = PaddedBase64.encode(Array(text.utf8))
        return AzureAnswer(200, ["kubeconfigs": [["name": .string(name), "value": .string(value)]]])
    }

    private func put(_ call: ResourceManager.Call, _ id: String) async throws -> AzureAnswer {
        let body = try call.body()
        try ResourceTypes.check(Self.type, call.version, location: body.member("location")?.string)
        let name = call.path.parts[1]
        guard name.utf8.count <= 63,
            name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) })
        else {
            throw ARMFault(
                400,
                "InvalidParameter",
                "The value of parameter resourceName is invalid: only letters, numbers, underscores and hyphens."
            )
        }
        let isNew = world.cluster(id) == nil
        let resource = try await make(name, id: id, body)
        return AzureAnswer(isNew ? 201 : 200, view(resource))
    }

    /// Makes a cluster, whose API server answers at once; or changes what is known of one.
    @discardableResult
    func make(_ name: String, id: String, _ body: JSONValue) async throws -> Resource {
        let resource = Resource(
            id: world.resource(id)?.id ?? id,
            type: Self.type,
            name: world.resource(id)?.name ?? name,
            body: body
        )
        if world.cluster(id) == nil {
            let cluster = try KubernetesCluster(world, name, id: id)
            let door = try await ClusterDoor(cluster)
            world.state.withLock { $0.clusters[id.lowercased()] = LiveCluster(cluster: cluster, door: door) }
            let identity = cluster.kubeletIdentity
            world.put(
                Resource(
                    id: identity,
                    type: "Microsoft.ManagedIdentity/userAssignedIdentities",
                    name: "\(name)-agentpool",
                    body: [
                        "location": .string(world.options.location),
                        "properties": [
                            "principalId": .string(Identifier.random()), "clientId": .string(Identifier.random()),
                            "tenantId": .string(world.options.tenant),
                        ],
                    ]
                )
            )
            let file = "\(cluster.folder)/kubeconfig"
            let text = Kubeconfig(cluster: cluster).text(.certificate)
            try DiskFile.write(Array(text.utf8), to: file, isSynced: false)
            chmod(file, 0o600)
        }
        world.put(resource)
        return resource
    }

    private func remove(_ resource: Resource) {
        let live = world.state.withLock { $0.clusters.removeValue(forKey: resource.id.lowercased()) }
        world.remove(resource.id)
        guard let live else { return }
        world.remove(live.cluster.kubeletIdentity)
        live.door.close()
        Thread.start { live.cluster.end() }
    }

    private func view(_ resource: Resource) -> JSONValue {
        let cluster = world.cluster(resource.id)
        var properties = resource.body.member("properties") ?? [:]
        let url = cluster?.url.withLock { $0 } ?? ""
        let kubelet = cluster.flatMap { world.resource($0.kubeletIdentity) }
        properties = properties.with("provisioningState", "Succeeded").with("powerState", ["code": "Running"])
            .with("kubernetesVersion", "1.36.0").with("currentKubernetesVersion", "1.36.0")
            .with("fqdn", .string(String(url.dropFirst("https://".count))))
            .with("dnsPrefix", properties.member("dnsPrefix") ?? .string(resource.name))
            .with("nodeResourceGroup", .string("MC_\(resource.name)"))
            .with("disableLocalAccounts", properties.member("disableLocalAccounts") ?? false)
            .with("enableRBAC", true)
        if let kubelet {
            properties = properties.with(
                "identityProfile",
                [
                    "kubeletidentity": [
                        "resourceId": .string(kubelet.id),
                        "clientId": kubelet.body[path: "properties", "clientId"] ?? "",
                        "objectId": kubelet.body[path: "properties", "principalId"] ?? "",
                    ]
                ]
            )
        }
        if properties.member("agentPoolProfiles") == nil {
            properties = properties.with(
                "agentPoolProfiles",
                [
                    [
                        "name": "nodepool1", "count": 1, "vmSize": "Standard_D8s_v5", "osType": "Linux",
                        "mode": "System", "provisioningState": "Succeeded",
                    ]
                ]
            )
        }
        return resource.body.with("properties", properties)
            .with("location", .string(ResourceTypes.location(resource.body.member("location")?.string ?? "")))
            .with("identity", resource.body.member("identity") ?? ["type": "SystemAssigned"])
            .with("id", .string(resource.id)).with("name", .string(resource.name)).with("type", .string(Self.type))
    }
}

/// A cluster that is served.
struct LiveCluster: Sendable {
    let cluster: KubernetesCluster
    let door: ClusterDoor
}

extension World {
    /// The cluster of an identifier.
    func cluster(_ id: String) -> KubernetesCluster? { state.withLock { $0.clusters[id.lowercased()]?.cluster } }
}

extension KubernetesCluster {
    /// Whether a bearer token opens the cluster: its own, or one of the directory for clusters.
    func knows(token: String) -> Bool {
        if token == self.token { return true }
        guard let claims = world.keys.claims(token), Moment.now < claims["exp"]?.int ?? 0,
            (claims["aud"]?.string ?? "").contains(ManagedClusters.server)
        else { return false }
        return world.principal(objectID: claims["oid"]?.string ?? "") != nil
    }
}

/// The file that tells clients of a cluster.
struct Kubeconfig {
    enum User {
        /// The certificate of the cluster's own user, and its token.
        case certificate
        /// kubelogin, or what came before it with the format `azure`.
        case plugin(format: String)
    }

    let cluster: KubernetesCluster

    func text(_ user: User) -> String {
        let authority = PaddedBase64.encode(cluster.certificates.authorityBytes)
        let name: String
        var lines: [String]
        switch user {
        case .certificate:
            name = "clusterUser_\(cluster.name)"
            lines = [
                "    client-certificate-data: \(PaddedBase64.encode(cluster.certificates.user.certificate))",
                "    client-key-data: \(PaddedBase64.encode(cluster.certificates.user.key))",
                "    token: \(cluster.token)",
            ]
        case .plugin(let format) where format == "azure":
            name = "clusterUser_\(cluster.name)"
            lines = [
                "    auth-provider:", "      name: azure", "      config:",
                "        apiserver-id: \(ManagedClusters.server)",
                "        client-id: 80faf920-1908-4b52-b5ef-a8e7bedfc67a", "        environment: AzurePublicCloud",
                "        tenant-id: \(cluster.world.options.tenant)",
            ]
        case .plugin:
            name = "clusterUser_\(cluster.name)"
            lines = ["    exec:", "      apiVersion: client.authentication.k8s.io/v1beta1", "      args:"]
            lines += [
                "get-token", "--environment", "AzurePublicCloud", "--server-id", ManagedClusters.server, "--client-id",
                "80faf920-1908-4b52-b5ef-a8e7bedfc67a", "--tenant-id", cluster.world.options.tenant, "--login",
                "devicecode",
            ]
            .map { "      - \($0)" }
            lines += ["      command: kubelogin", "      env: null", "      provideClusterInfo: false"]
        }
        let url = cluster.url.withLock { $0 }
        let head = [
            "apiVersion: v1", "clusters:", "- cluster:", "    certificate-authority-data: \(authority)",
            "    server: \(url)", "  name: \(cluster.name)", "contexts:", "- context:", "    cluster: \(cluster.name)",
            "    user: \(name)", "  name: \(cluster.name)", "current-context: \(cluster.name)", "kind: Config",
            "preferences: {}", "users:", "- name: \(name)", "  user:",
        ]
        return (head + lines).joined(separator: "\n") + "\n"
    }
}
