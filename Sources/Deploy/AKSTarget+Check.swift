// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Kubernetes
internal import OCI

extension AKSTarget {
    /// Looks at everything that can be looked at without changing anything: the cluster, rights, the images, what the
    /// manifests name and do not bring.
    ///
    /// - Returns: What was found, good and bad.
    /// - Throws: `KubernetesError` where the cluster cannot be asked at all.
    public func check() async throws -> [DeployFinding] {
        let version = try await client.version()
        var found = [
            DeployFinding("cluster", .good, "\(client.access.summary) answers: Kubernetes \(version)")
        ]
        let spaces = try await namespaces(&found)
        await look("rights", &found) { try await rights(spaces) }
        await look("nodes", &found) { try await platforms() }
        await look("pull", &found) { await pulls() }
        await look("references", &found) { try await references(spaces) }
        return found
    }

    /// What cannot be looked at is no reason to stop.
    private func look(
        _ what: String,
        _ found: inout [DeployFinding],
        _ body: () async throws -> [DeployFinding]
    ) async {
        do {
            found += try await body()
        } catch let error as KubernetesError {
            found.append(.init(what, .doubtful, "not looked at: \(error.message)", hint: error.hint))
        } catch {
            found.append(.init(what, .doubtful, "not looked at: \(error)"))
        }
    }

    /// The namespaces that objects go to and that are not there yet.
    private func namespaces(_ found: inout [DeployFinding]) async throws -> Set<String> {
        let made = Set(
            manifests.filter { $0["kind"]?.string == "Namespace" }.compactMap { $0["metadata"]?["name"]?.string }
        )
        var wanted: Set<String> = []
        for manifest in manifests {
            if let place = place(manifest, try await client.kind(of: manifest)) { wanted.insert(place) }
        }
        var missing: Set<String> = []
        for name in wanted.sorted() {
            do {
                if let space = try await client.find(.namespace, name) {
                    if space["status"]?["phase"]?.string == "Terminating" {
                        let message = "the namespace \(name) is being deleted, and takes nothing new"
                        found.append(
                            .init("namespace", .bad, message, hint: "wait until it is gone, or --namespace OTHER")
                        )
                    } else {
                        found.append(.init("namespace", .good, "the namespace \(name) is there"))
                    }
                    continue
                }
            } catch let error as KubernetesError where error.code == .denied {
                // Rights within a namespace are enough.
                continue
            }
            missing.insert(name)
            if made.contains(name) {
                found.append(.init("namespace", .good, "the namespace \(name) is made"))
            } else {
                let message = "there is no namespace \(name) in \(client.access.summary)"
                found.append(
                    .init("namespace", .bad, message, hint: "--create-namespace, or kubectl create namespace \(name)")
                )
            }
        }
        return missing
    }

    private func rights(_ missing: Set<String>) async throws -> [DeployFinding] {
        var (lacking, allowed): ([DeployFinding], Set<String>) = ([], [])
        var seen: Set<String> = []
        for manifest in manifests {
            let kind = try await client.kind(of: manifest)
            let place = place(manifest, kind)
            // Rights in a namespace that is not there yet may come with it.
            if let place, missing.contains(place) { continue }
            guard seen.insert("\(kind.qualified) \(place ?? "")").inserted else { continue }
            switch try await client.mayDo("patch", kind, namespace: place) {
            case true?: allowed.insert(kind.qualified)
            case false?: lacking.append(denied(kind, place))
            case nil: continue
            }
        }
        guard lacking.isEmpty, !allowed.isEmpty else { return lacking }
        return [.init("rights", .good, "\(who) may apply \(allowed.sorted().joined(separator: ", "))")]
    }

    private func denied(_ kind: ResourceKind, _ place: String?) -> DeployFinding {
        let flag = place.map { " --namespace \($0)" } ?? ""
        return .init(
            "rights",
            .bad,
            "\(who) may not patch \(kind.qualified)" + (place.map { " in the namespace \($0)" } ?? ""),
            hint: "kubectl create rolebinding coracle --clusterrole edit --user NAME\(flag), or "
                + "az role assignment create --role \"Azure Kubernetes Service RBAC Writer\" …"
        )
    }

    private var who: String { client.access.userName.isEmpty ? "who we are" : client.access.userName }

