// SPDX-License-Identifier: Apache-2.0
internal import Kubernetes
internal import OCI

extension AKSTarget {
    /// What each deployment that was changed goes back to, by title: as it was, where that worked, else with the pods of the
    /// newest version that still has some that work, else of the one before; `nil` where there is none.
    func goodVersions(
        _ done: [Applied],
        _ tell: @Sendable (DeployEvent) -> Void
    ) async throws -> [String: JSONValue]? {
        var versions: [String: JSONValue] = [:]
        for item in done.map(\.item) where item.kind == .deployment {
            guard let live = item.live else { continue }
            if AKSTarget.works(live) {
                versions[item.title] = live
                continue
            }
            guard let template = try await workingTemplate(of: live, item.namespace) else {
                tell(.init(.warning, "\(item.title) did not work before either: it is left as it is, to be looked at"))
                return nil
            }
            var version = live
            version["spec"]?["template"] = template
            versions[item.title] = version
        }
        return versions
    }

    /// Whether all copies of a deployment were of its version, and worked.
    static func works(_ deployment: JSONValue) -> Bool {
        let status = deployment["status"]
        let count = { (name: String) in status?[name]?.int ?? 0 }
        let wanted = deployment["spec"]?["replicas"]?.int ?? 1
        let isSeen = count("observedGeneration") >= deployment["metadata"]?["generation"]?.int ?? 0
        return isSeen && count("updatedReplicas") >= wanted && count("availableReplicas") >= wanted
            && count("replicas") == count("updatedReplicas")
    }

    /// The pods of the newest replica set of a deployment that has some that work, else of the one before its version.
    private func workingTemplate(of deployment: JSONValue, _ place: String?) async throws -> JSONValue? {
        let labels = (deployment["spec"]?["selector"]?["matchLabels"]?.strings ?? [:])
            .sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
        let id = deployment["metadata"]?["uid"]?.string
        let revision = { (object: JSONValue) in
            object["metadata"]?["annotations"]?["deployment.kubernetes.io/revision"]?.string.flatMap { Int($0) } ?? 0
        }
        let works = { (set: JSONValue) in set["status"]?["readyReplicas"]?.int ?? 0 > 0 }
        let own = revision(deployment)
        let sets = try await client.list(.replicaSet, .init(namespace: place, labels: labels))
            .filter { set in
                (set["metadata"]?["ownerReferences"]?.array ?? []).contains { $0["uid"]?.string == id }
                    // A later one is what has failed just now.
                    && (revision(set) < own || (revision(set) == own && works(set)))
            }
        let best = sets.max { (works($0) ? 1 : 0, revision($0)) < (works($1) ? 1 : 0, revision($1)) }
        guard var template = best?["spec"]?["template"] else { return nil }
        template["metadata"]?["labels"]?["pod-template-hash"] = nil
        template["metadata"]?["creationTimestamp"] = nil
        return template
    }

    /// Puts every field that we set back to what it was, and takes away what we made; the last first.
    func restore(
        _ done: [Applied],
        _ versions: [String: JSONValue],
        _ tell: @Sendable (DeployEvent) -> Void
    ) async throws {
        for applied in done.reversed() {
            let item = applied.item
            guard let live = versions[item.title] ?? item.live else {
                // Others may be in the namespace by now, and data on the disk.
                guard item.kind != .namespace, item.kind != .volumeClaim else { continue }
                tell(.init(.step, "deleting \(item.title), which was not there"))
                try await client.delete(item.kind, item.name, namespace: item.namespace)
                continue
            }
            tell(.init(.step, "setting \(item.title) back"))
            _ = try await client.apply(AKSTarget.restoring(live, applied), .init(takesOver: true))
        }
    }

    /// A manifest of what an object had, in all fields that are ours now or were before.
    static func restoring(_ live: JSONValue, _ applied: Applied) -> JSONValue {
        let before = ManagedFields(applied.item.live ?? live).ours
        let fields = before.union(ManagedFields(applied.result).ours)
        let clean = ObjectChange.clean(live)
        var manifest = (fields.isEmpty ? clean : fields.part(of: clean)) ?? [:]
        for name in ["apiVersion", "kind"] { manifest[name] = applied.item.manifest[name] }
        manifest["metadata"]?["name"] = .string(applied.item.name)
        if manifest["metadata"] == nil { manifest["metadata"] = ["name": .string(applied.item.name)] }
        manifest["metadata"]?["namespace"] = applied.item.namespace.map { .string($0) }
        return manifest
    }
}