    /// Whether nodes can run the images.
    private func platforms() async throws -> [DeployFinding] {
        guard !images.isEmpty else { return [] }
        let nodes: [JSONValue]
        do {
            nodes = try await client.list(.node)
        } catch let error as KubernetesError where error.code == .denied {
            // Who may deploy into a namespace only is not warned of it each time.
            return []
        }
        let platforms = Set(
            nodes.compactMap { node -> String? in
                let labels = node["metadata"]?["labels"]
                guard let machine = labels?["kubernetes.io/arch"]?.string else { return nil }
                return "\(labels?["kubernetes.io/os"]?.string ?? "linux")/\(machine)"
            }
        )
        guard !platforms.isEmpty else { return [] }
        let list = platforms.sorted().joined(separator: ", ")
        return images.filter { !$0.mediaType.isIndex }
            .map { image in
                let own = "\(image.platform.os)/\(image.platform.architecture)"
                guard platforms.contains(own) else {
                    return .init(
                        "nodes",
                        .bad,
                        "\(image.shown) is for \(own), and the nodes are \(list)",
                        hint: "coracle build --platform \(platforms.sorted().first ?? "linux/amd64") …"
                    )
                }
                guard platforms.count > 1, !selectsNodes else {
                    return .init("nodes", .good, "\(image.shown) is for \(own), as the nodes are")
                }
                return .init(
                    "nodes",
                    .doubtful,
                    "\(image.shown) is for \(own), and the nodes are \(list): pods may come to where it does not run",
                    hint: "coracle build --platform \(platforms.sorted().joined(separator: ",")) …, or a nodeSelector"
                )
            }
    }

    private var selectsNodes: Bool {
        let pod = AKSTarget.main(manifests, name)?["spec"]?["template"]?["spec"]
        return pod?["nodeSelector"]?["kubernetes.io/arch"] != nil || pod?["affinity"]?["nodeAffinity"] != nil
    }

    /// Whether the cluster itself may pull from Azure's registries, where pods bring no secret for it.
    private func pulls() async -> [DeployFinding] {
        guard let cluster, let arm else { return [] }
        var found: [DeployFinding] = []
        var servers: Set<String> = []
        for manifest in manifests where manifest["kind"]?.string == "Deployment" {
            guard !PodReferences(manifest).hasPullSecrets else { continue }
            let pod = manifest["spec"]?["template"]?["spec"]
            for container in (pod?["initContainers"]?.array ?? []) + (pod?["containers"]?.array ?? []) {
                guard let image = container["image"]?.string, let slash = image.firstIndex(of: "/") else { continue }
                let server = String(image[..<slash])
                if arm.cloud.ownsRegistry(server) { servers.insert(server) }
            }
        }
        let subscriptions = (try? await arm.subscriptions()) ?? [cluster.subscription]
        for server in servers.sorted() {
            let rights = await arm.pullRights(of: cluster, at: server, in: subscriptions)
            switch rights.verdict {
            case .has: found.append(.init("pull", .good, "the cluster \(cluster.name) may pull from \(server)"))
            case .lacks:
                let message = "the cluster \(cluster.name) has no role at \(server) that pulls, unless a group has it"
                found.append(.init("pull", .doubtful, message, hint: rights.remedy))
            case .unknown(let reason):
                let message = "whether the cluster \(cluster.name) may pull from \(server) is not known: \(reason)"
                found.append(.init("pull", .doubtful, message, hint: rights.remedy))
            }
        }
        return found
    }

    /// What pods need and nobody brings: they would wait for it until the rollout fails.
    private func references(_ missing: Set<String>) async throws -> [DeployFinding] {
        var found: [DeployFinding] = []
        var seen: Set<String> = []
        for manifest in manifests where manifest["kind"]?.string == "Deployment" {
            let place = place(manifest, .deployment) ?? client.namespace
            for reference in PodReferences(manifest).all {
                guard seen.insert("\(place) \(reference.kind) \(reference.name) \(reference.key ?? "")").inserted,
                    let fault = try await fault(of: reference, in: place, isNew: missing.contains(place))
                else { continue }
                found.append(fault)
            }
        }
        return found
    }

    private func fault(
        of reference: PodReferences.Reference,
        in place: String,
        isNew: Bool
    ) async throws -> DeployFinding? {
        let kind = reference.kind
        let own = manifests.first {
            $0["kind"]?.string == kind.kind && $0["metadata"]?["name"]?.string == reference.name
                && self.place($0, kind) == place
        }
        var object = own
        if own == nil, !isNew {
            do {
                object = try await client.find(kind, reference.name, namespace: place)
            } catch let error as KubernetesError where error.code == .denied {
                return nil
            }
        }
        let title = "\(kind)/\(reference.name)"
        guard let object else {
            let create = kind == .secret ? "secret generic" : "\(kind)"
            let message = "there is no \(title) in the namespace \(place), which \(reference.purpose) needs"
            let hint = "kubectl create \(create) \(reference.name) --namespace \(place) …"
            return .init("references", .bad, message, hint: kind == .volumeClaim ? nil : hint)
        }
        guard let key = reference.key else { return nil }
        let keys = ["data", "stringData", "binaryData"].flatMap { (object[$0]?.object ?? [:]).keys }
        guard !keys.contains(key) else { return nil }
        let known = keys.isEmpty ? "it has none" : "it has \(keys.sorted().joined(separator: ", "))"
        let message =
            "\(title) in the namespace \(place) has no key \"\(key)\", which \(reference.purpose) needs; \(known)"
        return .init("references", .bad, message)
    }
}
